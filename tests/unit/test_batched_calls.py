import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from shared.batched_calls import BatchedCalls

Answer = Callable[[Sequence[int]], Awaitable[Sequence[int]]]


def doubling(seen: list[list[int]]) -> Answer:
    async def answer(keys: Sequence[int]) -> Sequence[int]:
        seen.append(list(keys))
        await asyncio.sleep(0)
        return [2 * key for key in keys]

    return answer


def test_calls_of_one_turn_share_a_batch_and_each_gets_its_own_value() -> None:
    seen: list[list[int]] = []

    async def main() -> list[int]:
        double = BatchedCalls(doubling(seen))
        together = await asyncio.gather(double(3), double(1), double(3))
        return [*together, await double(5)]

    assert asyncio.run(main()) == [6, 2, 6, 10]
    assert seen == [[3, 1, 3], [5]]


def test_a_failure_reaches_every_caller_of_its_batch_and_no_later_one() -> None:
    async def refuse_three(keys: Sequence[int]) -> Sequence[int]:
        if 3 in keys:
            raise ConnectionError("the store is away")
        return keys

    async def main() -> int:
        read = BatchedCalls(refuse_three)
        first, second = await asyncio.gather(read(3), read(4), return_exceptions=True)
        assert isinstance(first, ConnectionError)
        assert isinstance(second, ConnectionError)
        return await read(4)

    assert asyncio.run(main()) == 4


def test_a_caller_that_leaves_takes_nothing_from_the_others() -> None:
    async def main() -> int:
        double = BatchedCalls(doubling([]))
        leaving, staying = asyncio.create_task(double(1)), asyncio.create_task(double(2))
        await asyncio.sleep(0)
        leaving.cancel()
        value = await staying
        with pytest.raises(asyncio.CancelledError):
            await leaving
        return value

    assert asyncio.run(main()) == 4
