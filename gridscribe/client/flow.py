"""What a call to the service does, apart from how its requests are carried out.

A call is written once, as a generator: it yields the steps that take time and gets back what came
of them. `gridscribe.client.runners` carries the steps out, blocking or with await.
"""

from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import httpx
from pydantic import BaseModel

from gridscribe.client.upload_file import FileBody

ResultT = TypeVar("ResultT")
NewsT = TypeVar("NewsT")
AnswerT = TypeVar("AnswerT", bound=BaseModel)


class Sink(Protocol):
    """Where a body is written; emptied before each try."""

    def write(self, data: bytes, /) -> object: ...
    def truncate(self, size: int, /) -> object: ...
    def seek(self, offset: int, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Request(Generic[AnswerT]):
    """A request to the service, or with `content` to the address of somebody else."""

    method: str
    path: str
    answer: type[AnswerT] | None = None
    """The shape of the answer's body."""
    params: Mapping[str, str | int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: bytes | None = None
    files: Sequence[tuple[str, Any]] = ()
    """Multipart parts as httpx takes them."""
    content: FileBody | None = None
    """A body whose length stands in `headers`."""
    done_codes: frozenset[str] = frozenset()
    """How a repeated request is refused where the first, cut off on its way back, was done."""


@dataclass(frozen=True, slots=True)
class Send:
    """Gives the `httpx.Response`, its body read or, of a success, in `sink`; or httpx's error."""

    request: Request[Any]
    sink: Sink | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """Gives a `Stream` or httpx's error; the stream that was open before is closed."""

    request: Request[Any]


@dataclass(frozen=True, slots=True)
class Stream:
    response: httpx.Response
    """Its body is read unless it is a success."""
    lines: Iterator[str] | AsyncIterator[str]


@dataclass(frozen=True, slots=True)
class ReadLine:
    """Gives the next line, None at the end, or httpx's error."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Emit(Generic[NewsT]):
    """Hands one thing to whoever iterates over the call."""

    news: NewsT


Step: TypeAlias = Send | Open | ReadLine | Pause

Flow: TypeAlias = Generator[Step, Any, ResultT]
"""A call with one result."""

Feed: TypeAlias = Generator[Step | Emit[NewsT], Any, None]
"""A call that hands out one thing after the other."""
