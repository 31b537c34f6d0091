"""What holds for every sheet that can be asked for."""

from itertools import combinations
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.job_spec import Axes, JobSpec, LabelPosition, Overflow, ResizeMode
from shared.layout import SheetLayout
from shared.schemas import Box
from tests.unit.boxes import contains, overlap
from tests.unit.pipeline.sheets import COLORS, cut, drawn_outside, encoded, entry, page, planned
from worker.pipeline.arrangement import arrange
from worker.pipeline.render import RenderedSheet, SheetEntry, render_sheet

SORTS = (None, "name", "similarity", "column:a", "column:none")
AXES = (None, "auto", Axes(rows_by="a"), Axes(cols_by="b"), Axes(rows_by="a", cols_by="b"))
ROOMY = 10**8

specs = st.builds(
    JobSpec,
    rows=st.none() | st.integers(1, 3),
    cols=st.none() | st.integers(1, 3),
    cell_size=st.tuples(st.integers(16, 60), st.integers(16, 60)),
    margin=st.integers(0, 9),
    font_size=st.integers(6, 30),
    labels=st.lists(st.just("a"), max_size=3).map(tuple) | st.just(("auto",)),
    label_position=st.sampled_from(LabelPosition),
    resize_mode=st.sampled_from(ResizeMode),
    overflow=st.sampled_from([Overflow.PAGES, Overflow.GROW]),
    title=st.none() | st.text(max_size=20),
    axes=st.sampled_from(AXES),
    sort=st.sampled_from(SORTS),
    stack_duplicates=st.booleans(),
)
values = st.fixed_dictionaries(
    {"a": st.sampled_from(["", "7", 7.0, "x" * 40, "\u05d0"])}, optional={"b": st.integers(0, 3)}
)
images = st.lists(
    st.tuples(st.integers(1, 99), st.integers(1, 99), st.integers(0, 3), values),
    min_size=1,
    max_size=9,
)


def made(pictures: list[tuple[int, int, int, dict[str, Any]]], label: str) -> list[SheetEntry]:
    """Plain pictures of few colours, so that some are copies; every plot has a value to go by."""
    pictures[0] = (*pictures[0][:3], {"a": 1, "b": 1})
    return [
        entry(encoded(Image.new("RGB", (w, h), COLORS[c])), f"{c}.png", label, metadata=metadata)
        for w, h, c, metadata in pictures
    ]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(specs, images, st.text(max_size=40))
def test_no_image_is_lost_and_the_manifest_tells_where_each_is(
    tmp_path: Path,
    spec: JobSpec,
    pictures: list[tuple[int, int, int, dict[str, Any]]],
    label: str,
) -> None:
    entries = made(pictures, label)
    sheet = render_sheet(spec, entries, tmp_path, max_pixels=ROOMY)
    arrangement = arrange(spec, entries, threads=1, stop=lambda: False)
    layout = planned(sheet, spec, arrangement.axes)

    assert [placed.index for placed in sheet.manifest.images] == list(range(len(entries)))
    shown = [placed for placed in sheet.manifest.images if placed.stacked_on is None]
    assert len(shown) == len(layout.cells)
    for placed in sheet.manifest.images:
        if placed.stacked_on is not None:
            top = sheet.manifest.images[placed.stacked_on]
            assert top.stacked_on is None
            assert (placed.page, placed.cell, placed.picture) == (top.page, top.cell, None)
    for written in layout.pages:
        check_page(spec, sheet, layout, written.page, pictures)


def check_page(
    spec: JobSpec,
    sheet: RenderedSheet,
    layout: SheetLayout,
    number: int,
    pictures: list[tuple[int, int, int, dict[str, Any]]],
) -> None:
    image = page(sheet, number)
    plan = layout.pages[number - 1]
    assert image.size == (plan.width, plan.height)
    canvas = Box(x=0, y=0, width=plan.width, height=plan.height)
    cells = [place for place in layout.cells if place.page == number]
    around = [header.box for header in layout.headers if header.page == number]
    around += [gap.box for gap in layout.gaps if gap.page == number]
    around += [box for box in (layout.title_box, layout.header_box) if box]
    boxes = [place.cell for place in cells] + around
    assert all(contains(canvas, box) for box in boxes)
    assert not any(overlap(one, two) for one, two in combinations(boxes, 2))

    stacked = {placed.stacked_on for placed in sheet.manifest.images}
    for placed in sheet.manifest.images:
        if placed.page != number or placed.stacked_on is not None:
            continue
        assert placed.picture is not None
        assert contains(placed.cell, placed.picture)
        if placed.index not in stacked and spec.label_position is not LabelPosition.OVERLAY:
            color = COLORS[pictures[placed.index][2]]
            assert cut(image, placed.picture).getcolors(1) == [
                (placed.picture.width * placed.picture.height, color)
            ]
    assert not drawn_outside(image, boxes)
