import pytest

from shared.failpoints import parse


def test_failpoints_are_named_with_what_they_do_to_whom_and_how_often() -> None:
    first, second = parse("caption.decode@a b.png=kill, compose.before_store=sleep:0.5*2")
    assert first.matches("caption.decode", "a b.png")
    assert not first.matches("caption.decode", "c.png")
    assert second.matches("compose.before_store", "anything")
    second.left -= 2
    assert not second.matches("compose.before_store", "")


def test_nothing_is_asked_for_where_nothing_is_named() -> None:
    assert parse("") == ()


@pytest.mark.parametrize("text", ["kill", "a.point=explode", "a.point=sleep", "a.point=kill*x"])
def test_a_failpoint_that_is_spelled_wrong_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no failpoint"):
        parse(text)
