"""A multipart body is read the same however the network cuts it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.multipart_stream import read_parts, read_single_part
from shared.errors import ErrorCode, GridscribeError

CONTENT_TYPE = 'multipart/form-data; boundary="cut"'
TRICKY = b"\r\n--cu\r\n--cutter\r\r\n-"


def body_of(*parts: tuple[str, bytes]) -> bytes:
    written = b"".join(
        b"--cut\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    )
    return written + b"--cut--\r\n"


async def cut(body: bytes, sizes: list[int]) -> AsyncIterator[bytes]:
    while body:
        size = sizes.pop() if sizes else len(body)
        yield body[:size]
        body = body[size:]


def read_all(body: bytes, sizes: list[int], max_parts: int = 5) -> list[tuple[str, bytes]]:
    async def read() -> list[tuple[str, bytes]]:
        parts = read_parts(cut(body, sizes), CONTENT_TYPE, max_parts=max_parts)
        return [(part.name, b"".join([c async for c in part.chunks])) async for part in parts]

    return asyncio.run(read())


@given(
    contents=st.lists(st.binary(max_size=40) | st.just(TRICKY), max_size=4),
    sizes=st.lists(st.integers(1, 30), max_size=60),
)
def test_parts_come_whole_however_they_are_cut(contents: list[bytes], sizes: list[int]) -> None:
    parts = [(f"part{n}", data) for n, data in enumerate(contents) if b"\r\n--cut" not in data]
    body = body_of(*((f'name="{name}"; filename="f"', data) for name, data in parts))
    if parts:
        assert read_all(body, sizes) == parts


def test_what_is_left_of_a_part_is_skipped() -> None:
    async def read() -> list[str]:
        body = cut(body_of(('name="a"', bytes(500)), ('name="b"', b"x")), [50] * 20)
        return [part.name async for part in read_parts(body, CONTENT_TYPE, max_parts=2)]

    assert asyncio.run(read()) == ["a", "b"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (body_of(('name="a"', b""))[:-10], "ends before"),
        (body_of(("filename=x", b"")), "part 1"),
        (body_of(*[('name="a"', b"")] * 6), "more than 5 parts"),
        (b"--cut\r\nX: " + b"y" * 5000 + b"\r\n\r\n", "cannot be read"),
        (b"--cut\r\n" + b"X: y\r\n" * 9 + b"\r\n", "cannot be read"),
        (b"--wrong\r\n", "cannot be read"),
        (b"", "ends before"),
    ],
)
def test_a_broken_body_says_what_is_wrong(body: bytes, words: str) -> None:
    with pytest.raises(GridscribeError, match=words) as caught:
        read_all(body, [])
    assert caught.value.code is ErrorCode.INVALID_REQUEST


def test_a_single_part_must_be_the_named_one() -> None:
    with pytest.raises(GridscribeError, match="must be 'file', not 'other'"):
        asyncio.run(read_single_part(cut(body_of(('name="other"', b"")), []), CONTENT_TYPE, "file"))
