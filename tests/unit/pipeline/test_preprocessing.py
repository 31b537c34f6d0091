from typing import Any

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from shared.errors import UnreadableImageError
from shared.job_spec import JobSpec, Preprocessing, ResizeMode
from worker.pipeline.preprocessing import decode_target, preprocess


def disc() -> Image.Image:
    """A tinted disc on grey: it has edges, colour and a middle tone."""
    image = Image.new("RGB", (60, 40), (120, 120, 120))
    ImageDraw.Draw(image).ellipse((15, 5, 45, 35), (180, 90, 60))
    return image


def processed(image: Image.Image, **steps: Any) -> Image.Image:
    return preprocess(image, Preprocessing(**steps), ResizeMode.FIT)


def difference(one: Image.Image, two: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one, two)).mean)


def edges(image: Image.Image) -> float:
    """Mean step between neighbours."""
    return difference(image, ImageChops.offset(image, 1, 0))


def saturation(image: Image.Image) -> float:
    return ImageStat.Stat(image.convert("HSV").getchannel("S")).mean[0]


def test_no_step_changes_nothing() -> None:
    assert processed(disc()).tobytes() == disc().tobytes()


@pytest.mark.parametrize("step", ["sharpen", "emboss", "edge_enhance", "blur"])
def test_a_filter_does_more_the_stronger_it_is(step: str) -> None:
    original = disc()
    weak, strong = (processed(original, **{step: strength}) for strength in (0.5, 1.5))
    assert processed(original, **{step: 0}).tobytes() == original.tobytes()
    assert 0 < difference(weak, original) < difference(strong, original)


def test_blurring_softens_edges_and_sharpening_hardens_them() -> None:
    assert edges(processed(disc(), blur=3)) < edges(disc()) < edges(processed(disc(), sharpen=2))


def test_brightness_contrast_and_saturation_go_both_ways() -> None:
    for step, measure in (
        ("brightness", lambda image: ImageStat.Stat(image.convert("L")).mean[0]),
        ("contrast", lambda image: ImageStat.Stat(image.convert("L")).stddev[0]),
        ("saturation", saturation),
    ):
        less, same, more = (measure(processed(disc(), **{step: f})) for f in (0.5, 1, 1.5))
        assert less < same < more, step
        assert same == measure(disc())


def test_a_crop_takes_pixels_of_the_picture() -> None:
    cropped = processed(disc(), crop=(15, 5, 45, 35))
    assert cropped.size == (30, 30)
    assert cropped.getpixel((15, 15)) == (180, 90, 60)


def test_a_crop_past_the_edge_stops_there() -> None:
    assert processed(disc(), crop=(-5, 10, 1000, 1000)).size == (60, 30)


def test_a_crop_outside_the_picture_is_told_with_its_size() -> None:
    with pytest.raises(UnreadableImageError, match=r"\[100, 0, 200, 10\].*60 x 40"):
        processed(disc(), crop=(100, 0, 200, 10))


@pytest.mark.parametrize(
    ("mode", "size"),
    [(ResizeMode.FIT, (90, 60)), (ResizeMode.FILL, (90, 90)), (ResizeMode.STRETCH, (90, 90))],
)
def test_resizing_follows_the_resize_mode_upwards_too(
    mode: ResizeMode, size: tuple[int, int]
) -> None:
    assert preprocess(disc(), Preprocessing(resize=(90, 90)), mode).size == size


@pytest.mark.parametrize("step", ["sharpen", "emboss", "edge_enhance", "brightness", "saturation"])
def test_transparency_outlives_every_step(step: str) -> None:
    image = disc()
    image.putalpha(77)
    assert processed(image, **{step: 2}).getchannel("A").getextrema() == (77, 77)


def test_blurring_lets_no_hidden_colour_bleed_out() -> None:
    image = Image.new("RGBA", (40, 40), (0, 255, 0, 0))
    image.paste((255, 0, 0, 255), (10, 10, 30, 30))
    blurred = processed(image, blur=3)
    blurred.paste(
        (0, 0, 0, 0), mask=blurred.getchannel("A").point(lambda alpha: 255 * (alpha < 20))
    )
    _, most_green = blurred.getextrema()[1]  # type: ignore[misc]  # one pair a channel
    assert most_green < 20


@pytest.mark.parametrize(
    ("steps", "target"),
    [
        ({}, (256, 256)),
        ({"brightness": 2}, (256, 256)),
        ({"blur": 0}, (256, 256)),
        ({"resize": (900, 600), "blur": 2}, (900, 600)),
        ({"blur": 2}, None),
        ({"emboss": 1}, None),
        ({"crop": (0, 0, 9, 9), "resize": (90, 60)}, None),
    ],
)
def test_pictures_are_decoded_no_larger_than_the_steps_need(
    steps: dict[str, Any], target: tuple[int, int] | None
) -> None:
    assert decode_target(JobSpec(preprocessing=Preprocessing(**steps))) == target
