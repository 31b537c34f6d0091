"""Shells complete what the service knows."""

import httpx
import pytest

from gridscribe import Client
from tests.fixtures.command_line import Run
from tests.integration.api.served import png


def test_ids_and_names_are_completed_from_the_service(
    run: Run,
    client: httpx.Client,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRIDSCRIBE_SERVER", str(client.base_url))
    with Client(str(client.base_url)) as library:
        job = library.jobs.create([("a.png", png())])

    def completed(words: str) -> list[str]:
        monkeypatch.setenv("_GRIDSCRIBE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
        capsys.readouterr()
        run()
        return capsys.readouterr().out.split()

    assert completed("gridscribe status ") == [job.id]
    assert completed("gridscribe submit --template co") == ["compact", "comparison"]
    assert completed("gridscribe submit --clip-model st") == ["starter"]
    monkeypatch.setenv("GRIDSCRIBE_SERVER", "http://127.0.0.1:9")
    assert completed("gridscribe status ") == []
