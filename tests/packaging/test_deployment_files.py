"""The deployment files and docs/settings.md agree with the code as it is.

Their syntax is checked by `make lint`: hadolint, and the schema of the Compose specification.
"""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from ruamel.yaml import YAML

from gridscribe.valkey import find_server
from shared.settings import Settings
from shared.settings_reference import reference
from shared.work_units import WorkerKind, WorkerStamp
from worker.backend import connect_lifecycle

ROOT = Path(__file__).parents[2]
PREFIX = str(Settings.model_config["env_prefix"])
VARIABLES = {PREFIX + name.upper() for name in Settings.model_fields}
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = YAML(typ="safe").load(COMPOSE)["services"]
OWN_SERVICES = sorted(set(SERVICES) - {"redis"})


@pytest.mark.parametrize("name", OWN_SERVICES)
def test_a_service_is_given_only_settings_that_there_are(name: str) -> None:
    given = {key for key in SERVICES[name]["environment"] if key.startswith(PREFIX)}
    assert given
    assert given <= VARIABLES


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["mem_limit"]
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", OWN_SERVICES)
def test_a_service_is_built_from_a_dockerfile_that_does_not_run_as_root(name: str) -> None:
    dockerfile = (ROOT / SERVICES[name]["build"]["dockerfile"]).read_text()
    final_stage = dockerfile[dockerfile.rindex("\nFROM ") :]
    assert re.findall(r"^USER (.+)$", final_stage, re.MULTILINE) == ["10001"]


def test_redis_loses_no_accepted_job() -> None:
    command = SERVICES["redis"]["command"][-1]
    for option in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
        assert option in command


def test_redis_wants_the_password_that_the_services_have(tmp_path: Path) -> None:
    """The command of docker-compose.yml as it stands there, on a server of this machine."""
    made = subprocess.run(
        [ROOT / "docs" / "deploy" / "make-secrets"],
        env={**os.environ, "GRIDSCRIBE_SECRETS": str(tmp_path)},
        check=True,
    )
    assert made.returncode == 0
    secret = tmp_path / "gridscribe_redis_url"
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    program, option, script = SERVICES["redis"]["command"]
    for written, here in {
        "$$": "$",
        "/run/secrets/gridscribe_redis_url": str(secret),
        "redis-server -": f"{find_server()} - --port {port} --dir {tmp_path}",
    }.items():
        script = script.replace(written, here)
    server = subprocess.Popen([program, option, script], stdout=subprocess.DEVNULL)
    try:
        host = secret.read_text().strip().replace("redis:6379", f"127.0.0.1:{port}")
        with Redis.from_url(host) as friend, Redis(port=port, protocol=2) as stranger:
            deadline = time.monotonic() + 20
            while not answers(friend):
                assert server.poll() is None
                assert time.monotonic() < deadline
            with pytest.raises(AuthenticationError):
                stranger.ping()
            assert friend.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert friend.config_get("appendonly") == {"appendonly": "yes"}
            assert friend.config_get("appendfsync") == {"appendfsync": "always"}
    finally:
        server.terminate()
        server.wait()


def answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisConnectionError:
        time.sleep(0.05)
        return False


def test_secrets_come_by_files_alone() -> None:
    for name, service in SERVICES.items():
        given = service.get("environment", {})
        assert "GRIDSCRIBE_REDIS_URL" not in given, name
        assert service["secrets"] == ["gridscribe_redis_url"], name


def test_each_queue_of_the_service_has_a_worker() -> None:
    consumed = {
        queue
        for name in OWN_SERVICES
        for queue in re.findall(r"-Q (\w+)", SERVICES[name].get("command", ""))
    }
    assert consumed == {"caption", "compose"}


def test_a_worker_is_healthy_while_its_host_has_left_a_sign_of_progress(settings: Settings) -> None:
    assert not worker_is_healthy(settings)

    lifecycle = connect_lifecycle(settings)
    stamp = WorkerStamp(owner="elsewhere:1:0", kind=WorkerKind.COMPOSE, capacity=1)
    lifecycle.stamp(stamp)
    assert not worker_is_healthy(settings)

    lifecycle.stamp(stamp.model_copy(update={"owner": lifecycle.owner}))
    assert worker_is_healthy(settings)


def worker_is_healthy(settings: Settings) -> bool:
    """Run the health check of docker-compose.yml as it stands there."""
    program, *arguments = SERVICES["dispatcher"]["healthcheck"]["test"][1:]
    assert program == "python"
    checked = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "GRIDSCRIBE_REDIS_URL": settings.redis_url},
        check=False,
    )
    return checked.returncode == 0


def test_the_settings_page_is_what_the_settings_say_of_themselves() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == reference(), "`make openapi`"
    described = re.findall(rf"^\| `({PREFIX}\w+)` \| .+ \| .+ \|$", page, re.MULTILINE)
    assert sorted(described) == sorted(VARIABLES)
