"""What became of everything that was to be told of jobs."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from redis import Redis

from shared.keyspace import PREFIX
from tests.chaos.receiver import Receipt, Receiver
from tests.chaos.trouble import Trouble
from tests.integration.job_life_rules import Snapshot
from tests.integration.webhooks.delivering import let_time_pass

_A_DAY_AND_MORE = 30 * 3600.0
"""The longest pause between two attempts, with its jitter."""
_QUEUES = ("deliveries", "delivery_leases", "lanes")


@dataclass(frozen=True, slots=True)
class DeliveryVerdict:
    made: int
    """Messages to the receiver, of jobs that are still there."""
    late: int
    """Of these, were still scheduled when all jobs were over and the receiver was not well."""
    repeated: int
    """Came more than once, under the same id."""
    broken: tuple[str, ...]


def judge_deliveries(trouble: Trouble, job_ids: Sequence[str], patience: float) -> DeliveryVerdict:
    """Look for each message, heal the receiver, let days pass, and see all of them arrive.

    `job_ids` are over; those that were deleted meanwhile are not looked at.
    """
    receiver = trouble.receiver
    with trouble.service.redis() as redis:
        store = Snapshot(redis)
        broken = [*_not_to_be_found(store, receiver, job_ids)]
        late = sum(_is_pending(store, each) for each in _messages(store, job_ids))
        receiver.start()
        arrived = _until_nothing_is_scheduled(trouble, redis, patience)
        after = Snapshot(redis)
    receipts = receiver.receipts()
    broken += [] if arrived else [f"the store still has {sorted(_scheduled(after))} of messages"]
    broken += _not_received(after, job_ids, receipts)
    broken += _contradictions(receipts)
    messages = _messages(after, job_ids)
    times = Counter(receipt.id for receipt in receipts)
    repeated = sum(times[each] > 1 for each in messages)
    return DeliveryVerdict(len(messages), late, repeated, tuple(broken))


def _messages(store: Snapshot, job_ids: Sequence[str]) -> list[str]:
    return [each for job_id in job_ids for each in store.members(f"job:{job_id}:deliveries")]


def _is_pending(store: Snapshot, message: str) -> bool:
    return store.hash(f"delivery:{message}").get("state") == "pending"


def _not_to_be_found(store: Snapshot, receiver: Receiver, job_ids: Sequence[str]) -> Iterator[str]:
    """Ends of jobs of which nothing is told, and messages that wait nowhere and did not arrive."""
    received = {receipt.id for receipt in receiver.receipts()}
    for job_id in job_ids:
        record = store.hash(f"job:{job_id}")
        if not record or "deleted" in record:
            continue
        messages = store.members(f"job:{job_id}:deliveries")
        told = [store.hash(f"delivery:{each}").get("type") for each in messages]
        if f"job.{record['status']}" not in told:
            yield f"job {job_id} is {record['status']}, and no message says so: {told}"
        for message in messages:
            fields = store.hash(f"delivery:{message}")
            match fields.get("state"):
                case "pending":
                    if not _is_scheduled(store, message, fields["lane"]):
                        yield f"message {message} of job {job_id} waits where nobody looks"
                case "delivered":
                    if message not in received:
                        yield f"message {message} of job {job_id} never came to its receiver"
                case "superseded" if fields["type"] == "job.progress":
                    pass
                case state:
                    yield f"message {message} of job {job_id} is {state}: {fields.get('reason')}"


def _is_scheduled(store: Snapshot, message: str, lane: str) -> bool:
    if message not in store.members("deliveries"):
        return False
    is_under_way = message in store.members("delivery_leases")
    # A full lane is out of sight until one of its messages that are under way is settled.
    is_seen = lane in store.members("lanes") or f"sending:{lane}" in store.keys
    return is_under_way or (is_seen and message in store.members(f"due:{lane}"))


def _until_nothing_is_scheduled(trouble: Trouble, redis: "Redis", patience: float) -> bool:
    deadline = time.monotonic() + patience
    while redis.zcard(f"{PREFIX}deliveries"):
        if time.monotonic() > deadline:
            return False
        trouble.revive()
        let_time_pass(redis, _A_DAY_AND_MORE)
        time.sleep(0.1)
    return True


def _scheduled(store: Snapshot) -> set[str]:
    queues = (*_QUEUES, *(key for key in store.keys if key.startswith(("due:", "sending:"))))
    return {name for name in queues if name in store.keys}


def _not_received(
    store: Snapshot, job_ids: Sequence[str], receipts: Sequence[Receipt]
) -> Iterator[str]:
    received = {receipt.id for receipt in receipts if receipt.refusal is None}
    for message in _messages(store, job_ids):
        state = store.hash(f"delivery:{message}").get("state")
        if state != "superseded" and (state != "delivered" or message not in received):
            yield f"message {message} is {state} and " + (
                "came" if message in received else "never came"
            )


def _contradictions(receipts: Sequence[Receipt]) -> Iterator[str]:
    """Bad signatures, one event under two ids, and one id for two events."""
    yield from (f"message {it.id} came badly signed: {it.refusal}" for it in receipts if it.refusal)
    ids: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for it in receipts:
        ids[it.job_id, it.event, it.happened_at].add(it.id)
    yield from (f"{event} came as {sorted(its)}" for event, its in ids.items() if len(its) > 1)
    if sum(map(len, ids.values())) > len({it.id for it in receipts}):
        yield "one id came with two events"
