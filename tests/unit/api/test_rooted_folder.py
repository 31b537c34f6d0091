"""No path leads out of a rooted folder."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.rooted_folder import RootedFolder
from shared.errors import GridscribeError


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.png").write_bytes(b"secret")
    return folder


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    root = tmp_path / "root"
    (root / "in" / "deep").mkdir(parents=True)
    (root / "in" / "a.png").write_bytes(b"a")
    (root / "link").symlink_to(outside)
    (root / "in" / "link.png").symlink_to(outside / "secret.png")
    (root / "in" / "near.png").symlink_to("a.png")
    os.mkfifo(root / "in" / "pipe.png")
    return root


@pytest.fixture
def rooted(root: Path) -> Iterator[RootedFolder]:
    folder = RootedFolder(root)
    yield folder
    folder.close()


def written(rooted: RootedFolder, path: str, data: bytes = b"new") -> None:
    with rooted.written_whole(path) as file:
        file.write(data)


def test_files_are_read_by_relative_and_by_absolute_paths(rooted: RootedFolder, root: Path) -> None:
    for path in ("in/a.png", "./in/./a.png", "in//a.png", f"{root}/in/a.png"):
        with rooted.open(path) as file:
            assert file.read() == b"a"


HOSTILE = [
    "../outside/secret.png",
    "in/../../outside/secret.png",
    "in/deep/../a.png",
    "/etc/passwd",
    "//etc/passwd",
    "link/secret.png",
    "in/link.png",
    "in/near.png",
    "in/pipe.png",
    "in/deep",
    "in/a.png/b",
    "in/nothing.png",
    "in/a.png\0",
    "",
    ".",
    "x" * 300,
]


@pytest.mark.parametrize("path", HOSTILE)
def test_what_leads_elsewhere_is_not_read(rooted: RootedFolder, path: str) -> None:
    with pytest.raises(GridscribeError) as caught:
        rooted.open(path)
    assert path[:20].strip("\0") in caught.value.detail


@pytest.mark.parametrize(
    "path",
    ["../new.png", "/var/new.png", "link/new.png", "link/sub/new.png", "in/a.png/x", "in", ""],
)
def test_what_leads_elsewhere_is_not_written(
    rooted: RootedFolder, root: Path, outside: Path, path: str
) -> None:
    with pytest.raises(GridscribeError):
        written(rooted, path)
    assert [file.name for file in outside.iterdir()] == ["secret.png"]
    assert not list(root.rglob("*.part"))


def test_a_symbolic_link_in_the_place_of_an_output_is_replaced_not_followed(
    rooted: RootedFolder, root: Path, outside: Path
) -> None:
    written(rooted, "in/link.png")
    assert (outside / "secret.png").read_bytes() == b"secret"
    assert not (root / "in" / "link.png").is_symlink()


def test_folders_of_an_output_are_made(rooted: RootedFolder, root: Path) -> None:
    written(rooted, "out/of/nothing.png")
    assert (root / "out/of/nothing.png").read_bytes() == b"new"


def test_an_output_that_fails_leaves_the_old_one(rooted: RootedFolder, root: Path) -> None:
    with pytest.raises(TypeError), rooted.written_whole("in/a.png") as file:
        file.writelines([b"half", None])  # type: ignore[list-item]  # what fails, fails halfway
    assert (root / "in/a.png").read_bytes() == b"a"
    assert not list(root.rglob("*.part"))


def test_names_are_those_of_regular_files_in_natural_order(
    rooted: RootedFolder, root: Path
) -> None:
    for name in ("img_10.png", "img_2.png"):
        (root / "in" / name).touch()
    assert rooted.file_names("in") == ["a.png", "img_2.png", "img_10.png"]
    with pytest.raises(GridscribeError):
        rooted.file_names("link")


def test_a_folder_that_is_swapped_for_a_link_again_and_again_never_leads_out(
    rooted: RootedFolder, root: Path, outside: Path
) -> None:
    (root / "swap").mkdir()
    (root / "swap" / "secret.png").write_bytes(b"harmless")
    over = threading.Event()

    def swap() -> None:
        while not over.wait(0.0002):  # so that both threads have their turns on one core
            (root / "swap").rename(root / "aside")
            (root / "swap").symlink_to(outside)
            (root / "swap").unlink()
            (root / "aside").rename(root / "swap")

    thread = threading.Thread(target=swap)
    thread.start()
    reads: list[bytes | None] = []
    try:
        deadline = time.monotonic() + 30
        while len(reads) < 3000 or len(set(reads)) < 2:
            assert time.monotonic() < deadline
            try:
                with rooted.open("swap/secret.png") as file:
                    reads.append(file.read())
            except GridscribeError:
                reads.append(None)
    finally:
        over.set()
        thread.join()
    assert set(reads) == {b"harmless", None}
