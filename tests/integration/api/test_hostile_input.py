"""What callers send who mean no good: answered well, and nothing left of it anywhere."""

import base64
import io
import struct
import time
import zipfile
import zlib
from collections.abc import Callable

import httpx
import pytest
from PIL import Image
from redis import Redis

from shared.settings import MEBIBYTE, Settings
from tests.integration.api.served import (
    GOOD,
    image_part,
    png,
    problem_of,
    spec_part,
    submit,
)
from tests.integration.api.test_submission import stored_images

AssertNothingIsLeft = Callable[[], None]
DATA_URI = "data:image/png;base64," + base64.b64encode(png()).decode()


def zip_of(entries: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return data.getvalue()


def bomb(depth: int) -> bytes:
    """A zip of zips of ... of zeros; each layer holds ten of the next."""
    inner = zip_of({"zeros.bmp": b"BM" + bytes(2 * MEBIBYTE)})
    for _ in range(depth):
        inner = zip_of({f"{n}.zip": inner for n in range(10)})
    return inner


def overlapping() -> bytes:
    """Many names in the directory for the one and same entry."""
    archive = zip_of({"a.bmp": b"BM" + bytes(100 * 1024)})
    start = archive.index(b"PK\x01\x02")
    entry, end = archive[start : archive.index(b"PK\x05\x06")], archive[-22:]
    count = 12
    head = struct.pack("<4s4H2LH", end[:4], 0, 0, count, count, len(entry) * count, start, 0)
    return archive[:start] + entry * count + head


def understated() -> bytes:
    """An entry that says it unpacks to 100 bytes and holds 100 MiB."""
    archive = bytearray(zip_of({"a.bmp": b"BM" + bytes(100 * MEBIBYTE)}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = archive.index(signature) + offset
        archive[at : at + 4] = struct.pack("<L", 100)
    return bytes(archive)


def text_bomb() -> bytes:
    """A PNG of a few pixels with 500 MiB of compressed text before them."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(MEBIBYTE)) for _ in range(500)) + packer.flush()
    body = b"zTXtComment\0\0" + packed
    chunk = struct.pack(">L", len(body) - 4) + body + struct.pack(">L", zlib.crc32(body))
    plain = png()
    return plain[:33] + chunk + plain[33:]


@pytest.mark.parametrize(
    ("name", "data", "codes"),
    [
        ("nested.zip", bomb(2), {"bad_archive"}),
        ("flat.zip", bomb(0), {"bad_archive"}),
        ("nested.png", bomb(1), {"bad_archive"}),
        ("overlapping.zip", overlapping(), {"bad_archive"}),
        ("understated.zip", understated(), {"bad_archive", "not_an_image"}),
        ("page.png", b"<!doctype html><script>alert(1)</script>", {"not_an_image"}),
        ("drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", {"not_an_image"}),
        ("program.png", b"\x7fELF" + bytes(100), {"not_an_image"}),
        ("postscript.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", {"not_an_image"}),
    ],
)
def test_a_file_made_to_do_harm_is_refused_at_once(
    client: httpx.Client,
    assert_nothing_is_left: AssertNothingIsLeft,
    name: str,
    data: bytes,
    codes: set[str],
) -> None:
    began = time.process_time()
    problem = problem_of(submit(client, GOOD, image_part(name, data)))
    assert time.process_time() - began < 0.5, "the server, a thread of ours, worked on it"
    assert problem["code"] in codes
    assert problem["errors"][0]["location"] == "images[1]"
    assert_nothing_is_left()


def test_a_picture_is_taken_whatever_its_text_would_unpack_to(
    client: httpx.Client, redis: Redis
) -> None:
    data = text_bomb()
    began = time.process_time()
    answer = submit(client, image_part("a.png", data))
    assert time.process_time() - began < 0.5, "the server, a thread of ours, worked on it"
    assert answer.status_code == 202, answer.text
    (image,) = stored_images(redis, answer.json()["id"])
    assert (image.media_type, image.width, image.height) == ("image/png", 8, 6)


@pytest.mark.parametrize(
    ("name", "data", "media_type"),
    [
        ("a.png", png() + b"<script>alert(1)</script>", "image/png"),
        ("a.gif", b"", "image/gif"),
    ],
    ids=["PNG and HTML", "GIF and zip"],
)
def test_a_file_that_is_two_things_is_taken_for_its_picture_alone(
    client: httpx.Client, redis: Redis, name: str, data: bytes, media_type: str
) -> None:
    if media_type == "image/gif":
        picture = io.BytesIO()
        Image.new("P", (8, 6)).save(picture, "GIF")
        data = picture.getvalue() + zip_of({"a.png": png(), "b.png": png()})
    answer = submit(client, image_part(name, data))
    assert answer.status_code == 202, answer.text
    (image,) = stored_images(redis, answer.json()["id"])
    assert (image.media_type, image.width, image.height) == (media_type, 8, 6)


HOSTILE_NAMES = [
    "../../../etc/cron.d/evil",
    "..\\..\\evil.png",
    "/etc/passwd",
    "C:\\evil.png",
    "a/../../evil.png",
    "%2e%2e%2fevil.png",
    "evil\x00.png",
    "evil\x1b[2J.png",
    "evil\u2028\u2029.png",
    "evil\u202egnp.exe",
    "\u200b\u2060\ufeff",
    "e\u0301" * 400,
    "\U0001f98a" * 300,
    "{gridscribe}:job:1",
    "-rf",
    "CON",
    "<script>alert(1)</script>.png",
    "${jndi:ldap://evil}.png",
    "'; DROP TABLE jobs; --",
    'a"; filename="evil.png',
]


def test_no_name_becomes_a_path_a_key_or_a_header(
    client: httpx.Client, redis: Redis, api_settings: Settings
) -> None:
    for batch in (HOSTILE_NAMES[:10], HOSTILE_NAMES[10:]):
        images = [{"data": DATA_URI, "name": name[:200]} for name in batch]
        answer = client.post("/v1/jobs", json={"images": images})
        assert answer.status_code == 202, answer.text
        assert not any("evil" in value.lower() for value in answer.headers.values())
        job_id = answer.json()["id"]
        for index, image in enumerate(stored_images(redis, job_id)):
            assert image.key == f"jobs/{job_id}/inputs/{index:05d}"
            assert image.name.isprintable()
            assert "/" not in image.name
            assert "\\" not in image.name
    root = api_settings.data_dir / "storage"
    stored = [path for path in root.rglob("*") if path.is_file()]
    assert len(stored) == len(HOSTILE_NAMES)
    assert all(path.name.isdecimal() for path in stored)
    assert not [key for key in redis.scan_iter() if "evil" in key]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_zip_may_call_its_pictures_what_it_likes(
    client: httpx.Client, redis: Redis, name: str
) -> None:
    data = zip_of({f"{name[:60]}.png": png()})
    answer = submit(client, image_part("a.zip", data))
    if answer.status_code == 202:
        (image,) = stored_images(redis, answer.json()["id"])
        assert image.key.endswith("/inputs/00000")
        assert image.name.isprintable()
        assert "/" not in image.name
    else:
        assert problem_of(answer)["code"] == "bad_archive"


def test_a_header_cannot_be_smuggled_in_by_a_part(client: httpx.Client, redis: Redis) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="images"; filename="a\rX-Evil: 1\n.png"\r\n'
        b"\r\n" + png() + b"\r\n--x--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post("/v1/jobs", content=body, headers=headers)
    assert answer.status_code in (202, 400)
    assert "X-Evil" not in answer.headers
    for key in redis.keys("*:images"):
        assert "\\n" not in str(redis.hgetall(key))


METADATA = [
    ("1e400", "infinite"),
    ("-1e999", "infinite"),
    ("NaN", "NaN"),
    ("Infinity", "infinite"),
    ("1" * 5000, "number out of range"),
    ("[" * 40 + "]" * 40, "deep"),
    ('{"a":' * 40 + "1" + "}" * 40, "deep"),
    ("[" * 100_000, "recursion limit"),
    ('"' + "x" * 20_000 + '"', "16,384"),
    (r'"\ud800"', "Invalid JSON"),
    (r'"\udfff\ud800"', "Invalid JSON"),
    ('"unended', "Invalid JSON"),
    ('1, "x": 1, "x"', "Invalid JSON"),
]


@pytest.mark.parametrize(("value", "words"), METADATA, ids=[row[0][:20] for row in METADATA])
@pytest.mark.parametrize("place", ["spec", "image"])
def test_json_that_cannot_be_kept_is_refused(
    client: httpx.Client,
    assert_nothing_is_left: AssertNothingIsLeft,
    value: str,
    words: str,
    place: str,
) -> None:
    metadata = f'"metadata": {{"x": {value}}}'
    spec, image = (metadata, "") if place == "spec" else ("", f", {metadata}")
    body = f'{{"spec": {{{spec}}}, "images": [{{"data": "{DATA_URI}"{image}}}]}}'
    answer = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    problem = problem_of(answer)
    assert problem["status"] in (400, 422)
    assert words in problem["detail"]
    assert len(answer.content) < 4096
    assert_nothing_is_left()


@pytest.mark.parametrize(
    "body",
    [
        b'{"spec": "\xff\xfe"}',
        b"\xff\xfe{\x00}\x00",
        b"\x00",
        b"{}\x00",
        b"",
        b"null",
        b"\xef\xbb\xbf",
    ],
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/preview"])
def test_bytes_that_are_no_json_are_refused(
    client: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft, path: str, body: bytes
) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert problem_of(answer)["code"] in ("invalid_request", "invalid_spec")
    assert_nothing_is_left()


def test_text_that_is_no_utf_8_in_a_spec_part_is_refused(
    client: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft
) -> None:
    problem = problem_of(submit(client, GOOD, ("spec", (None, b'{"title": "\xff"}'))))
    assert problem["code"] == "invalid_spec"
    assert_nothing_is_left()


@pytest.mark.parametrize(
    "parts",
    [
        [GOOD] * 12 + [spec_part({}), ("csv", ("a.csv", b"filename\n")), GOOD, GOOD],
        [("", (None, b"x"))],
        [("x" * 5000, (None, b"x"))],
        [("images", ("a" * 5000, png()))],
    ],
    ids=["too many", "no name", "long name", "long file name"],
)
def test_parts_past_the_limits_are_refused(
    client: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft, parts: list[object]
) -> None:
    problem = problem_of(client.post("/v1/jobs", files=parts))  # type: ignore[arg-type]
    assert problem["status"] in (400, 422)
    assert len(problem["detail"]) < 1000
    assert_nothing_is_left()
