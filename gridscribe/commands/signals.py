"""Commands that run until they are stopped."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a closed terminal, end the block as Ctrl+C does."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def noted_signals() -> Iterator[Callable[[], bool]]:
    """Ctrl+C, SIGTERM and SIGHUP do not interrupt the block, which is given a function that tells
    whether one came. The same one again does interrupt it.

    For what must end in order: an interrupt is raised wherever the block just is, and may be lost
    there, or leave a lock taken that the way out needs (httpx's connection pool has one).
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    came = False

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.signal(number, signal.default_int_handler)

    before = [signal.signal(number, note) for number in numbers]
    try:
        yield lambda: came
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
