"""Which models are loaded, which failed, and when to try those again."""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from worker.captioning.captioner import Captioner, ModelUnavailable
from worker.captioning.zero_shot import FacetClassifier

logger = logging.getLogger(__name__)

STARTER = "starter"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A warm model and what it can tell apart."""

    captioner: Captioner
    classifiers: tuple[FacetClassifier, ...]


def create_captioner(name: str, threads: int | None) -> Captioner:
    """The model behind a name, not yet warm. Raises ModelUnavailable."""
    # Read once, when torch loads its OpenMP. Threads that spin while they wait take the cores from
    # whatever runs beside them: starter with 2 threads beside one that compresses, on 2 busy cores,
    # gave 6 images/s so and 29 with threads that sleep (medians of five runs).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        # Here and not above, because torch comes with them and takes seconds to import.
        if name == STARTER:
            from worker.captioning.starter import StarterCaptioner

            return StarterCaptioner(threads)
        from worker.captioning.open_clip_captioner import OpenClipCaptioner

        return OpenClipCaptioner(name, threads)
    except ImportError as error:
        raise ModelUnavailable(
            name, f"{error}; install the captioning extra: pip install 'gridscribe[caption]'"
        ) from error


class ModelRegistry:
    """Loads a model when first asked for it; nobody ever waits for one that failed."""

    def __init__(
        self,
        load: Callable[[str], ServedModel],
        *,
        retry_seconds: float,
        on_failure: Callable[[ModelUnavailable], None],
    ) -> None:
        """`on_failure` hears of a model's first failure; retries are silent until one succeeds."""
        self._load = load
        self._retry_seconds = retry_seconds
        self._on_failure = on_failure
        self._served: dict[str, ServedModel] = {}
        self._failed: dict[str, ModelUnavailable] = {}
        self._loading = threading.RLock()  # re-entered where `on_failure` asks for a stand-in
        self._closing = threading.Event()
        self._retries: threading.Thread | None = None

    def get(self, name: str) -> ServedModel:
        """Blocks while the model first loads. Raises ModelUnavailable, at once ever after."""
        if name not in self._served and name not in self._failed:
            with self._loading:
                if name not in self._served and name not in self._failed:
                    self._load_first(name)
        if served := self._served.get(name):
            return served
        # A new error each time: one that is raised by many threads would collect all their frames.
        raise ModelUnavailable(name, self._failed[name].reason)

    @property
    def served(self) -> tuple[ServedModel, ...]:
        return tuple(self._served.copy().values())

    def close(self) -> None:
        """Stops the retries; one that is loading a model right now is not waited for."""
        self._closing.set()

    def _load_first(self, name: str) -> None:
        failure = self._try(name)
        if failure is None:
            return
        self._failed[name] = failure
        self._on_failure(failure)
        if self._retries is None:
            self._retries = threading.Thread(target=self._retry, name="model-retries", daemon=True)
            self._retries.start()

    def _try(self, name: str) -> ModelUnavailable | None:
        try:
            self._served[name] = self._load(name)
        except ModelUnavailable as failure:
            return failure
        except Exception as error:  # noqa: BLE001 # a model's code is foreign; the worker must start
            return ModelUnavailable(name, repr(error))
        return None

    def _retry(self) -> None:
        while not self._closing.wait(self._retry_seconds):
            for name in list(self._failed):
                with self._loading:
                    failure = self._try(name)
                if failure is None:
                    # Not before it is served: `get` expects every known name in one or the other.
                    del self._failed[name]
                    logger.info("the captioning model %r is loaded now and serves", name)
                else:
                    logger.debug("still no captioning model %r: %s", name, failure.reason)
