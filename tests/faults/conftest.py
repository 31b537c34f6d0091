from collections.abc import Iterator

import pytest

from gridscribe.client import Client
from tests.fixtures.deployment import Deployment


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A whole service with short leases, and one worker of each kind; a test that harms a process
    starts it again. It may send webhooks to this machine, once a test starts a deliverer."""
    reach = {"allowed_networks": "127.0.0.0/8", "allowed_ports": "*"}
    with Deployment(tmp_path_factory.mktemp("service"), **reach) as deployment:
        deployment.start("valkey")
        deployment.start("api", "dispatcher", "compose", "caption")
        yield deployment


@pytest.fixture
def client(service: Deployment) -> Iterator[Client]:
    with service.client() as client:
        yield client
