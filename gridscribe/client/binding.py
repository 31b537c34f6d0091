"""How a flow becomes a method of a client: written once, offered blocking and with await."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from gridscribe.client.flow import Feed, Flow, NewsT, ResultT
from gridscribe.client.runners import AsyncRunner, BlockingRunner, told_in_loop

P = ParamSpec("P")
CallT = TypeVar("CallT", bound=Callable[..., Any])


class BlockingResource:
    """A part of `Client`."""

    def __init__(self, flows: object, runner: BlockingRunner) -> None:
        self.flows = flows
        self.runner = runner


class AsyncResource:
    """A part of `AsyncClient`."""

    def __init__(self, flows: object, runner: AsyncRunner) -> None:
        self.flows = flows
        self.runner = runner


class Blocking(Generic[P, ResultT]):
    """A flow as a method that returns its result."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Flow[ResultT]]) -> None:
        self.flow = flow

    def __get__(self, resource: BlockingResource, owner: type) -> Callable[P, ResultT]:
        def call(*args: P.args, **kwargs: P.kwargs) -> ResultT:
            return resource.runner.run(self.flow(resource.flows, *args, **kwargs))

        return _described(call, self.flow, resource.flows)


class BlockingFeed(Generic[P, NewsT]):
    """A feed as a method that returns an iterator."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Feed[NewsT]]) -> None:
        self.flow = flow

    def __get__(self, resource: BlockingResource, owner: type) -> Callable[P, Iterator[NewsT]]:
        def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[NewsT]:
            return resource.runner.iterate(self.flow(resource.flows, *args, **kwargs))

        return _described(call, self.flow, resource.flows)


class Awaited(Generic[P, ResultT]):
    """A flow as a coroutine method."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Flow[ResultT]]) -> None:
        self.flow = flow

    def __get__(self, resource: AsyncResource, owner: type) -> Callable[P, Awaitable[ResultT]]:
        async def call(*args: P.args, **kwargs: P.kwargs) -> ResultT:
            told = [_told(each) for each in args]
            named = {name: _told(each) for name, each in kwargs.items()}
            return await resource.runner.run(self.flow(resource.flows, *told, **named))

        return _described(call, self.flow, resource.flows)


class AwaitedFeed(Generic[P, NewsT]):
    """A feed as a method that returns an asynchronous iterator."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Feed[NewsT]]) -> None:
        self.flow = flow

    def __get__(self, resource: AsyncResource, owner: type) -> Callable[P, AsyncIterator[NewsT]]:
        def call(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[NewsT]:
            return resource.runner.iterate(self.flow(resource.flows, *args, **kwargs))

        return _described(call, self.flow, resource.flows)


def _described(call: CallT, flow: Callable[..., Any], flows: object) -> CallT:
    """`call` with the name, the signature and the docstring of the bound flow."""
    functools.update_wrapper(call, functools.partial(flow, flows))
    call.__doc__, call.__name__ = flow.__doc__, flow.__name__
    return call


def _told(argument: Any) -> Any:
    """The only arguments that can be called are listeners."""
    return told_in_loop(argument) if callable(argument) else argument
