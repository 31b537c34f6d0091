"""Who waits for a job learns at once that it has changed.

One subscription serves all listeners of a process. It carries no news, only the names of jobs: what
changed stands in the store, so a lost signal costs a delay and nothing else.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from shared.errors import ErrorCode, GridscribeError
from shared.keyspace import PREFIX

_CHANNEL = f"{PREFIX}changes"
_SILENCE = 5.0
"""Seconds without a message after which the connection must show that it lives."""
_PAUSE = 1.0

_log = logging.getLogger(__name__)


def _no_room(code: ErrorCode, who: str) -> GridscribeError:
    return GridscribeError(
        code,
        f"{who} listen to jobs already; ask for the job from time to time instead, or listen later",
        retry_after=15,
    )


class Listener:
    """Remembers a signal that comes while nobody waits."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Return on the next signal, or False when there was none for so long."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return False
        self._event.clear()
        return True


class JobSignals:
    """For one event loop; `run` must be running."""

    def __init__(self, redis: Redis, max_listeners: int, max_of_a_tenant: int) -> None:
        self._redis = redis
        self._max_listeners = max_listeners
        self._max_of_a_tenant = max_of_a_tenant
        self._listeners: dict[str, set[Listener]] = {}
        self._by_tenant: Counter[str] = Counter()

    def check_room(self, tenant: str) -> None:
        """Raises `GridscribeError` when there may be no more listeners in this process:
        QUOTA_EXCEEDED for this tenant, SERVICE_FULL for anybody.
        """
        if self._by_tenant[tenant] >= self._max_of_a_tenant:
            raise _no_room(ErrorCode.QUOTA_EXCEEDED, f"{self._max_of_a_tenant} of your callers")
        if self._by_tenant.total() >= self._max_listeners:
            raise _no_room(ErrorCode.SERVICE_FULL, f"{self._max_listeners} callers")

    @contextmanager
    def listen(self, tenant: str, job_id: str) -> Iterator[Listener]:
        """Hear of changes of a job from here to the block's end; raises as `check_room` does."""
        self.check_room(tenant)
        listener = Listener()
        self._listeners.setdefault(job_id, set()).add(listener)
        self._by_tenant[tenant] += 1
        try:
            yield listener
        finally:
            self._by_tenant[tenant] -= 1
            if not self._by_tenant[tenant]:
                del self._by_tenant[tenant]
            others = self._listeners[job_id]
            others.discard(listener)
            if not others:
                del self._listeners[job_id]

    async def run(self) -> None:
        """Pass signals on until canceled; comes back by itself after an outage of the store."""
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(_CHANNEL)
                    await self._pass_on(subscription)
            except (RedisError, OSError) as error:
                _log.warning("no signals from the store, trying again: %s", error)
                await asyncio.sleep(_PAUSE)

    async def _pass_on(self, subscription: PubSub) -> None:
        is_asked = False
        while True:
            message = await subscription.get_message(timeout=_SILENCE)
            if message is None:
                if is_asked:
                    raise RedisConnectionError("the connection is silent")
                await subscription.ping()
                is_asked = True
                continue
            is_asked = False
            match message["type"]:
                case "message":
                    self._ring(self._listeners.get(message["data"], ()))
                case "subscribe":
                    # Also after the client connected again by itself: signals may be lost.
                    for listeners in self._listeners.values():
                        self._ring(listeners)

    @staticmethod
    def _ring(listeners: "set[Listener] | tuple[()]") -> None:
        for listener in listeners:
            listener.ring()
