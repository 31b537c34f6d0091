"""A short round of `python -m tests.chaos`: faults of all kinds under mixed jobs."""

from pathlib import Path

import pytest

from tests.chaos.__main__ import play, troubled_service

pytestmark = pytest.mark.faults


def test_one_seed_of_chaos_breaks_no_promise(tmp_path: Path) -> None:
    with troubled_service(tmp_path) as scene:
        verdict = play(scene, seed=4, seconds=15).verdict
    assert verdict.ends.total() > 0
    assert verdict.deliveries.made >= verdict.ends["succeeded"] > 0
    assert verdict.broken == ()
