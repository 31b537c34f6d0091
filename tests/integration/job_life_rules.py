"""What must hold in the store between any two steps, whoever took them."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from shared.keyspace import PREFIX

_ENDS = ("succeeded", "failed", "canceled")
LEGAL_CHANGES = {
    *((status, status) for status in ("queued", "running", "canceling", *_ENDS, "expired")),
    ("queued", "running"),
    *(("queued", status) for status in ("canceled", "failed")),
    *(("running", status) for status in (*_ENDS, "canceling")),
    ("canceling", "canceled"),
    *((status, "expired") for status in _ENDS),
}

# All keys at once: a call for each would be most of the time of a run.
_SNAPSHOT = """
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'hash' then
    all[key] = redis.call('HGETALL', key)
  elseif kind == 'zset' then
    all[key] = redis.call('ZRANGE', key, 0, -1)
  elseif kind == 'string' then
    all[key] = {redis.call('GET', key)}
  else
    all[key] = {}
  end
end
return cjson.encode(all)
"""


class Snapshot:
    """Everything in the store at one moment; names are without the prefix."""

    def __init__(self, redis: Any) -> None:
        everything: dict[str, list[str] | dict[str, str]] = json.loads(redis.eval(_SNAPSHOT, 0))
        self.keys = {
            key.removeprefix(PREFIX): list(value)  # Lua's empty table is an object in JSON
            for key, value in everything.items()
        }

    def members(self, name: str) -> list[str]:
        return self.keys.get(name, [])

    def hash(self, name: str) -> dict[str, str]:
        flat = self.members(name)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def status(self, job_id: str) -> str:
        return self.hash(f"job:{job_id}").get("status", "")


def check_store(store: Snapshot, jobs: Mapping[str, str], gone: Mapping[str, bool]) -> None:
    """`jobs` names the tenant of each, `gone` whether one that was forgotten had been deleted."""
    leased = [*store.members("leases:caption"), *store.members("leases:compose")]
    suspects = store.members("suspects")
    for suspect in store.members("suspect"):
        assert suspect in leased, "the suspect that is out has a lease"
    for member in (*leased, *suspects):
        job_id, unit = member.split("|")
        assert unit in store.hash(f"job:{job_id}:units"), "nothing is out without a record"
    for kind in ("caption", "compose"):
        tenants = Counter(
            store.hash(f"job:{member.partition('|')[0]}")["tenant"]
            for member in store.members(f"leases:{kind}")
        )
        held = {tenant: int(count) for tenant, count in store.hash(f"held:{kind}").items()}
        assert held == tenants, "each tenant holds the leases of its jobs"
    for job_id, tenant in jobs.items():
        _check_job(store, job_id, tenant, leased, suspects)
    assert set(store.members("active")) <= jobs.keys()
    for job_id, was_deleted in gone.items():
        left = [key for key in store.keys if job_id in key]
        assert left == ([] if was_deleted else [f"job:{job_id}"])
        named = [key for key, value in store.keys.items() if job_id in value and key not in left]
        assert not named, "a forgotten job is named nowhere"


def _check_job(
    store: Snapshot, job_id: str, tenant: str, leased: list[str], suspects: list[str]
) -> None:
    key = f"job:{job_id}"
    record, units = store.hash(key), store.hash(f"{key}:units")
    pending = store.members(f"{key}:pending")
    mine = [member.partition("|")[2] for member in leased if member.startswith(job_id)]
    doubted = [member.partition("|")[2] for member in suspects if member.startswith(job_id)]
    assert sorted(units) == sorted((*pending, *mine, *doubted)), "each unit is in one place"
    assert int(record.get("inflight", 0)) == len(mine), "leases are counted right"
    assert all(
        unit in mine or not {"owner", "granted"} & json.loads(state).keys()
        for unit, state in units.items()
    ), "only what is leased has an owner"
    is_over = record["status"] in (*_ENDS, "expired")
    for name in ("active", f"active:{tenant}"):
        assert (job_id in store.members(name)) == (not is_over)
    if is_over:
        assert not units
        assert f"{key}:captions" not in store.keys
        assert job_id not in (*store.members("deadlines"), *store.members("queued"))
        places = [job_id in store.members(name) for name in ("expiry", "expired")]
        assert places.count(True) == 1, "it will be swept, once"
    else:
        assert units, "an unfinished job has something left to do"
        assert int(record.get("captions_done", 0)) == len(store.hash(f"{key}:captions"))
    for kind in ("caption", "compose"):
        waits = any(unit.startswith(kind) for unit in pending)
        in_ring = job_id in store.members(f"ring:{kind}:{tenant}")
        assert in_ring or not waits or mine, "what waits is found by the dispatcher"
        assert not in_ring or tenant in store.members(f"ring:{kind}")
