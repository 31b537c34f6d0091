"""Labeled Grid: tensors in, a sheet and its labels out, by a real service and without one."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch

from gridscribe.devstack import DevStack
from tests.integration.comfyui.hosting import execute
from tests.integration.comfyui.tensors import BLUE, GREEN, RED, color_at, photo, plain

Make = Callable[..., dict[str, Any]]


@pytest.fixture(params=["service", "local"])
def make(request: pytest.FixtureRequest, labeled_grid: Any) -> Make:
    """Run the node, once with each way of making sheets."""
    if request.param == "local":
        return functools.partial(execute, labeled_grid, run_on="local", server_url="http://no.one")
    stack: DevStack = request.getfixturevalue("stack")
    return functools.partial(execute, labeled_grid, run_on="service", server_url=stack.base_url)


def test_a_batch_becomes_a_sheet_with_its_pictures_and_labels_in_their_order(make: Make) -> None:
    images = plain(RED, GREEN, BLUE)
    made = make(
        images=images, labels="red\n\nblue", cols=3, cell_width=32, cell_height=32, margin=4
    )
    [sheet] = made["sheet"]
    assert sheet.dtype == torch.float32
    assert sheet.device.type == "cpu"
    assert sheet.shape[0] == 1
    assert sheet.shape[2:] == (3 * 36 + 4, 3)
    assert 0 <= sheet.min() < sheet.max() <= 1
    assert [color_at(sheet, x, 20) for x in (20, 56, 92)] == [RED, GREEN, BLUE]
    assert color_at(sheet, 1, 1) == (1, 1, 1)
    assert made["labels"].splitlines() == ["red", "image_2", "blue"]


def test_a_batch_of_one_becomes_a_sheet(make: Make) -> None:
    made = make(images=plain(RED), background="black")
    [sheet] = made["sheet"]
    assert color_at(sheet, 1, 1) == (0, 0, 0)
    assert color_at(sheet, 128, 128) == RED
    assert made["labels"] == "image_1"


def test_images_of_unequal_sizes_and_channels_share_a_sheet(make: Make) -> None:
    half_transparent = plain((0.0, 0.0, 1.0, 0.5), width=64)
    made = make(
        images=[plain(RED, height=64), half_transparent, plain((0.5,), dtype=torch.float16)],
        cols=3,
        cell_width=32,
        cell_height=32,
        margin=0,
    )
    [sheet] = made["sheet"]
    assert color_at(sheet, 16, 16) == RED
    assert color_at(sheet, 48, 16) == pytest.approx((0.5, 0.5, 1.0), abs=0.01)
    assert color_at(sheet, 80, 16) == pytest.approx((0.5, 0.5, 0.5), abs=0.01)


def test_values_outside_of_the_range_are_clipped_and_nan_is_black(make: Make) -> None:
    made = make(images=plain((2.0, -1.0, float("nan"))), cell_width=32, cell_height=32, margin=0)
    assert color_at(made["sheet"][0], 16, 16) == RED


def test_pages_come_back_each_in_its_own_size(make: Make) -> None:
    made = make(images=plain(*[RED] * 5), rows=2, cols=2, cell_width=32, cell_height=32, margin=0)
    first, second = made["sheet"]
    assert first.shape[1] == 2 * second.shape[1]
    assert first.shape[2] == second.shape[2] == 64
    assert len(made["labels"].splitlines()) == 5


def test_labels_come_from_the_columns_of_the_metadata(make: Make) -> None:
    made = make(
        images=plain(RED, GREEN, BLUE),
        metadata='[{"prompt": "a fox, \\"red\\"", "seed": 7}, null, {"seed": 9}]',
        columns="prompt, seed",
    )
    assert made["labels"].splitlines() == ['prompt: a fox, "red", seed: 7', "image_2", "seed: 9"]


def test_lists_of_labels_and_metadata_from_other_nodes_are_taken_one_an_image(make: Make) -> None:
    made = make(
        images=plain(RED, GREEN),
        labels=["first\nof two", ""],
        metadata=['{"seed": 1}', '{"label": "from metadata"}'],
    )
    assert made["labels"].splitlines() == ["first, of two", "from metadata"]


def test_a_template_decides_what_was_left_alone(make: Make) -> None:
    made = make(images=plain(RED), template="compact", margin=0)
    assert made["sheet"][0].shape[2] == 4 * 200


def test_clip_captions_what_has_no_label(make: Make) -> None:
    images = [photo("chelsea.jpg"), photo("rocket.jpg")]
    made = make(images=images, labels="\nmy own", use_clip=True, clip_model="starter")
    captioned, own = made["labels"].splitlines()
    assert "cat" in captioned
    assert own == "my own"


def test_warnings_are_logged(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    noise = torch.rand(1, 64, 64, 3)
    with caplog.at_level(logging.WARNING):
        make(images=noise, use_clip=True)
    assert "image_1.png" in caplog.text
    assert "labeled from: filename" in caplog.text


def test_an_image_left_without_a_label_is_no_warning(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        made = make(images=plain(RED, GREEN), labels="red", metadata='[null, {"seed": null}]')
    assert made["labels"].splitlines() == ["red", "image_2"]
    assert "image_2" not in caplog.text


def test_two_hundred_images_become_one_sheet(make: Make) -> None:
    shades = [(n / 255, 0.0, 1 - n / 255) for n in range(200)]
    made = make(
        images=plain(*shades, height=128, width=128),
        labels="\n".join(f"shade {n}" for n in range(200)),
        cols=20,
        cell_width=16,
        cell_height=16,
        margin=0,
        label_position="none",
    )
    [sheet] = made["sheet"]
    assert sheet.shape == (1, 160, 320, 3)
    for n in (0, 19, 20, 199):
        x, y = n % 20 * 16 + 8, n // 20 * 16 + 8
        assert color_at(sheet, x, y) == pytest.approx(shades[n], abs=0.01)
    assert made["labels"].splitlines()[199] == "shade 199"


def test_both_ways_make_the_same_sheet(labeled_grid: Any, stack: DevStack) -> None:
    given = {"images": photo("coffee.jpg"), "labels": "Kaffee", "title": "Küche", "margin": 7}
    [by_service] = execute(labeled_grid, **given, server_url=stack.base_url)["sheet"]
    [in_process] = execute(labeled_grid, **given, run_on="local")["sheet"]
    assert torch.equal(by_service, in_process)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"images": plain(RED)[:0]}, "the batch is empty"),
        ({"images": torch.zeros(1, 8, 8, 2)}, r"shape \(1, 8, 8, 2\)"),
        ({"images": torch.zeros(8, 8, 3)}, r"shape \(8, 8, 3\)"),
        ({"images": "no tensor"}, "no IMAGE but str"),
        ({"labels": "a\nb"}, "2 for 1 image"),
        ({"metadata": "{broken"}, "metadata: not valid JSON"),
        ({"metadata": "[3]"}, r"metadata\[0\]: not a JSON object"),
        ({"metadata": '"text"'}, "neither a JSON list"),
        ({"metadata": "[{}, {}]"}, "2 objects for 1 image"),
        ({"metadata": "[" * 100_000}, "not valid JSON"),
        ({"rows": "three"}, "rows: 'three' is no int"),
        ({"background": "no color"}, "background"),
        ({"template": "nonesuch"}, "there is no template 'nonesuch'; there are default"),
        ({"cell_width": 4096, "cell_height": 4096, "rows": 50, "cols": 50}, "what would fit"),
        ({"metadata": '{"seed": 1}', "columns": "lens"}, "no column 'lens'"),
        ({"use_clip": True, "clip_model": "nonesuch"}, "'nonesuch'"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    make: Make, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(Exception, match=words) as raised:
        make(**{"images": plain(RED), **given})
    assert type(raised.value).__name__ in ("SheetError", "RefusedError")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"metadata": ["{broken"]}, "not valid JSON"),
        ({"metadata": ["{}", "3"]}, "metadata[1]"),
        ({"server_url": ["file:///etc/passwd"]}, "no address like http://127.0.0.1:8000"),
        ({"server_url": ["http://host:port"]}, "no address"),
        ({"server_url": ["http://me:secret@host"]}, "no address"),
    ],
)
def test_wrong_inputs_are_marked_before_anything_runs(
    labeled_grid: Any, given: dict[str, list[str]], words: str
) -> None:
    assert words in labeled_grid.VALIDATE_INPUTS(**given)


def test_good_inputs_pass_validation(labeled_grid: Any) -> None:
    assert labeled_grid.VALIDATE_INPUTS(metadata=["[{}]"], server_url=["https://h/prefix"]) is True
    assert labeled_grid.VALIDATE_INPUTS() is True


def test_inputs_that_another_node_is_to_give_pass_validation(labeled_grid: Any) -> None:
    assert labeled_grid.VALIDATE_INPUTS(metadata=(None,), server_url=(None,)) is True
