"""What holds of storage, whether it is a folder or a bucket reached over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from obstore.exceptions import BaseError as StorageError

from shared.object_storage import PART_SIZE, ObjectStorage
from shared.settings import MEBIBYTE
from tests.fixtures.s3 import Bucket

LINK = timedelta(minutes=5)


async def _chunks(count: int, *, fail: bool = False) -> AsyncIterator[bytes]:
    """`count` chunks of 1 MiB, each of its own byte."""
    for number in range(count):
        yield bytes([number]) * MEBIBYTE
    if fail:
        raise ConnectionResetError("the caller left")


@pytest.mark.parametrize("size", [0, 1, 12], ids=lambda size: f"{size} MiB")
def test_a_stream_is_stored_as_it_came(storage: ObjectStorage, size: int) -> None:
    asyncio.run(storage.put_stream("jobs/1/inputs/0", _chunks(size)))
    data = b"".join(bytes([n]) * MEBIBYTE for n in range(size))
    assert asyncio.run(storage.read("jobs/1/inputs/0")) == data
    with storage.open("jobs/1/inputs/0") as file:
        assert bytes(file.read()) == data


def test_a_part_of_a_file_can_be_read(storage: ObjectStorage) -> None:
    storage.put_bytes("a", bytes(range(100)))
    with storage.open("a") as file:
        assert file.seek(0, 2) == 100
        assert file.seek(10) == 10
        assert bytes(file.read(3)) == bytes([10, 11, 12])


@pytest.mark.parametrize("size", [1, 12], ids=lambda size: f"{size} MiB")
def test_a_stream_that_breaks_off_leaves_nothing(
    storage: ObjectStorage, bucket: Bucket, size: int
) -> None:
    with pytest.raises(ConnectionResetError):
        asyncio.run(storage.put_stream("a", _chunks(size, fail=True)))
    assert list(storage.list_keys("")) == []
    assert bucket.unfinished_uploads() == 0


def test_an_unknown_key_is_not_found(storage: ObjectStorage) -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(storage.read("nowhere"))
    with pytest.raises(FileNotFoundError):
        storage.open("nowhere")


def test_folders_are_listed_and_deleted_with_all_below_them(storage: ObjectStorage) -> None:
    for key in ("jobs/1/inputs/0", "jobs/1/outputs/2/page.png", "jobs/10/inputs/0", "uploads/x"):
        storage.put_bytes(key, b"x")
    assert sorted(storage.list_folders("jobs")) == ["1", "10"]
    assert storage.delete_prefix("jobs/1") == 2
    assert storage.delete_prefix("jobs/1") == 0
    assert sorted(storage.list_keys("")) == ["jobs/10/inputs/0", "uploads/x"]


def test_deleting_twice_is_harmless(storage: ObjectStorage) -> None:
    storage.put_bytes("a", b"x")
    storage.delete("a")
    storage.delete("a")
    assert list(storage.list_keys("")) == []


def test_a_file_is_stored_and_the_storage_answers(storage: ObjectStorage, tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(b"p" * (PART_SIZE + 1))
    storage.put_file("page", path, media_type="image/png", filename="sheet.png")
    assert asyncio.run(storage.read("page")) == path.read_bytes()
    storage.ping()


def test_a_link_into_the_bucket_gives_the_file_its_type_and_its_name(
    bucket: Bucket, tmp_path: Path
) -> None:
    storage = ObjectStorage(bucket.url("deep/prefix"))
    path = tmp_path / "page.png"
    path.write_bytes(b"pixels")
    storage.put_file("jobs/1/page", path, media_type="image/png", filename="sheet-1.png")
    link = storage.signed_url("jobs/1/page", LINK)
    assert link is not None
    answer = httpx.get(link)
    assert answer.content == b"pixels"
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Disposition"] == 'inline; filename="sheet-1.png"'
    assert httpx.URL(link).path.endswith("/deep/prefix/jobs/1/page")
    assert httpx.URL(link).params["X-Amz-Expires"] == "300"


def test_a_link_for_putting_writes_below_the_prefix(bucket: Bucket) -> None:
    storage = ObjectStorage(bucket.url("deep/prefix"))
    link = storage.signed_url("uploads/7", LINK, "PUT")
    assert link is not None
    httpx.put(link, content=b"pixels").raise_for_status()
    assert asyncio.run(storage.read("uploads/7")) == b"pixels"


def test_a_folder_has_no_links(tmp_path: Path) -> None:
    assert ObjectStorage(tmp_path.as_uri()).signed_url("a", LINK) is None


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_an_error_and_no_missing_file() -> None:
    storage = ObjectStorage("s3://no-such-bucket/prefix")
    with pytest.raises(StorageError):
        storage.ping()


def test_other_storage_is_refused_with_what_is_understood() -> None:
    with pytest.raises(ValueError, match="file:// or s3://, not 'ftp://x'"):
        ObjectStorage("ftp://x")


def test_a_copy_outlives_what_it_was_made_of(storage: ObjectStorage) -> None:
    storage.put_bytes("jobs/a/inputs/0", b"picture")
    asyncio.run(storage.copy("jobs/a/inputs/0", "jobs/b/inputs/0"))
    storage.delete("jobs/a/inputs/0")
    with storage.open("jobs/b/inputs/0") as file:
        assert file.read() == b"picture"


def test_what_is_not_there_cannot_be_copied(storage: ObjectStorage) -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(storage.copy("jobs/a/inputs/0", "jobs/b/inputs/0"))
    assert list(storage.list_keys("jobs")) == []
