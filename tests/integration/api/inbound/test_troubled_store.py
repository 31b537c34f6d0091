"""Events that come while the store is full, takes no writes, or is away.

Who is not who it says is told so, 401, as long as the source's secret can be read: a sender that
hears 503 sends again and again what will never be let in. What is genuine gets 503 until it is
kept, and is kept once.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
from redis import Redis

from gridscribe.supervisor import Supervisor
from gridscribe.valkey import EmbeddedValkey
from shared.settings import Settings
from tests.integration.api.inbound.senders import SENDERS, Sender, make_source
from tests.integration.api.served import problem_of, serving

KINDS = pytest.mark.parametrize(
    "sender", [it for it in SENDERS if it.name in ("structured", "bearer")], ids=lambda it: it.name
)
PROMPTLY, SLACK = 2.0, 10.0
"""Seconds in which a sender has an answer, and those that a busy machine may add."""


@pytest.fixture(scope="module")
def own_settings(api_settings: Settings) -> Settings:
    """So that nobody's real host is asked for the pictures of recorded events."""
    return api_settings.model_copy(update={"allowed_ports": (9,)})


@pytest.fixture(scope="module")
def client(own_settings: Settings) -> Iterator[httpx.Client]:
    with serving(own_settings) as client:
        yield client


@contextmanager
def full(redis: Redis) -> Iterator[None]:
    redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        redis.config_set("maxmemory", 0)


@contextmanager
def without_writes(redis: Redis) -> Iterator[None]:
    """The store answers who reads, and lets all wait who write."""
    redis.client_pause(600_000, all=False)
    try:
        yield
    finally:
        redis.client_unpause()


def refused_with(answer: httpx.Response, status: int, code: str) -> None:
    problem = problem_of(answer)
    assert (problem["status"], problem["code"]) == (status, code)
    if status == 503:
        assert int(answer.headers["Retry-After"]) > 0
    else:
        assert "Retry-After" not in answer.headers


@KINDS
@pytest.mark.parametrize("troubled", [full, without_writes])
def test_a_stranger_is_told_so_and_what_is_genuine_is_kept_once_when_it_comes_again(
    client: httpx.Client,
    redis: Redis,
    sender: Sender,
    troubled: Callable[[Redis], AbstractContextManager[None]],
) -> None:
    source = make_source(client, **sender.source)
    stranger = sender.stranger(source["secret"])
    with troubled(redis):
        asked = time.monotonic()
        refused_with(sender.send(client, source, secret=stranger), 401, "unauthenticated")
        assert time.monotonic() - asked < PROMPTLY + SLACK
        refused_with(sender.send(client, source), 503, "service_unavailable")
    # A write that waited until nobody listened may have been done all the same.
    assert sender.send(client, source).status_code == 202
    counts = client.get(f"/v1/sources/{source['id']}").json()["counts"]
    assert counts["accepted"] == 1


@KINDS
def test_nobody_is_let_in_or_turned_away_for_good_by_a_store_that_is_away(
    own_settings: Settings, tmp_path: Path, sender: Sender
) -> None:
    server = EmbeddedValkey(tmp_path)
    supervisor = Supervisor([[server.command]], lambda *_: None)
    supervisor.start()
    with serving(own_settings.model_copy(update={"redis_url": server.url})) as client:
        source = make_source(client, **sender.source)
        supervisor.stop()
        for secret in (None, sender.stranger(source["secret"])):
            answer = sender.send(client, source, secret=secret)
            refused_with(answer, 503, "service_unavailable")
    server.close()
