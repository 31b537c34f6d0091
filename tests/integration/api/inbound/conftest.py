"""A service that may fetch from this machine and read a farm's shared folder."""

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from redis import Redis

from shared.settings import Settings
from tests.integration.api.inbound.collecting_farm import Farm, MakeFarm, Pictures
from tests.integration.api.inbound.senders import local_server
from tests.integration.api.served import png, serving


@pytest.fixture(scope="module")
def pictures() -> Iterator[str]:
    with local_server(Pictures) as address:
        yield address


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A farm's shared folder, with something outside of it."""
    folder = tmp_path_factory.mktemp("mount")
    for tenant in ("default", "other"):
        (folder / tenant / "shot").mkdir(parents=True)
        for number in range(1, 5):
            (folder / tenant / "shot" / f"beauty.{number:04}.png").write_bytes(png(number))
    (folder / "default" / "latest").symlink_to(folder / "default" / "shot")
    (folder / "default" / "elsewhere").symlink_to(folder / "other" / "shot")
    (folder / "default" / "folder.png").mkdir()
    return folder


@pytest.fixture(scope="module")
def client(api_settings: Settings, pictures: str, mount: Path) -> Iterator[httpx.Client]:
    settings = api_settings.model_copy(
        update={
            "allowed_networks": (ip_network("127.0.0.0/8"),),
            "allowed_ports": (urlsplit(pictures).port,),
            "inbound_roots": (mount / "{tenant}",),
            "store_timeout_seconds": 20.0,
        }
    )
    with serving(settings) as client:
        yield client


@pytest.fixture
def farm(client: httpx.Client, redis: Redis, pictures: str) -> MakeFarm:
    def make(**source: Any) -> Farm:
        return Farm(client, redis, pictures, **source)

    return make
