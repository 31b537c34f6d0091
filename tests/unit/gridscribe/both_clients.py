"""The blocking client and the one with await, both called the blocking way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from gridscribe import AsyncClient, Client

Connect = Callable[..., Client]


class _Awaiting:
    """Awaits whatever is called on `wrapped`, so that one test can be written for both clients."""

    def __init__(self, wrapped: Any, runner: asyncio.Runner) -> None:
        self._wrapped = wrapped
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._wrapped, name)
        return self._called(found) if callable(found) else _Awaiting(found, self._runner)

    def _called(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            async def awaited() -> Any:
                return await result

            result = method(*args, **kwargs)
            if isinstance(result, AsyncIterator):
                return self._iterate(result)
            return self._runner.run(awaited())

        return call

    def _iterate(self, news: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(news, None)

        while (item := self._runner.run(following())) is not None:
            yield item


@pytest.fixture(params=["blocking", "await"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes a client of either kind; a test that asks for it runs with both."""
    with ExitStack() as stack:

        def make(base_url: str, **options: Any) -> Client:
            if request.param == "blocking":
                return stack.enter_context(Client(base_url, **options))
            runner = stack.enter_context(asyncio.Runner())
            awaiting = _Awaiting(AsyncClient(base_url, **options), runner)
            stack.callback(awaiting.close)
            return cast(Client, awaiting)

        yield make
