"""Keys, tenants and limits, as callers meet them."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
import uvicorn
from redis import Redis

from api.access import is_local
from api.app import create_app
from shared.api_keys import KEYS, ApiKeys, digest_of
from shared.settings import Settings
from shared.tenant_limits import TenantLimit, TenantLimits
from tests.fixtures.waiting import PATIENCE
from tests.integration.api.served import image_part, png, problem_of, serving, spec_part, submit


@pytest.fixture(scope="module")
def locked_settings(api_settings: Settings) -> Settings:
    return api_settings.model_copy(update={"auth": "required"})


@pytest.fixture(scope="module")
def locked(locked_settings: Settings) -> Iterator[httpx.Client]:
    """A client without a key, of a service that wants one."""
    with serving(locked_settings) as client:
        yield client


@pytest.fixture
def keys(redis: Redis) -> ApiKeys:
    return ApiKeys(redis)


@pytest.fixture
def limits(redis: Redis) -> TenantLimits:
    return TenantLimits(redis)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_without_a_key_nothing_is_told_but_how_to_get_one(locked: httpx.Client) -> None:
    answer = locked.get("/v1/models")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    problem = problem_of(answer)
    assert problem["code"] == "unauthenticated"
    assert "gridscribe keys create" in problem["detail"]


def test_a_key_is_good_at_once_and_its_revocation_too(locked: httpx.Client, keys: ApiKeys) -> None:
    secret, key = keys.create("studio", "render farm")
    assert locked.get("/v1/models", headers=bearer(secret)).status_code == 200
    assert keys.revoke(key.prefix) == [key]
    assert locked.get("/v1/models", headers=bearer(secret)).status_code == 401


def test_an_expired_key_is_refused(locked: httpx.Client, keys: ApiKeys) -> None:
    secret, _ = keys.create("studio", lifetime=timedelta(seconds=0))
    answer = locked.get("/v1/models", headers=bearer(secret))
    assert (answer.status_code, "expired" in answer.json()["detail"]) == (401, True)


@pytest.mark.parametrize(
    "header",
    ["Bearer gsk_wrong", "Bearer", "Basic dTpw", "gsk_x", "Bearer \xff", "Bearer a b"],
)
def test_what_is_no_key_is_refused(locked: httpx.Client, keys: ApiKeys, header: str) -> None:
    keys.create("studio")
    answer = locked.get("/v1/models", headers=[(b"Authorization", header.encode("latin-1"))])
    assert answer.status_code == 401


def test_the_store_keeps_no_key_only_its_hash(redis: Redis, keys: ApiKeys) -> None:
    secret, key = keys.create("studio")
    stored = redis.hgetall(KEYS)
    assert list(stored) == [digest_of(secret)]
    assert secret not in str(stored)
    assert secret.startswith(key.prefix)
    assert len(secret) - len(key.prefix) > 32


def test_keys_are_found_by_tenant(keys: ApiKeys) -> None:
    _, first = keys.create("studio")
    _, other = keys.create("farm")
    assert keys.find("studio") == [first]
    assert keys.revoke(other.prefix, tenant="studio") == []
    assert keys.find("farm") == [other]
    assert keys.revoke(other.prefix[:4]) == []


def test_health_and_the_description_need_no_key(locked: httpx.Client) -> None:
    assert locked.get("/healthz").status_code == 200
    ready = locked.get("/readyz")
    assert (ready.status_code, ready.json()["auth"]) == (503, "required")
    assert locked.get("/docs").status_code == 200
    scheme = locked.get("/openapi.json").json()["components"]["securitySchemes"]
    assert [entry["scheme"] for entry in scheme.values()] == ["bearer"]


def test_workers_are_shown_to_the_operator_only(
    locked: httpx.Client, keys: ApiKeys, redis: Redis
) -> None:
    stamp = {"owner": "host:1:0", "kind": "compose", "capacity": 2, "at": redis.time()[0]}
    redis.hset("{gridscribe}:workers", "host:1:0", json.dumps(stamp))
    operators, _ = keys.create("default")
    others, _ = keys.create("studio")
    assert locked.get("/readyz").json()["compose_workers"] == []
    assert locked.get("/readyz", headers=bearer(others)).json()["compose_workers"] == []
    shown = locked.get("/readyz", headers=bearer(operators)).json()["compose_workers"]
    assert [worker["owner"] for worker in shown] == ["host:1:0"]


@pytest.mark.parametrize(
    ("address", "host", "origin", "local"),
    [
        ("127.0.0.1", "127.0.0.1:8000", None, True),
        ("127.8.0.1", "localhost", "http://localhost:8000", True),
        ("::1", "[::1]:8000", "http://[::1]:8000", True),
        ("127.0.0.1", None, None, True),
        ("192.168.0.7", "127.0.0.1", None, False),
        ("2001:db8::1", "[::1]", None, False),
        (None, "localhost", None, False),
        ("127.0.0.1", "rebound.example:8000", None, False),
        ("127.0.0.1", "localhost.rebound.example", None, False),
        ("127.0.0.1", "127.0.0.1@rebound.example", None, False),
        ("127.0.0.1", "[::", None, False),
        ("127.0.0.1", "localhost", "https://page.example", False),
        ("127.0.0.1", "localhost", "null", False),
        ("127.0.0.1", "localhost", "", False),
    ],
)
def test_local_is_what_arrives_on_loopback_and_from_no_page_of_elsewhere(
    address: str | None, host: str | None, origin: str | None, local: bool
) -> None:
    assert is_local(address, host, origin) is local


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://page.example"}, {"Host": "rebound.example"}]
)
def test_a_page_of_elsewhere_cannot_use_an_open_service(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    assert client.get("/v1/models", headers=headers).status_code == 401
    sent = client.post("/v1/jobs", files=[image_part("a.png")], headers=headers)
    assert sent.status_code == 401


def test_a_wrong_key_is_refused_even_where_none_is_needed(client: httpx.Client) -> None:
    assert client.get("/v1/models", headers=bearer("gsk_wrong")).status_code == 401


def test_a_store_that_is_away_lets_nobody_in(locked_settings: Settings) -> None:
    away = locked_settings.model_copy(update={"redis_url": "redis://127.0.0.1:9"})
    with serving(away) as client:
        assert client.get("/v1/models", headers=bearer("gsk_any")).status_code == 503
        assert client.get("/readyz", headers=bearer("gsk_any")).json()["store"] is False


def test_refusals_are_logged_quietly_and_without_the_key(
    locked_settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(locked_settings) as client:
        for _ in range(20):
            client.get("/v1/models", headers=bearer("gsk_" + "guess" * 9))
    logged = capfd.readouterr().err
    assert logged.count("refused 1 request(s)") == 1
    assert "guessguess" not in logged


def test_requests_a_minute_are_limited_for_each_tenant_alone(
    locked: httpx.Client, keys: ApiKeys, limits: TenantLimits, redis: Redis
) -> None:
    busy, _ = keys.create("busy")
    calm, _ = keys.create("calm")
    limits.set("busy", {TenantLimit.REQUESTS_PER_MINUTE: 3})  # another in 20 s
    statuses = [locked.get("/v1/models", headers=bearer(busy)).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = locked.get("/v1/models", headers=bearer(busy))
    assert problem_of(refused)["code"] == "rate_limited"
    assert 10 < int(refused.headers["Retry-After"]) <= 20
    assert locked.get("/v1/models", headers=bearer(calm)).status_code == 200
    # A full bucket is forgotten: nothing is left behind by a tenant that went away.
    assert 30_000 < redis.pttl("{gridscribe}:bucket:busy") <= 60_000


def test_a_pause_as_long_as_retry_after_is_enough(
    locked: httpx.Client, keys: ApiKeys, limits: TenantLimits
) -> None:
    secret, _ = keys.create("busy")
    limits.set("busy", {TenantLimit.REQUESTS_PER_MINUTE: 60})
    while (answer := locked.get("/v1/models", headers=bearer(secret))).status_code == 200:
        pass
    time.sleep(int(answer.headers["Retry-After"]))
    assert locked.get("/v1/models", headers=bearer(secret)).status_code == 200


def test_health_checks_with_a_key_are_not_counted(
    locked: httpx.Client, keys: ApiKeys, limits: TenantLimits
) -> None:
    secret, _ = keys.create("default")
    limits.set("default", {TenantLimit.REQUESTS_PER_MINUTE: 1})
    for _ in range(3):
        assert locked.get("/readyz", headers=bearer(secret)).status_code == 503
    assert locked.get("/v1/models", headers=bearer(secret)).status_code == 200


@pytest.mark.parametrize(
    ("limit", "most"),
    [(TenantLimit.IMAGES_PER_DAY, 3), (TenantLimit.BYTES_PER_DAY, 3 * len(png()))],
)
def test_a_days_quota_is_counted_by_what_was_accepted(
    locked: httpx.Client, keys: ApiKeys, limits: TenantLimits, limit: TenantLimit, most: int
) -> None:
    secret, _ = keys.create("studio")
    limits.set("studio", {limit: most})
    locked.headers.update(bearer(secret))
    try:
        two = [image_part("a.png"), image_part("b.png")]
        assert submit(locked, *two).status_code == 202
        assert submit(locked, spec_part({"rows": -1}), *two).status_code == 422  # costs nothing
        over = submit(locked, *two)
        assert (over.status_code, over.json()["code"]) == (429, "quota_exceeded")
        assert 0 < int(over.headers["Retry-After"]) <= 24 * 3600
        assert submit(locked, image_part("c.png")).status_code == 202
        # Now it is used up, and the next is refused before its files are read.
        assert answer_to_a_head(locked, secret).startswith(b"HTTP/1.1 429 ")
    finally:
        del locked.headers["Authorization"]


def answer_to_a_head(client: httpx.Client, secret: str) -> bytes:
    """What comes back when a submission's body is still to come."""
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n\r\n"
    )
    address = (client.base_url.host, client.base_url.port or 80)
    with socket.create_connection(address, PATIENCE) as caller:
        caller.sendall(head.encode())
        return caller.recv(65536)


def test_uploads_count_and_an_idempotent_repeat_does_not(
    locked: httpx.Client, keys: ApiKeys, limits: TenantLimits
) -> None:
    secret, _ = keys.create("studio")
    limits.set("studio", {TenantLimit.BYTES_PER_DAY: 2 * len(png())})
    headers = bearer(secret)
    upload = {"content": png(), "headers": headers | {"Content-Type": "image/png"}}
    assert locked.post("/v1/uploads", **upload).status_code == 201  # type: ignore[arg-type]
    keyed = headers | {"Idempotency-Key": "once"}
    first = locked.post("/v1/jobs", files=[image_part("a.png")], headers=keyed)
    again = locked.post("/v1/jobs", files=[image_part("a.png")], headers=keyed)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert locked.post("/v1/uploads", **upload).status_code == 429  # type: ignore[arg-type]


def test_a_tenants_own_number_of_jobs_wins(
    locked: httpx.Client, keys: ApiKeys, limits: TenantLimits
) -> None:
    secret, _ = keys.create("studio")
    limits.set("studio", {TenantLimit.QUEUED_JOBS: 1})
    for status in (202, 429):
        answer = locked.post("/v1/jobs", files=[image_part("a.png")], headers=bearer(secret))
        assert answer.status_code == status
    assert answer.json()["detail"].startswith("1 of your jobs")
    limits.reset("studio")
    answer = locked.post("/v1/jobs", files=[image_part("a.png")], headers=bearer(secret))
    assert answer.status_code == 202


def test_on_a_unix_socket_a_key_is_wanted_whatever_the_setting(
    api_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = str(tmp_path_factory.mktemp("s") / "api.sock")

    async def ask() -> int:
        config = uvicorn.Config(create_app(api_settings), uds=path, log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        transport = httpx.AsyncHTTPTransport(uds=path)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            status = (await client.get("/v1/models")).status_code
        server.should_exit = True
        await serving
        return status

    assert asyncio.run(ask()) == 401
