"""What `GET /readyz` tells."""

from typing import Literal

from pydantic import BaseModel


class WorkerReadiness(BaseModel):
    owner: str
    capacity: int
    """Units of work it does at once."""
    model: str | None = None
    notice: str | None = None
    """Such as why another model serves than the configured one."""


class Readiness(BaseModel):
    """`GET /readyz`; `missing` is empty when all is well. Only the operator sees the workers."""

    ready: bool
    missing: tuple[str, ...]
    store: bool
    storage: bool
    dispatcher: bool
    deliverer: bool
    """Webhooks go out. No job needs it, so it is never `missing`; without one, they wait."""
    auth: Literal["required", "open"]
    """`open`: callers on the machine's own loopback addresses need no key."""
    caption_workers: tuple[WorkerReadiness, ...]
    compose_workers: tuple[WorkerReadiness, ...]
