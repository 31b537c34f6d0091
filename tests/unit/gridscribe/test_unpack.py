import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner

from gridscribe.cli import app
from gridscribe.image_files import InputError, find_images
from gridscribe.local import make_sheet
from gridscribe.unpack import picture_name, unpack
from shared.job_spec import JobSpec, SheetFormat
from shared.schemas import LabelSource, Manifest
from tests.unit.pipeline.sheets import COLORS, encoded, entry, is_plain, plain, rendered
from worker.pipeline.pdf_document import ATTACHMENT
from worker.pipeline.render import SheetEntry


def sheet_of(folder: Path, entries: list[SheetEntry], **fields: Any) -> list[Path]:
    folder.mkdir()
    return [page.path for page in rendered(folder, entries, **fields).pages]


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def resaved_png(sheet: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """The same picture with its manifest changed."""
    with Image.open(sheet) as image:
        manifest = json.loads(image.text["gridscribe"])  # type: ignore[attr-defined]
        change(manifest)
        info = PngInfo()
        info.add_itxt("gridscribe", json.dumps(manifest))
        image.save(sheet, "PNG", pnginfo=info)


@pytest.mark.parametrize("format_", SheetFormat)
def test_every_format_gives_its_cells_back(tmp_path: Path, format_: SheetFormat) -> None:
    sheets = sheet_of(
        tmp_path / "made", plain(5), format=format_, rows=1, cols=2, resize_mode="fill", quality=95
    )
    unpacked = unpack(sheets, tmp_path / "cells")
    assert (unpacked.pictures, unpacked.without_picture) == (5, 0)
    rows = rows_of(tmp_path / "cells")
    assert [row["filename"] for row in rows] == [f"{i}.png" for i in range(5)]
    assert sorted(p.name for p in (tmp_path / "cells").glob("*.png")) == sorted(
        row["filename"] for row in rows
    )
    for row, color in zip(rows, COLORS, strict=False):
        with Image.open(tmp_path / "cells" / row["filename"]) as cell:
            assert cell.size == (64, 48)
            if format_ in (SheetFormat.PNG, SheetFormat.TIFF):
                assert is_plain(cell, color)
            else:
                middle = cell.convert("RGB").getpixel((32, 24))
                assert isinstance(middle, tuple)
                assert all(abs(a - b) < 8 for a, b in zip(middle, color, strict=True))


@pytest.mark.parametrize("format_", ["png", "jpg", "pdf", "html"])
def test_a_sheet_can_be_made_again_from_what_it_was_taken_apart_into(
    tmp_path: Path, format_: str
) -> None:
    labels = ["a fox, red", 'say "hi"\nsecond line', "漢字 😀", "=1+1; <b>&amp;"]
    metadata = {"filename": "old.jpg", "Label": "other", "seed": 7, "sizes": [1, 2], "note": "x\0y"}
    entries = [
        entry(data.open().read(), f"{i}.jpg", label, source=LabelSource.CLIP, confidence=0.5,
              metadata=metadata)
        for i, (data, label) in enumerate(zip(plain(4), labels, strict=True))
    ]  # fmt: skip
    sheets = sheet_of(tmp_path / "made", entries, format=format_)
    cells = tmp_path / "cells"
    unpack(sheets, cells)
    again = make_sheet(
        JobSpec(cell_size=(64, 48)),
        find_images([cells]),
        tmp_path / "again.png",
        csv=cells / "labels.csv",
        on_progress=lambda *_: None,
    )
    assert [image.label for image in again.manifest.images] == labels
    assert {image.label_source for image in again.manifest.images} == {LabelSource.CSV}
    assert not again.manifest.warnings
    first = again.manifest.images[0].metadata
    assert (first["label_source"], first["confidence"]) == ("clip", "0.5000")
    assert (first["original_filename"], first["original_label"]) == ("old.jpg", "other")
    assert (first["seed"], first["sizes"], first["note"]) == ("7", "[1, 2]", "xy")


@pytest.mark.parametrize("format_", ["jpg", "png"])
def test_a_manifest_of_any_length_travels_in_the_file(tmp_path: Path, format_: str) -> None:
    entries = [
        entry(
            encoded(Image.new("RGB", (30, 30))), f"{i}.png", "label", metadata={"p": "ab<&" * 500}
        )
        for i in range(90)
    ]
    [sheet] = sheet_of(tmp_path / "made", entries, format=format_)
    assert sheet.stat().st_size > 180_000
    unpack([sheet], tmp_path / "cells")
    assert {row["p"] for row in rows_of(tmp_path / "cells")} == {"ab<&" * 500}


def test_metadata_too_long_for_a_file_is_left_out_with_a_warning(tmp_path: Path) -> None:
    entries = plain(2)
    entries.append(
        entry(encoded(Image.new("RGB", (9, 9))), "x.png", metadata={"p": "x" * 8_000_000})
    )
    sheet = rendered(tmp_path, entries)
    assert [warning.code for warning in sheet.manifest.warnings] == ["manifest_trimmed"]
    assert len(sheet.manifest.images[2].metadata["p"]) == 8_000_000
    unpack([sheet.pages[0].path], tmp_path / "cells")
    assert [row["filename"] for row in rows_of(tmp_path / "cells")] == ["0.png", "1.png", "x.png"]


def test_a_placeholder_has_no_file_and_no_row(tmp_path: Path) -> None:
    entries = plain(2)
    entries[0] = entry(b"torn", "torn.png")
    for format_ in ("png", "html"):
        sheets = sheet_of(tmp_path / format_, entries, format=format_)
        unpacked = unpack(sheets, tmp_path / f"{format_}-cells")
        assert (unpacked.pictures, unpacked.without_picture) == (1, 1)
        assert [row["filename"] for row in rows_of(unpacked.folder)] == ["1.png"]


@pytest.mark.parametrize("format_", SheetFormat)
def test_a_sorted_sheet_with_stacks_gives_its_shown_pictures_back(
    tmp_path: Path, format_: SheetFormat
) -> None:
    two = plain(2)
    entries = [two[1], two[0], two[1], two[1]]
    asked = {"sort": "name", "stack_duplicates": True, "title": "Two", "quality": 95}
    sheets = sheet_of(tmp_path / "made", entries, format=format_, **asked)
    unpacked = unpack(sheets, tmp_path / "cells")
    assert (unpacked.pictures, unpacked.without_picture) == (2, 2)
    assert [row["filename"] for row in rows_of(unpacked.folder)] == ["1.png", "0.png"]
    for number in (0, 1):
        with Image.open(unpacked.folder / f"{number}.png") as cell:
            corner = cell.convert("RGB").getpixel((2, cell.height - 3))
            assert isinstance(corner, tuple)
            assert all(abs(a - b) < 8 for a, b in zip(corner, COLORS[number], strict=True))


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("fox.jpg", "fox.png"),
        ("../../etc/passwd", "passwd.png"),
        ("C:\\Windows\\win.ini", "win.png"),
        ("..", "image.png"),
        ("", "image.png"),
        (".hidden", "hidden.png"),
        ("-rf.png", "_-rf.png"),
        ("con.txt", "_con.png"),
        ("a\x00b\n\u202ec.png", "a_b_c.png"),
        ('<img src="x">.png', "_img src=_x__.png"),
        ("漢字 ü.webp", "漢字 ü.png"),
        ("x" * 5000, "x" * 100 + ".png"),
        ("漢" * 5000, "漢" * 66 + ".png"),
    ],
)
def test_a_hostile_name_becomes_a_plain_one(name: str, safe: str) -> None:
    assert picture_name(name, set()) == safe


def test_names_that_collide_are_numbered() -> None:
    taken: set[str] = set()
    names = [
        picture_name(name, taken) for name in ("a.png", "a.jpg", "A.png", "a-2.png", "b/a.gif")
    ]
    assert names == ["a.png", "a-2.png", "A-3.png", "a-2-2.png", "a-4.png"]


def test_a_picture_without_a_manifest_is_told(tmp_path: Path) -> None:
    for name, format_ in (
        ("x.png", "PNG"),
        ("x.jpg", "JPEG"),
        ("x.avif", "AVIF"),
        ("x.pdf", "PDF"),
    ):
        (tmp_path / name).write_bytes(encoded(Image.new("RGB", (40, 40)), format_))
        with pytest.raises(InputError, match=rf"{name}: it carries no manifest"):
            unpack([tmp_path / name], tmp_path / "cells")
    page = tmp_path / "x.html"
    page.write_text("<!DOCTYPE html><p>a page")
    with pytest.raises(InputError, match="no manifest"):
        unpack([page], tmp_path / "cells")
    notes = tmp_path / "notes.txt"
    notes.write_text("no sheet at all")
    with pytest.raises(InputError, match="neither a picture, a PDF nor an HTML file"):
        unpack([notes], tmp_path / "cells")
    assert not (tmp_path / "cells").exists()


def test_a_sheet_that_was_scaled_is_refused_with_the_reason(tmp_path: Path) -> None:
    [sheet] = sheet_of(tmp_path / "made", plain(2), format="webp")
    with Image.open(sheet) as image:
        image.resize((50, 50)).save(sheet, "WEBP", xmp=image.info["xmp"])
    with pytest.raises(InputError, match="scaled or cropped"):
        unpack([sheet], tmp_path / "cells")


def _move_out(manifest: dict[str, Any]) -> None:
    manifest["images"][0]["picture"]["x"] = 10**6


def _overlap(manifest: dict[str, Any]) -> None:
    page = manifest["pages"][0]
    whole = {"x": 0, "y": 0, "width": page["width"], "height": page["height"]}
    for image in manifest["images"]:
        image["picture"] = whole


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_move_out, "outside page 1"),
        (_overlap, "over other images"),
        (lambda m: m["pages"][0].update(width=10**6, height=10**6), "over the limit"),
        (lambda m: m["images"][1].update(index=0), "two images have one index"),
        (lambda m: m.update(version=2), "newer version"),
        (lambda m: m["images"][0].pop("cell"), "at images.0.cell"),
        (lambda m: m["images"][0].update(page=7), "outside page 7"),
    ],
)
def test_a_hostile_manifest_writes_nothing(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    [sheet] = sheet_of(tmp_path / "made", plain(3))
    resaved_png(sheet, change)
    with pytest.raises(InputError, match=reason):
        unpack([sheet], tmp_path / "cells")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_manifest_that_would_unpack_to_no_end_is_refused(tmp_path: Path) -> None:
    [sheet] = sheet_of(tmp_path / "made", plain(1), format="pdf")
    bomb = tmp_path / "bomb.pdf"
    with pikepdf.open(sheet) as document:
        del document.attachments[ATTACHMENT]
        document.attachments[ATTACHMENT] = pikepdf.AttachedFileSpec(document, b" " * 65_000_000)
        document.save(bomb)
    assert bomb.stat().st_size < 200_000
    with pytest.raises(InputError, match="more than 64,000,000 bytes"):
        unpack([bomb], tmp_path / "cells")


@pytest.mark.parametrize(
    "packet",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><unclosed>",
    ],
)
def test_hostile_xmp_is_refused(tmp_path: Path, packet: bytes) -> None:
    sheet = tmp_path / "sheet.webp"
    Image.new("RGB", (40, 40)).save(sheet, "WEBP", xmp=packet)
    with pytest.raises(InputError, match="its XMP"):
        unpack([sheet], tmp_path / "cells")


def test_a_damaged_sheet_leaves_nothing_behind(tmp_path: Path) -> None:
    for format_ in ("png", "pdf", "html"):
        [sheet] = sheet_of(tmp_path / format_, plain(3), format=format_)
        data = sheet.read_bytes()
        sheet.write_bytes(data[: len(data) // 2])
        with pytest.raises(InputError, match=sheet.name):
            unpack([sheet], tmp_path / "cells")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["html", "pdf", "png"]


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    [sheet] = sheet_of(tmp_path / "made", plain(1))
    with pytest.raises(InputError, match="something already"):
        unpack([sheet], sheet.parent)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert unpack([sheet], empty).pictures == 1


def test_the_command_names_the_folder_after_the_sheet(tmp_path: Path) -> None:
    sheets = sheet_of(tmp_path / "made", plain(3), rows=1, cols=2)
    result = CliRunner().invoke(app, ["unpack", *map(str, sheets)])
    assert result.exit_code == 0, result.output
    assert "3 picture(s)" in result.output
    assert len(rows_of(tmp_path / "made" / "page-1")) == 3


def test_each_page_carries_only_its_own_images(tmp_path: Path) -> None:
    sheets = sheet_of(tmp_path / "made", plain(5), rows=1, cols=2)
    found = []
    for sheet in sheets:
        with Image.open(sheet) as image:
            manifest = Manifest.model_validate_json(image.text["gridscribe"])  # type: ignore[attr-defined]
        assert len(manifest.pages) == 3
        found.append([placed.index for placed in manifest.images])
    assert found == [[0, 1], [2, 3], [4]]
