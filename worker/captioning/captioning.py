"""Captions pictures for many callers with one warm model, and says so where it cannot."""

import contextlib
import logging
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from shared.errors import GridscribeError, UnreadableImageError
from shared.schemas import ImageCaption
from shared.settings import MEBIBYTE
from worker.captioning.batcher import Batcher, end_process
from worker.captioning.captioner import Captioner, FloatArray, ModelUnavailable
from worker.captioning.computed_once import ComputedOnce
from worker.captioning.cores import available_cores
from worker.captioning.engine import TORCH, Engine
from worker.captioning.feature_files import FeatureFiles
from worker.captioning.file_queue import FileQueue
from worker.captioning.image_features import ImageFeatures, rounded
from worker.captioning.model_registry import STARTER, ModelRegistry, ServedModel, create_captioner
from worker.captioning.seeing_processes import SeeingProcesses
from worker.captioning.text_features import TextFeatures
from worker.captioning.turns import Turns
from worker.captioning.wording import Wording
from worker.captioning.zero_shot import FacetClassifier, caption
from worker.pipeline.image_features import pack
from worker.pipeline.pictures import MOST_LOCKING_THREADS, open_picture

logger = logging.getLogger(__name__)

NOT_LABELED = "CLIP was asked to compare the picture, not to label it"
WORDINGS_IN_MEMORY = 64
UNLOADED_INPUT_SIZE = 256
"""What most models read, for callers that decode before any model is there."""


@dataclass(frozen=True, slots=True)
class CaptionRequest:
    """What one caller wants of one picture's caption."""

    model: str | None = None
    """One of the deployment's models; None means its default."""
    min_confidence: float | None = None
    """None means the model's own bar."""
    wording: Wording = field(default_factory=Wording)
    wants_text: bool = True
    wants_features: bool = False
    """Hand the model's features over, packed, for pictures to be compared."""


@dataclass(frozen=True, slots=True)
class CaptioningConfig:
    models: tuple[str, ...]
    """Those on offer; the first one is the default."""
    fallback_to_starter: bool
    cache_dir: Path
    threads: int | None
    """Cores for the model; None means all."""
    max_batch: int
    batch_wait_ms: float
    batch_timeout_seconds: float
    model_retry_seconds: float
    engine: Engine = TORCH
    in_processes: bool = False
    """Let models see in processes of their own, where they can: what lasts gains by it."""
    vocabularies_dir: Path | None = None
    model_memory_bytes: int = 4096 * MEBIBYTE
    text_cache_bytes: int = 256 * MEBIBYTE
    image_cache_bytes: int = 256 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class CaptioningStatus:
    asked: str
    """The deployment's default model."""
    in_use: str | None
    """What serves requests for it; None where nothing does."""
    device: str | None
    reason: str | None
    """Why the one is not the other."""


@dataclass(frozen=True, slots=True)
class _Choice:
    model: ServedModel | None
    fallback_reason: str | None = None

    @property
    def reason(self) -> str | None:
        """Why the model, or its device, is not the asked one."""
        if self.fallback_reason is None and self.model is not None:
            return _moved(self.model)
        return self.fallback_reason

    def outcome(self, found: ImageCaption) -> ImageCaption:
        """What the chosen model found, marked where it is not the asked one."""
        if self.reason is None:
            return found
        reasons = [reason for reason in (self.reason, found.reason) if reason]
        return found.model_copy(update={"fallback": True, "reason": "; ".join(reasons)})


class Captioning:
    """All methods may be called from many threads."""

    def __init__(
        self, config: CaptioningConfig, *, on_hang: Callable[[], None] = end_process
    ) -> None:
        """`on_hang` is called when a batch outlives its time; see Batcher."""
        if not config.models:
            raise ValueError("no captioning model is offered; name at least one, such as 'starter'")
        self._config = config
        self._registry = ModelRegistry(
            self._load,
            retry_seconds=config.model_retry_seconds,
            on_failure=self._announce,
            memory_bytes=config.model_memory_bytes,
            pinned=config.models[0],
        )
        self._texts = TextFeatures(FeatureFiles(config.cache_dir, config.text_cache_bytes))
        self._classifiers: ComputedOnce[tuple[str, Wording], tuple[FacetClassifier, ...]] = (
            ComputedOnce(WORDINGS_IN_MEMORY)
        )
        self._images = ImageFeatures(config.cache_dir, config.image_cache_bytes)
        self._cores = config.threads or available_cores()
        self._decoding = Turns(self._cores)
        """A place for each core: more threads would only take them from the model."""
        create_batcher = partial(
            Batcher,
            max_batch=config.max_batch,
            wait_seconds=config.batch_wait_ms / 1000,
            timeout_seconds=config.batch_timeout_seconds,
            on_hang=on_hang,
        )
        self._batcher = create_batcher()
        self._files = FileQueue(create_batcher, self._cores)
        self._on_hang = on_hang

    def load(self) -> None:
        """Loads and warms up the default model, or what stands in for it; takes seconds.

        Never raises for a model that cannot be loaded: it is tried again in the background.
        """
        self._choose(self._config.models[0])

    @property
    def input_size(self) -> int:
        """Pixels that the shorter side of a picture should have at least when it is submitted."""
        sizes = [served.captioner.input_size for served in self._registry.served]
        return max(sizes, default=UNLOADED_INPUT_SIZE)

    def recall(self, content: str, request: CaptionRequest) -> ImageCaption | None:
        """The caption of a picture that the asked model saw before, without another look at it.

        `content` is the SHA-256 of the picture's file. None where the picture is to be submitted.
        Blocks like `submit`.
        """
        choice = self._choose(request.model or self._config.models[0])
        if choice.model is None:
            return None
        feature = self._images.get(choice.model.identity, content)
        return None if feature is None else self._caption(choice, request, feature)

    def submit_file(
        self,
        file: Path | BinaryIO,
        request: CaptionRequest,
        *,
        content: str | None = None,
        owner: Hashable = None,
        rank: int = 0,
    ) -> Future[ImageCaption]:
        """Queues a picture's file for the model, where owners take turns; of an owner's own those
        of least rank are next.

        It is decoded in the calling thread, or beside the model where that has processes of its
        own. The future is that of `submit`, but raises OSError where the file cannot be read.
        """
        choice = self._choose(request.model or self._config.models[0])
        if choice.model is not None and choice.model.processes is not None:
            processes = choice.model.processes
            encode = partial(self._files.submit, processes, file, owner, rank)
            return self._queue(choice, choice.model, request, content, encode)
        try:
            with self._decoding.taken(owner, rank), _opened(file) as opened:
                # The faster decoder holds the lock, so it pays where few threads decode.
                hold_lock = self._decoding.places <= MOST_LOCKING_THREADS
                picture = open_picture(opened, (self.input_size,) * 2, hold_lock=hold_lock)
        except UnreadableImageError as error:
            return _done(_unreadable(error))
        return self.submit(picture, request, content=content, owner=owner)

    def submit(
        self,
        picture: Image.Image,
        request: CaptionRequest,
        *,
        content: str | None = None,
        owner: Hashable = None,
    ) -> Future[ImageCaption]:
        """Preprocesses in the calling thread and queues for a model of this process, where owners
        take turns.

        The future raises nothing of its own: where there is no caption to be had, it gives one
        without text that says why. Cancel it to give up. The first request for a model other than
        the default waits for it to load, and the first one for words of its own until these are
        read. With its file's SHA-256 as `content`, the picture can be recalled later. Raises
        RuntimeError once closed.
        """
        choice = self._choose(request.model or self._config.models[0])
        if choice.model is None:
            return _done(choice.outcome(ImageCaption()))
        model = choice.model
        try:
            pixels = model.captioner.preprocess(picture)
        except Exception as error:  # noqa: BLE001 # a lazily decoded picture may fail in any way here
            return _done(choice.outcome(_failed(model, error)))
        encode = partial(self._batcher.submit, model.in_process, pixels, owner)
        return self._queue(choice, model, request, content, encode)

    def _queue(
        self,
        choice: "_Choice",
        model: ServedModel,
        request: CaptionRequest,
        content: str | None,
        encode: Callable[[], Future[FloatArray]],
    ) -> Future[ImageCaption]:
        if request.wants_text:
            try:
                self._known(model, request.wording)
            except Exception as error:  # noqa: BLE001 # no words to caption with: a reason, no crash
                return _done(choice.outcome(_failed(model, error)))
        outcome: Future[ImageCaption] = Future()

        def finish(encoded: Future[FloatArray]) -> None:
            self._registry.end_work(model)
            if encoded.cancelled():
                outcome.cancel()
            if not outcome.set_running_or_notify_cancel():
                return
            try:
                feature = rounded(encoded.result())
            except UnreadableImageError as error:
                outcome.set_result(_unreadable(error))
                return
            except OSError as error:  # of the storage: the picture itself may be well
                outcome.set_exception(error)
                return
            except Exception as error:  # noqa: BLE001 # whatever the model raised for this picture
                outcome.set_result(choice.outcome(_failed(model, error)))
                return
            if content is not None and _moved(model) is None:
                self._images.put(model.identity, content, feature)
            outcome.set_result(self._caption(choice, request, feature))

        self._registry.begin_work(model)
        try:
            encoded = encode()
        except BaseException:
            self._registry.end_work(model)
            raise
        outcome.add_done_callback(lambda done: encoded.cancel() if done.cancelled() else None)
        encoded.add_done_callback(finish)
        return outcome

    @property
    def recalled(self) -> tuple[int, int]:
        """How many pictures were recalled, and how many had to be looked at, since the start."""
        return self._images.hits, self._images.misses

    def status(self) -> CaptioningStatus:
        """Blocks while the default model loads for the first time."""
        asked = self._config.models[0]
        choice = self._choose(asked)
        captioner = choice.model.captioner if choice.model else None
        return CaptioningStatus(
            asked=asked,
            in_use=captioner.name if captioner else None,
            device=captioner.device if captioner else None,
            reason=choice.reason,
        )

    def close(self) -> None:
        """Finishes the running batch; cancels the futures of the images that still wait."""
        self._registry.close()
        self._batcher.close()
        self._files.close()
        for served in self._registry.served:
            if served.processes is not None:
                served.processes.close()
        self._texts.close()
        self._images.close()

    def _load(self, name: str) -> ServedModel:
        captioner = create_captioner(name, self._config.threads, self._config.engine)
        known = self._texts.classifiers(captioner, Wording().terms(None))
        captioner.warm_up()
        processes = self._processes(captioner)
        logger.info("the captioning model %r is warm on %s", name, captioner.device)
        return ServedModel.of(captioner, known, processes)

    def _processes(self, captioner: Captioner) -> SeeingProcesses | None:
        if not (self._config.in_processes and captioner.forks):
            return None
        try:
            processes = SeeingProcesses(
                captioner.name,
                self._config.engine,
                self._cores,
                best_batch=captioner.best_batch,
                on_death=self._on_hang,
            )
        except ModelUnavailable as failure:
            logger.warning(
                "%r sees in the worker's own process, slower: %s", captioner.name, failure
            )
            return None
        captioner.release_images()
        return processes

    def _known(self, model: ServedModel, wording: Wording) -> tuple[FacetClassifier, ...]:
        """Raises `GridscribeError` UNKNOWN_VOCABULARY, and what the model raises for texts."""
        if wording == Wording():
            return model.classifiers

        def compute() -> tuple[FacetClassifier, ...]:
            terms = wording.terms(self._config.vocabularies_dir)
            return self._texts.classifiers(model.captioner, terms)

        return self._classifiers.get((model.identity, wording), compute)

    def _caption(
        self, choice: _Choice, request: CaptionRequest, feature: FloatArray
    ) -> ImageCaption:
        model = choice.model
        assert model is not None, "only a model gives features"  # noqa: S101 # for mypy
        found = ImageCaption(model=model.captioner.name, reason=NOT_LABELED)
        if request.wants_text:
            try:
                found = caption(
                    feature,
                    self._known(model, request.wording),
                    model.captioner.scoring,
                    model=model.captioner.name,
                    min_confidence=request.min_confidence,
                )
            except Exception as error:  # noqa: BLE001 # no words to caption with: a reason, no crash
                found = _failed(model, error)
        if request.wants_features and np.isfinite(feature).all():
            found = found.model_copy(update={"features": pack(feature)})
        return choice.outcome(found)

    def _choose(self, name: str) -> _Choice:
        if name not in self._config.models:
            # The API refuses such names; a job may still be older than the deployment's list.
            default = self._choose(self._config.models[0])
            return _Choice(default.model, f"this worker does not offer the model {name!r}")
        try:
            return _Choice(self._registry.get(name))
        except ModelUnavailable as failure:
            return _Choice(self._stand_in(name), str(failure))

    def _stand_in(self, name: str) -> ServedModel | None:
        if name == STARTER or not self._config.fallback_to_starter:
            return None
        try:
            return self._registry.get(STARTER)
        except ModelUnavailable:
            return None

    def _announce(self, failure: ModelUnavailable) -> None:
        stand_in = self._stand_in(failure.name)
        logger.warning(
            "%s; %s; next try in %g s",
            failure,
            f"{stand_in.captioner.name!r} serves instead"
            if stand_in
            else "its images are not captioned and keep their file names",
            self._config.model_retry_seconds,
        )


def _moved(model: ServedModel) -> str | None:
    """Why a model is slower than it was, where it had to leave its accelerator."""
    now = model.captioner.device
    if now == model.device:
        return None
    return f"{model.captioner.name!r} ran out of memory on {model.device} and goes on on the {now}"


def _done(caption: ImageCaption) -> Future[ImageCaption]:
    future: Future[ImageCaption] = Future()
    future.set_result(caption)
    return future


def _opened(file: Path | BinaryIO) -> contextlib.AbstractContextManager[BinaryIO]:
    return file.open("rb") if isinstance(file, Path) else contextlib.nullcontext(file)


def _unreadable(error: UnreadableImageError) -> ImageCaption:
    return ImageCaption(reason=f"the picture cannot be read: {error}")


def _failed(model: ServedModel, error: Exception) -> ImageCaption:
    name = model.captioner.name
    if isinstance(error, GridscribeError):
        return ImageCaption(model=name, reason=error.detail)
    logger.warning("the captioning model %r failed on an image: %r", name, error)
    return ImageCaption(model=name, reason=f"captioning failed on this image: {error}")
