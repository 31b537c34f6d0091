"""The disk is full where the API puts what it receives."""

import base64
import io
import json
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from gridscribe.client import Client
from shared.keyspace import PREFIX
from tests.fixtures import picture_server
from tests.fixtures.deployment import Deployment
from tests.fixtures.fault_jobs import PLAIN, check_done_once, pictures
from tests.fixtures.full_disk import files_bounded

pytestmark = pytest.mark.faults

[(NAME, SMALL)] = pictures(1)


def large_picture() -> bytes:
    """More than is held in memory on the way."""
    noise = np.random.default_rng(7).integers(0, 256, (1000, 1000, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG", compress_level=1)
    assert file.tell() > 2_500_000
    return file.getvalue()


def zipped(*files: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    return file.getvalue()


def as_parts(*files: tuple[str, bytes]) -> dict[str, Any]:
    return {
        "data": {"spec": PLAIN.model_dump_json(exclude_unset=True)},
        "files": [("images", file) for file in files],
    }


IN_JSON = {
    "json": {
        "spec": json.loads(PLAIN.model_dump_json(exclude_unset=True)),
        "images": [{"data": f"data:image/png;base64,{base64.b64encode(SMALL).decode()}"}],
    }
}
LARGE = large_picture()
REQUESTS = {
    "small picture": ("/v1/jobs", as_parts((NAME, SMALL)), 100),
    "large picture": ("/v1/jobs", as_parts((NAME, LARGE)), 1_000_000),
    "no room after the first": ("/v1/jobs", as_parts((NAME, SMALL), ("2.png", LARGE)), 1_000_000),
    "zip": ("/v1/jobs", as_parts(("all.zip", zipped((NAME, SMALL)))), 100),
    "in JSON": ("/v1/jobs", IN_JSON, 100),
    "upload": ("/v1/uploads", {"files": {"file": (NAME, SMALL)}}, 100),
    "large upload": ("/v1/uploads", {"files": {"file": (NAME, LARGE)}}, 1_000_000),
}


@pytest.fixture
def by_url() -> Iterator[dict[str, Any]]:
    """A submission of a picture that is fetched."""
    with picture_server.pictures() as server:
        yield {"json": {"images": [{"url": f"http://127.0.0.1:{server.server_address[1]}/1.png"}]}}


def send(service: Deployment, path: str, request: Mapping[str, Any], key: str) -> httpx.Response:
    url = f"{service.base_url}{path}"
    return httpx.post(url, **request, headers={"Idempotency-Key": key}, timeout=60)


@pytest.mark.parametrize(("path", "request_", "room"), REQUESTS.values(), ids=REQUESTS)
def test_a_full_disk_is_answered_with_507_leaves_nothing_and_is_got_over(
    service: Deployment, client: Client, path: str, request_: Mapping[str, Any], room: int
) -> None:
    check_refused_and_got_over(service, client, path, request_, room)


@pytest.mark.parametrize("room", [0, 50])
def test_so_is_one_that_has_no_room_for_what_is_fetched(
    service: Deployment, client: Client, by_url: Mapping[str, Any], room: int
) -> None:
    check_refused_and_got_over(service, client, "/v1/jobs", by_url, room)


def check_refused_and_got_over(
    service: Deployment, client: Client, path: str, request_: Mapping[str, Any], room: int
) -> None:
    def kept() -> tuple[set[str], set[str]]:
        """All files, whole or half written, and all that the store knows of jobs and uploads."""
        with service.redis() as redis:
            keys = {*redis.keys(f"{PREFIX}job:*"), *redis.keys(f"{PREFIX}upload*")}
        return {str(it) for it in service.storage.rglob("*") if it.is_file()}, keys

    before, key = kept(), str(uuid.uuid4())
    with files_bounded([service["api"].pid], room):
        for _ in range(2):
            answer = send(service, path, request_, key)
            assert answer.status_code == 507
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["code"] == "storage_full"
            assert "storage is full" in answer.json()["detail"]
            assert int(answer.headers["Retry-After"]) > 0
        listed = httpx.get(f"{service.base_url}/v1/jobs", timeout=60)
        assert listed.status_code == 200, "what needs no room is answered as ever"
        assert kept() == before
    answer = send(service, path, request_, key)
    assert answer.is_success
    if path == "/v1/jobs":
        check_done_once(service, client, client.jobs.get(answer.json()["id"]), captioned=False)
