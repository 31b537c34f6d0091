"""What one seed does to a service while jobs go through it."""

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from signal import Signals

from gridscribe.client import ApiError, Client, ServerUnreachableError
from shared.job_spec import JobWebhook, WebhookEvent
from tests.chaos.receiver import Receiver
from tests.fixtures.deployment import Deployment
from tests.fixtures.fault_jobs import CAPTIONED, PLAIN, pictures
from tests.fixtures.proxy import Proxy

WORKERS = ("caption", "caption-2", "compose")
BEHIND_THE_PROXY = (*WORKERS, "dispatcher", "deliverer", "api")
_MOST_IMAGES = 24
_TOLD = (
    *(WebhookEvent.STARTED, WebhookEvent.PROGRESS),
    *(WebhookEvent.SUCCEEDED, WebhookEvent.FAILED, WebhookEvent.CANCELED),
)


@dataclass
class Submission:
    """A request that is repeated with its key until it is answered."""

    key: str
    images: int
    is_captioned: bool
    job_id: str | None = None
    is_deleted: bool = False


@dataclass
class Trouble:
    """Submits jobs in one thread and does harm in another; the same seed plans the same of both."""

    service: Deployment
    proxy: Proxy
    receiver: Receiver
    seed: int
    submissions: list[Submission] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    def run(self, seconds: float) -> None:
        """Returns a little after `seconds`: all is healed then, and every request answered."""
        self.receiver.start(self.seed)
        ends = time.monotonic() + seconds
        callers = threading.Thread(target=self._submit_until, args=(ends,))
        callers.start()
        try:
            self._harm_until(ends)
        finally:
            self.heal()
            callers.join()
        with self.service.client(retries=20) as client:
            for submission in self.submissions:
                if submission.job_id is None:
                    self._submit(client, submission)

    def heal(self) -> None:
        """Everything runs, and nothing is in its way; only the receiver keeps its moods."""
        self.proxy.resume()
        self.proxy.mend()
        self.proxy.delay(0)
        for process in self.service.processes.values():
            process.send_to_group(Signals.SIGCONT)
        self.revive()
        for name in self.service.processes:
            self.service.wait_ready(name)

    def revive(self) -> None:
        """Start what has ended, as a supervisor does: a worker that takes no messages any more
        after an outage ends by itself, some time later."""
        for name, process in self.service.processes.items():
            if not process.is_running:
                self._start(name)

    # --- Jobs -----------------------------------------------------------------------------------

    def _submit_until(self, ends: float) -> None:
        choice = random.Random(f"jobs {self.seed}")
        with self.service.client(retries=1) as client:
            while time.monotonic() < ends:
                submission = Submission(
                    key=str(uuid.UUID(int=choice.getrandbits(128))),
                    images=choice.randint(1, _MOST_IMAGES),
                    is_captioned=choice.random() < 0.7,
                )
                self.submissions.append(submission)
                with suppress(ApiError, ServerUnreachableError):
                    self._submit(client, submission)
                    self._change_one(client, choice)
                time.sleep(choice.uniform(0, 0.4))

    def _submit(self, client: Client, submission: Submission) -> None:
        webhook = JobWebhook(url=self.receiver.url, events=_TOLD, secret=self.receiver.secret)
        spec = (CAPTIONED if submission.is_captioned else PLAIN).model_copy(
            update={"webhook": webhook}
        )
        files = pictures(submission.images)
        job = client.jobs.create(files, spec, idempotency_key=submission.key)
        assert submission.job_id in (None, job.id), "one key made two jobs"
        submission.job_id = job.id

    def _change_one(self, client: Client, choice: random.Random) -> None:
        """Now and then a caller cancels, retries or deletes."""
        dice, submission = choice.random(), choice.choice(self.submissions)
        if submission.job_id is None or submission.is_deleted:
            return
        if dice < 0.1:
            client.jobs.cancel(submission.job_id)
        elif dice < 0.15:
            client.jobs.retry(submission.job_id)
        elif dice < 0.2:
            # Before the call: a deletion whose answer is lost has happened all the same.
            submission.is_deleted = True
            client.jobs.delete(submission.job_id)

    # --- Harm -----------------------------------------------------------------------------------

    def _harm_until(self, ends: float) -> None:
        choice = random.Random(f"faults {self.seed}")
        kinds: list[tuple[str, Callable[[random.Random], None], int]] = [
            ("process killed", self._kill, 6),
            ("process stopped for a while", self._stop, 4),
            ("process asked to end", self._terminate, 3),
            ("store killed", self._kill_store, 2),
            ("store stopped for a while", self._stop_store, 1),
            ("connections black-holed", self._black_hole, 2),
            ("connections cut", self._cut, 2),
            ("connections slow", self._slow, 1),
            ("receiver killed", self._kill_receiver, 2),
        ]
        while time.monotonic() < ends:
            time.sleep(choice.uniform(0.2, 1.0))
            name, harm, _ = choice.choices(kinds, [weight for *_, weight in kinds])[0]
            self.faults[name] += 1
            harm(choice)

    def _start(self, name: str) -> None:
        redis_url = self.proxy.url if name in BEHIND_THE_PROXY else self.service.redis_url
        self.service.launch(name, redis_url=redis_url)

    def _kill(self, choice: random.Random) -> None:
        name = choice.choice(BEHIND_THE_PROXY)
        self.service[name].kill()
        time.sleep(choice.uniform(0, 1))
        self._start(name)

    def _stop(self, choice: random.Random) -> None:
        process = self.service[choice.choice(BEHIND_THE_PROXY)]
        process.send_to_group(Signals.SIGSTOP)
        time.sleep(choice.choice((0.2, 1, 4.5)))  # the last is longer than a lease
        process.send_to_group(Signals.SIGCONT)

    def _terminate(self, choice: random.Random) -> None:
        name = choice.choice(BEHIND_THE_PROXY)
        process = self.service[name]
        if process.is_running:
            process.send(Signals.SIGTERM)
            if choice.random() < 0.3:
                process.send(Signals.SIGTERM)
        time.sleep(choice.uniform(0, 2))
        self._start(name)

    def _kill_store(self, choice: random.Random) -> None:
        self.service["valkey"].kill()
        time.sleep(choice.uniform(0, 2))
        self._start("valkey")

    def _stop_store(self, choice: random.Random) -> None:
        self.service["valkey"].send(Signals.SIGSTOP)
        time.sleep(choice.uniform(0.5, 4))
        self.service["valkey"].send(Signals.SIGCONT)

    def _black_hole(self, choice: random.Random) -> None:
        self.proxy.pause()
        time.sleep(choice.uniform(0.5, 4))
        self.proxy.resume()

    def _cut(self, choice: random.Random) -> None:
        self.proxy.cut()
        time.sleep(choice.uniform(0, 2))
        self.proxy.mend()

    def _slow(self, choice: random.Random) -> None:
        self.proxy.delay(choice.uniform(0.01, 0.1))
        time.sleep(choice.uniform(0.5, 2))
        self.proxy.delay(0)

    def _kill_receiver(self, choice: random.Random) -> None:
        self.receiver.kill()
        time.sleep(choice.uniform(0, 2))
        self.receiver.start(choice.getrandbits(32))
