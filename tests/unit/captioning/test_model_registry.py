import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from worker.captioning.captioner import Captioner, ModelUnavailable
from worker.captioning.model_registry import ModelRegistry, ServedModel
from worker.captioning.starter import StarterCaptioner


@pytest.fixture(scope="module")
def model() -> ServedModel:
    return ServedModel.of(StarterCaptioner(threads=1))


class Loader:
    """Fails as long as it holds a failure, and counts."""

    def __init__(self, model: ServedModel, failure: Exception | None = None) -> None:
        self.model = model
        self.failure = failure
        self.loads = 0
        self.announced: list[ModelUnavailable] = []

    def __call__(self, name: str) -> ServedModel:
        assert name == "m"
        self.loads += 1
        time.sleep(0.02)  # long enough for other threads to ask meanwhile
        if self.failure:
            raise self.failure
        return self.model


@pytest.fixture
def registries() -> Iterator[list[ModelRegistry]]:
    made: list[ModelRegistry] = []
    yield made
    for registry in made:
        registry.close()


def registry_of(
    loader: Loader, registries: list[ModelRegistry], retry_seconds: float = 60
) -> ModelRegistry:
    registry = ModelRegistry(
        loader,
        retry_seconds=retry_seconds,
        on_failure=loader.announced.append,
        memory_bytes=10**12,
        pinned="m",
    )
    registries.append(registry)
    return registry


def test_many_threads_that_ask_at_once_load_a_model_once(
    model: ServedModel, registries: list[ModelRegistry]
) -> None:
    loader = Loader(model)
    registry = registry_of(loader, registries)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(registry.get, ["m"] * 8))

    assert found == [model] * 8
    assert loader.loads == 1


def test_a_failure_is_announced_once_and_nobody_waits_for_it_again(
    model: ServedModel, registries: list[ModelRegistry]
) -> None:
    loader = Loader(model, ModelUnavailable("m", "no hub"))
    registry = registry_of(loader, registries)

    for _ in range(3):
        with pytest.raises(ModelUnavailable, match="'m' cannot be loaded: no hub"):
            registry.get("m")

    assert loader.loads == 1
    assert len(loader.announced) == 1


def test_whatever_a_models_code_raises_makes_it_unavailable(
    model: ServedModel, registries: list[ModelRegistry]
) -> None:
    registry = registry_of(Loader(model, KeyError("text_cfg")), registries)

    with pytest.raises(ModelUnavailable, match="text_cfg"):
        registry.get("m")


def test_a_model_that_loads_later_is_swapped_in(
    model: ServedModel, registries: list[ModelRegistry]
) -> None:
    loader = Loader(model, ModelUnavailable("m", "no hub"))
    registry = registry_of(loader, registries, retry_seconds=0.05)
    with pytest.raises(ModelUnavailable):
        registry.get("m")
    while loader.loads < 3:  # it goes on failing for a while
        time.sleep(0.01)
    loader.failure = None

    deadline = time.monotonic() + 10
    while not registry.served and time.monotonic() < deadline:
        time.sleep(0.01)

    assert registry.get("m") is model
    assert len(loader.announced) == 1


def test_closing_ends_the_retries(model: ServedModel, registries: list[ModelRegistry]) -> None:
    registry = registry_of(
        Loader(model, ModelUnavailable("m", "no hub")), registries, retry_seconds=0.01
    )
    with pytest.raises(ModelUnavailable):
        registry.get("m")
    (retries,) = (thread for thread in threading.enumerate() if thread.name == "model-retries")

    registry.close()
    retries.join(10)

    assert not retries.is_alive()


class SizedCaptioner:
    """A model that is nothing but a name and a size."""

    identity = "sized"
    device = "cpu"

    def __init__(self, name: str, memory_bytes: int) -> None:
        self.name = name
        self.memory_bytes = memory_bytes


def load_sized(name: str) -> ServedModel:
    """Models are named after their size: `b30` takes 30 bytes."""
    return ServedModel.of(cast(Captioner, SizedCaptioner(name, int(name[1:]))))


@pytest.fixture
def bounded() -> Iterator[ModelRegistry]:
    registry = ModelRegistry(
        load_sized, retry_seconds=60, on_failure=print, memory_bytes=100, pinned="a40"
    )
    yield registry
    registry.close()


def names(registry: ModelRegistry) -> set[str]:
    return {served.captioner.name for served in registry.served}


def test_the_least_recently_used_model_goes_for_room(bounded: ModelRegistry) -> None:
    for name in ("a40", "b30", "c30", "b30"):
        bounded.get(name)
    assert names(bounded) == {"a40", "b30", "c30"}

    bounded.get("d20")

    assert names(bounded) == {"a40", "b30", "d20"}


def test_neither_the_default_nor_a_model_at_work_goes(
    bounded: ModelRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    bounded.get("a40")
    busy = bounded.get("b30")
    bounded.begin_work(busy)

    bounded.get("c90")
    assert names(bounded) == {"a40", "b30", "c90"}
    assert "over GRIDSCRIBE_MODEL_MEMORY_MB" in caplog.text

    bounded.end_work(busy)
    bounded.get("d10")
    assert names(bounded) == {"a40", "d10"}


def test_a_model_that_went_is_loaded_again_when_asked_for(bounded: ModelRegistry) -> None:
    for name in ("a40", "b60", "c60"):
        bounded.get(name)
    assert names(bounded) == {"a40", "c60"}

    assert bounded.get("b60").captioner.name == "b60"
    assert names(bounded) == {"a40", "b60"}


def test_a_model_that_loads_keeps_nobody_from_another_one() -> None:
    entered, gate = threading.Event(), threading.Event()

    def load(name: str) -> ServedModel:
        if name == "slow10":
            entered.set()
            assert gate.wait(10)
            return load_sized("s10")
        return load_sized(name)

    registry = ModelRegistry(
        load, retry_seconds=60, on_failure=print, memory_bytes=100, pinned="a40"
    )
    registry.get("a40")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(registry.get, "slow10")
        assert entered.wait(10)

        registry.get("a40")
        registry.get("b20")
        assert not slow.done()

        gate.set()
        assert slow.result(10).captioner.name == "s10"
    registry.close()
