"""What an operator sees of the running service."""

from pathlib import Path

import httpx
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from gridscribe.client import Client
from gridscribe.devstack import DevStack
from shared.job_spec import JobSpec
from tests.fixtures.waiting import wait_until


def samples(stack: DevStack) -> dict[str, float]:
    """Each metric's sum over its labels."""
    text = httpx.get(f"{stack.base_url}/metrics", trust_env=False).text
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


def test_batches_of_the_captioning_worker_are_counted_within_a_beat(
    stack: DevStack, tmp_path: Path
) -> None:
    images = [tmp_path / "one.png", tmp_path / "two.png"]
    for path in images:  # new ones: the model does not look at a picture twice
        Image.effect_noise((64, 64), 50).save(path)
    before = samples(stack).get("gridscribe_batch_images_sum", 0)
    with Client(stack.base_url) as client:
        job = client.jobs.wait(client.jobs.create(images, JobSpec(use_clip=True)).id, timeout=300)
    assert job.status == "succeeded"
    wait_until(lambda: samples(stack)["gridscribe_batch_images_sum"] >= before + 2)
    after = samples(stack)
    assert after["gridscribe_workers"] >= 3
    assert after["gridscribe_job_stage_seconds_count"] >= 3


def test_a_stack_on_loopback_says_that_it_needs_no_key(stack: DevStack) -> None:
    ready = httpx.get(f"{stack.base_url}/readyz", trust_env=False).json()
    assert ready["auth"] == "open"
    assert ready["caption_workers"][0]["model"]
