"""Makes a sheet of whatever new images come into a folder."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gridscribe.client import ApiError, ServerUnreachableError
from gridscribe.client.answers import is_passing
from gridscribe.watching.arrivals import Arrivals, Folder
from gridscribe.watching.making import ChangedImagesError, Made, Maker, RefusedImagesError
from gridscribe.watching.memory import Batch, BatchState, KnownImage, WatchMemory

OnNews = Callable[[str, dict[str, object]], None]
"""Told the kind of an event, and what belongs to it: see docs/command-line.md."""

_AWAY_SECONDS = 5.0


@dataclass(slots=True)
class Watch:
    """Batches what has settled: `most` images at once, or fewer when nothing new came for
    `quiet_seconds`. `step` does all that can be done now, and is called again and again.
    """

    folder: Folder
    memory: WatchMemory
    maker: Maker
    most: int
    quiet_seconds: float
    on_news: OnNews
    gives_up: bool = False
    """Raise what else would be tried again later."""
    failures: int = 0
    """Images and batches that came to nothing."""
    _known: dict[str, KnownImage] = field(default_factory=dict)
    _away_until: float = 0.0
    _is_away: bool = False
    _unsettled: int = 0
    _waiting: int = 0

    def __post_init__(self) -> None:
        self._known = self.memory.images()

    @property
    def is_idle(self) -> bool:
        """Nothing is being written, waits, or is being made."""
        return not (self._unsettled or self._waiting or self.memory.open_batches())

    @property
    def is_waiting(self) -> bool:
        """Something will be due without any change in the folder."""
        return not self.is_idle

    def leave_out_what_is_there(self) -> int:
        """Take the images that are there now for old ones; how many there are."""
        arrivals = self.folder.look(self._known, time.monotonic(), settle_seconds=0)
        self._note(arrivals.settled)
        return len(arrivals.settled)

    def step(self, *, look: bool = True, at_once: bool = False) -> None:
        """Look for images where `look` says so, and take every batch as far as it goes.

        With `at_once` fewer images than `most` make a batch without a quiet time. Raises
        `ClientError` when the service refuses in a way that another try would not mend.
        """
        if look:
            self._gather(at_once=at_once)
        if time.monotonic() >= self._away_until:
            for batch in self.memory.open_batches():
                if not self._advance(batch):
                    break

    def _gather(self, *, at_once: bool) -> None:
        now = time.monotonic()
        try:
            arrivals = self.folder.look(self._known, now)
        except OSError as error:  # a mount that went away comes back
            self._tell_away(error)
            return
        self._note(arrivals.returned)
        waiting = list(arrivals.settled)
        while len(waiting) >= self.most:
            self._open(waiting[: self.most])
            del waiting[: self.most]
        if waiting and self._is_quiet(arrivals, now, at_once=at_once):
            self._open(waiting)
            waiting.clear()
        self._waiting, self._unsettled = len(waiting), arrivals.unsettled

    def _is_quiet(self, arrivals: Arrivals, now: float, *, at_once: bool) -> bool:
        if arrivals.unsettled:
            return False
        return at_once or now - self.folder.changed_at >= self.quiet_seconds

    def _open(self, images: list[KnownImage]) -> None:
        self.memory.open_batch(images)
        self._known.update({image.name: image for image in images})
        self.on_news("batch", {"images": [image.name for image in images]})

    def _advance(self, batch: Batch) -> bool:
        """Take `batch` on; False where the service is away."""
        was_accepted = batch.job_id is not None
        try:
            batch = self.maker.begin(batch)
            if batch.job_id and not was_accepted:
                self.on_news("submitted", {"job": batch.job_id, "images": len(batch.images)})
            made = self.maker.end(batch)
        except RefusedImagesError as refused:
            self._refuse(batch, refused)
            return True
        except ChangedImagesError as changed:
            self._forget(batch, changed.names)
            return True
        except (ApiError, ServerUnreachableError) as error:
            self._tell_away(error)
            return False
        self._is_away = False
        if made:
            self._end(batch, made)
        return True

    def _end(self, batch: Batch, made: Made) -> None:
        if made.begin_anew:
            self.memory.begin_anew(batch)
        elif made.error is not None:
            self.failures += 1
            self.memory.close_batch(batch, BatchState.FAILED)
            self.on_news("failed", {"job": batch.job_id, "detail": made.error})
        else:
            self.memory.close_batch(batch, BatchState.MADE)
            self.on_news(
                "sheet",
                {
                    "job": batch.job_id,
                    "files": [str(path) for path in made.files],
                    "images": [image.name for image in batch.images],
                },
            )

    def _forget(self, batch: Batch, names: Sequence[str]) -> None:
        self.memory.take_out(batch, names, forget=True)
        for name in names:
            self._known.pop(name, None)
        self._close_if_empty(batch, names)

    def _refuse(self, batch: Batch, refused: RefusedImagesError) -> None:
        self.memory.take_out(batch, refused.reasons, forget=False)
        for name, reason in refused.reasons.items():
            self.failures += 1
            self.on_news("refused", {"image": name, "detail": reason})
        self._close_if_empty(batch, refused.reasons)

    def _close_if_empty(self, batch: Batch, taken_out: Iterable[str]) -> None:
        if not {image.name for image in batch.images} - set(taken_out):
            self.memory.close_batch(batch, BatchState.FAILED)

    def _note(self, images: Iterable[KnownImage]) -> None:
        self.memory.note(images)
        self._known.update({image.name: image for image in images})

    def _tell_away(self, error: ApiError | ServerUnreachableError | OSError) -> None:
        """Raises `error` where another try would not mend it, or there is to be none."""
        passing = not isinstance(error, ApiError) or is_passing(error.problem)
        if self.gives_up or not passing:
            raise error
        asked = error.retry_after if isinstance(error, ApiError) else None
        self._away_until = time.monotonic() + max(asked or 0, _AWAY_SECONDS)
        if not self._is_away:
            self._is_away = True
            self.on_news("away", {"detail": str(error)})
