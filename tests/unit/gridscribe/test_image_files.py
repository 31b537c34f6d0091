from pathlib import Path

import pytest

from gridscribe.image_files import InputError, find_images


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def names_in(folder: Path, output: Path | None = None) -> list[str]:
    return [path.name for path in find_images([folder], output)]


def test_folder_gives_its_images_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path, "img_10.png", "IMG_2.JPG", "img_1.webp", "notes.txt", ".hidden.png", "a.csv")
    (tmp_path / "below.png").mkdir()
    assert names_in(tmp_path) == ["img_1.webp", "IMG_2.JPG", "img_10.png"]


def test_files_keep_the_order_they_are_named_in(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.png")
    paths = [tmp_path / "b.png", tmp_path / "a.png"]
    assert find_images(paths) == paths


def test_earlier_sheet_and_its_pages_do_not_count(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "sheet.png", "sheet-2.png", "sheet-3.png", "sheet-7.png")
    assert names_in(tmp_path, tmp_path / "sheet.png") == ["a.png", "sheet-7.png"]
    assert "sheet.png" in names_in(tmp_path, tmp_path / "other" / "sheet.png")


def test_numbered_pictures_count_while_there_is_no_sheet(tmp_path: Path) -> None:
    touch(tmp_path, "img-2.png", "img-3.png")
    assert names_in(tmp_path, tmp_path / "img.png") == ["img-2.png", "img-3.png"]


def test_unusable_inputs_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(InputError, match="no such file or folder"):
        find_images([tmp_path / "nowhere"])
    with pytest.raises(InputError, match=r"notes\.txt: not an image by its name"):
        find_images([tmp_path / "notes.txt"])
    with pytest.raises(InputError, match="no images in"):
        find_images([tmp_path])
