from pathlib import Path

import pytest

from gridscribe.image_files import InputError
from gridscribe.saved_templates import check_template, save_template, spec_from
from shared.job_spec import Template
from shared.templates import apply_template


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "gridscribe" / "templates.json"


def test_saved_layout_comes_back_and_other_options_win() -> None:
    save_template("mine", spec_from({"rows": 2, "margin": 3, "title": "once", "use_clip": True}))
    spec = spec_from({"template": "mine", "margin": 4})
    assert (spec.rows, spec.margin, spec.title, spec.use_clip) == (2, 4, None, False)
    assert apply_template(spec) == spec


def test_every_field_of_a_template_is_kept() -> None:
    fields = Template().model_dump() | {"rows": 2, "cols": 3}
    save_template("mine", spec_from(fields))
    assert spec_from({"template": "mine"}).model_fields_set == set(fields) | {"template"}


def test_layout_based_on_a_built_in_template_keeps_its_values() -> None:
    save_template("mine", spec_from({"template": "wide", "margin": 3}))
    spec = spec_from({"template": "mine"})
    assert (spec.rows, spec.cols, spec.margin) == (2, 5, 3)


def test_unknown_template_lists_built_in_and_saved_ones() -> None:
    save_template("mine", spec_from({}))
    with pytest.raises(InputError, match=r"no template 'x'; there are default, .*by you: mine"):
        check_template("x")


def test_built_in_template_cannot_be_replaced() -> None:
    with pytest.raises(InputError, match="'wide' is a built-in template"):
        save_template("wide", spec_from({}))


def test_damaged_file_is_told_with_its_path(config: Path) -> None:
    config.parent.mkdir()
    config.write_text("{")
    with pytest.raises(InputError, match=r"templates\.json is damaged"):
        spec_from({"template": "mine"})
