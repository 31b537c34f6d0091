"""What is let in at a source, and what is not: every sender, with what it documents it sends."""

import base64
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.settings import MEBIBYTE, Settings
from tests.integration.api.inbound.senders import (
    FAL_KEY,
    SENDERS,
    Sender,
    by_fal,
    local_server,
    make_source,
)
from tests.integration.api.served import problem_of, serving

EVERYBODY = pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.name)
SIGNERS = pytest.mark.parametrize(
    "sender", [it for it in SENDERS if it.signs], ids=lambda sender: sender.name
)


class KeyServer(BaseHTTPRequestHandler):
    """fal's public keys, beside one of another kind."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        raw = FAL_KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        x = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        keys = [{"kty": "RSA", "n": "AQAB"}, {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "1"}]
        body = json.dumps({"keys": keys}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def inbound_settings(api_settings: Settings) -> Iterator[Settings]:
    with local_server(KeyServer) as address:
        yield api_settings.model_copy(
            update={
                "allowed_networks": (ip_network("127.0.0.0/8"),),
                # So nobody's real host is asked for the pictures of recorded events.
                "allowed_ports": (urlsplit(address).port,),
                "fal_jwks_url": f"{address}/keys.json",
                "store_timeout_seconds": 20.0,
            }
        )


@pytest.fixture(scope="module")
def client(inbound_settings: Settings) -> Iterator[httpx.Client]:
    with serving(inbound_settings) as client:
        yield client


def receipt(answer: httpx.Response) -> dict[str, int]:
    assert answer.status_code == 202, answer.text
    counted: dict[str, int] = answer.json()
    return counted


def assert_refused(client: httpx.Client, source: dict[str, Any], answer: httpx.Response) -> None:
    problem = problem_of(answer)
    assert (problem["status"], problem["code"]) == (401, "unauthenticated")
    assert str(source.get("secret")) not in answer.text
    told = client.get(f"/v1/sources/{source['id']}").json()
    assert told["last_refusal"]["detail"] == problem["detail"]
    assert told["counts"]["refused"] == 1
    assert told["counts"]["accepted"] == 0


@EVERYBODY
def test_a_genuine_event_is_taken_once(client: httpx.Client, sender: Sender) -> None:
    source = make_source(client, **sender.source)
    assert receipt(sender.send(client, source)) == {"accepted": 1, "duplicate": 0, "ignored": 0}
    assert receipt(sender.send(client, source)) == {"accepted": 0, "duplicate": 1, "ignored": 0}
    told = client.get(f"/v1/sources/{source['id']}").json()
    assert told["counts"] == {"accepted": 1, "duplicate": 1, "ignored": 0, "refused": 0}


@EVERYBODY
def test_another_secret_does_not_open_a_source(client: httpx.Client, sender: Sender) -> None:
    source = make_source(client, **sender.source)
    stranger = sender.stranger(source.get("secret"))
    assert_refused(client, source, sender.send(client, source, secret=stranger))


@EVERYBODY
def test_an_event_without_any_proof_is_refused(client: httpx.Client, sender: Sender) -> None:
    source = make_source(client, **sender.source)
    answer = client.post(f"/v1/inbound/{source['id']}", content=sender.body, headers=sender.headers)
    assert_refused(client, source, answer)


@SIGNERS
@pytest.mark.parametrize("ago", [310, -310])
def test_a_stale_timestamp_is_refused(client: httpx.Client, sender: Sender, ago: float) -> None:
    source = make_source(client, **sender.source)
    assert_refused(client, source, sender.send(client, source, ago=ago))


@SIGNERS
def test_a_signature_is_of_every_byte(client: httpx.Client, sender: Sender) -> None:
    body, source = sender.body, make_source(client, **sender.source)
    for position in random.Random(7).sample(range(len(body)), 12):
        changed = body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :]
        assert sender.send(client, source, changed, proven=body).status_code == 401
    assert client.get(f"/v1/sources/{source['id']}").json()["counts"]["accepted"] == 0


@EVERYBODY
def test_a_megabyte_of_junk_is_refused_before_and_after_it_is_proven(
    client: httpx.Client, sender: Sender
) -> None:
    source = make_source(client, **sender.source)
    junk = random.Random(1).randbytes(MEBIBYTE // 2) + bytes(MEBIBYTE // 2)
    text = junk.hex()[:MEBIBYTE].encode()  # Standard Webhooks sign text
    stranger = sender.stranger(source.get("secret"))
    assert sender.send(client, source, junk, secret=stranger, proven=text).status_code == 401
    assert problem_of(sender.send(client, source, text))["status"] == 400
    assert problem_of(sender.send(client, source, text + b"0"))["status"] == 413


@EVERYBODY
def test_no_genuine_event_is_too_odd_for_an_answer(client: httpx.Client, sender: Sender) -> None:
    """Any value is something else, or missing: it is understood, or refused by its name."""
    recorded = json.loads(sender.body)
    source = make_source(client, **sender.source)
    cases = list(oddities(recorded))
    for odd in random.Random(7).sample(cases, min(len(cases), 60)):
        answer = sender.send(client, source, json.dumps(odd).encode())
        assert answer.status_code in (202, 400), f"{json.dumps(odd)[:300]}: {answer.text}"


ODD: tuple[Any, ...] = (None, -1, 10**30, "", "\ud800", "x" * 5000, [[{}]])


def oddities(value: Any) -> Iterator[Any]:
    """`value` with one thing in it, or itself, replaced by each of the odd ones."""
    yield from ODD
    if isinstance(value, dict):
        for key in value:
            yield {other: it for other, it in value.items() if other != key}
            for odd in oddities(value[key]):
                yield {**value, key: odd}
    elif isinstance(value, list):
        for at, inner in enumerate(value[:1]):
            for odd in oddities(inner):
                yield [*value[:at], odd, *value[at + 1 :]]


def test_headers_that_no_signature_covers_do_not_make_an_event_a_new_one(
    client: httpx.Client,
) -> None:
    binary = next(sender for sender in SENDERS if sender.name == "binary")
    source = make_source(client, **binary.source)
    knock = binary.prove(source["secret"], binary.body, datetime.now(UTC))
    address = f"/v1/inbound/{source['id']}"
    headers = {"Content-Type": "application/json", **binary.headers, **knock.headers}
    first = client.post(address, content=binary.body, headers=headers)
    assert receipt(first)["accepted"] == 1
    forged = {**headers, "ce-id": "another", "ce-type": "render.job.failed"}
    assert receipt(client.post(address, content=binary.body, headers=forged))["duplicate"] == 1


def test_fal_signs_for_all_its_users_and_a_source_has_one(client: httpx.Client) -> None:
    fal = next(sender for sender in SENDERS if sender.name == "fal")
    source = make_source(client, **fal.source)
    knock = by_fal(None, fal.body, datetime.now(UTC), user="somebody-else")
    answer = client.post(f"/v1/inbound/{source['id']}", content=fal.body, headers=knock.headers)
    assert_refused(client, source, answer)


def test_fals_keys_are_fetched_once(inbound_settings: Settings) -> None:
    fal = next(sender for sender in SENDERS if sender.name == "fal")
    with serving(inbound_settings) as fresh:
        before = KeyServer.asked
        for _ in range(3):
            source = make_source(fresh, **fal.source)
            assert receipt(fal.send(fresh, source))["accepted"] == 1
            stranger = fal.stranger(None)
            assert fal.send(fresh, source, secret=stranger).status_code == 401
    assert KeyServer.asked == before + 1


def test_fals_keys_that_cannot_be_had_are_no_fault_of_the_event(
    inbound_settings: Settings,
) -> None:
    fal = next(sender for sender in SENDERS if sender.name == "fal")
    for unreachable in ("http://127.0.0.1:1/", "http://169.254.169.254/keys", "nonsense"):
        broken = inbound_settings.model_copy(update={"fal_jwks_url": unreachable})
        with serving(broken) as client:
            answer = fal.send(client, make_source(client, **fal.source))
            assert problem_of(answer)["code"] == "service_unavailable"
            assert int(answer.headers["Retry-After"]) > 0


@EVERYBODY
def test_a_source_that_is_not_there_or_has_no_secret_is_not_found(
    client: httpx.Client, sender: Sender
) -> None:
    source = make_source(client, **sender.source)
    nobody = {**source, "id": "01981c2e-5f02-7d11-9a44-83c0be5517aa"}
    odd = {**source, "id": "not-an-id"}
    answers = [sender.send(client, nobody), sender.send(client, odd)]
    if sender.name != "fal":  # whose keys are public
        request = {"name": "farm", **sender.source, "secret": None}
        assert client.put(f"/v1/sources/{source['id']}", json=request).status_code == 200
        answers.append(sender.send(client, source))
        assert client.head(f"/v1/inbound/{source['id']}").status_code == 404
    for answer in answers:
        assert problem_of(answer)["code"] == "source_not_found"


def test_a_source_answers_probes_and_the_handshake_of_cloudevents(client: httpx.Client) -> None:
    source = make_source(client, adapter="cloudevents")
    address = f"/v1/inbound/{source['id']}"
    assert client.head(address).status_code == 200
    answer = client.options(
        address,
        headers={
            "WebHook-Request-Origin": "farm.example",
            "WebHook-Request-Rate": "120",
            "WebHook-Request-Callback": "http://127.0.0.1:1/never-called",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "*"
    assert int(answer.headers["WebHook-Allowed-Rate"]) > 0
    assert "POST" in answer.headers["Allow"]
    assert "WebHook-Allowed-Origin" not in client.options(address).headers
    unknown = client.options("/v1/inbound/01981c2e-5f02-7d11-9a44-83c0be5517aa")
    assert problem_of(unknown)["code"] == "source_not_found"
