"""The HTML viewer in a real browser that has no network."""

from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.fixtures.browser import accessibility_findings, scrolls_sideways
from tests.unit.pipeline.sheets import entry, plain, rendered, striped
from worker.pipeline.render import SheetEntry

pytestmark = pytest.mark.system

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"alert(1)\">"


def opened(page: Page, folder: Path, entries: list[SheetEntry], **fields: object) -> None:
    sheet = rendered(folder, entries, format="html", **fields)
    page.context.set_offline(True)
    page.goto(sheet.pages[0].path.as_uri())


def labels(page: Page) -> list[str]:
    return page.locator("figure:visible figcaption").all_inner_texts()


def three(folder: Path, page: Page) -> None:
    entries = [
        entry(striped(), "img_10.png", "a red fox", confidence=0.4, metadata={"seed": 7}),
        entry(striped(), "img_2.png", "an owl", confidence=0.9),
        entry(striped(), "img_3.png", "a red barn"),
    ]
    opened(page, folder, entries, title="Three", cell_size=(256, 128))


def test_it_searches_sorts_and_zooms_without_a_network(page: Page, tmp_path: Path) -> None:
    three(tmp_path, page)
    expect(page.locator("#count")).to_have_text("3 pictures")
    page.keyboard.press("/")
    page.keyboard.type("red")
    expect(page.locator("#count")).to_have_text("2 of 3 pictures")
    assert labels(page) == ["a red fox", "a red barn"]
    page.locator("#search").fill("")
    page.locator("#sort").select_option("name")
    assert labels(page) == ["an owl", "a red barn", "a red fox"]
    page.locator("#sort").select_option("confidence")
    assert labels(page) == ["an owl", "a red fox", "a red barn"]
    width = page.locator("figure img").first.bounding_box()
    page.locator("#zoom").fill("128")
    smaller = page.locator("figure img").first.bounding_box()
    assert width
    assert smaller
    assert (round(width["width"]), round(smaller["width"])) == (256, 128)


def test_a_picture_opens_with_all_that_is_known_and_keys_turn_it(
    page: Page, tmp_path: Path
) -> None:
    three(tmp_path, page)
    page.locator("figure button").first.click()
    expect(page.locator("#name")).to_have_text("img_10.png")
    expect(page.locator("#facts")).to_contain_text("seed")
    assert page.locator("#large").evaluate("image => image.naturalWidth") > 0
    page.keyboard.press("ArrowRight")
    expect(page.locator("#label")).to_have_text("an owl")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()


def test_hostile_words_run_no_script(page: Page, tmp_path: Path) -> None:
    alerts: list[str] = []

    def note(dialog: Dialog) -> None:
        alerts.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    entries = [entry(striped(), HOSTILE, HOSTILE, metadata={HOSTILE: HOSTILE})]
    opened(page, tmp_path, entries, title=HOSTILE)
    page.locator("figure button").click()
    expect(page.locator("#label")).to_have_text(HOSTILE)
    assert page.title() == HOSTILE
    assert page.locator("script").count() == 2, "the manifest and the viewer's own"
    assert page.locator("img").count() == 2
    assert alerts == []


def test_a_plot_keeps_its_headers_until_it_is_sorted(page: Page, tmp_path: Path) -> None:
    values = [("a", 3), ("a", 7), ("b", 7), ("b", 7)]
    entries = [
        entry(striped(), f"{n}.png", f"label {n}", metadata={"sampler": sampler, "cfg": cfg})
        for n, (sampler, cfg) in enumerate(values)
    ]
    axes = {"rows_by": "sampler", "cols_by": "cfg"}
    opened(page, tmp_path, entries, axes=axes, cell_size=(120, 60))
    headers = page.locator(".axis:not(.gap):visible")
    expect(headers).to_have_text(
        ["cfg 3", "cfg 7", "sampler a", "sampler b", "cfg 3", "cfg 7", "sampler b"]
    )
    boxes = {text: headers.nth(at).bounding_box() for at, text in enumerate(("3", "7", "a", "b"))}
    owls = [page.locator("figure", has_text=f"label {n}").bounding_box() for n in range(3)]
    middles = [box["x"] + box["width"] / 2 for box in (*boxes.values(), *owls) if box]
    assert middles[4] == pytest.approx(middles[0], abs=1)
    assert middles[5] == middles[6] == pytest.approx(middles[1], abs=1)
    tops = [box["y"] for box in owls if box]
    assert tops[0] == tops[1] < tops[2]
    gaps = page.locator(".gap:visible")
    expect(gaps).to_have_count(2)
    gap, above = gaps.first.bounding_box(), owls[0]
    assert gap
    assert above
    assert (gap["x"], gap["width"]) == pytest.approx((above["x"], above["width"]), abs=1)
    assert gap["y"] == pytest.approx(tops[2], abs=1)
    beside = headers.filter(has_text="sampler a").bounding_box()
    picture = page.locator("figure", has_text="label 0").locator("img").bounding_box()
    assert beside
    assert picture
    middle = beside["y"] + beside["height"] / 2
    assert middle == pytest.approx(picture["y"] + picture["height"] / 2, abs=1)
    page.locator("#sort").select_option("label")
    expect(headers).to_have_count(0)
    expect(gaps).to_have_count(0)
    page.locator("#sort").select_option("sheet")
    expect(headers).to_have_count(7)


def test_a_long_line_of_a_label_is_cut_and_the_short_ones_stay(page: Page, tmp_path: Path) -> None:
    long = "prompt: " + "a wide shot of an astronaut before the flag " * 9
    texts = [f"{long}\nseed: 7\ncfg: 4", "prompt: a fox\nseed: 8\ncfg: 4", ""]
    entries = [entry(striped(), f"{n}.png", text) for n, text in enumerate(texts)]
    opened(page, tmp_path, entries, labels=("prompt", "seed", "cfg"), cell_size=(256, 128))
    lines = page.locator("figure").first.locator("span")
    expect(lines).to_have_count(3)
    cut = lines.evaluate_all("all => all.map(it => it.scrollHeight > it.clientHeight + 1)")
    assert cut == [True, False, False]
    boxes = [line.bounding_box() for line in lines.all()]
    heights = [round(box["height"] / boxes[2]["height"]) for box in boxes if box and boxes[2]]
    assert heights == [2, 1, 1]
    figures = page.locator("figure")
    pictures = [figures.nth(n).locator("img").bounding_box() for n in range(3)]
    assert len({round(box["y"] + box["height"]) for box in pictures if box}) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(page: Page, tmp_path: Path, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    opened(page, tmp_path, plain(8), title="Eight", axes=None)
    assert accessibility_findings(page) == []
    page.locator("figure button").first.click()
    expect(page.locator("#viewer")).to_be_visible()
    assert accessibility_findings(page) == []
    page.set_viewport_size({"width": 360, "height": 700})
    page.keyboard.press("Escape")
    assert not scrolls_sideways(page)
