from collections.abc import Iterator

import pytest

from tests.unit.gridscribe.both_clients import connect
from tests.unit.gridscribe.scripted_server import ScriptedServer

__all__ = ["connect", "server"]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.close()
