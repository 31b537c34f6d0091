"""What every process writes of what it does."""

import json
import logging
from collections.abc import Iterator

import pytest

from shared.logging import bound, configure_logging, redacted


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def log_one(capsys: pytest.CaptureFixture[str], log_format: str) -> str:
    configure_logging("api", "INFO", log_format)  # type: ignore[arg-type]
    with bound(request_id="r1"):
        with bound(job_id="j1"):
            logging.getLogger("some.library").warning("two\nlines of %s", "ünïcode")
        logging.getLogger("some.library").warning("after")
    logging.getLogger("some.library").warning("outside")
    return capsys.readouterr().err


def test_text_lines_tell_what_they_are_about(capsys: pytest.CaptureFixture[str]) -> None:
    logged = log_one(capsys, "text")
    assert "WARNING api some.library: two\n  lines of ünïcode [request_id=r1 job_id=j1]\n" in logged
    assert "after [request_id=r1]\n" in logged
    assert logged.endswith("outside\n")


def test_json_lines_are_an_object_each(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.loads(line) for line in log_one(capsys, "json").splitlines()]
    assert [line.get("job_id") for line in lines] == ["j1", None, None]
    assert [line.get("request_id") for line in lines] == ["r1", "r1", None]
    first = lines[0]
    assert first["message"] == "two\nlines of ünïcode"
    assert (first["level"], first["process"], first["logger"]) == ("WARNING", "api", "some.library")
    assert first["time"].endswith("+00:00")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_callers_words_cannot_pass_for_a_record_or_move_the_cursor(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    configure_logging("api", "INFO", log_format)  # type: ignore[arg-type]
    forged = "a.png\n2026-01-01 00:00:00,000 INFO api: all is well\r\x1b[2K\x9b2K\u2028\x00"
    try:
        raise ValueError(forged)
    except ValueError:
        logging.getLogger(__name__).exception("cannot read %s", forged)
    logged = capsys.readouterr().err
    records = [line for line in logged.splitlines() if not line.startswith("  ")]
    assert len(records) == 1, records
    assert all(character.isprintable() or character == "\n" for character in logged)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_exception_is_told_without_the_secrets_in_it(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    configure_logging("api", "INFO", log_format)  # type: ignore[arg-type]
    try:
        raise ValueError("redis://user:hunter2@host/0")
    except ValueError:
        logging.getLogger(__name__).exception("bad key %s", "gsk_ABCDEFGH" + "s" * 35)
    logged = capsys.readouterr().err
    assert "Traceback" in logged
    assert "hunter2" not in logged
    assert "sss" not in logged
    assert "gsk_ABCDEFGH..." in logged


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:pass@host:6379/0", "redis://:...@host:6379/0"),
        (
            "GET /a?X-Amz-Signature=ab12&page=2 HTTP/1.1",
            "GET /a?X-Amz-Signature=...&page=2 HTTP/1.1",
        ),
        ("unix:///run/valkey.sock", "unix:///run/valkey.sock"),
        ("http://host:80/a@b", "http://host:80/a@b"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer ..."),
        ("whsec_" + "A" * 40, "whsec_AAAAAAAA..."),
        ("POST /v1/inbound/01a2-7c/my%20secret HTTP/1.1", "POST /v1/inbound/01a2-7c HTTP/1.1"),
        ('"POST /v1/inbound/01a2?a=b&secret=my HTTP"', '"POST /v1/inbound/01a2 HTTP"'),
        ("POST /v1/inbound/01a2-7c HTTP/1.1", "POST /v1/inbound/01a2-7c HTTP/1.1"),
        ("the job gsk of a bearer bond", "the job gsk of a bearer bond"),
    ],
)
def test_secrets_are_blotted_out_and_nothing_else(text: str, shown: str) -> None:
    assert redacted(text) == shown
