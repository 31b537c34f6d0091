"""A caller's file name says what to call a picture, and can do nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.file_names import MAX_NAME, clean_name


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("photo.png", "photo.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\users\\me\\photo.png", "photo.png"),
        ("line\nbreak\0.png", "linebreak.png"),
        ("日本 é.png", "日本 é.png"),
        ("..", "image"),
        ("folder/", "image"),
        ("  ", "image"),
        (None, "image"),
    ],
)
def test_the_base_name_is_kept(given: str | None, kept: str) -> None:
    assert clean_name(given, "image") == kept


@given(st.text(st.characters(), max_size=300))
def test_no_name_can_leave_a_folder_or_break_a_line(name: str) -> None:
    cleaned = clean_name(name, "image")
    assert cleaned not in ("", ".", "..")
    assert len(cleaned) <= MAX_NAME
    assert cleaned.isprintable()
    assert not set("/\\") & set(cleaned)
    cleaned.encode()
