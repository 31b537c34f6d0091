import pytest

from gridscribe.old_spelling import with_single_values

COUNTS = {"--labels": 1, "--background": 1, "--resize": 2, "--use-clip": 0, "--rows": 1}


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("in out --labels a b c", "in out --labels a --labels b --labels c"),
        ("in out --labels a b --rows 2", "in out --labels a --labels b --rows 2"),
        ("--labels a b --use-clip in out", "--labels a --labels b --use-clip in out"),
        ("--labels a in out", "--labels a in out"),
        ("--labels a b in out", "--labels a --labels b in out"),
        ("in --labels a out", "in --labels a out"),
        ("--labels a --labels b in out", "--labels a --labels b in out"),
        ("--labels=a in out", "--labels=a in out"),
        ("in out --labels", "in out --labels"),
        ("in out --background 255 0 10", "in out --background 255,0,10"),
        ("--background red in out", "--background red in out"),
        ("--resize 10 20 in out --labels a", "--resize 10 20 in out --labels a"),
        ("in -- --labels a b", "in -- --labels a b"),
    ],
)
def test_several_words_become_single_values(given: str, understood: str) -> None:
    assert with_single_values(given.split(), COUNTS, greedy_labels=True) == understood.split()


def test_labels_take_one_word_where_they_are_not_greedy() -> None:
    given = ["--labels", "a", "photos", "--background", "1", "2", "3", "more"]
    understood = ["--labels", "a", "photos", "--background", "1,2,3", "more"]
    assert with_single_values(given, COUNTS, greedy_labels=False) == understood
