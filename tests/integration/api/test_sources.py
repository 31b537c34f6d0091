"""Sources: made, changed, shown and deleted by their owner."""

import json
from typing import Any

import httpx
import pytest
from redis import Redis

from gridscribe.client import Client
from shared.inbound_sources import Adapter, SourceAuth, SourceRequest
from shared.job_spec import JobSpec
from shared.source_store import MAX_SOURCES
from shared.webhook_signature import new_secret
from tests.integration.api.inbound.senders import make_source
from tests.integration.api.served import problem_of

FARM = {"name": "farm", "adapter": "cloudevents", "auth": "bearer"}
EVENT = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "farm",
    "ce-type": "render.node.went.home",
}


def opens(client: httpx.Client, source: dict[str, Any], secret: str) -> bool:
    headers = {**EVENT, "Authorization": f"Bearer {secret}"}
    answer = client.post(f"/v1/inbound/{source['id']}", headers=headers, json={})
    assert answer.status_code in (202, 401)
    return answer.status_code == 202


def test_a_secret_is_shown_once_and_kept_as_a_hash(client: httpx.Client, redis: Redis) -> None:
    made = client.post("/v1/sources", json=FARM)
    assert made.status_code == 201
    source = made.json()
    secret = source.pop("secret")
    assert made.headers["Location"] == f"/v1/sources/{source['id']}"
    assert source["url"] == f"{client.base_url}/v1/inbound/{source['id']}"
    assert client.get(made.headers["Location"]).json() == source
    assert client.get("/v1/sources").json() == {"data": [source]}
    assert opens(client, source, secret)
    kept = " ".join(str(redis.dump(key)) for key in redis.scan_iter())
    assert secret.removeprefix("gsi_")[:20] not in kept


def test_a_source_is_changed_as_a_whole_and_keeps_its_secret(client: httpx.Client) -> None:
    source = make_source(client, adapter="cloudevents", auth="bearer", quiet_seconds=5)
    address = f"/v1/sources/{source['id']}"
    changed = client.put(address, json={**FARM, "name": "other"}).json()
    assert (changed["name"], changed["quiet_seconds"]) == ("other", 60)
    assert changed["secret"] is None
    assert opens(client, source, source["secret"])
    own = "sixteen-characters-or-more"
    assert client.put(address, json={**FARM, "secret": own}).json()["secret"] == own
    assert not opens(client, source, source["secret"])
    assert opens(client, source, own)
    signing = client.put(address, json={**FARM, "auth": "signature"}).json()
    assert signing["secret"].startswith("whsec_")  # the old one could not be one for signatures
    closed = client.put(address, json={**FARM, "secret": None}).json()
    assert closed["has_secret"] is False


def test_a_secret_is_rotated_at_once(client: httpx.Client) -> None:
    source = make_source(client, adapter="cloudevents", auth="bearer")
    rotated = client.post(f"/v1/sources/{source['id']}/rotate-secret").json()
    assert opens(client, source, rotated["secret"])
    assert not opens(client, source, source["secret"])


@pytest.mark.parametrize(
    ("change", "location", "words"),
    [
        ({"adapter": "s3", "auth": "signature"}, "body", "it has bearer"),
        ({"adapter": "fal", "auth": None}, "body", "sender"),
        (
            {"adapter": "fal", "auth": "ed25519", "sender": "me", "secret": "x" * 20},
            "body",
            "no `secret`",
        ),
        ({"adapter": "deadline_cloud", "auth": "basic"}, "body", "needs `outputs`"),
        ({"outputs": {"url": "https://a/{frame}"}}, "body", "takes no `outputs`"),
        ({"spec": {"title": "{nme}"}}, "body", "{job_id}, {name}, {source}"),
        ({"spec": {"title": "{job_id.__class__}"}}, "body", "nothing fills in"),
        ({"spec": {"margin": -1}}, "spec.margin", "greater than or equal to 0"),
        ({"spec": {"webhook": {"url": "https://a.example:22/{job_id}"}}}, "spec.webhook.url", "22"),
        ({"secret": "short"}, "body", "16 to 200"),
        ({"auth": "signature", "secret": "x" * 40}, "body", "whsec_"),
        ({"allowed_hosts": ["https://a.example"]}, "allowed_hosts[0]", "pattern"),
        ({"quiet_seconds": 0}, "quiet_seconds", "greater than or equal to 1"),
        ({"nonsense": 1}, "nonsense", "unknown field"),
        ({"adapter": "carrier pigeon"}, "adapter", "'cloudevents'"),
    ],
)
def test_what_is_wrong_with_a_source_is_named(
    client: httpx.Client, change: dict[str, Any], location: str, words: str
) -> None:
    problem = problem_of(client.post("/v1/sources", json={**FARM, **change}))
    assert problem["errors"][0]["location"] == location
    assert words in problem["detail"]
    assert "x" * 20 not in json.dumps(problem)


def test_the_secret_of_a_template_s_webhook_is_not_shown(client: httpx.Client) -> None:
    secret = new_secret()
    webhook = {"url": "https://studio.example/{job_id}?of={name}", "secret": secret}
    source = make_source(client, adapter="cloudevents", spec={"webhook": webhook})
    shown = client.get(f"/v1/sources/{source['id']}")
    assert shown.json()["spec"]["webhook"]["url"] == webhook["url"]
    assert secret not in json.dumps(source)
    assert secret not in shown.text


def test_a_tenant_has_so_many_sources(client: httpx.Client) -> None:
    for _ in range(MAX_SOURCES):
        make_source(client, adapter="cloudevents")
    refused = problem_of(client.post("/v1/sources", json=FARM))
    assert refused["code"] == "quota_exceeded"
    assert str(MAX_SOURCES) in refused["detail"]


def test_the_client_library_knows_sources(client: httpx.Client) -> None:
    with Client(str(client.base_url)) as library:
        request = SourceRequest(
            name="farm", adapter=Adapter.RUNPOD, spec=JobSpec(title="{name}"), quiet_seconds=9
        )
        made = library.sources.create(request)
        assert made.auth is SourceAuth.LINK
        assert made.secret
        shown = library.sources.get(made.id)
        assert shown.spec.title == "{name}"
        assert library.sources.list() == (shown,)
        assert library.sources.rotate_secret(made.id).secret != made.secret
        kept = SourceRequest(name="kept", adapter=Adapter.RUNPOD)
        assert library.sources.replace(made.id, kept).name == "kept"
        library.sources.delete(made.id)
        assert library.sources.list() == ()
