"""RabbitMQ carries the messages, Redis keeps the jobs: nothing else changes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import amqp
import pytest

from tests.fixtures.ports import free_port
from tests.system.conftest import running, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]  # two files of tests in one

ROOT = Path(__file__).parents[2]
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's, without the wrapper on PATH that becomes another user."""


@pytest.fixture
def broker_url(tmp_path: Path) -> Iterator[str]:
    """A RabbitMQ of its own: its port mapper, ports, cookie and folders are nobody else's."""
    assert SERVER.exists(), f"no {SERVER}: apt-get install rabbitmq-server"
    port, distribution, mapper = free_port(), free_port(), free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"gridscribe{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(tmp_path / "data"),
        "RABBITMQ_LOG_BASE": str(tmp_path / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(tmp_path / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(tmp_path / "rabbitmq"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    with ExitStack() as stack:
        stack.enter_context(running(["epmd"], log=tmp_path / "epmd.log", env=environment))
        server = stack.enter_context(
            running([SERVER], log=tmp_path / "rabbitmq.log", env=environment)
        )
        url = f"amqp://guest:guest@127.0.0.1:{port}//"
        wait_until(lambda: _answers(url), server, seconds=300)
        yield url


def _connected(url: str) -> amqp.Connection:
    return amqp.Connection(urlsplit(url).netloc.rpartition("@")[2], connect_timeout=5)


def _answers(url: str) -> bool:
    try:
        with _connected(url):
            return True
    except (OSError, amqp.AMQPError):
        return False


def test_the_tests_of_the_whole_path_pass_with_rabbitmq_as_the_broker(broker_url: str) -> None:
    tests = [ROOT / "tests" / "e2e" / f"test_{name}.py" for name in ("whole_path", "job_control")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *tests],
        cwd=ROOT,
        env={**os.environ, "GRIDSCRIBE_BROKER_URL": broker_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    with _connected(broker_url) as connection:
        for queue in ("caption", "compose"):
            # It is there, for messages came through it, and nothing was left behind.
            declared = connection.channel().queue_declare(queue, passive=True)
            assert declared is not None
            assert declared[1] == 0
