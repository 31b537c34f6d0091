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
from redis import Redis
from schemathesis import Case, GenerationMode
from schemathesis.checks import (
    negative_data_rejection,
    not_a_server_error,
    positive_data_acceptance,
)

from api.access import REFUSALS
from api.openapi_examples import DETAILS, EXAMPLES
from api.reference import document, reference_page
from shared import inbound_sources, job_spec, layout_preview, schemas, webhooks
from shared.api_keys import KEYS, ApiKeys
from shared.errors import ErrorCode
from shared.problems import STATUSES
from shared.settings import Settings
from tests.integration.api.served import serving

DOCS = Path(__file__).parents[3] / "docs"
COMMITTED: dict[str, Any] = json.loads((DOCS / "openapi.json").read_text())

UNDOCUMENTED = {
    # They end jobs that were accepted, and stand in `job.error`.
    ErrorCode.NO_READABLE_IMAGE,
    ErrorCode.COMPOSE_FAILED,
    ErrorCode.DEADLINE_EXCEEDED,
    # Of the old service's endpoints, which are off by default.
    ErrorCode.WAIT_TIMED_OUT,
}

described = schemathesis.openapi.from_dict(COMMITTED)


def test_the_committed_document_is_current() -> None:
    assert json.loads(json.dumps(document())) == COMMITTED, "run `make openapi`"
    assert reference_page(COMMITTED) == (DOCS / "api-reference.md").read_text(), "`make openapi`"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_of_the_shape_that_it_shows(name: str) -> None:
    model: type[BaseModel] = next(
        getattr(module, name)
        for module in (schemas, job_spec, layout_preview, inbound_sources, webhooks)
        if hasattr(module, name)
    )
    TypeAdapter(model).validate_python(EXAMPLES[name])
    assert COMMITTED["components"]["schemas"][name]["examples"] == [EXAMPLES[name]]


def test_an_answer_that_is_shown_is_of_the_shape_that_is_told() -> None:
    seen = set()
    for operation in (it for path in COMMITTED["paths"].values() for it in path.values()):
        for answer in operation["responses"].values():
            for content in answer.get("content", {}).values():
                if name := content.get("schema", {}).get("$ref", "").rpartition("/")[2]:
                    shown = [it["value"] for it in content.get("examples", {}).values()]
                    shown += [content["example"]] if "example" in content else []
                    for value in shown:
                        getattr(schemas, name).model_validate(value)
                        seen.add(name)
    assert seen == {"Job", "Problem"}


def test_every_problem_of_a_request_has_an_example_and_a_route_that_answers_it() -> None:
    text = json.dumps(COMMITTED["paths"])
    for code in set(STATUSES) - UNDOCUMENTED:
        assert code in DETAILS
        assert f"urn:gridscribe:error:{code}" in text, f"no route documents {code}"


def test_every_route_that_wants_a_key_tells_how_it_may_refuse() -> None:
    for path, operations in COMMITTED["paths"].items():
        for answers in (operation["responses"] for operation in operations.values()):
            told = " ".join(answer["description"] for answer in answers.values())
            assert not path.startswith("/v1/") or all(code in told for code in REFUSALS), path


@pytest.fixture(scope="module")
def client(api_settings: Settings) -> Iterator[httpx.Client]:
    """Of a service that wants keys, to see that it does."""
    with serving(api_settings.model_copy(update={"auth": "required"})) as client:
        yield client


@pytest.fixture
def as_operator(redis: Redis, api_settings: Settings) -> dict[str, str]:
    """Headers with a key for all there is."""
    secret, _ = ApiKeys(redis).create(api_settings.operator_tenant)
    return {"Authorization": f"Bearer {secret}"}


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
def test_every_answer_is_one_that_is_described(
    case: Case[Any], client: httpx.Client, as_operator: dict[str, str]
) -> None:
    answer = case.call_and_validate(
        base_url=str(client.base_url), headers=as_operator, excluded_checks=EXCLUDED
    )
    # Nobody works here, and `/readyz` says so.
    assert answer.status_code < 500 or case.path == "/readyz", answer.text


@pytest.mark.parametrize(
    ("paths", "reached"),
    [
        ("^/v1/(jobs|uploads)", "/v1/jobs/{job_id}"),
        ("^/v1/templates", "/v1/templates/{name}"),
    ],
)
def test_what_one_answer_names_can_be_asked_for_next(
    client: httpx.Client, redis: Redis, as_operator: dict[str, str], paths: str, reached: str
) -> None:
    seen: set[tuple[str, int]] = set()
    # Events go on until a job is over, and nobody works here.
    sensible = schemathesis.openapi.from_dict(COMMITTED).include(path_regex=paths)
    sensible = sensible.exclude(path_regex="/events$")
    sensible.config.generation.update(modes=[GenerationMode.POSITIVE])

    class Caller(sensible.as_state_machine()):  # type: ignore[misc]  # made while running
        def setup(self) -> None:
            # What one scenario left must not steer the next: Hypothesis repeats beginnings.
            for key in set(redis.keys()) - {KEYS}:
                redis.delete(key)

        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:  # noqa: ARG002
            return {"base_url": str(client.base_url), "headers": as_operator}

        def validate_response(self, response: Any, case: Case[Any], **_: Any) -> None:
            seen.add((f"{case.method} {case.path}", response.status_code))
            case.validate_response(response, excluded_checks=EXCLUDED)
            assert response.status_code < 500 or case.path == "/readyz", response.text

    Caller.run(settings=settings(BOUNDED, max_examples=30, stateful_step_count=6))
    made_and_used = {call for call, status in seen if status < 300 and reached in call}
    assert made_and_used, "nothing that was made has been used"
