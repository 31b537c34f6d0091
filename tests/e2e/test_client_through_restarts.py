"""The client library while the API process is killed and started again."""

import os
import signal
import threading
from pathlib import Path

import anyio

from gridscribe import AsyncClient, Client
from gridscribe.devstack import DevStack
from shared.schemas import JobStatus
from tests.fixtures.waiting import wait_until

SAMPLES = Path(__file__).parents[2] / "gridscribe" / "samples"


def kill_api(stack: DevStack) -> None:
    """Returns when another process has its place."""
    killed = stack.pids["api"]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: stack.pids.get("api") not in (killed, None))


def test_waiting_goes_on_when_the_api_restarts(stack: DevStack) -> None:
    with Client(stack.base_url) as client:
        # With no worker to do it, the job cannot end before the API is back.
        os.kill(stack.pids["compose"], signal.SIGSTOP)
        try:
            job = client.jobs.create([SAMPLES / "clock.jpg"])
            killing = threading.Thread(target=kill_api, args=(stack,))
            states: list[JobStatus] = []

            def note(state: object) -> None:
                states.append(JobStatus(getattr(state, "status", "")))
                if len(states) == 1:
                    killing.start()
                if len(states) > 1 and not killing.is_alive():
                    os.kill(stack.pids["compose"], signal.SIGCONT)

            job = client.jobs.wait(job.id, 300, note)
        finally:
            os.kill(stack.pids["compose"], signal.SIGCONT)
    assert job.status is JobStatus.SUCCEEDED
    assert len(states) > 2


def test_events_go_on_when_the_api_restarts(stack: DevStack) -> None:
    async def follow() -> list[JobStatus]:
        seen: list[JobStatus] = []
        async with AsyncClient(stack.base_url) as client:
            os.kill(stack.pids["compose"], signal.SIGSTOP)
            try:
                job = await client.jobs.create([SAMPLES / "clock.jpg"])
                async for update in client.jobs.events(job.id):
                    if not seen:
                        await anyio.to_thread.run_sync(kill_api, stack)
                        os.kill(stack.pids["compose"], signal.SIGCONT)
                    seen.append(update.status)
            finally:
                os.kill(stack.pids["compose"], signal.SIGCONT)
        return seen

    seen = anyio.run(follow)
    assert seen[-1] is JobStatus.SUCCEEDED
