import io
import re
from pathlib import Path

import pikepdf
import pytest
from PIL import Image

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
        assert float(document.pages[0].mediabox[2]) == pytest.approx(14_400)
