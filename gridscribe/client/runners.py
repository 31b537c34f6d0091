"""The two ways to carry out the steps of a call: blocking, and with await.

All that is decided is decided in the flows; a line here has its twin in the other class.

Flows touch files between their steps, and a file may be slow: on a network, on a sleeping disk. So
with await a flow goes on in a thread beside the event loop, as do the files that are sent or saved;
feeds, which touch none, stay in it.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import dataclass
from threading import Lock
from time import sleep
from typing import Any, Generic, cast

import anyio
import anyio.from_thread
import anyio.to_thread
import httpx

from gridscribe.client.flow import (
    Emit,
    Feed,
    Flow,
    NewsT,
    Open,
    Pause,
    ReadLine,
    Request,
    ResultT,
    Send,
    Sink,
    Step,
    Stream,
)

_SAVED_BYTES = 256 * 1024


class BlockingRunner:
    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def run(self, flow: Flow[ResultT]) -> ResultT:
        """The result of `flow`; whatever interrupts it closes it."""
        with closing(flow), ExitStack() as streams:
            outcome = None
            while True:
                try:
                    step = flow.send(outcome)
                except StopIteration as end:
                    result: ResultT = end.value
                    return result
                outcome = self._take(step, streams)

    def iterate(self, feed: Feed[NewsT]) -> Iterator[NewsT]:
        with closing(feed), ExitStack() as streams:
            outcome = None
            while True:
                try:
                    step = feed.send(outcome)
                except StopIteration:
                    return
                if isinstance(step, Emit):
                    yield step.news
                    outcome = None
                else:
                    outcome = self._take(step, streams)

    def _take(self, step: Step, streams: ExitStack) -> Any:
        try:
            match step:
                case Pause(seconds):
                    return sleep(seconds)
                case Send(request, sink):
                    return self._send(request, sink)
                case Open(request):
                    streams.close()
                    return self._open(request, streams)
                case ReadLine(stream):
                    assert isinstance(stream.lines, Iterator)  # noqa: S101  # of `_open` below
                    return next(stream.lines, None)
        except httpx.RequestError as error:
            return error

    def _send(self, request: Request[Any], sink: Sink | None) -> httpx.Response:
        if sink is None:
            return self._http.send(built(self._http, request))
        response = self._http.send(built(self._http, request), stream=True, follow_redirects=True)
        with closing(response):
            if response.is_success:
                for chunk in response.iter_bytes():
                    sink.write(chunk)
            else:
                response.read()
        return response

    def _open(self, request: Request[Any], streams: ExitStack) -> Stream:
        response = self._http.send(built(self._http, request), stream=True)
        streams.callback(response.close)
        if not response.is_success:
            response.read()
        return Stream(response, response.iter_lines())


class AsyncRunner:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def run(self, flow: Flow[ResultT]) -> ResultT:
        """The result of `flow`; whatever interrupts it, a cancellation too, closes it."""
        beside = _Beside(flow)
        try:
            async with AsyncExitStack() as streams:
                outcome = None
                while True:
                    step = await anyio.to_thread.run_sync(beside.resume, outcome)
                    if isinstance(step, _Ended):
                        return step.result
                    outcome = await self._take(step, streams)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(beside.close)

    async def iterate(self, feed: Feed[NewsT]) -> AsyncIterator[NewsT]:
        with closing(feed):
            async with AsyncExitStack() as streams:
                outcome = None
                while True:
                    try:
                        step = feed.send(outcome)
                    except StopIteration:
                        return
                    if isinstance(step, Emit):
                        yield step.news
                        outcome = None
                    else:
                        outcome = await self._take(step, streams)

    async def _take(self, step: Step, streams: AsyncExitStack) -> Any:
        try:
            match step:
                case Pause(seconds):
                    return await anyio.sleep(seconds)
                case Send(request, sink):
                    return await self._send(request, sink)
                case Open(request):
                    await streams.aclose()
                    return await self._open(request, streams)
                case ReadLine(stream):
                    assert isinstance(stream.lines, AsyncIterator)  # noqa: S101  # of `_open` below
                    return await anext(stream.lines, None)
        except httpx.RequestError as error:
            return error

    async def _send(self, request: Request[Any], sink: Sink | None) -> httpx.Response:
        if sink is None:
            return await self._http.send(self._built(request))
        response = await self._http.send(self._built(request), stream=True, follow_redirects=True)
        try:
            if response.is_success:
                async for chunk in response.aiter_bytes(_SAVED_BYTES):
                    await anyio.to_thread.run_sync(sink.write, chunk)
            else:
                await response.aread()
        finally:
            await response.aclose()
        return response

    async def _open(self, request: Request[Any], streams: AsyncExitStack) -> Stream:
        response = await self._http.send(self._built(request), stream=True)
        streams.push_async_callback(response.aclose)
        if not response.is_success:
            await response.aread()
        return Stream(response, response.aiter_lines())

    def _built(self, request: Request[Any]) -> httpx.Request:
        made = built(self._http, request)
        if request.files or request.content is not None:
            made.stream = _ReadBeside(cast(httpx.SyncByteStream, made.stream))
        return made


def told_in_loop(listener: Callable[..., Any]) -> Callable[..., Any]:
    """A listener of the caller's, for a flow that `AsyncRunner` runs: it is told where the caller
    is, in the event loop's thread.
    """

    def tell(*news: Any) -> Any:
        return anyio.from_thread.run_sync(listener, *news)

    return tell


@dataclass(frozen=True, slots=True)
class _Ended(Generic[ResultT]):
    result: ResultT


class _Beside(Generic[ResultT]):
    """A flow for threads, of which one at a time has it: asyncio's own cancellation does not wait
    for the thread that goes on with it, and no generator can be closed while it runs.
    """

    def __init__(self, flow: Flow[ResultT]) -> None:
        self._flow = flow
        self._lock = Lock()

    def resume(self, outcome: Any) -> Step | _Ended[ResultT]:
        with self._lock:
            try:
                return self._flow.send(outcome)
            except StopIteration as end:  # which no future can hold
                return _Ended(end.value)

    def close(self) -> None:
        with self._lock:
            self._flow.close()


class _ReadBeside(httpx.AsyncByteStream):
    """A body made of files, of which the event loop reads none itself."""

    def __init__(self, body: httpx.SyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = iter(self._body)
        while (chunk := await anyio.to_thread.run_sync(next, chunks, None)) is not None:
            yield chunk


def built(http: httpx.Client | httpx.AsyncClient, request: Request[Any]) -> httpx.Request:
    """Made anew for each try, so that the files of a body are read from their beginning."""
    if request.content is not None:  # somebody else's address: our key is not for them
        return httpx.Request(
            request.method,
            request.path,
            headers=dict(request.headers),
            stream=request.content,
            extensions={"timeout": http.timeout.as_dict()},
        )
    kind = {} if request.json is None else {"Content-Type": "application/json"}
    return http.build_request(
        request.method,
        request.path,
        params=dict(request.params) or None,
        headers={**request.headers, **kind},
        content=request.json,
        files=list(request.files) or None,
    )
