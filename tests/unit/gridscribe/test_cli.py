"""The command line in this very process, against a scripted server or, for `export`, for real."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from shared.job_spec import JobSpec
from tests.fixtures.command_line import Run
from tests.unit.gridscribe.scripted_server import (
    Answer,
    ScriptedServer,
    job_answer,
    problem_answer,
)
from tests.unit.pipeline.metadata.carriers import png


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, color in ((2, "green"), (10, "blue"), (1, "red")):
        Image.new("RGB", (40, 30), color).save(folder / f"img_{number}.png")
    return folder


SMALL = ("--cell-size", "40", "30", "--margin", "0", "--label-position", "none")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("s.png", "PNG"),
        ("s.jpg", "JPEG"),
        ("s.jpeg", "JPEG"),
        ("s.webp", "WEBP"),
        ("s.tiff", "TIFF"),
    ],
)
def test_export_writes_the_format_that_the_name_says(
    run: Run, photos: Path, name: str, kind: str
) -> None:
    assert run("export", str(photos), name, "--cols", "3", *SMALL) == 0
    with Image.open(name) as sheet:
        assert (sheet.format, sheet.size) == (kind, (120, 30))
        colors = [sheet.convert("RGB").getpixel((x, 15)) for x in (20, 60, 100)]
    expected = [(255, 0, 0), (0, 128, 0), (0, 0, 255)]  # in natural order
    for color, target in zip(colors, expected, strict=True):
        assert isinstance(color, tuple)
        assert max(abs(a - b) for a, b in zip(color, target, strict=True)) < 12


def test_rerun_into_the_same_folder_does_not_eat_its_own_pages(run: Run, photos: Path) -> None:
    command = ("export", str(photos), str(photos / "all.png"), "--rows", "1", "--cols", "1", *SMALL)
    assert run(*command) == 0
    first = {path.name: path.read_bytes() for path in photos.iterdir()}
    assert run(*command) == 0
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == first
    assert {"all.png", "all-2.png", "all-3.png"} < set(first)


def test_old_spelling_of_labels_and_background_is_understood(
    run: Run, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("labels.csv").write_text("filename,prompt,seed\nimg_1.png,fox,7\nimg_2.png,,\n")
    labels = ("--csv", "labels.csv", "--labels", "prompt", "seed")
    background = ("--background", "255", "0", "0")
    assert run("export", str(photos), "s.png", *labels, *background, "--verbose") == 0
    shown = capsys.readouterr()
    assert "prompt: fox" in shown.out
    assert "img_2.png: its row of the CSV has no 'prompt' or 'seed'" in shown.err
    assert "img_10.png: the CSV has no row for it" in shown.err
    with Image.open("s.png") as sheet:
        assert sheet.convert("RGB").getpixel((0, 0)) == (255, 0, 0)


def test_export_labels_by_what_the_files_carry(
    run: Run, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "img_1.png").write_bytes(png(parameters="a fox\nSteps: 20, Seed: 77"))
    assert run("export", str(photos), "s.png", "--labels", "seed", "--verbose") == 0
    shown = capsys.readouterr()
    assert "77" in shown.out
    assert "embedded" in shown.out
    assert "img_1.png" not in shown.err
    assert "img_2.png: its metadata has no 'seed'" in shown.err


def test_batch_goes_on_past_a_failing_folder_and_exits_1(
    run: Run, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    assert run("export", "--batch", "empty", str(photos), "out", "--format", "jpg") == 1
    assert Path("out/photos.jpg").exists()
    told = capsys.readouterr().err
    assert "empty: no images in empty" in told
    assert "1 of 2 folders failed" in told


def test_saved_template_is_used_by_name(run: Run, photos: Path) -> None:
    assert run("export", str(photos), "a.png", "--cols", "3", "--save-template", "row", *SMALL) == 0
    assert run("export", str(photos), "b.png", "--template", "row") == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photos"], "at least one input and the output"),
        (["photos", "s.gif"], "no format by its name"),
        (["photos", "s.jpg", "--format", "png"], "its name says jpg, but the format asked is png"),
        (["photos", "s.png", "--rows", "0"], "--rows: Input should be greater than"),
        (["photos", "s.png", "--background", "nope"], "--background: "),
        (["photos", "s.png", "--template", "x"], "no template 'x'; there are default, compact"),
        (["nowhere", "s.png"], "nowhere: no such file or folder"),
        (["photos", "s.png", "--csv", "bad.csv"], "CSV: line 1 has no column 'filename'"),
        (
            ["photos", "s.png", "--csv", "good.csv", "--labels", "promt"],
            "labels: no column 'promt'; there are 'filename', 'prompt'",
        ),
    ],
)
def test_unusable_input_exits_2_with_one_sentence(
    run: Run,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert photos.exists()
    Path("bad.csv").write_text("name\na\n")
    Path("good.csv").write_text("filename,prompt\nimg_1.png,fox\n")
    assert run("export", *arguments) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert not list(Path().glob("s.*"))


def test_preview_says_rows_pages_and_pixels(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("preview", "--count", "10", "--rows", "2", "--cols", "3", *SMALL) == 0
    assert "10 images in 2 rows and 3 columns, 2 page(s)" in capsys.readouterr().out


def test_preview_knows_the_lines_of_labels_and_the_values_of_axes(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    def previewed(*arguments: str) -> dict[str, Any]:
        assert run("preview", "--count", "6", *arguments, "--json") == 0
        return dict(json.loads(capsys.readouterr().out))

    labels = ("--labels", "seed,cfg", "--cols", "2")
    high, low = previewed(*labels), previewed(*labels, "--label-lines", "1")
    assert low["pages"][0]["height"] < high["pages"][0]["height"]
    plot = previewed("--rows-by", "seed", "--cols-by", "cfg", "--axis-counts", "2", "3")
    assert (plot["rows"], plot["cols"]) == (2, 3)
    assert len(plot["headers"]) == 2 + 3 + 2
    assert run("preview", "--count", "6", "--axis-counts", "2", "501") == 2
    assert "--axis-counts 2 501: an axis has 1 to 500 values" in capsys.readouterr().err


def succeeded() -> Answer:
    result = {
        "url": "/r",
        "width": 1,
        "height": 1,
        "pages": 1,
        "bytes": 1,
        "sha256": "0",
        "media_type": "image/png",
    }
    image = {
        "index": 0,
        "name": "img_1.png",
        "label": "red fox",
        "label_source": "clip",
        "confidence": 0.87,
    }
    return job_answer("succeeded", result=result, images=[image])


def test_submit_waits_downloads_and_prints_the_labels(
    run: Run, photos: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers = [job_answer(code=202), succeeded(), succeeded(), Answer(body=b"pixels")]
    assert run("submit", str(photos), "--server", server.url, "--use-clip", "-o", "grid.png") == 0
    assert Path("grid.png").read_bytes() == b"pixels"
    row = next(line for line in capsys.readouterr().out.splitlines() if "img_1.png" in line)
    assert all(part in row for part in ("red fox", "clip", "0.87"))


def test_submit_can_leave_the_job_to_itself_and_print_json(
    run: Run, photos: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers = [job_answer(code=202)]
    assert run("submit", str(photos), "--server", server.url, "--no-wait", "--json") == 0
    assert json.loads(capsys.readouterr().out)["id"] == "j1"


def test_exit_codes_tell_failures_apart(
    run: Run, photos: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    submit = ("submit", str(photos), "--server", server.url)
    problem = json.loads(problem_answer(500, "no_readable_image", "no image can be read").body)
    server.answers = [job_answer(code=202), job_answer("failed", error=problem)]
    assert run(*submit) == 1
    assert "job j1 failed: no image can be read" in capsys.readouterr().err
    server.answers = [problem_answer(422, "model_not_offered", "no such model")]
    assert run(*submit, "--clip-model", "x") == 4
    server.answers = [job_answer(code=202), job_answer("running"), job_answer("running")]
    assert run(*submit, "--timeout", "0.05") == 5
    assert run("status", "j1", "--server", "http://127.0.0.1:9") == 3
    assert run("submit", "--no-such-option") == 2


def test_status_cancel_and_download_talk_of_one_job(
    run: Run, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers = [job_answer("running"), job_answer("canceled"), succeeded(), succeeded()]
    server.answers.append(Answer(body=b"pixels"))
    assert run("status", "j1", "--server", server.url) == 0
    assert "j1: running" in capsys.readouterr().out
    assert run("cancel", "j1", "--server", server.url) == 0
    assert run("download", "j1", "--server", server.url) == 0
    assert Path("j1.png").read_bytes() == b"pixels"
    assert [request.path for request in server.requests[:2]] == [
        "/v1/jobs/j1",
        "/v1/jobs/j1/cancel",
    ]


def test_jobs_are_listed_up_to_the_limit(
    run: Run, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    job = json.loads(job_answer("failed").body)
    page = json.dumps({"data": [job, {**job, "id": "j2"}], "next_cursor": "more"}).encode()
    server.answers = [Answer(body=page)] * 3
    assert run("jobs", "--status", "failed", "--limit", "3", "--server", server.url) == 0
    shown = capsys.readouterr().out
    assert (shown.count("j1"), shown.count("j2"), shown.count("failed")) == (2, 1, 3)
    assert [request.path for request in server.requests] == [
        "/v1/jobs?status=failed",
        "/v1/jobs?status=failed&cursor=more",
    ]
    assert run("jobs", "--limit", "1", "--json", "--server", server.url) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "j1"


def test_a_job_is_retried_and_deleted(
    run: Run, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers = [
        job_answer(code=202),
        Answer(204),
        problem_answer(404, "job_not_found", "there is no job 'j1'"),
    ]
    assert run("retry", "j1", "--server", server.url) == 0
    assert "j1: queued" in capsys.readouterr().out
    assert run("delete", "j1", "--server", server.url) == 0
    assert run("delete", "j1", "--server", server.url) == 4
    assert "there is no job 'j1'" in capsys.readouterr().err
    assert [(request.method, request.path) for request in server.requests] == [
        ("POST", "/v1/jobs/j1/retry"),
        ("DELETE", "/v1/jobs/j1"),
        ("DELETE", "/v1/jobs/j1"),
    ]


def submitted_spec(server: ScriptedServer) -> JobSpec:
    """Of the one job that was sent, as multipart."""
    (request,) = [each for each in server.requests if each.method == "POST"]
    part = request.body.split(b'name="spec"', 1)[1].split(b"\r\n\r\n", 1)[1]
    return JobSpec.model_validate_json(part.split(b"\r\n--", 1)[0])


def test_submit_sends_candidates_from_options_and_a_file(
    run: Run, photos: Path, server: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "terms.txt").write_text("red, green and blue\n\n a fox \n")
    server.answers = [job_answer("queued")] * 2
    submit = ("submit", str(photos), "--server", server.url, "--no-wait", "--use-clip")

    given = ("--candidates", "a cat,a dog", "--candidates-file", str(tmp_path / "terms.txt"))
    assert run(*submit, *given) == 0
    assert submitted_spec(server).candidates == ("a cat", "a dog", "red, green and blue", "a fox")

    server.requests.clear()
    assert run(*submit, "--vocabulary", "garden") == 0
    assert submitted_spec(server).vocabulary == "garden"


def test_words_that_cannot_be_used_are_refused_before_anything_is_sent(
    run: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    submit = ("submit", str(photos), "--use-clip")

    assert run(*submit, "--candidates", "a", "--vocabulary", "garden") == 2
    assert "not both" in capsys.readouterr().err
    assert run(*submit, "--candidates-file", str(tmp_path / "binary")) == 2
    assert "not UTF-8" in capsys.readouterr().err
    assert run(*submit, "--candidates", ",") == 2
    assert "--candidates: Tuple should have at least 1 item" in capsys.readouterr().err


def test_export_refuses_a_vocabulary_that_is_not_there(
    run: Run, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", str(photos), "s.png", "--use-clip", "--vocabulary", "garden") == 2
    assert "there is no vocabulary 'garden'; there are default" in capsys.readouterr().err
