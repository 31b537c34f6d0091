"""What can be done to jobs, in the browser."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from redis import Redis

from gridscribe import Client
from gridscribe.devstack import DevStack
from shared.api_keys import ApiKeys
from shared.schemas import Job
from shared.settings import Settings
from tests.integration.api.served import serving

pytestmark = pytest.mark.system

SHOWN = 120_000
"""Milliseconds until a sheet is there."""

OpenJob = Callable[[str], None]


def test_a_label_that_is_put_right_stands_on_a_new_sheet(
    page: Page, finished: Job, open_job: OpenJob, service: Client
) -> None:
    open_job(finished.id)
    page.get_by_label("Label of dusk 1.png").fill("Dawn")
    changed = page.get_by_role("region", name="Changed labels")
    expect(changed).to_contain_text("1 label changed")
    changed.get_by_role("button", name="Render again").click()
    expect(page).not_to_have_url(re.compile(finished.id))
    row = page.locator("table.labels tbody tr").first
    expect(row.get_by_role("textbox")).to_have_value("Dawn", timeout=SHOWN)
    expect(row).to_contain_text("set by hand")
    made = service.jobs.get(page.url.rpartition("/")[2])
    assert [image.label for image in made.images][1:] == [i.label for i in finished.images][1:]
    assert service.jobs.get(finished.id).images == finished.images


def test_a_change_can_be_taken_back(page: Page, finished: Job, open_job: OpenJob) -> None:
    open_job(finished.id)
    label = page.get_by_label("Label of dusk 1.png")
    label.fill("Dawn")
    label.press("Escape")
    expect(label).to_have_value("Dusk")
    expect(page.get_by_role("region", name="Changed labels")).to_be_hidden()


def test_a_sheet_is_made_again_in_another_format(
    page: Page, finished: Job, open_job: OpenJob
) -> None:
    open_job(finished.id)
    page.get_by_label("In another format").select_option("pdf")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_text("application/pdf is not shown here")).to_be_visible(timeout=SHOWN)
    with page.expect_download() as saved:
        page.get_by_role("link", name="PDF").first.click()
    assert saved.value.path().read_bytes().startswith(b"%PDF")


def test_cells_tell_of_their_pictures_and_pages_turn(
    page: Page, finished: Job, open_job: OpenJob
) -> None:
    open_job(finished.id)
    first = page.locator(".cell").first
    first.hover()
    expect(page.locator(".tip")).to_contain_text("Dusk")
    expect(page.locator(".tip")).to_contain_text("CSV")
    expect(page.locator(".cell")).to_have_count(2)
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_text("Page 2 of 2")).to_be_visible()
    page.locator(".cell").first.click()
    expect(page.locator(".details")).to_contain_text("it's, fine;.png")


def test_the_sheet_zooms_and_pans(page: Page, finished: Job, open_job: OpenJob) -> None:
    open_job(finished.id)
    page.set_viewport_size({"width": 500, "height": 700})
    plane, frame = page.locator(".plane"), page.locator(".frame")
    expect(page.locator(".cell")).to_have_count(2)
    width = "element => element.getBoundingClientRect().width"
    fitted = plane.evaluate(width)
    for _ in range(6):
        page.get_by_role("button", name="Zoom in").click()
    assert plane.evaluate(width) > 3 * fitted
    box = frame.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = frame.evaluate("frame => frame.scrollLeft")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 80, y, steps=4)
    page.mouse.up()
    assert frame.evaluate("frame => frame.scrollLeft") > before + 40
    larger = plane.evaluate(width)
    page.locator(".cell").first.focus()
    page.mouse.wheel(0, 300)
    page.wait_for_function(f"document.querySelector('.plane').offsetWidth < {larger}")
    page.keyboard.press("0")
    assert plane.evaluate(width) == pytest.approx(fitted, abs=2)


def test_two_fingers_zoom(browser: Browser, stack: DevStack, finished: Job) -> None:
    phone = {"width": 390, "height": 844}
    with browser.new_context(viewport=phone, has_touch=True) as context:  # type: ignore[arg-type]  # a plain dict is what it is
        page = context.new_page()
        page.goto(f"{stack.base_url}/#/jobs/{finished.id}")
        expect(page.locator(".cell")).to_have_count(2)
        page.locator(".frame").scroll_into_view_if_needed()
        box = page.locator(".frame").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        width = "document.querySelector('.plane').offsetWidth"
        fitted = page.evaluate(width)
        devtools = context.new_cdp_session(page)
        for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 80)):
            points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
            devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_function(f"{width} > {2 * fitted}")


def test_a_job_is_canceled_and_retried(
    page: Page,
    open_job: OpenJob,
    service: Client,
    pictures: list[Path],
    captioning_halted: Callable[[], AbstractContextManager[None]],
) -> None:
    with captioning_halted():
        open_job(service.jobs.create(pictures, {"use_clip": True}).id)
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".pill")).to_have_text("canceled", timeout=SHOWN)
        page.get_by_role("button", name="Retry").click()
        expect(page.locator(".pill")).to_have_text("queued")
    expect(page.locator(".pill")).to_have_text("done", timeout=SHOWN)


def test_the_list_filters_and_deletes_after_a_question(
    page: Page, service: Client, pictures: list[Path]
) -> None:
    job = service.jobs.wait(service.jobs.create(pictures).id, timeout=300)
    page.goto(f"{page.url.partition('#')[0]}#/jobs")
    row = page.get_by_role("row").filter(has_text=job.id[-8:])
    expect(row).to_contain_text("done")
    page.get_by_role("link", name="Canceled").click()
    expect(row).to_have_count(0)
    page.get_by_role("link", name="Done").click()
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep it").click()
    expect(row).to_have_count(1)
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(row).to_have_count(0)
    assert job.id not in {listed.id for listed in service.jobs.list()}


def test_a_job_that_is_not_there_is_said_to_be_gone(page: Page, open_job: OpenJob) -> None:
    open_job("01981c2e-5f02-7d11-9a44-83c0be5517aa")
    expect(page.get_by_role("alert")).to_contain_text("there is no job")


@pytest.fixture
def keyed(stack: DevStack) -> Iterator[tuple[str, str]]:
    """A front end of the same service that wants keys, and a key."""
    settings = Settings(redis_url=stack.redis_url, data_dir=stack.data_dir, auth="required")
    with (
        serving(settings) as client,
        Redis.from_url(stack.redis_url, decode_responses=True) as redis,
    ):
        secret, _ = ApiKeys(redis).create("painter")
        yield str(client.base_url), secret


def test_a_key_is_asked_for_and_kept_as_long_as_the_user_says(
    page: Page, keyed: tuple[str, str], pictures: list[Path]
) -> None:
    address, secret = keyed
    page.goto(address)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("wants an API key")
    dialog.get_by_label("Key", exact=True).fill("wrong")
    dialog.get_by_role("button", name="Use this key").click()
    expect(dialog).to_contain_text("unknown here")
    dialog.get_by_label("Key", exact=True).fill(secret)
    dialog.get_by_role("button", name="Use this key").click()
    expect(dialog).to_have_count(0)
    assert page.evaluate("[sessionStorage.length, localStorage.length]") == [1, 0]

    page.locator("input[type=file]").first.set_input_files(pictures)
    page.get_by_role("button", name="Make the sheet").click()
    sheet = page.locator(".viewer .plane img")
    expect(sheet).to_have_attribute("src", re.compile("^blob:"), timeout=SHOWN)
    with page.expect_download() as saved:
        page.get_by_role("link", name="PNG").click()
    assert saved.value.path().read_bytes().startswith(b"\x89PNG")
    page.get_by_role("button", name="Copy as…").click()
    assert secret not in page.get_by_role("dialog").inner_text()
    page.keyboard.press("Escape")

    page.get_by_role("button", name="API key ✓").click()
    dialog.get_by_label("Key", exact=True).fill(secret)
    dialog.get_by_label("Remember it").check()
    dialog.get_by_role("button", name="Use this key").click()
    assert page.evaluate("[sessionStorage.length, localStorage.length]") == [0, 1]
    page.get_by_role("button", name="API key ✓").click()
    dialog.get_by_role("button", name="Forget the key").click()
    assert page.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]
    assert httpx.get(f"{address}/v1/jobs").status_code == 401


def test_what_webhooks_were_told_stands_with_the_job(
    page: Page, stack: DevStack, pictures: list[Path], open_job: OpenJob
) -> None:
    # This front end lets a receiver on this machine through; who sends does not, and says so.
    settings = Settings(
        redis_url=stack.redis_url,
        data_dir=stack.data_dir,
        auth="open",
        allowed_networks=(ip_network("127.0.0.0/8"),),
    )
    with serving(settings) as client, Client(str(client.base_url)) as lenient:
        webhook = {"url": "http://127.0.0.1/told"}
        job = lenient.jobs.create(pictures, {"webhook": webhook})
        lenient.jobs.wait(job.id, timeout=300)
    open_job(job.id)
    log = page.get_by_role("region", name="Webhook deliveries").first
    expect(log).to_contain_text("http://127.0.0.1/told", timeout=SHOWN)
    expect(log).to_contain_text("job.succeeded")
    log.get_by_role("button", name="Send job.succeeded again").click()
    expect(page.locator("#announcer")).to_have_text("The message is sent again")
