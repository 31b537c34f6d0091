import io
import re
from pathlib import Path

import pikepdf
import pytest
from PIL import Image

from shared.job_spec import LabelPosition
from tests.unit.pipeline.sheets import plain, rendered
from worker.pipeline import pdf_document
from worker.pipeline.pdf_document import page_jpeg


def shown_texts(page: pikepdf.Page) -> list[str]:
    """What a reader finds on the page: codes looked up in the font's own table."""
    table = page.Resources.Font.Text.ToUnicode.read_bytes().decode()
    characters = {
        code: bytes.fromhex(character).decode("utf-16-be")
        for code, character in re.findall(r"^<(....)> <(\w+)>$", table, re.MULTILINE)
    }
    content = page.Contents.read_bytes().decode()
    return [
        "".join(characters[glyph] for glyph in re.findall("....", glyphs))
        for glyphs in re.findall(r"<(\w+)> Tj", content)
    ]


def scale_of(page: pikepdf.Page) -> float:
    """Points a pixel."""
    return float(page.Contents.read_bytes().split()[0])


def text_origins(page: pikepdf.Page) -> list[tuple[float, float]]:
    """Where each line of text begins, in pixels from the upper left corner, with its font size."""
    content = page.Contents.read_bytes().decode()
    height = float(page.mediabox[3]) / scale_of(page)
    return [
        (float(x), height - float(y)) for x, y in re.findall(r"1 0 0 1 (\S+) (\S+) Tm", content)
    ]


def test_one_file_holds_all_pages(tmp_path: Path) -> None:
    sheet = rendered(tmp_path, plain(9), rows=2, cols=2, format="pdf", title="Nine")
    [file] = sheet.pages
    assert file.path.name == "page-1.pdf"
    assert [path.name for path in tmp_path.iterdir()] == ["page-1.pdf"]
    with pikepdf.open(file.path) as document:
        assert not document.check_pdf_syntax()
        assert document.docinfo["/Title"] == "Nine"
        assert len(document.pages) == len(sheet.manifest.pages) == 3
        for number, planned in enumerate(sheet.manifest.pages, start=1):
            page = document.pages[number - 1]
            jpeg = Image.open(io.BytesIO(page_jpeg(document, number)))
            assert jpeg.size == (planned.width, planned.height)
            sides = [float(side) for side in page.mediabox[2:]]
            assert sides == pytest.approx([planned.width * 0.48, planned.height * 0.48])


def test_labels_can_be_searched_whatever_their_script(tmp_path: Path) -> None:
    label = "seed 7 漢字 عربي 😀\nsecond (line) \\ <>"
    sheet = rendered(tmp_path, plain(1, label=label), format="pdf")
    with pikepdf.open(sheet.pages[0].path) as document:
        assert shown_texts(document.pages[0]) == label.split("\n")


@pytest.mark.parametrize("label_position", LabelPosition)
def test_what_is_found_is_marked_where_its_picture_is(
    tmp_path: Path, label_position: LabelPosition
) -> None:
    entries = plain(6, label="a label")
    sheet = rendered(tmp_path, entries, format="pdf", cols=3, label_position=label_position)
    with pikepdf.open(sheet.pages[0].path) as document:
        origins = text_origins(document.pages[0])
    assert len(origins) == 6
    for (x, y), placed in zip(origins, sheet.manifest.images, strict=True):
        cell, picture = placed.cell, placed.picture
        assert picture is not None
        assert cell.x <= x < cell.x + cell.width / 2
        top = picture.y + picture.height if label_position == "band" else cell.y + cell.height / 2
        assert top < y <= cell.y + cell.height + 0.01


def test_a_long_label_is_searchable_to_its_end(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(300)]
    sheet = rendered(tmp_path, plain(1, label=" ".join(words)), format="pdf")
    with pikepdf.open(sheet.pages[0].path) as document:
        assert " ".join(shown_texts(document.pages[0])).split() == words


def test_a_sheet_in_many_parts_is_one_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf_document, "PART_BYTES", 3000)
    sheet = rendered(tmp_path, plain(7, label=""), rows=1, cols=1, format="pdf")
    assert [path.name for path in tmp_path.iterdir()] == ["page-1.pdf"]
    with pikepdf.open(sheet.pages[0].path) as document:
        assert len(document.pages) == 7


def test_a_page_past_what_readers_show_comes_out_finer(tmp_path: Path) -> None:
    sheet = rendered(tmp_path, plain(1), rows=1, cols=450, format="pdf", margin=60)
    width = sheet.manifest.pages[0].width
    assert width * 0.48 > 14_400
    with pikepdf.open(sheet.pages[0].path) as document:
        page = document.pages[0]
        assert float(page.mediabox[2]) == pytest.approx(14_400)
        assert scale_of(page) * width == pytest.approx(14_400, rel=1e-3), "all of it is on the page"
