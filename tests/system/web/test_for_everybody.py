"""The web page by keyboard alone, by screen reader, on a phone, in both themes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from gridscribe.devstack import DevStack
from shared.schemas import Job
from tests.fixtures.browser import accessibility_findings, scrolls_sideways

pytestmark = pytest.mark.system

SHOWN = 120_000
"""Milliseconds until a sheet is there."""


def show_new(page: Page, pictures: list[Path], _: Job) -> None:
    page.locator("input[type=file]").first.set_input_files(pictures)
    expect(page.locator(".preview-frame image")).to_have_count(3)
    page.get_by_label("Ask CLIP").check()
    page.get_by_text("More: plots").click()


def show_job(page: Page, _: list[Path], finished: Job) -> None:
    page.goto(f"{page.url}#/jobs/{finished.id}")
    expect(page.locator(".cell")).to_have_count(2)
    page.get_by_label("Label of dusk 1.png").fill("Dawn")


def show_commands(page: Page, pictures: list[Path], finished: Job) -> None:
    show_job(page, pictures, finished)
    page.get_by_role("button", name="Copy as…").click()


def show_list(page: Page, _: list[Path], finished: Job) -> None:
    page.goto(f"{page.url}#/jobs")
    expect(page.get_by_role("link", name=finished.id[-8:])).to_be_visible()


def show_key_dialog(page: Page, _: list[Path], __: Job) -> None:
    page.get_by_role("button", name="API key").click()


VIEWS = (show_new, show_job, show_commands, show_list, show_key_dialog)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_no_view_shuts_anybody_out_or_scrolls_sideways(
    browser: Browser, stack: DevStack, pictures: list[Path], finished: Job, scheme: str, width: int
) -> None:
    for show in VIEWS:
        size = {"width": width, "height": 900}
        with browser.new_context(viewport=size, color_scheme=scheme) as context:  # type: ignore[arg-type]  # two of its literals
            page = context.new_page()
            page.goto(stack.base_url)
            show(page, pictures, finished)
            assert accessibility_findings(page) == [], f"{show.__name__}, {scheme}, {width}"
            assert not scrolls_sideways(page), f"{show.__name__}, {width}"


def test_the_button_turns_the_theme_and_the_browser_remembers(page: Page) -> None:
    button = page.get_by_role("button", name="Dark theme")
    expect(button).to_have_attribute("aria-pressed", "false")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    button.click()
    assert page.evaluate(background) != light
    page.reload()
    expect(button).to_have_attribute("aria-pressed", "true")


def press_until(page: Page, key: str, is_there: Callable[[], bool]) -> None:
    for _ in range(80):
        page.keyboard.press(key)
        if is_there():
            return
    raise AssertionError(f"{key} does not lead there")


def test_all_of_it_can_be_done_by_keyboard(page: Page, pictures: list[Path]) -> None:
    # Watched for from now on: asked to later, Playwright may come too late for the dialog.
    page.on("filechooser", lambda _: None)
    focused = "document.activeElement.textContent.trim()"
    press_until(page, "Tab", lambda: page.evaluate(focused) == "Choose pictures")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(pictures)
    expect(page.locator(".pictures li")).to_have_count(3)
    press_until(page, "Tab", lambda: page.evaluate(focused) == "Make the sheet")
    page.keyboard.press("Enter")
    expect(page.locator(".cell")).to_have_count(3, timeout=SHOWN)

    is_cell = "document.activeElement.classList.contains('cell')"
    press_until(page, "Tab", lambda: bool(page.evaluate(is_cell)))
    page.keyboard.press("ArrowRight")
    name = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert pictures[1].name in name
    expect(page.locator(".details")).to_contain_text(pictures[1].name)
    press_until(page, "Tab", lambda: page.evaluate("document.activeElement.tagName") == "TEXTAREA")
    page.keyboard.press("Control+A")
    page.keyboard.type("By keyboard")
    page.keyboard.press("Enter")
    press_until(page, "Tab", lambda: page.evaluate(focused) == "Render again")
    page.keyboard.press("Enter")
    expect(page.get_by_label(f"Label of {pictures[1].name}")).to_have_value(
        "By keyboard", timeout=SHOWN
    )
