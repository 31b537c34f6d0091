"""Two tenants against each other, on every route that the OpenAPI document knows."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from redis import Redis

from shared.api_keys import ApiKeys
from shared.settings import Settings
from tests.integration.api.served import image_part, png, serving

JOBS = "/v1/jobs"

NOTHING_OF_A_TENANT = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/v1/models"),
    ("GET", "/v1/vocabularies"),
}
"""They neither show nor take anything that belongs to one tenant."""


@pytest.fixture(scope="module")
def service(api_settings: Settings) -> Iterator[httpx.Client]:
    with serving(api_settings.model_copy(update={"auth": "required"})) as client:
        yield client


@pytest.fixture
def owner(service: httpx.Client, redis: Redis) -> Iterator[httpx.Client]:
    with tenant_client(service, redis, "owner") as client:
        yield client


@pytest.fixture
def stranger(service: httpx.Client, redis: Redis) -> Iterator[httpx.Client]:
    with tenant_client(service, redis, "stranger") as client:
        yield client


def tenant_client(service: httpx.Client, redis: Redis, tenant: str) -> httpx.Client:
    secret, _ = ApiKeys(redis).create(tenant)
    return httpx.Client(
        base_url=service.base_url, headers={"Authorization": f"Bearer {secret}"}, timeout=60
    )


def make_job(client: httpx.Client) -> str:
    return str(client.post(JOBS, files=[image_part("a.png")]).json()["id"])


def make_template(client: httpx.Client) -> str:
    client.put("/v1/templates/poster", json={"rows": 2})
    return "poster"


SOURCE = {"name": "farm", "adapter": "cloudevents", "auth": "bearer"}


def make_source(client: httpx.Client) -> str:
    return str(client.post("/v1/sources", json=SOURCE).json()["id"])


def make_endpoint(client: httpx.Client) -> str:
    made = client.post("/v1/webhook-endpoints", json={"url": "https://studio.example/"})
    return str(made.json()["id"])


def make_delivery(client: httpx.Client) -> str:
    tried = client.post(f"/v1/webhook-endpoints/{make_endpoint(client)}/test")
    return str(tried.json()["id"])


MAKERS: dict[str, Callable[[httpx.Client], str]] = {
    "job_id": make_job,
    "name": make_template,
    "source_id": make_source,
    "endpoint_id": make_endpoint,
    "delivery_id": make_delivery,
}
"""For each path parameter, what makes a thing of the client's own and gives its name."""


def strangers_cannot_use_an_upload(owner: httpx.Client, stranger: httpx.Client) -> None:
    raw = {"Content-Type": "image/png"}
    upload = owner.post("/v1/uploads", content=png(), headers=raw).json()["upload_id"]
    request = {"images": [{"upload_id": upload}]}
    assert stranger.post(JOBS, json=request).json()["code"] == "unknown_upload"
    assert owner.post(JOBS, json=request).status_code == 202


def keys_of_idempotency_do_not_meet(owner: httpx.Client, stranger: httpx.Client) -> None:
    headers = {"Idempotency-Key": "same"}
    ids = {
        client.post(JOBS, files=[image_part("a.png")], headers=headers).json()["id"]
        for client in (owner, stranger)
    }
    assert len(ids) == 2


def strangers_do_not_see_a_job(owner: httpx.Client, stranger: httpx.Client) -> None:
    job_id = make_job(owner)
    assert job_id in {job["id"] for job in owner.get(JOBS).json()["data"]}
    assert job_id not in {job["id"] for job in stranger.get(JOBS).json()["data"]}


def strangers_do_not_see_a_template(owner: httpx.Client, stranger: httpx.Client) -> None:
    make_template(owner)
    listed = [
        {template["name"] for template in client.get("/v1/templates").json()["data"]}
        for client in (owner, stranger)
    ]
    assert listed[0] - listed[1] == {"poster"}
    spec = {"template": "poster"}
    refused = stranger.post("/v1/preview", json={"spec": spec, "count": 1})
    assert refused.json()["code"] == "unknown_template"
    assert "poster'; there are" in refused.json()["detail"]


def names_of_templates_do_not_meet(owner: httpx.Client, stranger: httpx.Client) -> None:
    for client in (owner, stranger):
        answer = client.post("/v1/templates", json={"name": "same", "spec": {}})
        assert answer.status_code == 201


def strangers_do_not_replace_a_template(owner: httpx.Client, stranger: httpx.Client) -> None:
    make_template(owner)
    assert stranger.put("/v1/templates/poster", json={"rows": 9}).status_code == 201
    assert owner.get("/v1/templates/poster").json()["spec"] == {"rows": 2}
    assert stranger.delete("/v1/templates/poster").status_code == 204


def strangers_do_not_see_a_source(owner: httpx.Client, stranger: httpx.Client) -> None:
    source_id = make_source(owner)
    listed = [
        {source["id"] for source in client.get("/v1/sources").json()["data"]}
        for client in (owner, stranger)
    ]
    assert source_id in listed[0]
    assert source_id not in listed[1]


def strangers_do_not_change_a_source(owner: httpx.Client, stranger: httpx.Client) -> None:
    address = f"/v1/sources/{make_source(owner)}"
    refused = stranger.put(address, json={**SOURCE, "name": "theirs", "secret": "a" * 20})
    assert refused.json()["code"] == "source_not_found"
    assert owner.get(address).json()["name"] == "farm"
    assert owner.put(address, json={**SOURCE, "name": "mine"}).json()["name"] == "mine"


def events_are_let_in_by_the_secret_of_their_source(
    owner: httpx.Client, stranger: httpx.Client
) -> None:
    """No key opens it, be it the owner's; what comes is the source's owner's."""
    source = owner.post("/v1/sources", json=SOURCE).json()
    address, headers = f"/v1/inbound/{source['id']}", {"ce-specversion": "1.0", "ce-id": "1"}
    headers |= {"ce-source": "farm", "ce-type": "render.job.failed"}
    for client in (owner, stranger):
        assert client.post(address, headers=headers, json={"job_id": "7"}).status_code == 401
        assert client.head(address).status_code == 200
    headers["Authorization"] = f"Bearer {source['secret']}"
    assert stranger.post(address, headers=headers, json={"job_id": "7"}).status_code == 202
    (told,) = owner.get(f"/v1/sources/{source['id']}").json()["log"]
    assert (told["job_id"], told["outcome"]) == ("7", "render_failed")


def strangers_do_not_see_an_endpoint(owner: httpx.Client, stranger: httpx.Client) -> None:
    endpoint = make_endpoint(owner)
    listed = [
        {it["id"] for it in client.get("/v1/webhook-endpoints").json()["data"]}
        for client in (owner, stranger)
    ]
    assert endpoint in listed[0]
    assert endpoint not in listed[1]


def strangers_do_not_change_an_endpoint(owner: httpx.Client, stranger: httpx.Client) -> None:
    address = f"/v1/webhook-endpoints/{make_endpoint(owner)}"
    change = {"url": "https://elsewhere.example/"}
    refused = stranger.patch(address, json=change)
    assert (refused.status_code, refused.json()["code"]) == (404, "endpoint_not_found")
    assert owner.get(address).json()["url"] == "https://studio.example/"
    assert owner.patch(address, json=change).status_code == 200


OWN_WAYS: dict[tuple[str, str], Callable[[httpx.Client, httpx.Client], None]] = {
    ("POST", JOBS): keys_of_idempotency_do_not_meet,
    ("GET", JOBS): strangers_do_not_see_a_job,
    ("GET", "/v1/templates"): strangers_do_not_see_a_template,
    ("POST", "/v1/templates"): names_of_templates_do_not_meet,
    ("PUT", "/v1/templates/{name}"): strangers_do_not_replace_a_template,
    ("GET", "/v1/sources"): strangers_do_not_see_a_source,
    ("POST", "/v1/sources"): strangers_do_not_see_a_source,
    ("PUT", "/v1/sources/{source_id}"): strangers_do_not_change_a_source,
    ("HEAD", "/v1/inbound/{source_id}"): events_are_let_in_by_the_secret_of_their_source,
    ("OPTIONS", "/v1/inbound/{source_id}"): events_are_let_in_by_the_secret_of_their_source,
    ("POST", "/v1/inbound/{source_id}"): events_are_let_in_by_the_secret_of_their_source,
    ("POST", "/v1/inbound/{source_id}/{secret}"): events_are_let_in_by_the_secret_of_their_source,
    ("GET", "/v1/webhook-endpoints"): strangers_do_not_see_an_endpoint,
    ("POST", "/v1/webhook-endpoints"): strangers_do_not_see_an_endpoint,
    ("PATCH", "/v1/webhook-endpoints/{endpoint_id}"): strangers_do_not_change_an_endpoint,
    ("POST", "/v1/preview"): strangers_do_not_see_a_template,
    ("POST", "/v1/uploads"): strangers_cannot_use_an_upload,
    ("POST", "/v1/uploads/presign"): strangers_cannot_use_an_upload,  # kept like any other
}
"""Routes that take or list things, or make them under a name; each is tried in its own way."""


def routes(client: httpx.Client) -> list[tuple[str, str]]:
    paths: dict[str, dict[str, Any]] = client.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def test_a_tenants_things_are_not_there_for_another(
    service: httpx.Client, owner: httpx.Client, stranger: httpx.Client
) -> None:
    for method, path in routes(service):
        if "{" not in path or (method, path) in OWN_WAYS:
            continue
        (parameter,) = (part[1:-1] for part in path.split("/") if part.startswith("{"))
        assert parameter in MAKERS, f"{method} {path}: say in MAKERS how to make a {parameter}"
        address = path.replace(f"{{{parameter}}}", MAKERS[parameter](owner))
        refused = stranger.request(method, address)
        unknown = stranger.request(method, path.replace(f"{{{parameter}}}", "x" * 8))
        assert (refused.status_code, refused.json()["code"]) == (404, unknown.json()["code"]), (
            f"{method} {path} is not isolated: {refused.text}"
        )
        with owner.stream(method, address) as answer:  # a job's events go on and on
            assert answer.status_code != 404, f"{method} {path} proves nothing"


def test_what_takes_or_lists_things_knows_the_tenants_own_only(
    service: httpx.Client, owner: httpx.Client, stranger: httpx.Client
) -> None:
    for route in routes(service):
        if route in OWN_WAYS:
            OWN_WAYS[route](owner, stranger)
        elif "{" not in route[1]:
            assert route in NOTHING_OF_A_TENANT, f"{route}: say how strangers are kept apart"


def test_every_route_but_the_health_checks_wants_a_key(service: httpx.Client) -> None:
    for method, path in routes(service):
        if path in ("/healthz", "/readyz"):
            continue
        if path.startswith("/v1/inbound/"):  # it is the source's secret that they want
            assert service.request(method, path).status_code == 404
            continue
        assert service.request(method, path).status_code == 401, f"{method} {path} is open"
