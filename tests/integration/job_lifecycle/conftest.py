"""A front end and two workers on one store."""

from collections.abc import Iterator

import pytest

from shared import job_lifecycle
from shared.job_lifecycle import JobLifecycle
from shared.settings import Settings
from tests.integration.job_lifecycle.steps import FrontEnd


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Chunks so small that a few pictures make several."""
    return settings.model_copy(update={"chunk_size": 4})


@pytest.fixture
def front(settings: Settings) -> FrontEnd:
    return FrontEnd(settings)


@pytest.fixture
def worker(settings: Settings) -> Iterator[JobLifecycle]:
    with job_lifecycle.connect(settings) as redis:
        yield JobLifecycle(redis, settings, "worker-a")


@pytest.fixture
def other(settings: Settings) -> Iterator[JobLifecycle]:
    with job_lifecycle.connect(settings) as redis:
        yield JobLifecycle(redis, settings, "worker-b")
