"""Bad input: a clear answer that names the part, and nothing left of it anywhere."""

import io
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.settings import MEBIBYTE, Settings
from tests.fixtures.waiting import wait_until
from tests.integration.api.served import (
    GOOD,
    Part,
    image_part,
    png,
    problem_of,
    serving,
    spec_part,
    submit,
)

AssertNothingIsLeft = Callable[[], None]


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has hardly any pixels: some 70 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def zip_of(**entries: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("_", "."), content)
    return data.getvalue()


def corrupted(archive: bytes) -> bytes:
    """The bytes of the first entry spoilt, the directory intact."""
    return archive[:45] + bytes(byte ^ 0xFF for byte in archive[45:60]) + archive[60:]


def encrypted(archive: bytes) -> bytes:
    """Marked as encrypted, in the entry and in the directory."""
    spoilt = bytearray(archive)
    spoilt[6] |= 1
    spoilt[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(spoilt)


JOB = [
    # parts, status, code, location, words of the detail
    (
        [GOOD, image_part("notes.png", b"some text")],
        422,
        "not_an_image",
        "images[1]",
        "'notes.png'",
    ),
    ([image_part("empty.png", b""), GOOD], 422, "not_an_image", "images[0]", "empty file"),
    (
        [GOOD, image_part("vast.png", png_header(60_000, 60_000))],
        422,
        "too_many_pixels",
        "images[1]",
        "60000 x 60000",
    ),
    ([image_part("a.zip", b"")], 422, "bad_archive", "images[0]", "empty (0 bytes)"),
    ([image_part("a.zip", b"PK\x03\x04 rubbish")], 422, "bad_archive", "images[0]", "no zip"),
    ([image_part("a.zip", zip_of(a_txt=b"text"))], 422, "bad_archive", "images[0]", "no images"),
    (
        [image_part("a.zip", zip_of(ok_png=png(), a_png=b"text"))],
        422,
        "not_an_image",
        "images[0]",
        "'a.png' (PNG",
    ),
    (
        [image_part("a.zip", encrypted(zip_of(a_png=png())))],
        422,
        "bad_archive",
        "images[0]",
        "encrypted",
    ),
    (
        [image_part("a.zip", corrupted(zip_of(a_png=png(200, 200))))],
        422,
        "bad_archive",
        "images[0]",
        "'a.png' is damaged",
    ),
    (
        [image_part("bomb.zip", zip_of(a_bmp=b"BM" + bytes(900 * 1024)))],
        422,
        "bad_archive",
        "images[0]",
        "100 times",
    ),
    ([spec_part({})], 422, "no_images", None, "no images"),
    ([GOOD] * 13, 422, "too_many_images", "images[12]", "12"),
    ([GOOD, spec_part({"rows": 10_000})], 422, "invalid_spec", "spec.rows", "not 10000"),
    ([GOOD, spec_part({"margin": -5})], 422, "invalid_spec", "spec.margin", "not -5"),
    ([GOOD, spec_part({"colour": "red"})], 422, "invalid_spec", "spec.colour", "unknown field"),
    ([GOOD, spec_part({"background": "blurple"})], 422, "invalid_spec", "spec.background", "color"),
    ([GOOD, spec_part([1])], 422, "invalid_spec", "spec", "object"),
    ([GOOD, ("spec", (None, b"{broken"))], 422, "invalid_spec", "spec", "JSON"),
    ([GOOD, ("spec", (None, b"{" + b" " * 20_000))], 413, "file_too_large", "spec", "16,384"),
    ([GOOD, spec_part({}), spec_part({})], 400, "invalid_request", "spec", "twice"),
    (
        [GOOD, spec_part({"clip_model": "huge"})],
        422,
        "model_not_offered",
        "spec.clip_model",
        "starter",
    ),
    (
        [GOOD, spec_part({"template": "nope"})],
        422,
        "unknown_template",
        "spec.template",
        "presentation",
    ),
    (
        [GOOD, spec_part({"labels": ["price"]}), ("csv", ("l.csv", b"filename,label\n"))],
        422,
        "unknown_column",
        "spec.labels[0]",
        "'price'",
    ),
    (
        [GOOD, ("csv", ("l.csv", b"filename,label\ngood.png,\x01\0\n"))],
        422,
        "bad_csv",
        "csv",
        "line 2 holds a NUL byte",
    ),
    (
        [GOOD, ("csv", ("l.csv", "filename,label\nféé.png,".encode() + b"caf\xe9\n"))],
        422,
        "bad_csv",
        "csv",
        "csv_encoding: windows-1252 or latin-1",
    ),
    (
        [GOOD, spec_part({"axes": {"rows_by": "mood"}}), ("csv", ("l.csv", b"filename,label\n"))],
        422,
        "unknown_column",
        "spec.axes.rows_by",
        "'mood'",
    ),
    (
        [GOOD, spec_part({"sort": "column:mood"}), ("csv", ("l.csv", b"filename,label\n"))],
        422,
        "unknown_column",
        "spec.sort",
        "'mood'",
    ),
    (
        [
            *(image_part(f"{n}.png") for n in range(9)),
            spec_part({"axes": {"cols_by": "n"}, "cell_size": [4096, 4096], "format": "webp"}),
            (
                "csv",
                ("l.csv", b"filename,n\n" + b"".join(b"%d.png,%d\n" % (n, n) for n in range(9))),
            ),
        ],
        422,
        "sheet_too_large",
        None,
        "axes with fewer values",
    ),
    ([GOOD, ("csv", ("l.csv", b"a\n" + b"x\n" * 9000))], 413, "file_too_large", "csv", "16,384"),
    (
        [GOOD, GOOD, spec_part({"rows": 1, "cols": 1, "overflow": "error"})],
        422,
        "images_do_not_fit",
        None,
        "2",
    ),
    (
        [GOOD, spec_part({"rows": 500, "cols": 500})],
        422,
        "sheet_too_large",
        None,
        "pixels",
    ),
    ([GOOD, ("picture", ("a.png", png()))], 400, "invalid_request", "picture", "unknown part"),
    ([image_part("big.png", bytes(MEBIBYTE + 1))], 413, "file_too_large", "images[0]", "'big.png'"),
    ([image_part("a.png", bytes(MEBIBYTE))] * 5, 413, "request_too_large", None, "4,194,304"),
]


@pytest.mark.parametrize(
    ("parts", "status", "code", "location", "words"),
    JOB,
    ids=[f"{row[2]} {row[3]} {row[4]}" for row in JOB],
)
def test_a_bad_job_is_refused_naming_the_part(
    client: httpx.Client,
    assert_nothing_is_left: AssertNothingIsLeft,
    parts: list[Part],
    status: int,
    code: str,
    location: str | None,
    words: str,
) -> None:
    problem = problem_of(submit(client, *parts))
    assert (problem["status"], problem["code"]) == (status, code)
    assert words in problem["detail"]
    if location is not None:
        assert problem["errors"][0]["location"] == location
    assert_nothing_is_left()


def test_all_bad_images_are_named_at_once(
    client: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft
) -> None:
    parts = [image_part("a.png", b"text"), GOOD, image_part("b.png", b""), image_part("c.png")]
    problem = problem_of(submit(client, *parts))
    assert [error["location"] for error in problem["errors"]] == ["images[0]", "images[2]"]
    assert problem["detail"].startswith("images[0]: not an image: 'a.png'")
    assert_nothing_is_left()


def test_a_caller_that_leaves_in_mid_upload_leaves_nothing(
    client: httpx.Client,
    assert_nothing_is_left: AssertNothingIsLeft,
    stored_files: Callable[[], list[Any]],
) -> None:
    request = client.build_request(
        "POST", "/v1/jobs", files=[GOOD, image_part("b.png", bytes(MEBIBYTE))]
    )
    head = (
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: {request.headers['Content-Type']}\r\n"
        f"Content-Length: {request.headers['Content-Length']}\r\n\r\n"
    )
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as caller:
        caller.sendall(head.encode() + request.read()[: MEBIBYTE // 2])
        wait_until(lambda: len(stored_files()) >= 1)
    wait_until(lambda: stored_files() == [])
    assert_nothing_is_left()


def test_archives_may_not_list_more_files_than_memory_should_hold(
    api_settings: Settings, assert_nothing_is_left: AssertNothingIsLeft
) -> None:
    names = {f"{n:0>150}_txt": b"" for n in range(24_000)}
    roomy = api_settings.model_copy(update={"max_request_bytes": 64 * MEBIBYTE})
    with serving(roomy) as roomy_client:
        problem = problem_of(submit(roomy_client, image_part("a.zip", zip_of(**names))))
    assert problem["code"] == "bad_archive"
    assert "too many files" in problem["detail"]
    assert_nothing_is_left()
