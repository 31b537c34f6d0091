import os
import signal
from pathlib import Path

import pytest
from redis import Redis

from gridscribe import valkey
from gridscribe.supervisor import StackError, Supervisor
from gridscribe.valkey import EmbeddedValkey, find_server
from tests.fixtures.waiting import wait_until


def running(folder: Path) -> tuple[EmbeddedValkey, Supervisor]:
    server = EmbeddedValkey(folder)
    supervisor = Supervisor([[server.command]], lambda *_: None)
    supervisor.start()
    return server, supervisor


def test_acknowledged_write_survives_kill_and_restart(tmp_path: Path) -> None:
    server, supervisor = running(tmp_path)
    with Redis.from_url(server.url, decode_responses=True) as redis:
        redis.set("kept", "yes")
        first = supervisor.pids["valkey"]
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: supervisor.pids["valkey"] != first and server.answers())
        assert redis.get("kept") == "yes"
    supervisor.stop()
    server.close()

    server, supervisor = running(tmp_path)
    with Redis.from_url(server.url, decode_responses=True) as redis:
        assert redis.get("kept") == "yes"
    supervisor.stop()
    server.close()


def test_second_server_on_one_folder_is_refused_with_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey, "_LOCK_PATIENCE", 0.1)
    first = EmbeddedValkey(tmp_path)
    with pytest.raises(StackError, match=f"in use by process {os.getpid()}; stop that one"):
        EmbeddedValkey(tmp_path)
    first.close()
    EmbeddedValkey(tmp_path).close()


@pytest.mark.parametrize("name", ["deep" * 30, "with a space", "50%"])
def test_socket_of_an_unfit_folder_goes_to_a_short_one(tmp_path: Path, name: str) -> None:
    server, supervisor = running(tmp_path / name)
    socket = Path(server.url.removeprefix("unix://"))
    assert server.answers()
    assert len(str(socket)) < 107
    supervisor.stop()
    server.close()
    assert not socket.parent.exists()


def test_server_on_path_stands_in_for_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="no Valkey server found: install"):
        find_server()
    program = tmp_path / "redis-server"
    program.touch(mode=0o755)
    assert find_server() == str(program)
