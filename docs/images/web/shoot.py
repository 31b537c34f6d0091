"""Takes the pictures of docs/web-page.md anew: `make screenshots`. It needs Debian's `chromium`."""

import io
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from gridscribe.devstack import DevStack

FOLDER = Path(__file__).parent
SAMPLES = sorted((FOLDER.parents[2] / "gridscribe" / "samples").glob("*.jpg"))
READY_SECONDS = 600
SHEET_MS = 120_000


@dataclass(frozen=True, slots=True)
class Look:
    """A window; `name` begins the names of its pictures."""

    name: str
    width: int
    height: int
    scheme: Literal["light", "dark"]


LOOKS = (
    Look("wide-light", 1440, 1000, "light"),
    Look("wide-dark", 1440, 1000, "dark"),
    Look("tablet-light", 820, 1180, "light"),
    Look("tablet-dark", 820, 1180, "dark"),
    Look("phone-light", 390, 844, "light"),
    Look("phone-dark", 390, 844, "dark"),
)


def main() -> None:
    program = shutil.which("chromium")
    if program is None:
        sys.exit("no chromium on PATH; install it with: sudo apt-get install chromium")
    with (
        tempfile.TemporaryDirectory() as folder,
        DevStack(port=0, data_dir=Path(folder), log=lambda *_: None) as stack,
        sync_playwright() as playwright,
    ):
        stack.wait_ready(READY_SECONDS)
        browser = playwright.chromium.launch(executable_path=program)
        for look in LOOKS:
            shoot(browser, stack.base_url, look)
        browser.close()


def shoot(browser: Browser, address: str, look: Look) -> None:
    with browser.new_context(
        viewport={"width": look.width, "height": look.height}, color_scheme=look.scheme
    ) as context:
        page = context.new_page()
        page.set_default_timeout(SHEET_MS)
        page.goto(address)
        page.locator("input[type=file]").first.set_input_files(SAMPLES)
        page.get_by_label("Title").fill("Nine photos")
        page.get_by_label("Ask CLIP").check()
        page.locator(".preview-frame image").nth(len(SAMPLES) - 1).wait_for()
        page.evaluate("scrollTo(0, 0)")
        save(page, f"{look.name}-new")
        page.get_by_role("button", name="Make the sheet").click()
        page.locator(".viewer .plane img[src]").wait_for()
        page.locator(".cell").nth(3).click()
        save(page, f"{look.name}-job")
        page.get_by_label("Label of brick.jpg").fill("A wall of bricks")
        page.get_by_label("Label of brick.jpg").scroll_into_view_if_needed()
        save(page, f"{look.name}-labels")
        page.get_by_role("link", name="Jobs").click()
        page.locator("table.jobs tbody tr").first.wait_for()
        save(page, f"{look.name}-list")


def save(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    with Image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide"))) as image:
        image.convert("RGB").save(FOLDER / f"{name}.webp", "WEBP", quality=72, method=6)


if __name__ == "__main__":
    main()
