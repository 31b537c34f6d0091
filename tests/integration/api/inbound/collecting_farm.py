"""A farm that sends CloudEvents to one source, and its pictures."""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import httpx
from redis import Redis

from shared.schemas import SourceImage
from tests.integration.api.inbound.senders import make_source
from tests.integration.api.served import png
from tests.integration.api.test_submission import stored_images

PATIENCE = 60.0


class Pictures(BaseHTTPRequestHandler):
    """`/12/any/name.png` is a picture twelve pixels wide; `/missing/...` is none, and `/late/...`
    one from the second time on."""

    asked: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        width = self.path.split("/")[1]
        if width == "late" and self.path in self.asked:
            width = "7"
        self.asked.add(self.path)
        found = width.isdecimal()
        body = png(int(width)) if found else b"gone"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Farm:
    """One source and what its farm sends."""

    def __init__(self, client: httpx.Client, redis: Redis, pictures: str, **source: Any) -> None:
        self._client = client
        self._redis = redis
        self._pictures = pictures
        self._sent = 0
        given = {"adapter": "cloudevents", "auth": "bearer", "quiet_seconds": 60, **source}
        self.source = make_source(client, **given)

    @property
    def id(self) -> str:
        return str(self.source["id"])

    def post(self, body: Any, **headers: str) -> httpx.Response:
        headers["Authorization"] = f"Bearer {self.source['secret']}"
        answer = self._client.post(f"/v1/inbound/{self.id}", json=body, headers=headers)
        assert answer.status_code in (202, 429), answer.text
        return answer

    def send(self, kind: str, at: str | None = None, **data: Any) -> httpx.Response:
        self._sent += 1
        envelope: dict[str, Any] = {"specversion": "1.0", "id": str(self._sent), "source": "farm"}
        if at is not None:
            envelope["time"] = at
        envelope |= {"type": f"render.{kind}", "data": {"job_id": "7", **data}}
        return self.post(envelope, **{"Content-Type": "application/cloudevents+json"})

    def frame(self, number: int, at: str | None = None, **data: Any) -> httpx.Response:
        url = f"{self._pictures}/{number}/beauty.{number:04}.png"
        return self.send(
            "frame.finished", at, **{"frame": number, "outputs": [{"url": url}], **data}
        )

    def finish(self, **data: Any) -> httpx.Response:
        return self.send("job.finished", **data)

    def told(self, count: int = 1) -> list[dict[str, Any]]:
        """The source's log once it has `count` entries."""
        deadline = time.monotonic() + PATIENCE
        while len(log := self._client.get(f"/v1/sources/{self.id}").json()["log"]) < count:
            assert time.monotonic() < deadline, log
            time.sleep(0.1)
        assert len(log) == count
        return list(log)

    def grid(self) -> tuple[dict[str, Any], list[SourceImage]]:
        """The only job that was made, with its images."""
        (entry,) = self.told()
        assert entry["outcome"] == "grid_made", entry
        job = self._client.get(f"/v1/jobs/{entry['grid_job_id']}").json()
        return job, stored_images(self._redis, job["id"])

    def failure(self) -> str:
        (entry,) = self.told()
        assert entry["outcome"] == "grid_failed", entry
        return str(entry["detail"])


MakeFarm = Callable[..., Farm]


def widths(images: list[SourceImage]) -> list[int]:
    return [image.width for image in images]
