"""What the nodes make of a service that is away, refuses, stumbles, or is something else."""

import io
import json
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gridscribe.devstack import DevStack
from shared.settings import MEBIBYTE, Settings
from tests.integration.api.served import serving
from tests.integration.comfyui.hosting import execute
from tests.integration.comfyui.tensors import RED, color_at, plain
from tests.unit.gridscribe.scripted_server import (
    Answer,
    Request,
    ScriptedServer,
    job_answer,
    problem_answer,
)

HEALTHY = Answer(body=b"{}")
DONE = job_answer(
    "succeeded",
    result={"pages": 1},
    images=[{"label": "a fox"}],
    warnings=[],
    progress={"stage": "done", "done": 1, "total": 1},
)


def png() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(data, "PNG")
    return data.getvalue()


PAGE = Answer(body=png())


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.close()


@pytest.fixture
def other_server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.close()


def run(node: Any, url: str, **given: Any) -> dict[str, Any]:
    return execute(node, **{"images": plain(RED), "server_url": url, **given})


def parts_of(request: Request) -> list[tuple[str, str | None, bytes]]:
    """Name, file name and content of each part of a multipart body."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser(EmailMessage, policy=policy.HTTP).parsebytes(head + request.body)
    return [
        (
            str(part.get_param("name", header="content-disposition")),
            part.get_filename(),
            bytes(part.get_payload(decode=True)),
        )
        for part in message.iter_parts()
    ]


def test_a_job_is_one_request_with_spec_csv_and_pictures(
    labeled_grid: Any, server: ScriptedServer
) -> None:
    server.answers = [HEALTHY, DONE, PAGE]
    made = run(labeled_grid, server.url, images=plain(RED, RED), labels="a\nb", margin=3)
    assert made["labels"] == "a fox"
    assert color_at(made["sheet"][0], 4, 4) == RED
    health, submit, result = server.requests
    assert (health.method, health.path) == ("GET", "/healthz")
    assert (submit.method, submit.path) == ("POST", "/v1/jobs")
    assert result.path == "/v1/jobs/j1/result?page=1"
    spec, csv, first, second = parts_of(submit)
    assert json.loads(spec[2]) == {"margin": 3, "format": "png", "ttl_seconds": 3600}
    assert csv == ("csv", "labels.csv", b"filename,label\r\nimage_1.png,a\r\nimage_2.png,b\r\n")
    assert [first[:2], second[:2]] == [("images", "image_1.png"), ("images", "image_2.png")]
    assert Image.open(io.BytesIO(first[2])).format == "PNG"


def test_the_workflow_travels_in_the_pictures_only_when_asked(
    labeled_grid: Any, server: ScriptedServer
) -> None:
    graph = {"prompt": {"3": {"class_type": "KSampler"}}, "extra_pnginfo": {"workflow": {"id": 1}}}
    for embed, expected in (
        (False, {}),
        (True, {"prompt": '{"3": {"class_type": "KSampler"}}', "workflow": '{"id": 1}'}),
    ):
        server.answers, server.requests = [HEALTHY, DONE, PAGE], []
        run(labeled_grid, server.url, embed_workflow=embed, **graph)
        picture = parts_of(server.requests[1])[-1][2]
        assert Image.open(io.BytesIO(picture)).info == expected


def test_a_service_that_is_not_there_is_told_at_once(labeled_grid: Any) -> None:
    with pytest.raises(Exception, match=r"no Gridscribe service answers at http://127\.0\.0\.1:9 "):
        run(labeled_grid, "http://127.0.0.1:9")


def test_an_empty_address_means_the_one_of_the_environment(
    labeled_grid: Any, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDSCRIBE_SERVER", f"{server.url}/prefix/")
    server.answers = [HEALTHY, DONE, PAGE]
    run(labeled_grid, " ")
    assert [request.path for request in server.requests] == [
        "/prefix/healthz",
        "/prefix/v1/jobs",
        "/prefix/v1/jobs/j1/result?page=1",
    ]


def test_the_api_key_goes_to_the_server_of_the_environment_and_to_no_other(
    labeled_grid: Any,
    server: ScriptedServer,
    other_server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRIDSCRIBE_SERVER", server.url)
    monkeypatch.setenv("GRIDSCRIBE_API_KEY", "secret")
    elsewhere = Answer(307, headers={"Location": f"{other_server.url}/bucket/page.png?sig=a%2Fb"})
    server.answers = [HEALTHY, DONE, elsewhere]
    other_server.answers = [PAGE]
    run(labeled_grid, server.url)
    assert {request.headers.get("Authorization") for request in server.requests} == {
        "Bearer secret"
    }
    [redirected] = other_server.requests
    assert redirected.path == "/bucket/page.png?sig=a%2Fb"
    assert "Authorization" not in redirected.headers

    other_server.answers, other_server.requests = [HEALTHY, DONE, PAGE], []
    run(labeled_grid, other_server.url)
    assert not [request for request in other_server.requests if "Authorization" in request.headers]


@pytest.mark.parametrize("location", ["file:///etc/passwd", "", "//", "http://[", "/same"])
def test_redirects_lead_nowhere_but_to_a_web_server(
    labeled_grid: Any, server: ScriptedServer, location: str
) -> None:
    server.answers = [HEALTHY, DONE, *[Answer(302, headers={"Location": location})] * 4]
    with pytest.raises(Exception, match=r"no address|redirects"):
        run(labeled_grid, server.url)


def test_a_missing_key_is_explained(labeled_grid: Any, server: ScriptedServer) -> None:
    server.answers = [HEALTHY, problem_answer(401, "unauthorized", "no key was sent")]
    with pytest.raises(Exception, match=r"refused: no key was sent .*GRIDSCRIBE_API_KEY"):
        run(labeled_grid, server.url)


def test_what_passes_is_tried_again_under_the_same_key(
    labeled_grid: Any, server: ScriptedServer
) -> None:
    full = problem_answer(503, "service_full", "come back later", **{"Retry-After": "0"})
    cut_off = Answer(body=png(), cut_after=20)
    server.answers = [HEALTHY, None, full, job_answer(), None, DONE, cut_off, PAGE]
    made = run(labeled_grid, server.url)
    assert color_at(made["sheet"][0], 4, 4) == RED
    submits = [request for request in server.requests if request.method == "POST"]
    assert len(submits) == 3
    assert len({request.headers["Idempotency-Key"] for request in submits}) == 1
    assert len({request.body for request in submits}) == 1


def test_a_request_over_the_limit_is_refused_in_the_services_own_words(
    labeled_grid: Any, settings: Settings
) -> None:
    """The service answers and hangs up while the pictures are still being sent."""
    small = settings.model_copy(update={"max_request_bytes": MEBIBYTE})
    with (
        serving(small) as client,
        pytest.raises(Exception, match=r"the service refused: .*1,048,576 bytes"),
    ):
        run(labeled_grid, str(client.base_url), images=torch.rand(12, 512, 512, 3))


def test_a_failed_job_says_why(
    labeled_grid_from_folder: Any, stack: DevStack, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(png()[:50])
    with pytest.raises(Exception, match=r"the job failed: none of the 1 images .*\(job "):
        execute(labeled_grid_from_folder, folder=str(tmp_path), server_url=stack.base_url)


def test_a_job_that_someone_else_canceled_is_told(
    labeled_grid: Any, server: ScriptedServer
) -> None:
    server.answers = [HEALTHY, job_answer(), job_answer("canceled")]
    with pytest.raises(Exception, match=r"the job was canceled on the service \(job j1\)"):
        run(labeled_grid, server.url)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html>"),
        Answer(body=b"[]"),
        Answer(body=b"{}"),
        Answer(body=b'{"id": 1, "status": "queued", "progress": 3}'),
        Answer(body=b"[" * 100_000),
        job_answer(images=[3]),
        job_answer(error="x"),
    ],
)
def test_another_kind_of_server_is_recognised(
    labeled_grid: Any, server: ScriptedServer, answer: Answer
) -> None:
    server.answers = [HEALTHY, answer]
    with pytest.raises(Exception, match="no Gridscribe service"):
        run(labeled_grid, server.url)


def test_a_page_that_is_no_picture_is_told(labeled_grid: Any, server: ScriptedServer) -> None:
    server.answers = [HEALTHY, DONE, Answer(body=b"no picture")]
    with pytest.raises(Exception, match="page-1 of the sheet cannot be read"):
        run(labeled_grid, server.url)
