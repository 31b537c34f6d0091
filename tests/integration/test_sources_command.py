"""`gridscribe sources` against a real service."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gridscribe.cli import main
from shared.settings import Settings
from tests.integration.api.served import serving

Run = Callable[..., int]


@pytest.fixture
def run(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run the command line against a service of its own; gives the exit code."""
    with serving(settings) as client:
        monkeypatch.setenv("GRIDSCRIBE_SERVER", str(client.base_url))
        monkeypatch.chdir(tmp_path)

        def run(*arguments: str) -> int:
            monkeypatch.setattr(sys, "argv", ["gridscribe", "sources", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            return int(ended.value.code or 0)

        yield run


def test_a_source_is_made_listed_shown_and_deleted(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "spec.json").write_text('{"title": "{name}", "cols": 9}')
    options: tuple[str, ...] = (
        "--adapter",
        "cloudevents",
        "--auth",
        "bearer",
        "--spec",
        "spec.json",
    )
    options += ("--path-map", "//server/r/=/mnt/r/", "--allowed-host", "*.farm.example")
    assert run("create", "lighting", *options, "--quiet-seconds", "7") == 0
    printed = capsys.readouterr()
    assert printed.out.strip().startswith("gsi_")
    told = re.search(
        r"^source (\S+); events go to \S+/v1/inbound/(\S+)$", printed.err, re.MULTILINE
    )
    assert told is not None
    source_id = told[1]
    assert told[2] == source_id

    assert run("list") == 0
    assert source_id[:8] in capsys.readouterr().out

    assert run("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["id"] == source_id

    assert run("rotate-secret", source_id) == 0
    rotated = capsys.readouterr().out.strip()
    assert rotated.startswith("gsi_")
    assert rotated != printed.out.strip()

    assert run("show", source_id, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["spec"] == {"title": "{name}", "cols": 9}
    assert shown["path_map"] == {"//server/r/": "/mnt/r/"}
    assert shown["allowed_hosts"] == ["*.farm.example"]
    assert shown["quiet_seconds"] == 7

    assert run("show", source_id) == 0
    assert "lighting: cloudevents by bearer" in capsys.readouterr().out
    assert run("delete", source_id) == 0
    assert run("show", source_id) == 4
    assert "there is no source" in capsys.readouterr().err


def test_a_secret_of_the_sender_comes_from_the_environment(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "whsec_" + "QUJD" * 8
    monkeypatch.setenv("GRIDSCRIBE_SOURCE_SECRET", secret)
    assert run("create", "predictions", "--adapter", "replicate", "--json") == 0
    assert json.loads(capsys.readouterr().out)["secret"] == secret


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--adapter", "fal"), "sender"),
        (("--adapter", "s3", "--auth", "signature"), "it has bearer"),
        (("--adapter", "cloudevents", "--path-map", "/mnt/renders"), "--path-map"),
        (("--adapter", "cloudevents", "--quiet-seconds", "0"), "quiet_seconds"),
    ],
)
def test_options_that_do_not_fit_are_named(
    run: Run, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    assert run("create", "farm", *options) == 2
    assert words in capsys.readouterr().err
