from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError

from shared.axes import MAX_VALUES, AxisPlan, axes_of_size, find_axes, foreseen_axes, plan_axes
from shared.errors import ErrorCode, GridscribeError
from shared.job_spec import Axes, JobSpec

BOTH = Axes(rows_by="sampler", cols_by="cfg")


def images(*columns: str, **values: list[Any]) -> list[dict[str, Any]]:
    """One image for every combination of `values`, the last one varying fastest."""
    names = columns or tuple(values)
    return [
        dict(zip(names, row, strict=True)) for row in product(*(values[name] for name in names))
    ]


def cells(plan: AxisPlan, page: int = 0) -> list[tuple[int, int, int]]:
    return [(cell.item, cell.row, cell.col) for cell in plan.pages[page].cells]


def test_values_are_sorted_numbers_by_size_and_words_in_natural_order() -> None:
    plan = plan_axes(BOTH, images(sampler=["step 10", "step 9"], cfg=["12", "7.5", "-1"]))
    assert plan.rows.values == ("step 9", "step 10")
    assert plan.cols.values == ("-1", "7.5", "12")
    assert cells(plan) == [(5, 0, 0), (4, 0, 1), (3, 0, 2), (2, 1, 0), (1, 1, 1), (0, 1, 2)]


def test_one_number_written_in_several_ways_is_one_value() -> None:
    plan = plan_axes(Axes(cols_by="cfg"), [{"cfg": "7"}, {"cfg": 7.0}, {"cfg": "07"}, {"cfg": 8}])
    assert plan.cols.values == ("7", "8")


def test_further_images_of_a_cell_come_on_further_pages_without_empty_rows() -> None:
    known = images(sampler=["a", "b"], cfg=[1, 2])
    plan = plan_axes(BOTH, [*known, known[3], known[3], known[2]])
    assert [page.rows for page in plan.pages] == [(0, 1), (1,), (1,)]
    assert cells(plan, 1) == [(6, 0, 0), (4, 0, 1)]
    assert cells(plan, 2) == [(5, 0, 1)]
    assert plan.shared_cells == 2


def test_an_image_without_a_value_stands_last_under_a_header_that_says_so() -> None:
    plan = plan_axes(BOTH, [*images(sampler=["a"], cfg=[1, 2]), {"sampler": "a", "cfg": ""}])
    assert plan.cols.values == ("1", "2", "no cfg")
    assert (2, 0, 2) in cells(plan)


def test_one_axis_alone_lines_up_the_images_of_each_value() -> None:
    known = [{"sampler": name} for name in "abaab"]
    plan = plan_axes(Axes(rows_by="sampler"), known)
    assert cells(plan) == [(0, 0, 0), (2, 0, 1), (3, 0, 2), (1, 1, 0), (4, 1, 1)]
    assert plan.cols.column is None
    across = plan_axes(Axes(cols_by="sampler"), known)
    assert {(item, col, row) for item, row, col in cells(across)} == set(cells(plan))


def test_a_column_that_no_image_has_is_an_error_that_names_it() -> None:
    with pytest.raises(GridscribeError, match=r"axes\.cols_by: no image has .*'cfg'") as caught:
        plan_axes(BOTH, [{"sampler": "a"}])
    assert caught.value.code is ErrorCode.UNKNOWN_COLUMN


@pytest.mark.parametrize("axes", [Axes(rows_by="seed"), Axes(cols_by="seed")])
def test_too_many_values_are_refused(axes: Axes) -> None:
    many = [{"seed": n} for n in range(MAX_VALUES + 1)]
    with pytest.raises(GridscribeError, match=f"'seed' has {MAX_VALUES + 1} values") as caught:
        plan_axes(axes, many)
    assert caught.value.code is ErrorCode.TOO_MANY_VALUES
    same = [{"seed": 1}] * (MAX_VALUES + 1)
    with pytest.raises(GridscribeError, match="have the same value"):
        plan_axes(axes, same)


def test_auto_finds_the_two_columns_of_a_full_grid_among_others() -> None:
    known = images(sampler=["euler", "ddim", "heun"], cfg=[4, 7, 10, 13])
    for number, image in enumerate(known):
        image |= {"filename": f"{number}.png", "seed": number, "steps": 20}
        image |= {"sampler_hash": hash(image["sampler"]), "note": "x" if number % 3 else "y"}
    assert find_axes(known) == Axes(rows_by="sampler", cols_by="cfg")


def test_auto_bears_gaps_and_ignores_what_some_images_lack() -> None:
    known = images(a=[1, 2, 3], b=[1, 2, 3])
    known[0]["only here"] = 5
    assert find_axes([image for at, image in enumerate(known) if at not in (4, 7)]) is not None
    assert find_axes(known) == Axes(rows_by="b", cols_by="a")


@pytest.mark.parametrize(
    "known",
    [
        [],
        [{"a": 1}],
        [{"a": 1, "b": 2}] * 5,
        [{"seed": n, "name": f"x{n}"} for n in range(9)],
        [{"a": n, "b": (n * n) % 11} for n in range(11)],
    ],
    ids=["none", "one", "constant", "unique", "scattered"],
)
def test_auto_finds_nothing_where_there_is_no_grid(known: list[dict[str, Any]]) -> None:
    assert find_axes(known) is None


def test_a_thousand_images_with_many_columns_are_searched_quickly() -> None:
    known = [
        {**{f"c{c}": (n * (c + 3)) % (c + 2) for c in range(200)}, "x": n % 25, "y": n // 25}
        for n in range(1000)
    ]
    assert find_axes(known) is not None


def test_what_only_the_files_can_answer_is_not_foreseen() -> None:
    assert foreseen_axes(BOTH, [{"cfg": 3}, {"cfg": 4}]) is None
    assert foreseen_axes("auto", [{}]) is None
    assert foreseen_axes(BOTH, images(sampler=["a"], cfg=[1, 2])) is not None


def test_what_some_files_can_still_answer_is_not_foreseen() -> None:
    assert foreseen_axes(Axes(rows_by="Seed"), [{"seed": 3}, {}]) is None
    assert foreseen_axes(Axes(rows_by="mood"), [{"mood": "calm"}, {}]) is not None


def test_a_column_is_found_in_any_case() -> None:
    plan = plan_axes(Axes(rows_by="Sampler"), [{"sampler": "b"}, {"SAMPLER": "a"}])
    assert plan.rows.values == ("a", "b")


def test_counts_alone_make_a_plan_for_a_preview() -> None:
    plan = axes_of_size(2, 3, 8)
    assert (len(plan.rows.values), len(plan.cols.values)) == (2, 3)
    assert [len(page.cells) for page in plan.pages] == [6, 2]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({}, "name a column"),
        ({"rows_by": "a", "cols_by": "a"}, "same column"),
        ("automatic", "auto"),
    ],
)
def test_axes_that_make_no_sense_are_refused(axes: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        JobSpec.model_validate({"axes": axes})


@pytest.mark.parametrize("sort", ["", "size", "column:", "column:" + "x" * 201])
def test_an_order_that_nobody_knows_is_refused(sort: str) -> None:
    with pytest.raises(ValidationError, match="name\\|similarity\\|column"):
        JobSpec(sort=sort)
