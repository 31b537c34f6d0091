"""The OpenAPI document: current, complete, and true of the running service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from pydantic import BaseModel, TypeAdapter
from schemathesis import Case
from schemathesis.checks import (
    negative_data_rejection,
    not_a_server_error,
    positive_data_acceptance,
)

from api import layout_preview
from api.openapi_examples import DETAILS, EXAMPLES
from api.problems import STATUSES
from api.reference import document, reference_page
from shared import schemas
from shared.errors import ErrorCode
from shared.settings import Settings
from tests.integration.api.served import serving

DOCS = Path(__file__).parents[3] / "docs"
COMMITTED: dict[str, Any] = json.loads((DOCS / "openapi.json").read_text())

described = schemathesis.openapi.from_dict(COMMITTED)


def test_the_committed_document_is_current() -> None:
    assert json.loads(json.dumps(document())) == COMMITTED, "run `make openapi`"
    assert reference_page(COMMITTED) == (DOCS / "api-reference.md").read_text(), "`make openapi`"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_of_the_shape_that_it_shows(name: str) -> None:
    model: type[BaseModel] = getattr(schemas, name, None) or getattr(layout_preview, name)
    TypeAdapter(model).validate_python(EXAMPLES[name])
    assert COMMITTED["components"]["schemas"][name]["examples"] == [EXAMPLES[name]]


def test_every_problem_of_a_request_has_an_example_and_a_route_that_answers_it() -> None:
    only_in_jobs = {ErrorCode.NO_READABLE_IMAGE, ErrorCode.COMPOSE_FAILED}
    text = json.dumps(COMMITTED["paths"])
    for code in set(STATUSES) - only_in_jobs:
        assert code in DETAILS
        assert f"urn:gridscribe:error:{code}" in text, f"no route documents {code}"


@pytest.fixture(scope="module")
def client(api_settings: Settings) -> Iterator[httpx.Client]:
    with serving(api_settings) as client:
        yield client


EXCLUDED = [
    # Schemas do not tell all: a picture has to be one, a template has to be known.
    positive_data_acceptance,
    negative_data_rejection,
    # 503 is a described answer; which ones may be given here is checked below.
    not_a_server_error,
]


BOUNDED = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""The same cases each time, and no search for the smallest one that fails."""


@described.parametrize()
@settings(BOUNDED, max_examples=40)
def test_every_answer_is_one_that_is_described(case: Case[Any], client: httpx.Client) -> None:
    answer = case.call_and_validate(base_url=str(client.base_url), excluded_checks=EXCLUDED)
    # Nobody works here, and `/readyz` says so.
    assert answer.status_code < 500 or case.path == "/readyz", answer.text


def test_what_one_answer_names_can_be_asked_for_next(client: httpx.Client) -> None:
    seen: set[tuple[str, int]] = set()

    class Caller(described.as_state_machine()):  # type: ignore[misc]  # made while running
        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:  # noqa: ARG002
            return {"base_url": str(client.base_url)}

        def validate_response(self, response: Any, case: Case[Any], **_: Any) -> None:
            seen.add((f"{case.method} {case.path}", response.status_code))
            case.validate_response(response, excluded_checks=EXCLUDED)
            assert response.status_code < 500 or case.path == "/readyz", response.text

    Caller.run(settings=settings(BOUNDED, max_examples=60, stateful_step_count=6))
    assert ("GET /v1/jobs/{job_id}", 200) in seen, "a job was submitted and then looked at"
