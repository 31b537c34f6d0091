"""`gridscribe keys`, against a real store."""

import sys
from collections.abc import Callable

import pytest
from redis import Redis

from gridscribe.cli import main
from shared.api_keys import ApiKeys
from shared.settings import Settings
from shared.tenant_limits import TenantLimit, TenantLimits

Run = Callable[..., int]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `gridscribe keys`; gives the exit code."""
    monkeypatch.setenv("GRIDSCRIBE_REDIS_URL", settings.redis_url)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["gridscribe", "keys", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return run


@pytest.fixture
def redis(settings: Settings) -> Redis:
    return Redis.from_url(settings.redis_url, decode_responses=True)


def test_a_key_is_printed_once_alone_on_its_line(
    run: Run, redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("create", "--tenant", "studio", "--name", "farm [1]", "--expires", "90d") == 0
    printed = capsys.readouterr()
    secret = printed.out.strip()
    assert secret.startswith("gsk_")
    assert secret not in printed.err
    (key,) = ApiKeys(redis).find()
    assert (key.tenant, key.name) == ("studio", "farm [1]")
    assert key.expires_at == key.created_at + 90 * 24 * 3600
    assert run("list") == 0
    listed = capsys.readouterr().out
    assert "studio" in listed
    assert "farm [1]" in listed
    assert secret not in listed


@pytest.mark.parametrize("whole", [True, False])
def test_a_key_is_revoked_by_its_first_characters_or_whole(
    run: Run, redis: Redis, capsys: pytest.CaptureFixture[str], whole: bool
) -> None:
    run("create")
    secret = capsys.readouterr().out.strip()
    (key,) = ApiKeys(redis).find()
    assert run("revoke", secret if whole else f"{key.prefix}...") == 0
    assert ApiKeys(redis).find() == []
    assert run("revoke", key.prefix) == 2
    assert "no such key" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--tenant", "a:b"),
        ("create", "--tenant", "../x"),
        ("create", "--tenant", "ab\n"),
        ("create", "--expires", "soon"),
        ("create", "--expires", "0d"),
        ("limits", "studio", "--queued-jobs", "0"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(
    run: Run, redis: Redis, arguments: tuple[str, ...]
) -> None:
    assert run(*arguments) == 2
    assert redis.keys() == []


def test_limits_are_set_shown_and_reset(
    run: Run, redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("limits", "studio", "--queued-jobs", "5", "--images-per-day", "100") == 0
    assert run("limits", "studio", "--queued-jobs", "6") == 0
    assert TenantLimits(redis).get("studio") == {
        TenantLimit.QUEUED_JOBS: 6,
        TenantLimit.IMAGES_PER_DAY: 100,
    }
    assert "requests_per_minute: as everybody" in capsys.readouterr().out
    assert run("limits", "studio", "--reset") == 0
    assert TenantLimits(redis).get("studio") == {}


def test_a_store_that_does_not_answer_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRIDSCRIBE_REDIS_URL", "unix:///nowhere/valkey.sock")
    assert run("list") == 3
    assert "nowhere/valkey.sock" in capsys.readouterr().err
