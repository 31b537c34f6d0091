import hashlib
import io
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.errors import ErrorCode, GridscribeError
from shared.job_spec import JobSpec, LabelPosition, ResizeMode
from shared.schemas import LabelSource, ScoredTerm
from tests.unit.pipeline.sheets import (
    COLORS,
    brightest,
    cut,
    darkest,
    drawn_outside,
    encoded,
    entry,
    is_plain,
    page,
    plain,
    planned,
    rendered,
    striped,
)
from worker.pipeline.render import RenderCanceled, SheetEntry, render_sheet


def test_each_cell_holds_its_own_picture(tmp_path: Path) -> None:
    sheet = rendered(tmp_path, plain(7), resize_mode=ResizeMode.FILL)
    image = page(sheet)
    for i, placed in enumerate(sheet.manifest.images):
        assert placed.picture is not None
        assert is_plain(cut(image, placed.picture), COLORS[i])


def test_twelve_images_in_three_by_three_all_appear(tmp_path: Path) -> None:
    sheet = rendered(tmp_path, plain(12), rows=3, cols=3)
    assert [p.path.name for p in sheet.pages] == ["page-1.png", "page-2.png"]
    for i, placed in enumerate(sheet.manifest.images):
        assert placed.picture is not None
        assert is_plain(cut(page(sheet, placed.page), placed.picture), COLORS[i])


def test_fit_shows_all_centred_fill_cuts_and_stretch_squeezes(tmp_path: Path) -> None:
    found = {}
    for mode in ResizeMode:
        sheet = rendered(tmp_path, [entry(striped())], cell_size=(50, 50), resize_mode=mode)
        placed = sheet.manifest.images[0]
        assert placed.picture is not None
        picture = cut(page(sheet), placed.picture)
        found[mode] = (placed.picture.height, picture.getpixel((2, picture.height // 2)))
    assert found == {
        ResizeMode.FIT: (25, (255, 0, 0)),
        ResizeMode.FILL: (50, (0, 255, 0)),
        ResizeMode.STRETCH: (50, (255, 0, 0)),
    }


@pytest.mark.parametrize(
    ("label_position", "x", "y"),
    [
        (LabelPosition.BAND, 7, 7 + 25),  # right above its label
        (LabelPosition.OVERLAY, 7, 7 + 12),
        (LabelPosition.NONE, 7, 7 + 12),
    ],
)
def test_a_picture_that_keeps_its_proportions_stands_near_its_label_or_else_centred(
    tmp_path: Path, label_position: LabelPosition, x: int, y: int
) -> None:
    wide, high = entry(striped()), entry(encoded(Image.new("RGB", (50, 100))))
    sheet = rendered(
        tmp_path, [wide, high], cell_size=(50, 50), label_position=label_position, cols=1
    )
    first, second = (placed.picture for placed in sheet.manifest.images)
    assert first is not None
    assert (first.x, first.y, first.width, first.height) == (x, y, 50, 25)
    assert second is not None
    assert (second.x, second.width, second.height) == (7 + 12, 25, 50)


@pytest.mark.parametrize("mode", ResizeMode)
def test_small_pictures_are_scaled_up(tmp_path: Path, mode: ResizeMode) -> None:
    sheet = rendered(tmp_path, plain(1, (4, 3)), resize_mode=mode)
    picture = sheet.manifest.images[0].picture
    assert picture is not None
    assert (picture.width, picture.height) == (64, 48)


def test_transparency_shows_the_background(tmp_path: Path) -> None:
    clear = encoded(Image.new("RGBA", (64, 48), (255, 0, 0, 0)))
    sheet = rendered(tmp_path, [entry(clear)], background="#336699")
    assert is_plain(page(sheet), (0x33, 0x66, 0x99))


@pytest.mark.parametrize(
    ("asked", "name", "beginning"),
    [
        ("png", "page-1.png", b"\x89PNG"),
        ("jpg", "page-1.jpg", b"\xff\xd8\xff"),
        ("jpeg", "page-1.jpg", b"\xff\xd8\xff"),
        ("webp", "page-1.webp", b"RIFF"),
        ("tiff", "page-1.tiff", b"II*\x00"),
        ("avif", "page-1.avif", b"\0\0\0\x20ftypavif"),
    ],
)
def test_a_sheet_is_truly_of_its_format(
    tmp_path: Path, asked: str, name: str, beginning: bytes
) -> None:
    sheet = rendered(tmp_path, plain(2), format=asked)
    written = sheet.pages[0]
    data = written.path.read_bytes()
    assert written.path.name == name
    assert data.startswith(beginning)
    assert (written.bytes, written.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert page(sheet).size == (written.width, written.height)


@pytest.mark.parametrize("format_", ["jpg", "webp", "avif", "pdf", "html"])
def test_quality_decides_the_size_of_lossy_formats(tmp_path: Path, format_: str) -> None:
    noise = [entry(encoded(Image.effect_noise((64, 48), 90)))]
    small, large = (
        rendered(tmp_path, noise, format=format_, quality=quality).pages[0].bytes
        for quality in (20, 95)
    )
    assert small < large


def test_an_animation_shows_its_first_frame_and_warns(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 48), color) for color in ("red", "blue")]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    sheet = rendered(tmp_path, [*plain(1), entry(moving, "moving.gif")])
    placed = sheet.manifest.images[1]
    assert placed.picture is not None
    assert is_plain(cut(page(sheet), placed.picture), (255, 0, 0))
    [warning] = sheet.manifest.warnings
    assert (warning.code, warning.image) == ("animated_first_frame", 1)
    assert "moving.gif" in warning.detail


def test_a_damaged_picture_costs_its_cell_only(tmp_path: Path) -> None:
    noise = encoded(Image.effect_noise((200, 200), 80).convert("RGB"), "JPEG")
    entries = plain(3)
    entries[1] = entry(noise[:3000], "torn.jpg", "torn.jpg")
    sheet = rendered(tmp_path, entries)
    first, torn, last = sheet.manifest.images
    assert torn.picture is None
    assert first.picture is not None
    assert last.picture is not None
    assert is_plain(cut(page(sheet), last.picture), COLORS[2])
    (warning,) = sheet.manifest.warnings
    assert (warning.code, warning.image) == ("unreadable_image", 1)
    assert "torn.jpg" in warning.detail
    assert "truncated" in warning.detail
    placeholder = cut(page(sheet), torn.cell).crop((0, 0, 64, 48))
    assert brightest(placeholder) < 245
    assert brightest(placeholder) - darkest(placeholder) > 80  # a cross stands out


@pytest.mark.parametrize("label_position", LabelPosition)
def test_a_placeholder_stays_within_its_place(
    tmp_path: Path, label_position: LabelPosition
) -> None:
    for side in (16, 40, 200):
        entries = [entry(b"damaged"), *plain(1, (side, side), "")]
        sheet = rendered(tmp_path, entries, cell_size=(side, side), label_position=label_position)
        cells = [placed.cell for placed in sheet.manifest.images]
        places = [cell.model_copy(update={"height": side}) for cell in cells]
        assert not drawn_outside(page(sheet), places)


def test_a_crop_outside_one_picture_costs_that_cell_only(tmp_path: Path) -> None:
    small, large = plain(1, (10, 10)) + plain(1, (99, 99))
    sheet = rendered(tmp_path, [small, large], preprocessing={"crop": (20, 20, 90, 90)})
    assert [placed.picture is None for placed in sheet.manifest.images] == [True, False]


def test_without_any_readable_image_there_is_no_sheet(tmp_path: Path) -> None:
    with pytest.raises(GridscribeError, match=r"none of the 2 images.*notes\.txt") as caught:
        rendered(tmp_path, [entry(b"notes", "notes.txt"), entry(b"", "empty.png")])
    assert caught.value.code is ErrorCode.NO_READABLE_IMAGE


def test_preprocessing_changes_the_picture_on_the_sheet(tmp_path: Path) -> None:
    grey = [entry(encoded(Image.new("RGB", (64, 48), (100, 100, 100))))]
    sheet = rendered(tmp_path, grey, preprocessing={"brightness": 2})
    picture = sheet.manifest.images[0].picture
    assert picture is not None
    assert is_plain(cut(page(sheet), picture), (200, 200, 200))


def test_the_manifest_says_what_is_known_of_each_image(tmp_path: Path) -> None:
    facets = {"subject": (ScoredTerm(term="cat", score=0.8),)}
    known = entry(
        striped(),
        "cat.png",
        "a cat\u202e",
        source=LabelSource.CLIP,
        confidence=0.8,
        reasons=("no CSV row",),
        facets=facets,
        model="starter",
        metadata={"seed": 3},
    )
    sheet = rendered(tmp_path, [*plain(2), known], rows=2, cols=2)
    image = sheet.manifest.images[2]
    assert (image.index, image.page, image.row, image.col) == (2, 1, 1, 0)
    assert (image.name, image.label, image.label_source) == ("cat.png", "a cat\u202e", "clip")
    assert (image.confidence, image.reasons, image.facets) == (0.8, ("no CSV row",), facets)
    assert (image.model, image.metadata) == ("starter", {"seed": 3})
    assert (sheet.manifest.rows, sheet.manifest.cols) == (2, 2)
    assert [(p.width, p.height) for p in sheet.manifest.pages] == [
        (p.width, p.height) for p in sheet.pages
    ]


def test_progress_counts_every_image(tmp_path: Path) -> None:
    told: list[int] = []
    render_sheet(
        JobSpec(rows=1, cols=2), plain(5), tmp_path, max_pixels=10**8, progress=told.append
    )
    assert told == [1, 2, 3, 4, 5]


def test_a_stop_ends_the_work_before_the_next_image(tmp_path: Path) -> None:
    told: list[int] = []
    opened: list[int] = []

    def counted(data: bytes) -> io.BytesIO:
        opened.append(1)
        return io.BytesIO(data)

    data = striped()
    entries = [SheetEntry(name="x", open=lambda: counted(data)) for _ in range(50)]
    with pytest.raises(RenderCanceled):
        render_sheet(
            JobSpec(),
            entries,
            tmp_path,
            max_pixels=10**8,
            progress=told.append,
            stop=lambda: len(told) == 2,
        )
    assert told == [1, 2]
    assert len(opened) < 10
    assert not list(tmp_path.iterdir())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_a_storage_failure_is_no_damaged_picture(tmp_path: Path) -> None:
    missing = SheetEntry(name="gone.png", open=lambda: (tmp_path / "gone.png").open("rb"))
    with pytest.raises(FileNotFoundError):
        rendered(tmp_path, [*plain(2), missing])


def test_a_sheet_without_images_is_a_mistake_of_the_program(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        rendered(tmp_path, [])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    spec=st.builds(
        JobSpec,
        rows=st.none() | st.integers(1, 3),
        cols=st.none() | st.integers(1, 3),
        cell_size=st.tuples(st.integers(16, 60), st.integers(16, 60)),
        margin=st.integers(0, 9),
        font_size=st.integers(6, 30),
        label_position=st.sampled_from([LabelPosition.BAND, LabelPosition.NONE]),
        resize_mode=st.sampled_from(ResizeMode),
        title=st.none() | st.text(max_size=20),
    ),
    sizes=st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=1, max_size=7),
    label=st.text(max_size=40),
)
def test_manifest_boxes_are_the_pixels_of_the_pictures(
    tmp_path: Path, spec: JobSpec, sizes: list[tuple[int, int]], label: str
) -> None:
    entries = [plain(i + 1, size, label)[i] for i, size in enumerate(sizes)]
    sheet = render_sheet(spec, entries, tmp_path, max_pixels=10**8)
    layout = planned(sheet, spec)
    assert len(sheet.manifest.images) == len(sizes)
    for written in sheet.manifest.pages:
        image = page(sheet, written.page)
        used = [layout.title_box] if layout.title_box else []
        for placed, place in zip(sheet.manifest.images, layout.cells, strict=True):
            if placed.page != written.page:
                continue
            assert placed.picture is not None
            assert is_plain(cut(image, placed.picture), COLORS[placed.index])
            used += [placed.picture] + ([place.band] if place.band else [])
        assert not drawn_outside(image, used)
