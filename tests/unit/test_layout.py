import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.axes import axes_of_size
from shared.axis_headers import HeaderKind
from shared.errors import ErrorCode, GridscribeError
from shared.job_spec import JobSpec, LabelPosition, Overflow, SheetFormat
from shared.layout import MAX_PAGE_PIXELS, SheetLayout, plan_sheet
from shared.schemas import Box
from tests.unit.boxes import contains, overlap

ROOMY = 10**12


def plan(count: int, *, max_pixels: int = ROOMY, **fields: Any) -> SheetLayout:
    return plan_sheet(JobSpec(**fields), count, max_pixels=max_pixels)


@pytest.mark.parametrize(
    ("count", "grid"),
    [
        (1, (1, 1)),
        (2, (1, 2)),
        (4, (2, 2)),
        (6, (2, 3)),
        (9, (3, 3)),
        (12, (3, 4)),
        (100, (10, 10)),
    ],
)
def test_a_grid_nobody_asked_for_is_nearly_square(count: int, grid: tuple[int, int]) -> None:
    layout = plan(count)
    assert (layout.rows, layout.cols) == grid


def test_wide_cells_get_more_rows_than_columns() -> None:
    layout = plan(12, cell_size=(800, 100), label_position=LabelPosition.NONE)
    assert layout.rows > layout.cols


def test_rows_alone_decide_the_columns() -> None:
    layout = plan(7, rows=2)
    assert (layout.rows, layout.cols, len(layout.pages)) == (2, 4, 1)


def test_columns_alone_decide_the_rows() -> None:
    layout = plan(7, cols=2)
    assert (layout.rows, layout.cols, len(layout.pages)) == (4, 2, 1)


def test_a_single_page_keeps_the_rows_that_were_asked_for() -> None:
    one, full = plan(1, rows=3, cols=3), plan(9, rows=3, cols=3)
    assert one.pages == full.pages


def test_twelve_images_in_three_by_three_make_two_pages() -> None:
    layout = plan(12, rows=3, cols=3)
    first, second = layout.pages
    assert [cell.page for cell in layout.cells] == [1] * 9 + [2] * 3
    assert second.width == first.width
    assert second.height < first.height / 2


def test_growing_adds_rows_instead_of_pages() -> None:
    layout = plan(12, rows=3, cols=3, overflow=Overflow.GROW)
    assert (layout.rows, layout.cols, len(layout.pages)) == (4, 3, 1)


def test_overflow_as_an_error_names_both_counts() -> None:
    with pytest.raises(GridscribeError, match=r"12 images .* 3 x 3 = 9") as caught:
        plan(12, rows=3, cols=3, overflow=Overflow.ERROR)
    assert caught.value.code is ErrorCode.IMAGES_DO_NOT_FIT


def test_no_image_at_all_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="at least one"):
        plan(0)


def test_a_band_lies_below_its_picture_and_an_overlay_within_it() -> None:
    below = plan(1).cells[0]
    assert below.band is not None
    assert below.band.y == below.picture.y + below.picture.height
    over = plan(1, label_position=LabelPosition.OVERLAY).cells[0]
    assert over.band is not None
    assert contains(over.picture, over.band)
    assert plan(1, label_position=LabelPosition.NONE).cells[0].band is None


def test_more_label_columns_get_a_higher_band() -> None:
    few, many = plan(1, labels=("seed",)).cells[0], plan(1, labels=("a", "b", "c", "d")).cells[0]
    assert few.band is not None
    assert many.band is not None
    assert many.band.height > few.band.height


@pytest.mark.parametrize(
    ("format_", "limit"), [(SheetFormat.JPG, 65500), (SheetFormat.WEBP, 16383)]
)
def test_the_longest_side_of_a_format_is_kept_to_the_pixel(
    format_: SheetFormat, limit: int
) -> None:
    fields: dict[str, Any] = {
        "cols": 1,
        "label_position": LabelPosition.NONE,
        "format": format_,
        "margin": 0,
        "overflow": Overflow.ERROR,
    }
    count, rest = divmod(limit, 100)
    assert plan(count, cell_size=(16, 100), **fields).pages[0].height == limit - rest
    with pytest.raises(GridscribeError, match=re.escape(f"{limit:,} a side")) as caught:
        plan(count + 1, cell_size=(16, 100), **fields)
    assert caught.value.code is ErrorCode.SHEET_TOO_LARGE


@pytest.mark.parametrize("given", [{}, {"cols": 20}, {"rows": 20}])
@pytest.mark.parametrize("format_", [SheetFormat.WEBP, SheetFormat.AVIF])
def test_what_one_page_of_a_format_cannot_hold_goes_onto_further_pages(
    format_: SheetFormat, given: dict[str, int]
) -> None:
    layout = plan(1000, format=format_, **given)
    most = MAX_PAGE_PIXELS[format_]
    sizes = [page.width * page.height for page in layout.pages]
    assert most * 0.85 < max(sizes) <= most
    assert len(layout.cells) == 1000
    assert layout.cols == given.get("cols", layout.cols)
    assert layout.rows == given.get("rows", layout.rows)
    with pytest.raises(GridscribeError, match=f"limit of {most:,} pixels"):
        plan(1000, format=format_, overflow=Overflow.GROW, **given)


def test_png_has_no_longest_side() -> None:
    assert plan(1000, cols=1).pages[0].height > 65500


def test_advice_for_a_sheet_too_large_is_true() -> None:
    with pytest.raises(GridscribeError) as caught:
        plan(64, rows=8, cols=8, cell_size=(400, 200), max_pixels=5_000_000)
    advice = re.search(r"cell_size up to (\d+) x (\d+), or at most (\d+) rows", str(caught.value))
    assert advice is not None
    width, height, rows = map(int, advice.groups())
    plan(64, rows=8, cols=8, cell_size=(width, height), max_pixels=5_000_000)
    plan(64, rows=rows, cols=8, cell_size=(400, 200), max_pixels=5_000_000)
    with pytest.raises(GridscribeError):
        plan(64, rows=rows + 1, cols=8, cell_size=(400, 200), max_pixels=5_000_000)


def test_a_row_too_wide_is_told_how_many_columns_would_fit() -> None:
    with pytest.raises(GridscribeError, match="at most 61 columns"):
        plan(500, rows=1, format=SheetFormat.WEBP, overflow=Overflow.ERROR)


def test_resizing_every_picture_beyond_a_page_is_refused() -> None:
    with pytest.raises(GridscribeError, match="16384 x 16384") as caught:
        plan(1, preprocessing={"resize": (16384, 16384)}, max_pixels=120_000_000)
    assert caught.value.errors[0].location == "spec.preprocessing.resize"


def test_a_title_stands_above_the_first_row_on_every_page() -> None:
    layout = plan(12, rows=3, cols=3, title="A title")
    assert layout.title_box is not None
    assert not any(overlap(layout.title_box, cell.cell) for cell in layout.cells)
    assert plan(1, title="  ").title_box is None


@pytest.mark.parametrize("title", [None, "A title"])
def test_smart_labels_have_room_for_a_header_below_the_title(title: str | None) -> None:
    layout = plan(12, rows=3, cols=3, title=title, labels=["auto"])
    header = layout.header_box
    assert header is not None
    if layout.title_box:
        assert header.y == layout.title_box.y + layout.title_box.height
    assert layout.cells[0].cell.y == header.y + header.height
    assert {cell.cell.y for cell in layout.cells if cell.row == 0} == {header.y + header.height}
    plain = plan(12, rows=3, cols=3, title=title, labels=["seed"])
    assert plain.header_box is None
    plot = plan_sheet(
        JobSpec(title=title, labels=("auto",)), 12, max_pixels=10**8, axes=axes_of_size(3, 4, 12)
    )
    assert plot.header_box is not None
    head = plot.header_box.y + plot.header_box.height
    assert min(place.box.y for place in plot.headers) == head
    above = [place.box for place in plot.headers if place.kind is HeaderKind.COL]
    assert plot.cells[0].cell.y == above[0].y + above[0].height > head
    assert plan(1, labels=["auto", "seed"]).header_box is None


specs = st.builds(
    JobSpec,
    rows=st.none() | st.integers(1, 9),
    cols=st.none() | st.integers(1, 9),
    cell_size=st.tuples(st.integers(16, 300), st.integers(16, 300)),
    margin=st.integers(0, 40),
    font_size=st.integers(6, 60),
    labels=st.lists(st.sampled_from(["seed", "auto"]), max_size=4).map(tuple),
    label_position=st.sampled_from(LabelPosition),
    overflow=st.sampled_from([Overflow.PAGES, Overflow.GROW]),
    title=st.none() | st.text(max_size=80),
)


@given(specs, st.integers(1, 60))
def test_no_image_is_lost_and_nothing_overlaps(spec: JobSpec, count: int) -> None:
    layout = plan_sheet(spec, count, max_pixels=ROOMY)
    assert [cell.index for cell in layout.cells] == list(range(count))
    assert [page.page for page in layout.pages] == sorted({cell.page for cell in layout.cells})
    for page in layout.pages:
        canvas = Box(x=0, y=0, width=page.width, height=page.height)
        cells = [cell for cell in layout.cells if cell.page == page.page]
        boxes = [cell.cell for cell in cells] + [
            box for box in (layout.title_box, layout.header_box) if box
        ]
        assert all(contains(canvas, box) for box in boxes)
        assert not any(overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
        for cell in cells:
            assert contains(cell.cell, cell.picture)
            if cell.band is not None:
                assert contains(cell.cell, cell.band)
                is_overlay = spec.label_position is LabelPosition.OVERLAY
                assert overlap(cell.picture, cell.band) == is_overlay
