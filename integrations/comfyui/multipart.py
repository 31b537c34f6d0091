"""A multipart/form-data body (RFC 7578) that is read from disk while it is sent."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .connection import Body
from .sheet_order import SheetError

_CHUNK = 256 * 1024


@dataclass(frozen=True)
class Part:
    name: str
    content: bytes | Path
    filename: str | None = None
    media_type: str = "application/octet-stream"


def multipart_body(parts: Sequence[Part], on_sent: Callable[[int, int], None]) -> Body:
    """The parts in their order; `on_sent` is told the bytes sent and those there are.

    Raises:
        SheetError: a file cannot be read, now or while the body is sent.
    """
    boundary = uuid.uuid4().hex
    framed = [_Framed.of(part, boundary) for part in parts]
    end = f"--{boundary}--\r\n".encode()
    length = sum(part.length for part in framed) + len(end)
    return Body(
        _Chunks(framed, end, lambda sent: on_sent(sent, length)),
        length,
        f"multipart/form-data; boundary={boundary}",
    )


@dataclass(frozen=True)
class _Framed:
    head: bytes
    content: bytes | Path
    size: int

    @classmethod
    def of(cls, part: Part, boundary: str) -> "_Framed":
        filename = f'; filename="{_quoted(part.filename)}"' if part.filename else ""
        head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{part.name}"{filename}\r\n'
            f"Content-Type: {part.media_type}\r\n\r\n"
        )
        content = part.content
        size = len(content) if isinstance(content, bytes) else _file_size(content)
        # A file name that is no valid Unicode cannot be told; it is shown with question marks.
        return cls(head.encode(errors="replace"), content, size)

    @property
    def length(self) -> int:
        return len(self.head) + self.size + len(b"\r\n")

    def chunks(self) -> Iterator[bytes]:
        yield self.head
        if isinstance(self.content, bytes):
            yield self.content
        else:
            yield from _file_chunks(self.content, self.size)
        yield b"\r\n"


@dataclass(frozen=True)
class _Chunks:
    """Can be iterated more than once: a second try sends everything again."""

    parts: Sequence[_Framed]
    end: bytes
    on_sent: Callable[[int], None]

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        for part in self.parts:
            for chunk in part.chunks():
                yield chunk
                sent += len(chunk)
                self.on_sent(sent)
        yield self.end


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise SheetError(f"{path}: cannot be read: {error.strerror or error}") from error


def _file_chunks(path: Path, size: int) -> Iterator[bytes]:
    """Exactly the `size` bytes that were promised: a longer file is cut, a shorter one an error."""
    left = size
    try:
        with path.open("rb") as file:
            while left:
                chunk = file.read(min(_CHUNK, left))
                if not chunk:
                    raise SheetError(f"{path} became shorter while it was sent; run it again")
                left -= len(chunk)
                yield chunk
    except OSError as error:
        raise SheetError(f"{path}: cannot be read: {error.strerror or error}") from error


def _quoted(name: str) -> str:
    """As browsers do it (WHATWG HTML, multipart/form-data encoding algorithm)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
