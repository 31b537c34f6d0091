"""Which models are loaded, which failed, when to try those again, and which must go for room."""

import logging
import os
import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # ships no types

from worker.captioning.captioner import Captioner, ModelUnavailable
from worker.captioning.encoder import InProcess
from worker.captioning.engine import Engine
from worker.captioning.seeing_processes import SeeingProcesses
from worker.captioning.zero_shot import FacetClassifier

logger = logging.getLogger(__name__)

STARTER = "starter"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A warm model and what it can tell apart."""

    captioner: Captioner
    classifiers: tuple[FacetClassifier, ...]
    """For the default vocabulary."""
    identity: str
    device: str
    """Where it was loaded; a model that leaves it is slower from then on."""
    in_process: InProcess
    """What sees, unless processes of its own do."""
    processes: SeeingProcesses | None = None

    @classmethod
    def of(
        cls,
        captioner: Captioner,
        classifiers: tuple[FacetClassifier, ...] = (),
        processes: SeeingProcesses | None = None,
    ) -> "ServedModel":
        return cls(
            captioner,
            classifiers,
            captioner.identity,
            captioner.device,
            InProcess(captioner),
            processes,
        )

    @property
    def memory_bytes(self) -> int:
        """Of the weights that are in memory now."""
        return self.captioner.memory_bytes + (self.processes.memory_bytes if self.processes else 0)


def create_captioner(name: str, threads: int | None, engine: Engine) -> Captioner:
    """The model behind a name, not yet warm. Raises ModelUnavailable."""
    # Read once, when torch loads its OpenMP. Threads that spin while they wait take the cores from
    # whatever runs beside them: starter with 2 threads beside one that compresses, on 2 busy cores,
    # gave 6 images/s so and 29 with threads that sleep (medians of five runs).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # The products of a feature with the vocabulary's are small: numpy's threads that wait for the
    # next one made 65 ms of processor time an image out of 48.
    threadpool_limits(1, user_api="blas")
    try:
        # Here and not above, because torch comes with them and takes seconds to import.
        if name == STARTER:
            from worker.captioning.starter import StarterCaptioner

            return StarterCaptioner(threads)
        from worker.captioning.open_clip_captioner import OpenClipCaptioner

        return OpenClipCaptioner(name, threads, engine)
    except ImportError as error:
        raise ModelUnavailable(
            name, f"{error}; install the captioning extra: pip install 'gridscribe[caption]'"
        ) from error


class ModelRegistry:
    """Loads a model when first asked for it; nobody ever waits for one that failed, nor for the
    loading of another one."""

    def __init__(
        self,
        load: Callable[[str], ServedModel],
        *,
        retry_seconds: float,
        on_failure: Callable[[ModelUnavailable], None],
        memory_bytes: int,
        pinned: str,
    ) -> None:
        """`on_failure` hears of a model's first failure; retries are silent until one succeeds.

        Once the weights take more than `memory_bytes`, those models go that were not asked for the
        longest; never `pinned`, nor one at work, nor the one just loaded.
        """
        self._load = load
        self._retry_seconds = retry_seconds
        self._on_failure = on_failure
        self._memory_bytes = memory_bytes
        self._pinned = pinned
        self._served: OrderedDict[str, ServedModel] = OrderedDict()
        self._failed: dict[str, ModelUnavailable] = {}
        self._at_work: Counter[int] = Counter()
        self._state = threading.Lock()
        # Re-entrant, because `on_failure` asks for a stand-in, which may be the failed one itself.
        self._loading: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
        self._closing = threading.Event()
        self._retries: threading.Thread | None = None

    def get(self, name: str) -> ServedModel:
        """Blocks while the model first loads. Raises ModelUnavailable, at once ever after."""
        served, failure = self._find(name)
        if served is None and failure is None:
            with self._state:
                loading = self._loading[name]
            with loading:
                served, failure = self._find(name)
                if served is None and failure is None:
                    served, failure = self._load_first(name)
        if served is not None:
            return served
        # A new error each time: one that is raised by many threads would collect all their frames.
        raise ModelUnavailable(name, failure.reason if failure else "it was let go while it loaded")

    @property
    def served(self) -> tuple[ServedModel, ...]:
        with self._state:
            return tuple(self._served.values())

    def begin_work(self, served: ServedModel) -> None:
        """It stays loaded until as many calls of `end_work` as of this."""
        with self._state:
            self._at_work[id(served)] += 1

    def end_work(self, served: ServedModel) -> None:
        with self._state:
            self._at_work[id(served)] -= 1
            if not self._at_work[id(served)]:
                del self._at_work[id(served)]

    def close(self) -> None:
        """Stops the retries; one that is loading a model right now is not waited for."""
        self._closing.set()

    def _find(self, name: str) -> tuple[ServedModel | None, ModelUnavailable | None]:
        with self._state:
            served = self._served.get(name)
            if served is not None:
                self._served.move_to_end(name)
            return served, self._failed.get(name)

    def _load_first(self, name: str) -> tuple[ServedModel | None, ModelUnavailable | None]:
        served, failure = self._try(name)
        if failure is not None:
            with self._state:
                self._failed[name] = failure
            self._on_failure(failure)
            with self._state:
                if self._retries is None:
                    self._retries = threading.Thread(
                        target=self._retry, name="model-retries", daemon=True
                    )
                    self._retries.start()
        return served, failure

    def _try(self, name: str) -> tuple[ServedModel | None, ModelUnavailable | None]:
        try:
            served = self._load(name)
        except ModelUnavailable as failure:
            return None, failure
        except Exception as error:  # noqa: BLE001 # a model's code is foreign; the worker must start
            return None, ModelUnavailable(name, repr(error))
        with self._state:
            self._served[name] = served
            self._make_room(name)
        return served, None

    def _make_room(self, newest: str) -> None:
        sizes = {name: each.memory_bytes for name, each in self._served.items()}
        total = sum(sizes.values())
        for name, size in sizes.items():  # the least recently used one first
            if total <= self._memory_bytes:
                return
            at_work = id(self._served[name]) in self._at_work
            if name not in (newest, self._pinned) and not at_work:
                del self._served[name]
                total -= size
                logger.info(
                    "let go of the captioning model %r, %d MB, for %r", name, size >> 20, newest
                )
        if total > self._memory_bytes:
            logger.warning(
                "captioning models take %d MB, over GRIDSCRIBE_MODEL_MEMORY_MB; none can go now",
                total >> 20,
            )

    def _retry(self) -> None:
        while not self._closing.wait(self._retry_seconds):
            for name in list(self._failed):
                with self._state:
                    loading = self._loading[name]
                with loading:
                    _, failure = self._try(name)
                if failure is None:
                    # Not before it is served: `get` expects every known name in one or the other.
                    with self._state:
                        del self._failed[name]
                    logger.info("the captioning model %r is loaded now and serves", name)
                else:
                    logger.debug("still no captioning model %r: %s", name, failure.reason)
