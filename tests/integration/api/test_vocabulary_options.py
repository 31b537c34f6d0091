"""What a spec may say of the words to caption with, and how it is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.settings import MEBIBYTE, Settings
from tests.integration.api.served import GOOD, problem_of, serving, spec_part, submit


@pytest.fixture
def garden_settings(api_settings: Settings, tmp_path: Path) -> Settings:
    """A deployment with a vocabulary of its own, and one with a mistake in it."""
    for name, text in (("garden", "rose\ntulip\n"), ("torn", "rose\nRose\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "subject.txt").write_text(text)
    return api_settings.model_copy(
        update={"vocabularies_dir": tmp_path, "max_spec_bytes": MEBIBYTE}
    )


@pytest.mark.parametrize(
    "spec",
    [
        {"candidates": ["a cat"]},
        {"candidates": [f"term {n}" for n in range(2000)]},
        {"candidates": ["x" * 200, " a dog "], "prompt_templates": ["a photo of {}"]},
        {"vocabulary": "default"},
        {"vocabulary": "garden", "prompt_templates": ["a {} in bloom"]},
    ],
)
def test_words_of_the_callers_choice_are_accepted(
    garden_settings: Settings, spec: dict[str, Any]
) -> None:
    with serving(garden_settings) as client:
        answer = submit(client, spec_part({"use_clip": True, **spec}), GOOD)

    assert answer.status_code == 202, answer.text
    assert answer.json()["spec"]["vocabulary"] == spec.get("vocabulary")


@pytest.mark.parametrize(
    ("spec", "place", "complaint"),
    [
        ({"candidates": []}, "spec.candidates", "at least 1 item"),
        ({"candidates": ["a"] * 2001}, "spec.candidates", "at most 2000 items"),
        ({"candidates": ["x" * 201]}, "spec.candidates[0]", "at most 200 characters"),
        ({"candidates": ["a cat", "  "]}, "spec.candidates[1]", "at least 1 character"),
        ({"candidates": ["a"], "vocabulary": "default"}, "spec", "not both"),
        ({"prompt_templates": ["a photo"]}, "spec.prompt_templates[0]", "write {} exactly once"),
        ({"prompt_templates": ["{} and {}"]}, "spec.prompt_templates[0]", "write {} exactly once"),
        (
            {"prompt_templates": ["{0.__class__}"]},
            "spec.prompt_templates[0]",
            "write {} exactly once",
        ),
        ({"prompt_templates": ["}{"]}, "spec.prompt_templates[0]", "write {} exactly once"),
        ({"prompt_templates": ["{}" + "x" * 199]}, "spec.prompt_templates[0]", "at most 200"),
        ({"prompt_templates": ["a {}"] * 21}, "spec.prompt_templates", "at most 20 items"),
    ],
)
def test_words_that_cannot_be_used_are_refused_with_their_place(
    client: httpx.Client,
    assert_nothing_is_left: Callable[[], None],
    spec: dict[str, Any],
    place: str,
    complaint: str,
) -> None:
    answer = submit(client, GOOD, spec_part({"use_clip": True, **spec}))

    problem = problem_of(answer)
    assert (answer.status_code, problem["code"]) == (422, "invalid_spec")
    assert problem["errors"][0]["location"] == place
    assert complaint in problem["errors"][0]["detail"]
    assert_nothing_is_left()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("forest", "there is no vocabulary 'forest'; there are default, garden, torn"),
        ("../garden", "there is no vocabulary '../garden'"),
        ("torn", "the vocabulary 'torn' cannot be used: subject, line 2: 'Rose' is on line 1"),
    ],
)
def test_a_vocabulary_that_is_not_there_is_refused_by_name(
    garden_settings: Settings,
    assert_nothing_is_left: Callable[[], None],
    name: str,
    complaint: str,
) -> None:
    with serving(garden_settings) as client:
        answer = submit(client, GOOD, spec_part({"use_clip": True, "vocabulary": name}))
        previewed = client.post("/v1/preview", json={"spec": {"vocabulary": name}, "count": 1})

    problem = problem_of(answer)
    assert (answer.status_code, problem["code"]) == (422, "unknown_vocabulary")
    assert complaint in problem["detail"]
    assert problem_of(previewed)["detail"] == problem["detail"]
    assert_nothing_is_left()
