"""Senders of events: what each sends, and how it shows that it is itself."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.webhook_signature import new_secret, signed_headers

RECORDED = Path(__file__).parents[3] / "data" / "inbound"
FAL_KEY = Ed25519PrivateKey.generate()
FAL_USER = "user-7"


@dataclass(frozen=True, slots=True)
class Knock:
    """How one message is sent."""

    headers: dict[str, str] = field(default_factory=dict)
    suffix: str = ""
    """Of the address."""


Prove = Callable[[str | None, bytes, datetime], Knock]
"""By a secret, for a body, at a time."""


def by_signature(secret: str | None, body: bytes, at: datetime) -> Knock:
    message_id = f"msg_{hashlib.sha256(body).hexdigest()[:20]}"
    return Knock(signed_headers([secret or ""], message_id, body, at))


def by_bearer(secret: str | None, _body: bytes, _at: datetime) -> Knock:
    return Knock({"Authorization": f"Bearer {secret}"})


def by_api_key(secret: str | None, _body: bytes, _at: datetime) -> Knock:
    return Knock({"X-Api-Key": str(secret)})


def by_basic(secret: str | None, _body: bytes, _at: datetime) -> Knock:
    pair = base64.b64encode(f"events:{secret}".encode()).decode()
    return Knock({"Authorization": f"Basic {pair}"})


def by_path(secret: str | None, _body: bytes, _at: datetime) -> Knock:
    return Knock(suffix=f"/{secret}")


def by_query(secret: str | None, _body: bytes, _at: datetime) -> Knock:
    return Knock(suffix=f"?secret={secret}")


def by_fal(secret: str | None, body: bytes, at: datetime, *, user: str = FAL_USER) -> Knock:
    """With a key of a stranger's where there is a secret: fal's sources have none."""
    key = FAL_KEY if secret is None else Ed25519PrivateKey.generate()
    stamp = str(int(at.timestamp()))
    parts = ("request-1", user, stamp, hashlib.sha256(body).hexdigest())
    prefix = "X-Fal-Webhook-"
    return Knock(
        {
            f"{prefix}Request-Id": parts[0],
            f"{prefix}User-Id": user,
            f"{prefix}Timestamp": stamp,
            f"{prefix}Signature": key.sign("\n".join(parts).encode()).hex(),
        }
    )


@dataclass(frozen=True, slots=True)
class Sender:
    name: str
    recording: str
    prove: Prove
    source: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def signs(self) -> bool:
        return self.prove in (by_signature, by_fal)

    @property
    def body(self) -> bytes:
        return (RECORDED / self.recording).read_bytes()

    def stranger(self, secret: str | None) -> str:
        """A secret of the right form that is not the source's."""
        return new_secret() if self.prove is by_signature else f"{secret}".swapcase() + "x"

    def send(
        self,
        client: httpx.Client,
        source: dict[str, Any],
        body: bytes | None = None,
        *,
        secret: str | None = None,
        proven: bytes | None = None,
        ago: float = 0,
    ) -> httpx.Response:
        """`body` (default: as recorded) with a proof by `secret` (default: the source's own) for
        `proven` (default: that body), made `ago` seconds before now."""
        body = self.body if body is None else body
        at = datetime.now(UTC) - timedelta(seconds=ago)
        knock = self.prove(secret or source.get("secret"), proven or body, at)
        return client.post(
            f"/v1/inbound/{source['id']}{knock.suffix}",
            content=body,
            headers={"Content-Type": "application/json", **self.headers, **knock.headers},
        )


_EVENT = {
    "ce-specversion": "1.0",
    "ce-id": "64f1c2/12/1",
    "ce-source": "//farm.example/queue/lighting",
    "ce-type": "render.frame.finished",
    "ce-time": "2026-03-02T10:15:30.250Z",
}
_STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
_CLOUDEVENTS = {"adapter": "cloudevents", "auth": "signature"}
_DEADLINE = {
    "adapter": "deadline_cloud",
    "outputs": {"url": "https://farm.example/{job_id}/{frame:04}.png"},
}
SENDERS = (
    Sender("structured", "cloudevents_structured.json", by_signature, _CLOUDEVENTS, _STRUCTURED),
    Sender("binary", "cloudevents_binary.json", by_signature, _CLOUDEVENTS, _EVENT),
    Sender(
        "bearer", "cloudevents_binary.json", by_bearer, {**_CLOUDEVENTS, "auth": "bearer"}, _EVENT
    ),
    Sender("s3", "s3_minio.json", by_bearer, {"adapter": "s3"}),
    Sender("deadline", "deadline_cloud.json", by_api_key, _DEADLINE),
    Sender("deadline-basic", "deadline_cloud.json", by_basic, {**_DEADLINE, "auth": "basic"}),
    Sender("replicate", "replicate.json", by_signature, {"adapter": "replicate"}),
    Sender("comfyui", "comfyui_api.json", by_signature, {"adapter": "comfyui_api"}),
    Sender("fal", "fal.json", by_fal, {"adapter": "fal", "sender": FAL_USER}),
    Sender("runpod-path", "runpod.json", by_path, {"adapter": "runpod"}),
    Sender("runpod-query", "runpod.json", by_query, {"adapter": "runpod"}),
)


def make_source(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/sources", json={"name": "farm", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@contextmanager
def local_server(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server on a free port, which ends with the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()
