"""Many callers that ask the store for one thing each share a round trip."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BatchedCalls(Generic[K, V]):
    """Calls made in one turn of the event loop are one call of `answer`.

    It is handed the keys and gives a value for each, in their order; what it raises, all of its
    callers get. A lone caller waits no longer for it, and batches do not wait for one another.
    """

    def __init__(self, answer: Callable[[Sequence[K]], Awaitable[Sequence[V]]]) -> None:
        self._answer = answer
        self._asked: list[tuple[K, asyncio.Future[V]]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, key: K) -> V:
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._begin)
        value: asyncio.Future[V] = loop.create_future()
        self._asked.append((key, value))
        return await value

    def _begin(self) -> None:
        asked, self._asked = self._asked, []
        task = asyncio.create_task(self._run(asked))
        self._running.add(task)  # the loop itself holds tasks by weak references only
        task.add_done_callback(self._running.discard)

    async def _run(self, asked: Sequence[tuple[K, asyncio.Future[V]]]) -> None:
        # A caller that has left has its future canceled, which takes no value.
        try:
            values = await self._answer([key for key, _ in asked])
        except BaseException as error:
            for _, value in asked:
                if not value.done():
                    value.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for (_, value), found in zip(asked, values, strict=True):
                if not value.done():
                    value.set_result(found)
