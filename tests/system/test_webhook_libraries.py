"""Signatures of ours, verified by receivers that are written in other languages."""

import json
import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.webhook_signature import new_secret, signed_headers

pytestmark = pytest.mark.system

LIBRARY = "standardwebhooks@1.1.1"
BODY = json.dumps({"type": "job.succeeded", "title": "Füchse"}, ensure_ascii=False).encode()
VERIFY = """
const { Webhook } = require("standardwebhooks");
const [secret, headers, body] = JSON.parse(require("fs").readFileSync(0));
console.log(new Webhook(secret).verify(body, headers).title);
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the library of npm in it."""
    folder = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", LIBRARY]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def verified_by_node(folder: Path, secret: str, headers: dict[str, str], body: bytes) -> bool:
    done = subprocess.run(
        ["node", "-e", VERIFY],
        cwd=folder,
        input=json.dumps([secret, headers, body.decode()]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or "WebhookVerificationError" in done.stderr, done.stderr
    return done.stdout == "Füchse\n"


def test_the_library_of_npm_verifies_what_we_sign_and_nothing_else(folder: Path) -> None:
    old, new = new_secret(), new_secret()
    headers = signed_headers([new, old], "msg_1", BODY, datetime.now(UTC))
    assert verified_by_node(folder, old, headers, BODY)
    assert verified_by_node(folder, new, headers, BODY)
    assert not verified_by_node(folder, new_secret(), headers, BODY)
    assert not verified_by_node(folder, new, headers, BODY + b" ")


def test_the_lines_for_openssl_in_the_documentation_verify_what_we_sign(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    (script,) = re.findall(r"```sh\n(key=.*?)```", page, re.DOTALL)
    secret = new_secret()
    headers = signed_headers([new_secret(), secret], "msg_1", BODY, datetime.now(UTC))
    names = {"id": "webhook-id", "timestamp": "webhook-timestamp", "signature": "webhook-signature"}
    environment = {**os.environ, **{name: headers[header] for name, header in names.items()}}
    for body, verdict in ((BODY, "good\n"), (BODY + b" ", "bad\n")):
        (tmp_path / "body").write_bytes(body)
        said = subprocess.run(
            ["sh", "-c", script],
            cwd=tmp_path,
            env={**environment, "secret": secret},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout == verdict
