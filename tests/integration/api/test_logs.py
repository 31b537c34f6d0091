"""What the API writes of its requests."""

import json

import pytest

from shared.settings import Settings
from tests.integration.api.served import image_part, serving, submit


def test_every_line_of_a_request_has_its_id_and_the_jobs(
    api_settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(api_settings.model_copy(update={"log_format": "json"})) as client:
        client.headers["X-Request-Id"] = "trace-7"
        job = submit(client, image_part("a.png")).json()["id"]
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    of_request = [line for line in lines if line.get("request_id") == "trace-7"]
    assert any(line["logger"] == "uvicorn.access" for line in of_request)
    (accepted,) = (line for line in of_request if line.get("job_id"))
    assert (accepted["job_id"], accepted["process"]) == (job, "api")
