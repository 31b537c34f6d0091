"""Secrets go through every process of a real deployment; none is found in what they write."""

import io
import os
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image
from redis import Redis

from shared.api_keys import ApiKeys
from shared.webhook_signature import new_secret
from tests.fixtures.cluster import ROOT, STORE_PASSWORD, Cluster, Sizes
from tests.fixtures.s3 import Bucket
from tests.fixtures.waiting import wait_until

CARELESS = ROOT / "tests" / "fixtures" / "careless"
BUCKET_KEY = "bucket-key-that-nobody-may-see"
IN_A_URL = "password-in-an-address"
SIGNATURE = "signature-in-an-address"
GUESSED = "gsk_guessed0123456789abcdefghijklmnopqrstuvwx"
LOGGED = (
    f"an API key {GUESSED}, Authorization: Bearer token-of-a-source-0123456789,"
    f" redis://:{STORE_PASSWORD}@127.0.0.1:1/0, http://user:{IN_A_URL}@127.0.0.1:9/a.png,"
    f" /v1/inbound/01a2-7c/secret-in-an-address, https://bucket.example/a?X-Amz-Signature={SIGNATURE},"
    " a webhook's whsec_c2VjcmV0LW9mLWEtd2ViaG9vay1yZWNlaXZlcg=="
)
"""Secrets of every kind, which a library logs in each process (tests/fixtures/careless)."""
OF_OTHERS = {
    *("token-of-a-source-0123456789", "secret-in-an-address"),
    "whsec_c2VjcmV0LW9mLWEtd2ViaG9vay1yZWNlaXZlcg==",
}
OWN_PROCESSES = {"api-0", "caption-0", "compose-0", "deliverer-0", "dispatcher-0"}


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_process_writes_a_secret(bucket: Bucket, tmp_path: Path, log_format: str) -> None:
    lines: list[tuple[str, str]] = []
    environment = {
        **bucket.environment,
        "AWS_SECRET_ACCESS_KEY": BUCKET_KEY,
        "GRIDSCRIBE_STORAGE_URL": bucket.url(f"secrets/{uuid.uuid4()}"),
        "GRIDSCRIBE_AUTH": "required",
        "GRIDSCRIBE_LOG_LEVEL": "DEBUG",
        "GRIDSCRIBE_LOG_FORMAT": log_format,
        "CARELESS_WORDS": LOGGED,
        "PYTHONPATH": f"{CARELESS}:{ROOT}",
    }
    cluster = Cluster(
        tmp_path,
        Sizes(apis=1, captions=1, deliverers=1),
        environment,
        log=lambda name, line: lines.append((name, line)),
        caption_app="tests.fixtures.quick_worker",
    )
    with cluster, Redis.from_url(cluster.redis_url, decode_responses=True) as redis:
        key, _ = ApiKeys(redis).create("default")
        cluster.wait_ready(api_key=key)
        with httpx.Client(base_url=cluster.urls[0], timeout=30, trust_env=False) as client:
            secrets = {key, BUCKET_KEY, STORE_PASSWORD, IN_A_URL, SIGNATURE, GUESSED, *OF_OTHERS}
            secrets |= use_everything(client, key)
        wait_until(lambda: talked(lines) == OWN_PROCESSES)
        # An outage is when processes complain the loudest, with addresses in hand.
        redis.shutdown(nosave=True)
    written = "\n".join(line for _, line in lines)
    assert "accepted a job" in written
    assert len(secrets) >= 12
    assert {secret for secret in secrets if secret[-16:] in written} == set()


def talked(lines: list[tuple[str, str]]) -> set[str]:
    """Names of the processes whose log holds what was to be blotted out there."""
    return {name for name, line in list(lines) if "told of an API key" in line}


def use_everything(client: httpx.Client, key: str) -> set[str]:
    """Hand over and be handed secrets of every kind; returns the latter."""
    refused = client.get("/v1/jobs", headers={"Authorization": f"Bearer {GUESSED}"})
    assert refused.status_code == 401
    client.headers["Authorization"] = f"Bearer {key}"
    presigned = client.post("/v1/uploads/presign", json={"name": "a.png"}).json()
    httpx.put(presigned["url"], content=picture()).raise_for_status()
    secret = new_secret()
    hook = {"url": f"https://studio.example/hook?token={SIGNATURE}", "secret": secret}
    made = client.post(
        "/v1/jobs",
        json={
            "spec": {"use_clip": True, "webhook": hook},
            "images": [{"upload_id": presigned["upload_id"]}],
        },
    )
    assert made.status_code == 202, made.text

    def over() -> dict[str, Any] | None:
        job: dict[str, Any] = client.get(made.json()["urls"]["self"]).json()
        return None if job["status"] in ("queued", "running") else job

    job = wait_until(over)
    assert job["status"] == "succeeded", job
    wait_until(lambda: client.get(job["urls"]["deliveries"]).json()["data"][0]["attempts"])
    link = client.get(job["urls"]["result"]).headers["Location"]
    endpoint = client.post("/v1/webhook-endpoints", json={"url": "https://studio.example/"})
    farm = {"name": "farm", "adapter": "cloudevents", "auth": "bearer"}
    source = client.post("/v1/sources", json=farm)
    for answer in (endpoint, source):
        assert answer.status_code == 201, answer.text
    address = f"http://user:{IN_A_URL}@127.0.0.1:9/a.png?X-Amz-Signature={SIGNATURE}"
    assert client.post("/v1/jobs", json={"images": [{"url": address}]}).status_code == 422
    client.get("/v1/jobs", params={"token": SIGNATURE})
    signatures = {
        pair.removeprefix("X-Amz-Signature=")
        for url in (presigned["url"], link)
        for pair in urlsplit(url).query.split("&")
        if pair.startswith("X-Amz-Signature=")
    }
    return signatures | {secret, endpoint.json()["secret"], source.json()["secret"]}


def picture() -> bytes:
    data = io.BytesIO()
    Image.frombytes("RGB", (16, 16), os.urandom(16 * 16 * 3)).save(data, "PNG")
    return data.getvalue()
