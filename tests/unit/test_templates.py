import pytest

from shared.errors import ErrorCode, GridscribeError
from shared.job_spec import JobSpec, Template
from shared.templates import BUILT_IN_TEMPLATES, apply_template


@pytest.mark.parametrize(
    ("name", "rows", "cols", "side", "margin", "font_size"),
    [
        ("default", 3, 3, 256, 10, 16),
        ("compact", 4, 4, 200, 5, 12),
        ("large", 2, 2, 400, 20, 20),
        ("presentation", 3, 3, 300, 15, 18),
        ("comparison", 2, 2, 350, 12, 16),
        ("gallery", 4, 4, 250, 8, 14),
        ("wide", 2, 5, 280, 10, 16),
        ("tall", 5, 2, 280, 10, 16),
    ],
)
def test_each_preset_decides_the_whole_layout(
    name: str, rows: int, cols: int, side: int, margin: int, font_size: int
) -> None:
    spec = apply_template(JobSpec(template=name))
    assert (spec.rows, spec.cols, spec.cell_size) == (rows, cols, (side, side))
    assert (spec.margin, spec.font_size) == (margin, font_size)


def test_there_are_no_other_presets() -> None:
    assert len(BUILT_IN_TEMPLATES) == 8


def test_fields_given_beside_a_template_win_even_at_their_default() -> None:
    spec = apply_template(JobSpec(template="compact", rows=7, margin=10))
    assert (spec.rows, spec.cols, spec.margin) == (7, 4, 10)


def test_rows_sent_as_null_stay_open() -> None:
    spec = apply_template(JobSpec.model_validate({"template": "compact", "rows": None}))
    assert (spec.rows, spec.cols) == (None, 4)


def test_a_spec_without_template_stays_as_it_is() -> None:
    spec = JobSpec(rows=2)
    assert apply_template(spec) is spec


def test_an_unknown_template_is_named_with_those_that_exist() -> None:
    with pytest.raises(GridscribeError, match=r"'huge'.*default, compact") as caught:
        apply_template(JobSpec(template="huge"))
    assert caught.value.code is ErrorCode.UNKNOWN_TEMPLATE


def test_a_template_decides_only_what_it_sets() -> None:
    own = {"mine": Template(cols=7)}
    spec = apply_template(JobSpec(template="mine", margin=3), own)
    assert (spec.cols, spec.margin, spec.rows) == (7, 3, None)
    assert spec.model_fields_set == {"template", "margin", "cols"}


def test_an_own_template_never_hides_a_built_in_one() -> None:
    spec = apply_template(JobSpec(template="wide"), {"wide": Template(cols=7)})
    assert spec.cols == 5


def test_the_fields_of_a_template_are_those_of_a_spec() -> None:
    template, spec = (model.model_json_schema() for model in (Template, JobSpec))
    for field, schema in template["properties"].items():
        assert schema == spec["properties"][field]
