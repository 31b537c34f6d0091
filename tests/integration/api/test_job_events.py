"""Streams of server-sent events, read from a real server."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import httpx
import pytest
from redis import Redis
from starlette.types import Message

from api import event_stream
from shared.api_keys import ApiKeys
from shared.job_lifecycle import JobLifecycle
from shared.keyspace import PREFIX
from shared.schemas import ImageCaption
from shared.settings import Settings
from shared.work_units import WorkerKind
from tests.fixtures.waiting import PATIENCE
from tests.integration.api.hand_work import begin, fail, finish, new_job
from tests.integration.api.served import image_part, png, problem_of, serving, spec_part, submit


@dataclass(frozen=True)
class Event:
    id: str
    name: str
    data: dict[str, Any]


class Listening:
    """One open stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.comments = 0
        self._lines = answer.iter_lines()

    def __iter__(self) -> Iterator[Event]:
        fields: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                self.comments += 1
            elif line:
                fields[name] = value
            elif "data" in fields:
                yield Event(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
                fields = {}

    def next(self) -> Event:
        return next(iter(self))

    def until(self, status: str) -> list[Event]:
        return [*takewhile(lambda event: event.data["status"] != status, self)]

    def statuses(self) -> list[str]:
        return [event.data["status"] for event in self]


@contextmanager
def listening(
    client: httpx.Client, job_id: str, last_event_id: str | None = None
) -> Iterator[Listening]:
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        yield Listening(answer)


def test_a_listener_gets_the_job_then_its_changes_then_the_finished_job(
    client: httpx.Client, worker: JobLifecycle, api_settings: Settings
) -> None:
    job_id = new_job(client, use_clip=True)
    with listening(client, job_id) as stream:
        first = stream.next()
        assert (first.name, first.data) == ("job", client.get(f"/v1/jobs/{job_id}").json())
        (ticket,) = worker.dispatch(WorkerKind.CAPTION, 1)
        worker.start_captions(ticket)
        second = stream.next()
        assert (second.name, second.data) == (
            "progress",
            {"status": "running", "progress": {"stage": "captioning", "done": 0, "total": 1}},
        )
        worker.commit_captions(ticket, [ImageCaption(text="a fox")])
        assert stream.next().data["progress"] == {"stage": "composing", "done": 0, "total": 1}
        finish(worker, api_settings, [png()])
        (last,) = stream
    assert (last.name, last.data) == ("job", client.get(f"/v1/jobs/{job_id}").json())
    assert last.data["status"] == "succeeded"
    assert first.id < second.id < last.id


def test_mere_progress_is_told_once_a_second_at_most(
    client: httpx.Client, worker: JobLifecycle
) -> None:
    answer = submit(client, *(image_part(f"{n}.png") for n in range(8)), spec_part({}))
    with listening(client, answer.json()["id"]) as stream:
        stream.next()
        started = time.monotonic()
        ticket = begin(worker)
        assert stream.next().data["progress"]["done"] == 0
        begun = time.monotonic()
        done = 0
        while time.monotonic() - begun < 1.3:
            done += 1
            worker.beat(ticket, done)
            time.sleep(0.02)
        worker.beat(ticket, done + 1)  # more than a second later, however slow all this was
        seconds = time.monotonic() - started
        client.post(f"/v1/jobs/{answer.json()['id']}/cancel")
        told = stream.until("canceling")
    assert 1 <= len(told) <= seconds
    assert {event.data["status"] for event in told} == {"running"}


def test_the_stream_of_a_job_ends_when_it_is_deleted(client: httpx.Client) -> None:
    job_id = new_job(client)
    with listening(client, job_id) as stream:
        stream.next()
        client.delete(f"/v1/jobs/{job_id}")
        assert list(stream) == []


def test_a_listener_who_was_cut_off_goes_on_where_it_was(
    client: httpx.Client, worker: JobLifecycle
) -> None:
    job_id = new_job(client, use_clip=True)
    with listening(client, job_id) as stream:
        snapshot = stream.next()
    (ticket,) = worker.dispatch(WorkerKind.CAPTION, 1)
    worker.start_captions(ticket)
    with listening(client, job_id, snapshot.id) as stream:
        missed = stream.next()
        assert (missed.name, missed.data["status"]) == ("progress", "running")
        assert missed.id > snapshot.id
    client.post(f"/v1/jobs/{job_id}/cancel")
    worker.yield_unit(ticket)
    with listening(client, job_id, missed.id) as stream:
        assert [(event.name, event.data["status"]) for event in stream] == [
            ("progress", "canceling"),
            ("job", "canceled"),
        ]


def test_a_listener_who_was_away_too_long_gets_the_whole_job(
    client: httpx.Client, worker: JobLifecycle, redis: Redis
) -> None:
    job_id = new_job(client)
    with listening(client, job_id) as stream:
        snapshot = stream.next()
    begin(worker)
    redis.xtrim(f"{PREFIX}job:{job_id}:events", maxlen=0)
    with listening(client, job_id, snapshot.id) as stream:
        assert stream.next().name == "job"


@pytest.mark.parametrize("nonsense", ["", "x", "0-0", "9" * 30, "999999999999999-0", "-1-1"])
def test_an_id_that_no_event_had_begins_with_the_whole_job(
    client: httpx.Client, nonsense: str
) -> None:
    with listening(client, new_job(client), nonsense) as stream:
        assert stream.next().name == "job"


def test_the_stream_of_a_job_that_is_over_is_the_job_and_then_nothing(
    client: httpx.Client, worker: JobLifecycle, redis: Redis
) -> None:
    new_job(client)
    job_id = fail(worker)
    with listening(client, job_id) as stream:
        (event,) = stream
    assert (event.name, event.data["status"]) == ("job", "failed")
    redis.delete(f"{PREFIX}job:{job_id}:events")  # as after ten minutes
    again = client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": event.id})
    assert again.status_code == 204, "browsers come back until they see this"
    with listening(client, job_id) as stream:
        assert stream.statuses() == ["failed"]


def test_a_retried_job_has_news_again(client: httpx.Client, worker: JobLifecycle) -> None:
    new_job(client)
    job_id = fail(worker)
    with listening(client, job_id) as stream:
        (end,) = stream
    client.post(f"/v1/jobs/{job_id}/retry")
    with listening(client, job_id, end.id) as stream:
        assert stream.next().data["status"] == "queued"
        fail(worker)
        assert stream.statuses() == ["running", "failed"]


def test_an_expired_job_and_an_unknown_one_have_no_stream(
    client: httpx.Client, worker: JobLifecycle, redis: Redis
) -> None:
    new_job(client)
    job_id = fail(worker)
    redis.zadd(f"{PREFIX}expiry", {job_id: 0})
    worker.expired_jobs()
    assert problem_of(client.get(f"/v1/jobs/{job_id}/events"))["code"] == "job_expired"
    worker.forget(job_id)
    assert problem_of(client.get(f"/v1/jobs/{job_id}/events"))["code"] == "job_expired"
    assert redis.keys("*:events") == []
    assert problem_of(client.get("/v1/jobs/x/events"))["code"] == "job_not_found"


def test_many_listeners_of_many_jobs_share_a_few_connections(
    api_settings: Settings, redis: Redis
) -> None:
    limits, begun = httpx.Limits(max_connections=200), threading.Semaphore(0)
    places = {"max_event_listeners_per_tenant": 150}
    with serving(api_settings.model_copy(update=places)) as server:
        jobs = [new_job(server) for _ in range(5)]
        with (
            httpx.Client(base_url=server.base_url, limits=limits, timeout=PATIENCE) as client,
            ThreadPoolExecutor(150) as pool,
        ):

            def listen(job_id: str) -> list[str]:
                with listening(client, job_id) as stream:
                    first = stream.next()
                    begun.release()
                    return [first.data["status"], *stream.statuses()]

            told = [pool.submit(listen, job_id) for job_id in jobs * 30]
            for _ in told:
                assert begun.acquire(timeout=PATIENCE)
            assert redis.info("clients")["connected_clients"] < 40
            for job_id in jobs:
                server.post(f"/v1/jobs/{job_id}/cancel")
            assert {tuple(future.result(PATIENCE)) for future in told} == {("queued", "canceled")}


def test_a_process_lets_so_many_listen_and_no_more(api_settings: Settings) -> None:
    with serving(api_settings.model_copy(update={"max_event_listeners": 1})) as small:
        job_id = new_job(small)
        with listening(small, job_id) as stream:
            stream.next()
            refused = small.get(f"/v1/jobs/{job_id}/events")
            assert problem_of(refused)["code"] == "service_full"
            assert int(refused.headers["Retry-After"]) >= 1
        deadline = time.monotonic() + PATIENCE
        while True:  # until the server has noticed that the listener left
            try:
                with listening(small, job_id) as stream:
                    assert stream.next().name == "job"
                break
            except AssertionError:
                assert time.monotonic() < deadline


def test_a_tenant_cannot_take_all_places_of_listeners(api_settings: Settings, redis: Redis) -> None:
    places = {"max_event_listeners_per_tenant": 1, "auth": "required"}
    with serving(api_settings.model_copy(update=places)) as server:
        studio, farm = (
            {"Authorization": f"Bearer {ApiKeys(redis).create(tenant)[0]}"}
            for tenant in ("studio", "farm")
        )
        server.headers.update(studio)
        job_id, other_id = new_job(server), new_job(server)
        with listening(server, job_id) as stream:
            stream.next()
            refused = server.get(f"/v1/jobs/{other_id}/events")
            assert refused.status_code == 429
            assert problem_of(refused)["code"] == "quota_exceeded"
            assert int(refused.headers["Retry-After"]) >= 1
            server.headers.update(farm)
            with listening(server, new_job(server)) as others:
                assert others.next().name == "job"


def test_silence_is_filled_with_comments(api_settings: Settings) -> None:
    with serving(api_settings.model_copy(update={"event_keep_alive_seconds": 0.05})) as server:
        job_id = new_job(server)
        with listening(server, job_id) as stream:
            stream.next()
            time.sleep(0.5)
            server.post(f"/v1/jobs/{job_id}/cancel")
            assert stream.statuses() == ["canceled"]
            assert stream.comments >= 2


def test_signals_come_back_after_their_connection_was_cut(
    api_settings: Settings, redis: Redis
) -> None:
    patient = api_settings.model_copy(update={"event_keep_alive_seconds": PATIENCE})
    with serving(patient) as client, listening(client, job_id := new_job(client)) as stream:
        stream.next()
        redis.client_kill_filter(_type="pubsub")
        started = time.monotonic()
        client.post(f"/v1/jobs/{job_id}/cancel")
        assert stream.statuses() == ["canceled"]
        assert time.monotonic() - started < PATIENCE / 2, "not by the keep-alive"


def test_a_client_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "SEND_SECONDS", 0.05)
    closed = False

    async def events() -> AsyncGenerator[str, None]:
        nonlocal closed
        try:
            while True:
                yield "data: {}\n\n"
        finally:
            closed = True

    async def serve() -> int:
        sent = 0

        async def send(_: Message) -> None:
            nonlocal sent
            sent += 1
            if sent > 2:
                await asyncio.Event().wait()  # a socket whose buffers are full

        async def receive() -> Message:
            return await asyncio.Event().wait() and {}

        stream = event_stream.EventStream(events())
        await stream({"type": "http"}, receive, send)
        return sent

    assert asyncio.run(asyncio.wait_for(serve(), PATIENCE)) == 3
    assert closed
