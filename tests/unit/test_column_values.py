import random

import pytest

from shared.column_values import natural_key, number, value_key, value_text


def test_names_sort_as_people_count() -> None:
    names = ["IMG_1.png", "img_2.png", "img_10.png", "img_10b.png", "zebra.png"]
    shuffled = random.Random(1).sample(names, len(names))
    assert sorted(shuffled, key=natural_key) == names


def test_numbers_come_by_size_then_texts_then_what_is_missing() -> None:
    values = ["-1", "0.5", "7", "7.5", "1e2", "euler 2", "Euler 10", "heun", ""]
    shuffled = random.Random(2).sample(values, len(values))
    assert sorted(shuffled, key=value_key) == values


def test_seeds_of_twenty_digits_stay_apart() -> None:
    one, other = "18446744073709551614", "18446744073709551615"
    assert number(one) != number(other)
    assert value_key(one) < value_key(other)


@pytest.mark.parametrize("text", ["9" * 9000, "1e99999", "nan", "-inf", "٣", "0x10", "\x00", "1_0"])
def test_odd_values_sort_beside_plain_ones(text: str) -> None:
    assert len(sorted([text, "7", "word 7", ""], key=value_key)) == 4
    assert len(sorted([text, "7", "word 7", ""], key=natural_key)) == 4


def test_values_of_any_kind_have_a_text() -> None:
    given: list[object] = [None, " a ", 7, 7.5, True, ["é"]]
    assert [value_text(value) for value in given] == ["", "a", "7", "7.5", "true", '["é"]']
