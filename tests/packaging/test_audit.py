"""The three ends of an audit, with the real pip-audit and an advisory service of the test's own."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.ports import free_port

ROOT = Path(__file__).parents[2]
HOLE = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "summary": "a hole",
    "affected": [
        {
            "package": {"name": "leaky", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


class _Advisories(BaseHTTPRequestHandler):
    """Answers as OSV does: it knows of a hole in one package."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = {"vulns": [HOLE]} if asked["package"]["name"] == "leaky" else {}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(known).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        pass


@pytest.fixture(scope="module")
def advisories() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Advisories) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def audited(tmp_path: Path, pins: str, url: str, *options: str) -> tuple[int, str]:
    """The exit code, and what it said."""
    requirements = tmp_path / "pins.txt"
    requirements.write_text(pins)
    service = ("--vulnerability-service", "osv", "--osv-url", url)
    cache = ("--cache-dir", str(tmp_path / "cache"))
    ran = subprocess.run(
        [
            *(sys.executable, ROOT / "requirements" / "audit.py", "--requirement", requirements),
            *(*options, "--", *service, *cache),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stderr


def test_packages_without_known_holes_pass(tmp_path: Path, advisories: str) -> None:
    assert audited(tmp_path, "sound==1.0\ntight==2.0\n", advisories) == (0, "")


@pytest.mark.parametrize("options", [(), ("--unless-unreachable",)])
def test_a_known_hole_fails_and_is_named(
    tmp_path: Path, advisories: str, options: tuple[str, ...]
) -> None:
    code, said = audited(tmp_path, "sound==1.0\nleaky==1.0\n", advisories, *options)
    assert code == 1
    assert "leaky 1.0: GHSA-aaaa-bbbb-cccc, mended in 1.1" in said


def test_an_audit_that_could_not_be_made_says_so_and_fails_only_by_itself(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/"
    code, said = audited(tmp_path, "sound==1.0\n", nobody)
    assert code == 2
    assert said.startswith("NOT AUDITED: ")
    assert audited(tmp_path, "sound==1.0\n", nobody, "--unless-unreachable") == (0, said)


def test_make_check_audits() -> None:
    planned = subprocess.run(
        ["make", "--dry-run", "check"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "requirements/audit.py --unless-unreachable" in planned.stdout
