import socket
from pathlib import Path

import pytest

from gridscribe.devstack import DevStack
from gridscribe.supervisor import StackError
from gridscribe.valkey import EmbeddedValkey


def make(tmp_path: Path, **options: object) -> DevStack:
    given: dict[str, object] = {"port": 0, "data_dir": tmp_path, "log": lambda *_: None}
    return DevStack(**{**given, **options})  # type: ignore[arg-type]


def test_port_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port}: Address already in use; choose"):
            make(tmp_path / "data", port=port).start()
    assert not (tmp_path / "data").exists()


def test_second_stack_on_one_data_folder_is_refused(tmp_path: Path) -> None:
    first = EmbeddedValkey(tmp_path / "valkey")
    with pytest.raises(StackError, match="is in use by process"):
        make(tmp_path).start()
    first.close()


def test_redis_of_the_environment_is_used_instead_of_valkey(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valkey_url: str
) -> None:
    monkeypatch.setenv("REDIS_URL", valkey_url)
    with make(tmp_path) as stack:
        assert set(stack.pids) == {"dispatcher", "deliverer", "caption", "compose", "api"}
    assert stack.pids == {}


def test_stack_that_never_gets_ready_tells_what_the_service_says(tmp_path: Path) -> None:
    with (
        make(tmp_path, redis_url="redis://127.0.0.1:9") as stack,
        pytest.raises(StackError, match="the stack is not ready after 4 s; /readyz says: "),
    ):
        stack.wait_ready(timeout=4)
