import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from tests.unit.pipeline.sheets import COLORS, plain, rendered
from worker.pipeline.html_viewer import digest
from worker.pipeline.render import RenderedSheet

HOSTILE = '</figcaption></script><script>alert(1)</script><img src=x onerror="alert(2)">\'"&<!--'
OWN_ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "header", "input", "label"),
    *("select", "option", "button", "output", "span", "kbd", "dialog", "img", "div", "p", "dl"),
    *("main", "figure", "figcaption", "script"),
}


class Document(HTMLParser):
    """Elements in order with their attributes and the text right behind their start tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._inside = ""
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        self._inside = tag

    def handle_endtag(self, _tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[-1] += data

    def texts_of(self, tag: str) -> list[str]:
        return [
            text for (name, _), text in zip(self.elements, self.texts, strict=True) if name == tag
        ]


def read(sheet: RenderedSheet) -> Document:
    [file] = sheet.pages
    return Document(file.path.read_text(encoding="utf-8"))


def captions(document: Document) -> list[str]:
    """All lines below pictures."""
    lines: list[str] = []
    is_below = False
    for (tag, _), text in zip(document.elements, document.texts, strict=True):
        is_below = tag == "figcaption" or (is_below and tag == "span")
        if is_below and tag == "span":
            lines.append(text)
    return lines


def test_one_file_holds_the_pictures_of_all_pages(tmp_path: Path) -> None:
    sheet = rendered(tmp_path, plain(5), rows=1, cols=2, format="html", resize_mode="fill")
    document = read(sheet)
    sources = [a["src"] or "" for tag, a in document.elements if tag == "img" and "src" in a]
    assert len(sources) == 5
    for source, color in zip(sources, COLORS, strict=False):
        data = base64.b64decode(source.removeprefix("data:image/webp;base64,"))
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.size == (64, 48)
            found = picture.convert("RGB").getpixel((32, 24))
        assert isinstance(found, tuple)
        assert all(abs(a - b) < 6 for a, b in zip(found, color, strict=True))
    assert len(json.loads(document.texts_of("script")[0])["images"]) == 5


def test_a_stack_is_one_figure_and_figures_stand_in_the_order_of_the_sheet(
    tmp_path: Path,
) -> None:
    two = plain(2)
    entries = [two[1], two[0], two[1]]
    sheet = rendered(tmp_path, entries, sort="name", stack_duplicates=True, format="html")
    document = read(sheet)
    shown = [a["data-index"] for tag, a in document.elements if tag == "figure"]
    assert shown == ["1", "0"]
    embedded = json.loads(document.texts_of("script")[0])
    assert [image["stacked_on"] for image in embedded["images"]] == [None, None, 0]


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    entries = plain(2, label=HOSTILE)
    entries = [
        type(entry)(
            name=HOSTILE + ".png", label=HOSTILE, open=entry.open, metadata={HOSTILE: HOSTILE}
        )
        for entry in entries
    ]
    sheet = rendered(tmp_path, entries, format="html", title=HOSTILE)
    document = read(sheet)
    assert {tag for tag, _ in document.elements} <= OWN_ELEMENTS
    assert len(document.texts_of("script")) == 2, "the manifest and the viewer's own"
    assert not [name for _, attrs in document.elements for name in attrs if name.startswith("on")]
    assert captions(document) == [HOSTILE, HOSTILE]
    buttons = [attrs for tag, attrs in document.elements if tag == "button" and "title" in attrs]
    assert buttons == [{"type": "button", "title": HOSTILE + ".png"}] * 2
    pictures = [attrs for tag, attrs in document.elements if tag == "img" and "src" in attrs]
    assert [picture["alt"] for picture in pictures] == [HOSTILE, HOSTILE]
    assert document.texts_of("h1") == document.texts_of("title") == [HOSTILE]
    embedded = json.loads(document.texts_of("script")[0])
    assert embedded["images"][0]["metadata"] == {HOSTILE: HOSTILE}


def test_its_policy_lets_only_its_own_script_and_style_work(tmp_path: Path) -> None:
    document = read(rendered(tmp_path, plain(1), format="html"))
    [policy] = [
        attrs["content"] or ""
        for tag, attrs in document.elements
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == ["'none'"]
    assert rules["img-src"] == ["data:"]
    assert rules["script-src"] == [f"'{digest(document.texts_of('script')[1])}'"]
    assert rules["style-src"] == [f"'{digest(document.texts_of('style')[0])}'"]


def test_it_needs_no_network(tmp_path: Path) -> None:
    [file] = rendered(tmp_path, plain(1), format="html").pages
    text = re.sub('data:image/webp;base64,[^"]+', "", file.path.read_text(encoding="utf-8"))
    assert not re.search(r"https?:|//[a-z]|url\(|@import", text)


def test_an_overlaid_label_stands_beside_the_picture_only(tmp_path: Path) -> None:
    look = {"cell_size": (64, 64), "resize_mode": "fill", "label_position": "overlay"}
    document = read(rendered(tmp_path, plain(1), format="html", **look))
    [source] = [a["src"] or "" for tag, a in document.elements if tag == "img" and "src" in a]
    data = base64.b64decode(source.removeprefix("data:image/webp;base64,"))
    with Image.open(io.BytesIO(data)) as picture:
        spread = [high - low for low, high in picture.convert("RGB").getextrema()]  # type: ignore[misc]
    assert max(spread) < 8, "one plain colour, as the picture is"
    assert captions(document) == ["a label"]


def test_a_label_has_as_many_lines_as_it_would_have_on_a_sheet(tmp_path: Path) -> None:
    entries = plain(2, label="seed: 7\ncfg: 4\nsteps: 20")
    document = read(rendered(tmp_path, entries[:1], format="html", labels=("seed", "cfg", "steps")))
    assert captions(document) == ["seed: 7", "cfg: 4", "steps: 20"]
    document = read(rendered(tmp_path, entries[:1], format="html"))
    assert captions(document) == ["seed: 7", "cfg: 4…"]
    assert captions(read(rendered(tmp_path, plain(1, label=""), format="html"))) == []
