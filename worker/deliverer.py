"""Sends webhooks: a poller over what is due in the store.

Run it with `python -m worker.deliverer`. Any number may run at once: every decision is taken by a
script in the store, and what one had that died goes out again when its lease ends. It is a process
of its own, for it talks to strangers: a firewall can tell it from the rest.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
import uuid

from redis.exceptions import RedisError

from shared.delivery_queue import DeliveryQueue, DueDelivery
from shared.job_store import connect
from shared.logging import bound, configure_logging
from shared.settings import Settings, get_settings
from shared.url_guard import UrlGuard
from shared.webhook_signature import ID_HEADER, TIMESTAMP_HEADER, signed_headers
from shared.webhooks import DeliveryAttempt
from shared.work_units import WorkerKind, WorkerStamp
from worker.retry_schedule import next_delay
from worker.webhook_body import job_message, trial_message
from worker.webhook_sender import Answer, WebhookSender

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How late a retry may be noticed; new deliveries wake the deliverer at once."""
_FULL_SECONDS = 0.05
_GRACE_SECONDS = 8.0
"""For attempts under way when the process is to end."""
_SETTLE_PAUSES = (0.2, 1.0, 3.0)


class Deliverer:
    def __init__(
        self, queue: DeliveryQueue, sender: WebhookSender, settings: Settings, owner: str
    ) -> None:
        self._queue = queue
        self._sender = sender
        self._settings = settings
        self._owner = owner
        self._under_way: set[asyncio.Task[None]] = set()
        self._next_stamp = 0.0

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until `stopping` is set; an outage of the store only delays it."""
        while not stopping.is_set():
            try:
                await self._stamp()
                await self._begin_due()
            except (RedisError, OSError) as error:
                logger.warning("store not reachable, trying again: %s", error)
                await asyncio.sleep(POLL_SECONDS)
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_GRACE_SECONDS)

    async def _begin_due(self) -> None:
        room = self._settings.webhook_concurrency - len(self._under_way)
        if not room:
            await asyncio.sleep(_FULL_SECONDS)
            return
        for due in await self._queue.take(room):
            task = asyncio.create_task(self._attempt(due))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        await self._queue.wait(POLL_SECONDS)

    async def _attempt(self, due: DueDelivery) -> None:
        with bound(delivery_id=due.id, **({"job_id": due.job_id} if due.job_id else {})):
            try:
                answer = await self._sent(due)
                await self._settle(due, answer)
            # Whichever it is: its lease ends, and another attempt begins then.
            except (RedisError, OSError) as error:
                logger.warning("an attempt at a delivery was left, no store: %s", error)
            except Exception:
                logger.exception("an attempt at a delivery broke off")

    async def _sent(self, due: DueDelivery) -> Answer:
        if due.job_id:
            rest = await self._queue.rest_of_job(due.job_id)
            body = job_message(
                due.event, due.happened_at, due.about, rest, self._settings.public_url.rstrip("/")
            )
        else:
            body = trial_message(due.event, due.happened_at, due.about)
        headers = {ID_HEADER: due.id, TIMESTAMP_HEADER: str(int(due.at.timestamp()))}
        if due.secrets:
            headers = signed_headers(due.secrets, due.id, body, due.at)
        return await self._sender.send(due.url, headers, body)

    async def _settle(self, due: DueDelivery, answer: Answer) -> None:
        entry = DeliveryAttempt(
            attempt=due.attempt,
            at=due.at,
            duration_ms=answer.duration_ms,
            status=answer.status,
            answer=answer.text,
            error=answer.error,
        )
        delay = next_delay(due.failures, answer.retry_after)
        for pause in (*_SETTLE_PAUSES, None):
            try:
                state = await self._queue.settle(due, answer.outcome, entry, delay)
            except (RedisError, OSError):
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                break
        # The URL may hold a password of the receiver's; the delivery names it to its owner.
        level = logging.DEBUG if answer.error is None else logging.INFO
        logger.log(level, "attempt %d: %s; %s", due.attempt, answer.error or "delivered", state)

    async def _stamp(self) -> None:
        """Say each beat that this process lives."""
        if time.monotonic() >= self._next_stamp:
            self._next_stamp = time.monotonic() + self._settings.beat_seconds
            capacity = self._settings.webhook_concurrency
            await self._queue.stamp(
                WorkerStamp(owner=self._owner, kind=WorkerKind.DELIVERER, capacity=capacity)
            )


async def deliver(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    guard = UrlGuard.of(settings)
    async with (
        connect(settings) as redis,
        WebhookSender(
            guard, settings.webhook_timeout_seconds, settings.webhook_concurrency
        ) as sender,
    ):
        logger.info("deliverer ready")
        await Deliverer(DeliveryQueue(redis, settings, owner), sender, settings, owner).run(
            stopping
        )


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = get_settings()
    configure_logging("deliverer", settings.log_level, settings.log_format)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(deliver(settings))


if __name__ == "__main__":
    main()
