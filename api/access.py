"""Who calls, and whether they may: every route but the health checks asks here."""

import ipaddress
import logging
import math
import time
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import cast
from urllib.parse import urlsplit

from redis.asyncio import Redis

from shared.api_keys import digest_of
from shared.batched_calls import BatchedCalls
from shared.errors import ErrorCode, GridscribeError
from shared.keyspace import PREFIX, script_source
from shared.settings import Settings
from shared.tenants import ANONYMOUS

REFUSALS = (ErrorCode.UNAUTHENTICATED, ErrorCode.RATE_LIMITED, ErrorCode.SERVICE_UNAVAILABLE)
"""What any route that wants a tenant may answer. One that documents further problems with one of
their statuses has to name these beside: its own answer replaces the common one."""

_QUIET_SECONDS = 60.0
_log = logging.getLogger(__name__)


class AccessControl:
    """Raises the store's own errors when it cannot be reached: nobody is let in unchecked."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._admit = redis.register_script(script_source("admit"))
        self._charging = BatchedCalls(partial(self._ask, settings.requests_per_minute))
        self._not_charging = BatchedCalls(partial(self._ask, 0))
        self._is_open = settings.auth == "open"
        self._operator = settings.operator_tenant
        self._refusals = _RefusalLog()
        if self._is_open:
            _log.warning(
                "GRIDSCRIBE_AUTH is 'open': callers on this machine's loopback addresses need no"
                " key; all others do"
            )

    def needs_key(self, *, local: bool) -> bool:
        return not (self._is_open and local)

    async def admit(self, secret: str | None, *, local: bool, charge: bool = True) -> str:
        """The tenant of a request that brought `secret`; `local` is what `is_local` says of it.

        A round trip finds the key and counts the request, if `charge` says so. Raises
        `GridscribeError` UNAUTHENTICATED or RATE_LIMITED.
        """
        if secret is None:
            if not self.needs_key(local=local):
                return ANONYMOUS
            raise self._refused(
                "this service wants an API key; send 'Authorization: Bearer KEY' with one that"
                " its operator made with 'gridscribe keys create'"
            )
        ask = self._charging if charge else self._not_charging
        outcome, tenant, wait_ms = await ask(digest_of(secret))
        match outcome:
            case "admitted":
                return tenant
            case "limited":
                raise GridscribeError(
                    ErrorCode.RATE_LIMITED,
                    "too many requests a minute; go on after the pause that Retry-After names",
                    retry_after=math.ceil(wait_ms / 1000),
                )
            case "expired":
                raise self._refused("this API key has expired; ask the operator for a new one")
            case _:
                raise self._refused("this API key is unknown here, or was revoked")

    async def admit_operator(self, secret: str | None, *, local: bool) -> str:
        """Let the operator's own tenant pass; raises `GridscribeError` FORBIDDEN for others."""
        tenant = await self.admit(secret, local=local, charge=False)
        if tenant != self._operator:
            raise GridscribeError(
                ErrorCode.FORBIDDEN,
                "this is for the operator: use a key of the tenant that GRIDSCRIBE_OPERATOR_TENANT"
                " names",
            )
        return tenant

    async def _ask(
        self, requests_per_minute: int, digests: Sequence[str]
    ) -> Sequence[tuple[str, str, int]]:
        answers = await self._admit(keys=[PREFIX], args=[requests_per_minute, *digests])
        return cast("Sequence[tuple[str, str, int]]", answers)

    def _refused(self, detail: str) -> GridscribeError:
        self._refusals.note(detail)
        return GridscribeError(ErrorCode.UNAUTHENTICATED, detail)


class _RefusalLog:
    """A line for the first refusal and then one a minute at most: guessing must not fill disks."""

    def __init__(self) -> None:
        self._since = 0
        self._next_line = 0.0

    def note(self, detail: str) -> None:
        self._since += 1
        now = time.monotonic()
        if now >= self._next_line:
            _log.warning("refused %d request(s), the last one because %s", self._since, detail)
            self._since = 0
            self._next_line = now + _QUIET_SECONDS


@lru_cache(256)
def is_local(address: str | None, host: str | None, origin: str | None) -> bool:
    """Whether a request came from this machine, by our `address` to which it was sent and by its
    headers `Host` and `Origin`.

    Where we listen cannot be known, but where this request arrived can: open access ends there,
    however the process was started. The headers keep out web pages: one from elsewhere, open in a
    browser of this machine, names itself in `Origin`, or in `Host` where its name was rebound to a
    loopback address.
    """
    return (
        _is_loopback(address)
        and (host is None or _is_loopback_url(f"//{host}"))
        and (origin is None or _is_loopback_url(origin))
    )


def _is_loopback_url(url: str) -> bool:
    try:
        name = urlsplit(url).hostname
    except ValueError:
        return False
    return name == "localhost" or _is_loopback(name)


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:  # a Unix socket, behind which a proxy may serve the world
        return False
