"""`gridscribe doctor` on machines and services that lack something."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from gridscribe.diagnosis import backend, machine
from gridscribe.diagnosis.finding import Finding, Verdict
from gridscribe.supervisor import Supervisor
from gridscribe.valkey import EmbeddedValkey
from shared.settings import Settings
from tests.fixtures.command_line import Run
from tests.fixtures.hosted_redis import hosted_redis
from tests.unit.gridscribe.scripted_server import Answer, ScriptedServer, problem_answer

Doctor = Callable[..., dict[str, Any]]

READY = {
    **{"ready": True, "missing": [], "store": True, "storage": True, "dispatcher": True},
    "deliverer": True,
    **{"auth": "required", "caption_workers": [], "compose_workers": []},
}
MODELS = Answer(body=b'{"data": [{"name": "starter", "default": true}]}')


def described(version: str) -> Answer:
    return Answer(body=json.dumps({"info": {"version": version}}).encode())


def answered(status: int = 200, **changes: object) -> Answer:
    return Answer(status, json.dumps({**READY, **changes}).encode())


@pytest.fixture
def doctor(run: Run, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """What it finds at a service, as JSON, with its exit code beside."""

    def examine(*arguments: str) -> dict[str, Any]:
        code = run("doctor", "--json", *arguments)
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert code == (0 if found["healthy"] else 1)
        return found

    return examine


def of(found: dict[str, Any], check: str) -> list[dict[str, Any]]:
    return [each for each in found["findings"] if each["check"] == check]


def test_a_healthy_service_is_told_as_such(doctor: Doctor, server: ScriptedServer) -> None:
    worker = {"owner": "w1", "capacity": 32, "model": "starter", "notice": None}
    server.answers = [answered(caption_workers=[worker]), MODELS, described("0")]
    found = doctor("--service", "--server", server.url)
    assert found["healthy"]
    assert of(found, "caption workers")[0]["detail"] == "w1, 32 at once, model starter"
    assert "0" in of(found, "version")[0]["detail"]


def test_what_a_service_lacks_comes_with_what_to_do(doctor: Doctor, server: ScriptedServer) -> None:
    missing = ["dispatcher", "compose workers"]
    refused = problem_answer(401, "unauthenticated", "this key is not known")
    server.answers = [answered(503, ready=False, missing=missing), refused, described("0")]
    found = doctor("--service", "--server", server.url)
    assert not found["healthy"]
    [dispatcher] = of(found, "dispatcher")
    assert "worker.dispatcher" in dispatcher["advice"]
    [key] = of(found, "key")
    assert "GRIDSCRIBE_API_KEY" in key["advice"]


def test_webhooks_that_nobody_sends_are_noted_and_no_fault(
    doctor: Doctor, server: ScriptedServer
) -> None:
    server.answers = [answered(deliverer=False), MODELS, described("0")]
    found = doctor("--service", "--server", server.url)
    assert found["healthy"]
    [deliverer] = of(found, "deliverer")
    assert deliverer["verdict"] == "note"
    assert "webhooks wait" in deliverer["detail"]
    assert deliverer["advice"].endswith("python -m worker.deliverer")


def test_of_a_service_without_its_store_nobody_knows_who_sends_webhooks(
    doctor: Doctor, server: ScriptedServer
) -> None:
    away = answered(503, ready=False, missing=["store"], store=False, deliverer=False)
    server.answers = [away, MODELS, described("0")]
    found = doctor("--service", "--server", server.url)
    assert of(found, "store")
    assert of(found, "deliverer") == []


def test_no_service_is_a_problem_where_one_was_asked_for(doctor: Doctor) -> None:
    found = doctor("--service", "--server", "http://127.0.0.1:9")
    assert [each["verdict"] for each in of(found, "service")] == ["problem"]
    found = doctor("--service", "--server", "nowhere")
    assert "no address of a service" in of(found, "service")[0]["detail"]


def test_a_bad_setting_is_named(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSCRIBE_MAX_BATCH", "many")
    found = doctor("--server", "http://127.0.0.1:9")
    assert "max_batch" in of(found, "settings")[0]["detail"]


def test_a_store_that_is_down_is_a_problem_only_where_it_was_named() -> None:
    settings = Settings(redis_url="redis://:secret@127.0.0.1:9/0")
    [named] = backend.check_store(settings, must_be_there=True)
    assert named.verdict is Verdict.PROBLEM
    assert "secret" not in named.detail
    [unnamed] = backend.check_store(settings, must_be_there=False)
    assert unnamed.verdict is Verdict.NOTE


def test_a_store_that_may_lose_jobs_is_told(valkey_url: str) -> None:
    reached, *faults = backend.check_store(Settings(redis_url=valkey_url), must_be_there=True)
    assert reached.detail.startswith("Valkey ")
    assert [fault.verdict for fault in faults] == [Verdict.NOTE], "this one keeps nothing on disk"


def test_a_store_that_brings_its_writes_to_disk_late_is_told(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    supervisor = Supervisor([[server.command]], lambda *_: None)
    supervisor.start()
    settings = Settings(redis_url=server.url)
    try:
        assert [it.verdict for it in backend.check_store(settings, must_be_there=True)] == [
            Verdict.OK
        ]
        with Redis.from_url(server.url) as redis:
            redis.config_set("appendfsync", "everysec")
        [_, late] = backend.check_store(settings, must_be_there=True)
    finally:
        supervisor.stop()
        server.close()
    assert late.verdict is Verdict.NOTE
    assert "loses power" in late.detail
    assert "appendfsync always" in (late.advice or "")


def test_a_redis_that_cannot_run_the_scripts_is_refused() -> None:
    told = {"redis_version": "6.2.14", "maxmemory_policy": "noeviction", "aof_enabled": "1"}
    with hosted_redis(told) as url:
        [found] = backend.check_store(Settings(redis_url=url), must_be_there=True)
    assert found.verdict is Verdict.PROBLEM
    assert "Redis 6.2.14" in found.detail
    assert "too old" in found.detail
    assert "Redis 7 or newer" in (found.advice or "")


def test_a_hosted_redis_that_hides_its_configuration_is_fine() -> None:
    told = {"redis_version": "7.0.0", "maxmemory_policy": "noeviction", "aof_enabled": "1"}
    with hosted_redis(told) as url:
        [found] = backend.check_store(Settings(redis_url=url), must_be_there=True)
    assert found.verdict is Verdict.OK


def test_storage_is_written_read_and_emptied_again(tmp_path: Path) -> None:
    settings = Settings(storage_url=(tmp_path / "storage").as_uri())
    assert backend.check_storage(settings).verdict is Verdict.OK
    assert [path for path in (tmp_path / "storage").rglob("*") if path.is_file()] == []


def test_looking_for_storage_leaves_no_folder_behind(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    assert backend.check_storage(settings).verdict is Verdict.NOTE
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["file:///proc/none", "s4://bucket"])
def test_storage_that_cannot_be_written_is_a_problem(place: str) -> None:
    found = backend.check_storage(Settings(storage_url=place))
    assert found.verdict is Verdict.PROBLEM
    assert "GRIDSCRIBE_STORAGE_URL" in (found.advice or "")


def test_a_broker_that_is_away_is_a_problem() -> None:
    assert backend.check_broker(Settings(broker_url=None)) is None
    found = backend.check_broker(Settings(broker_url="redis://:secret@127.0.0.1:9/0"))
    assert found is not None
    assert (found.verdict, "secret" in found.detail) == (Verdict.PROBLEM, False)


def test_an_unknown_model_is_a_problem() -> None:
    found: list[Finding] = list(machine.check_models(Settings(clip_models=("nobody/knows",))))
    assert found[0].verdict is Verdict.PROBLEM
    assert "nobody/knows" in found[0].detail


def test_missing_fonts_are_told_with_the_packages_that_bring_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.pipeline import font_files

    cached = (font_files.fallback_fonts, font_files.emoji_font, font_files._system_files)
    monkeypatch.setattr(font_files, "SYSTEM_FOLDERS", (str(tmp_path),))
    for each in cached:
        each.cache_clear()
    try:
        found = list(machine.check_fonts(Settings(font_dirs=(tmp_path / "none",))))
    finally:
        for each in cached:
            each.cache_clear()
    assert [each.verdict for each in found] == [Verdict.PROBLEM, Verdict.NOTE, Verdict.NOTE]
    assert "Chinese" in found[1].detail
    assert "fonts-noto-cjk" in (found[1].advice or "")


def test_room_on_disk_is_told(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "not" / "there", cache_dir=tmp_path)
    assert [each.check for each in machine.check_disk(settings)] == ["disk", "disk"]
    assert not (tmp_path / "not").exists()
