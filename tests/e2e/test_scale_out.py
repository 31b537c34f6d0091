"""Several of each process, with nothing in common but a Redis over TCP and a bucket."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from gridscribe.client import Client
from shared.job_spec import JobSpec
from tests.fixtures.cluster import Cluster, Sizes
from tests.fixtures.s3 import Bucket

JOBS, PICTURES = 6, 24


def test_processes_without_a_common_folder_share_the_work(bucket: Bucket, tmp_path: Path) -> None:
    pictures = [tmp_path / f"{n}.png" for n in range(JOBS * PICTURES)]
    for path in pictures:
        Image.frombytes("RGB", (24, 24), os.urandom(24 * 24 * 3)).save(path)
    environment = {
        **bucket.environment,
        "GRIDSCRIBE_STORAGE_URL": bucket.url(f"scale-out/{uuid.uuid4()}"),
        # So that none has done it all before the other begins, which may stand still a while.
        "QUICK_IMAGE_SECONDS": "0.05",
        "GRIDSCRIBE_CHUNK_SIZE": "4",
    }
    cluster = Cluster(
        tmp_path / "cluster",
        Sizes(apis=2, captions=2, composes=2, dispatchers=2),
        environment,
        caption_app="tests.fixtures.quick_worker",
        log=lambda name, line: print(f"{name:<12} | {line}"),  # noqa: T201 # beside a failure
    )

    def run(number: int) -> Path:
        """A job that one API accepts, and another tells of and hands out."""
        first, second = cluster.urls[number % 2], cluster.urls[(number + 1) % 2]
        own = pictures[number * PICTURES : (number + 1) * PICTURES]
        with Client(first) as accepting, Client(second) as telling:
            spec = JobSpec(use_clip=True, cell_size=(32, 32), margin=2)
            job = accepting.jobs.create(own, spec)
            job = telling.jobs.wait(job.id, timeout=300)
            assert job.status == "succeeded", job.error
            (sheet,) = telling.jobs.download(job.id, tmp_path / f"sheet-{number}.png")
            manifest = telling.jobs.manifest(job.id)
        assert [image.name for image in manifest.images] == [path.name for path in own]
        assert all(image.picture for image in manifest.images)
        return sheet

    with cluster:
        cluster.wait_ready()
        with ThreadPoolExecutor(JOBS) as pool:
            sheets = list(pool.map(run, range(JOBS)))
        seen = cluster.pictures_seen()
    assert all(Image.open(sheet).width > 100 for sheet in sheets)
    assert sum(seen.values()) == len(pictures), "each picture was looked at once"
    assert len([count for count in seen.values() if count]) == 2, "by one worker or the other"
    # No process has written a file that another would have to read.
    assert [it for it in tmp_path.rglob("storage") if it.is_dir()] == []
