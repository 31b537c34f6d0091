"""How slow a body may come."""

from collections.abc import AsyncIterator

import anyio
import pytest

from api.byte_streams import Pace, paced
from shared.errors import ErrorCode, GridscribeError

TOO_SLOW = GridscribeError(ErrorCode.REQUEST_TOO_SLOW, "too slow")


async def _drip(*pauses: float, size: int) -> AsyncIterator[bytes]:
    for pause in pauses:
        await anyio.sleep(pause)
        yield bytes(size)


def read(chunks: AsyncIterator[bytes], pace: Pace, storing: float = 0) -> int:
    """The bytes that came, each chunk taking `storing` seconds to be stored."""

    async def run() -> int:
        count = 0
        async for chunk in paced(chunks, pace, TOO_SLOW):
            count += len(chunk)
            await anyio.sleep(storing)
        return count

    return anyio.run(run)


def test_a_body_at_its_rate_is_read_whole() -> None:
    pace = Pace(grace=0.05, rate=1000, total=10)
    assert read(_drip(*[0.02] * 10, size=100), pace) == 1000


def test_a_body_below_its_rate_is_given_up() -> None:
    pace = Pace(grace=0.05, rate=1000, total=10)
    with pytest.raises(GridscribeError):
        read(_drip(*[0.02] * 20, size=1), pace)


def test_a_body_that_stalls_is_given_up() -> None:
    with pytest.raises(GridscribeError):
        read(_drip(0, 5, size=1), Pace(grace=0.05, rate=1000, total=10))


def test_a_body_that_takes_too_long_in_all_is_given_up_at_any_rate() -> None:
    with pytest.raises(GridscribeError):
        read(_drip(*[0.02] * 20, size=10**6), Pace(grace=10, rate=1, total=0.1))


def test_what_storing_takes_is_not_the_callers_fault() -> None:
    pace = Pace(grace=0.05, rate=10_000, total=0.1)
    assert read(_drip(*[0.001] * 6, size=10), pace, storing=0.05) == 60
