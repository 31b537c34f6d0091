"""Formats that hold all pages: through the service, and taken apart again."""

import json
from pathlib import Path

import httpx
import pytest

from gridscribe.client import Client
from gridscribe.devstack import DevStack
from gridscribe.unpack import unpack
from shared.job_spec import JobSpec, SheetFormat

PHOTOS = sorted((Path(__file__).parents[2] / "gridscribe" / "samples").glob("*.jpg"))[:5]


@pytest.mark.parametrize(
    ("format_", "media_type", "beginning"),
    [
        (SheetFormat.PDF, "application/pdf", b"%PDF-"),
        (SheetFormat.HTML, "text/html; charset=utf-8", b"<!DOCTYPE html>"),
    ],
)
def test_a_document_is_one_file_with_every_page(
    stack: DevStack, tmp_path: Path, format_: SheetFormat, media_type: str, beginning: bytes
) -> None:
    spec = JobSpec(format=format_, rows=1, cols=2, cell_size=(64, 64))
    with Client(stack.base_url) as client:
        job = client.jobs.wait(client.jobs.create(PHOTOS, spec).id, timeout=300)
        assert job.status == "succeeded", job.error
        manifest = client.jobs.manifest(job.id)
        [sheet] = client.jobs.download(job.id, tmp_path / f"sheet.{format_}")
    assert job.result is not None
    assert (job.result.pages, len(manifest.pages)) == (1, 3)
    answer = httpx.get(f"{stack.base_url}/v1/jobs/{job.id}/result")
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-security-policy"] == "sandbox allow-scripts"
    assert answer.content.startswith(beginning)
    assert answer.content == sheet.read_bytes()
    unpacked = unpack([sheet], tmp_path / "cells")
    assert unpacked.pictures == 5
    names = {path.name for path in unpacked.folder.glob("*.png")}
    assert names == {f"{photo.stem}.png" for photo in PHOTOS}


def test_a_preview_names_the_limit_of_each_format(stack: DevStack) -> None:
    spec = {"cols": 100, "rows": 1, "cell_size": [700, 16], "margin": 0, "label_position": "none"}
    fits = {}
    for format_ in SheetFormat:
        body = {"count": 100, "spec": {**spec, "format": format_}}
        answer = httpx.post(f"{stack.base_url}/v1/preview", content=json.dumps(body))
        fits[format_.value] = answer.status_code
        if answer.status_code != 200:
            assert f"a side ({format_})" in answer.json()["detail"]
    assert fits == {"png": 200, "tiff": 200, "html": 200} | dict.fromkeys(
        ("jpg", "webp", "avif", "pdf"), 422
    )
