"""Make a sheet with a running service: submit, wait, fetch."""

import contextlib
import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .connection import Connection, sleep
from .multipart import Part, multipart_body
from .service_address import Address, api_key_for
from .sheet_order import Report, Sheet, SheetError, SheetOrder, SheetWarning

_FIRST_POLL = 0.1
_POLL_GROWTH = 1.5
_SLOWEST_POLL = 1.0
_UNFINISHED = ("queued", "running", "canceling")
_KEPT_SECONDS = 3600
"""How long the service keeps the job: the sheet is fetched as soon as it is done."""

logger = logging.getLogger(__name__)


def make_sheet(address: Address, order: SheetOrder, folder: Path, report: Report) -> Sheet:
    """The sheet that the service at `address` makes, its pages saved in `folder`.

    When anything goes wrong or the user cancels while the job is under way, the job is canceled.

    Raises:
        SheetError: the service cannot be reached, refused, or the job failed.
    """
    connection = Connection(address, api_key_for(address))
    # First of all, and without patience: a service that is not there should be told at once.
    connection.ask("GET", "/healthz", patience=0)
    job = _submit(connection, order, report)
    logger.info("Gridscribe job %s at %s", job.id, address.url)
    try:
        job = _finished(connection, job, report)
        pages = _pages(connection, job, folder)
    except BaseException:
        if job.is_unfinished:
            _cancel(connection, job)
        raise
    return Sheet(pages, job.labels, job.warnings)


@dataclass(frozen=True)
class _Job:
    """What the nodes need of the service's job."""

    id: str
    status: str
    stage: str
    done: int
    total: int
    page_count: int
    labels: tuple[str, ...]
    warnings: tuple[SheetWarning, ...]
    error: str

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> "_Job":
        try:
            progress = answer["progress"]
            return cls(
                id=str(answer["id"]),
                status=str(answer["status"]),
                stage=str(progress["stage"]),
                done=int(progress["done"]),
                total=int(progress["total"]),
                page_count=int((answer.get("result") or {"pages": 0})["pages"]),
                labels=tuple(str(image["label"]) for image in answer.get("images") or ()),
                warnings=tuple(
                    SheetWarning(str(told["code"]), str(told["detail"]))
                    for told in answer.get("warnings") or ()
                ),
                error=str((answer.get("error") or {"detail": "no reason given"})["detail"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SheetError(
                f"the server's answer is no job ({type(error).__name__}: {error}): it is no"
                " Gridscribe service, or its version does not fit these nodes"
            ) from error

    @property
    def is_unfinished(self) -> bool:
        return self.status in _UNFINISHED

    @property
    def path(self) -> str:
        return f"/v1/jobs/{quote(self.id, safe='')}"


def _submit(connection: Connection, order: SheetOrder, report: Report) -> _Job:
    spec = {**order.spec, "ttl_seconds": _KEPT_SECONDS}
    parts = [Part("spec", json.dumps(spec).encode(), media_type="application/json")]
    if order.csv is not None:
        parts.append(Part("csv", order.csv, "labels.csv", "text/csv"))
    parts += [Part("images", file, file.name) for file in order.files]
    body = multipart_body(parts, lambda sent, total: report("uploading", sent, total))
    # Every try carries the same key, so that at most one job comes of them.
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    return _Job.of(connection.ask("POST", "/v1/jobs", body, headers))


def _finished(connection: Connection, job: _Job, report: Report) -> _Job:
    pause = _FIRST_POLL
    while job.is_unfinished:
        sleep(pause)
        pause = min(pause * _POLL_GROWTH, _SLOWEST_POLL)
        job = _Job.of(connection.ask("GET", job.path))
        report(job.stage, job.done, job.total)
    if job.status == "failed":
        raise SheetError(f"the job failed: {job.error} (job {job.id})")
    if job.status != "succeeded":
        raise SheetError(f"the job was {job.status} on the service (job {job.id})")
    return job


def _pages(connection: Connection, job: _Job, folder: Path) -> tuple[Path, ...]:
    paths = tuple(folder / f"page-{page}.png" for page in range(1, job.page_count + 1))
    for page, path in enumerate(paths, start=1):
        connection.fetch(f"{job.path}/result?page={page}", path)
    return paths


def _cancel(connection: Connection, job: _Job) -> None:
    # Best effort: what brought us here is what the user is to see.
    with contextlib.suppress(SheetError):
        connection.ask("POST", f"{job.path}/cancel", patience=0)
        logger.info("canceled Gridscribe job %s", job.id)
