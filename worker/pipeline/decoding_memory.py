"""How much memory the pictures that are decoded side by side may take together."""

import contextlib
import ctypes
import threading
from collections.abc import Callable, Iterator

from PIL.ImageFile import ImageFile

MOST_BYTES = 160_000_000
"""Two ordinary PNGs of 12 megapixels at a time. With a page of 86 megapixels, which takes 345 MB,
and the interpreter, a compose worker stays below 600 MB. A larger picture is decoded alone."""

PLAIN_MODES = ("1", "L", "P", "RGB", "CMYK")
PLAIN_BYTES = 5
"""A pixel of these modes: 4, and 1 of the palette's picture that it is made of."""
MANIFOLD_BYTES = 12
"""A pixel of other modes, of which further copies are made: with premultiplied colours, or with
16 bits a value. Of WebP the decoder itself keeps two pictures and hands out a third."""
PROGRESSIVE_BYTES = 6
"""A pixel of the whole JPEG, even where it is drafted: the coefficients of all scans."""
FILTERED_BYTES = 12
"""A pixel where preprocessing works on the whole picture: it comes in, goes out and is blended."""

Claim = Callable[[int], None]
"""Waits until there is room for so many bytes; to be called once."""


class DecodingMemory:
    """Shared by the threads that decode for one sheet."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._taken = 0
        self._given_back = threading.Condition()

    @contextlib.contextmanager
    def share(self) -> Iterator[Claim]:
        """Of one picture; what it claims is given back at the end."""
        claimed = 0

        def claim(size: int) -> None:
            nonlocal claimed
            with self._given_back:
                self._given_back.wait_for(
                    lambda: not self._taken or self._taken + size <= self._most
                )
                self._taken += size
            claimed = size

        try:
            yield claim
        finally:
            with self._given_back:
                self._taken -= claimed
                self._given_back.notify_all()


def bytes_to_decode(
    opened: ImageFile, whole: tuple[int, int], file_size: int, *, keeps_all: bool
) -> int:
    """About what decoding takes, the file in memory included.

    Args:
        opened: Drafted, if it is going to be.
        whole: Width and height of the file's picture before that.
        keeps_all: Whether it is not scaled down at once.
    """
    is_plain = opened.mode in PLAIN_MODES and not opened.has_transparency_data
    per_pixel = PLAIN_BYTES if is_plain and opened.format != "WEBP" else MANIFOLD_BYTES
    if keeps_all:
        per_pixel += FILTERED_BYTES
    size = file_size + opened.width * opened.height * per_pixel
    if opened.format == "JPEG" and opened.info.get("progressive"):
        size += whole[0] * whole[1] * PROGRESSIVE_BYTES
    return size


LARGE_BLOCK = 8 * 1024 * 1024
"""Bytes; of smaller ones, as those of pictures of a megapixel, the next picture is made sooner."""
M_MMAP_THRESHOLD = -3
"""As in glibc's malloc.h."""


def give_back_large_blocks() -> None:
    """Have this process return the memory of each large picture at once.

    Left alone, glibc takes the first one for a sign that there will be more and keeps them all, in
    pieces too small for the next. Other C libraries do not.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
