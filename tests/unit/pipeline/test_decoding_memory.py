import contextlib
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from tests.unit.pipeline.sheets import encoded
from worker.pipeline.decoding_memory import DecodingMemory
from worker.pipeline.pictures import open_first_frame


def test_pictures_wait_until_there_is_room_for_them() -> None:
    memory, both_in, first_may_go = DecodingMemory(100), threading.Barrier(2), threading.Event()
    seen: list[str] = []

    def small(name: str) -> None:
        with memory.share() as claim:
            claim(50)
            both_in.wait(10)  # two of them fit side by side
            seen.append(name)
            first_may_go.wait(10)

    def large() -> None:
        with memory.share() as claim:
            claim(51)
            seen.append("large")

    with ThreadPoolExecutor(3) as pool:
        holding = [pool.submit(small, name) for name in ("a", "b")]
        while len(seen) < 2:
            pass
        waiting = pool.submit(large)
        with pytest.raises(TimeoutError):
            waiting.result(0.2)
        first_may_go.set()
        for each in (*holding, waiting):
            each.result(10)
    assert seen[2:] == ["large"]


def test_a_picture_larger_than_all_room_is_decoded_alone() -> None:
    memory = DecodingMemory(100)
    with memory.share() as claim:
        claim(10_000)


def test_room_is_given_back_whatever_happens() -> None:
    memory = DecodingMemory(100)
    for _ in range(3):
        with contextlib.suppress(ValueError), memory.share() as claim:
            claim(80)
            raise ValueError("damaged")


@pytest.mark.parametrize(
    ("format_", "mode", "options", "target", "bytes_a_pixel"),
    [
        ("PNG", "RGB", {}, (10, 10), 5),
        ("BMP", "RGB", {}, (10, 10), 5),
        ("PNG", "RGBA", {}, (10, 10), 12),
        ("WEBP", "RGB", {}, (10, 10), 12),
        ("PNG", "RGB", {}, None, 17),
        ("JPEG", "RGB", {}, None, 17),
        ("JPEG", "RGB", {}, (100, 50), 5 / 16),  # drafted at a quarter
        ("JPEG", "RGB", {"progressive": True}, (100, 50), 6 + 5 / 16),
    ],
)
def test_what_a_picture_will_take_is_known_before_it_is_decoded(
    format_: str,
    mode: str,
    options: dict[str, Any],
    target: tuple[int, int] | None,
    bytes_a_pixel: float,
) -> None:
    data = encoded(Image.new(mode, (1600, 800)), format_, **options)
    claimed: list[int] = []
    open_first_frame(io.BytesIO(data), target, claim=claimed.append)
    assert claimed == [len(data) + 1600 * 800 * bytes_a_pixel]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_webp_picture_survives_its_decoder(mode: str) -> None:
    color = (200, 40, 90, 255)[: len(mode)]
    data = encoded(Image.new(mode, (64, 48), color), "WEBP", lossless=True)
    assert open_first_frame(io.BytesIO(data)).image.getpixel((5, 5)) == color[:3]
