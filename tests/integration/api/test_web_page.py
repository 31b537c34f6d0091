"""How the web page is served; what it does in a browser stands in tests/system/web."""

import re
from pathlib import Path

import httpx
import pytest

from api.web_page import FOLDER
from shared.settings import Settings
from tests.integration.api.served import problem_of, serving


def test_the_page_allows_its_own_scripts_alone(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(
        part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"


def test_a_file_that_is_known_is_not_sent_again(client: httpx.Client) -> None:
    script = client.get("/static/js/main.js")
    assert script.headers["Content-Type"].startswith("text/javascript")
    again = client.get("/static/js/main.js", headers={"If-None-Match": script.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_every_script_and_style_that_the_page_names_is_there(client: httpx.Client) -> None:
    texts = {
        path: path.read_text() for path in FOLDER.rglob("*") if path.suffix in (".js", ".html")
    }
    for path, text in texts.items():
        named = re.findall(r'(?:from|src=|href=)\s*"((?:\.{1,2}/|static/)[^"]+)"', text)
        base = FOLDER.parent if path.suffix == ".html" else path.parent
        for name in named:
            address = (base / name).resolve().relative_to(FOLDER)
            assert client.get(f"/static/{address}").status_code == 200, f"{path}: {name}"
    assert len(texts) > 20


@pytest.mark.parametrize(
    "name", ["", "nope.js", "../web_page.py", "%2e%2e/web_page.py", "js", "//etc/passwd"]
)
def test_nothing_but_the_pages_files_can_be_had(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert problem_of(answer)["code"] == "not_found"


def test_the_page_itself_needs_no_key(api_settings: Settings) -> None:
    with serving(api_settings.model_copy(update={"auth": "required"})) as strict:
        assert strict.get("/").status_code == 200
        assert strict.get("/v1/models").status_code == 401


def test_no_file_holds_markup_out_of_data_or_reaches_beyond_this_service() -> None:
    for path in FOLDER.rglob("*.js"):
        text = path.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
    for path in filter(Path.is_file, FOLDER.rglob("*")):
        found = set(re.findall(r"https?://[^\"'\s)]+", path.read_text()))
        assert found <= {"http://www.w3.org/2000/svg"}, path
