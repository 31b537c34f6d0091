"""Secrets that the platform hands over as files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.settings import Settings, get_settings


@pytest.fixture(autouse=True)
def _environment_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    before = dict(os.environ)
    monkeypatch.setenv("GRIDSCRIBE_SECRETS_DIR", str(tmp_path))
    for name in ("GRIDSCRIBE_REDIS_URL", "REDIS_URL", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()
    os.environ.clear()
    os.environ.update(before)


def test_a_file_stands_in_for_a_variable(tmp_path: Path) -> None:
    (tmp_path / "gridscribe_redis_url").write_text("redis://:secret@store:6379/0\n")
    (tmp_path / "AWS_SECRET_ACCESS_KEY").write_text("from-file")
    (tmp_path / "PATH").write_text("/nowhere")
    (tmp_path / "kubernetes.io").mkdir()
    assert get_settings().redis_url == "redis://:secret@store:6379/0"
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "from-file"  # noqa: S105
    assert os.environ["PATH"] != "/nowhere"


def test_a_variable_wins_over_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gridscribe_redis_url").write_text("redis://from-file/0")
    monkeypatch.setenv("GRIDSCRIBE_REDIS_URL", "redis://from-variable/0")
    assert get_settings().redis_url == "redis://from-variable/0"


def test_a_folder_that_is_not_there_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDSCRIBE_SECRETS_DIR", str(tmp_path / "none"))
    assert get_settings().redis_url == Settings().redis_url
