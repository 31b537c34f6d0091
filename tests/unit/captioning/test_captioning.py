import logging
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import gridscribe
from gridscribe.local import LocalImage
from shared.job_spec import JobSpec
from shared.labels import label_warnings, resolve_label
from worker.captioning.captioner import FloatArray, OutOfDeviceMemory
from worker.captioning.captioning import Captioning, CaptioningConfig, CaptionRequest
from worker.captioning.starter import StarterCaptioner
from worker.captioning.wording import Wording
from worker.pipeline.image_features import unpack

COFFEE = Path(gridscribe.__file__).parent / "samples" / "coffee.jpg"
MISSING = "local-dir:/does/not/exist"

Start = Callable[..., Captioning]


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def start(cache_dir: Path) -> Iterator[Start]:
    """Starts services with settings of the test's choice, and closes them."""
    started: list[Captioning] = []
    defaults = CaptioningConfig(
        models=("starter",),
        fallback_to_starter=True,
        cache_dir=cache_dir,
        threads=1,
        max_batch=8,
        batch_wait_ms=4,
        batch_timeout_seconds=60,
        model_retry_seconds=60,
    )

    def start(**settings: Any) -> Captioning:
        service = Captioning(replace(defaults, **settings))
        started.append(service)
        service.load()
        return service

    yield start
    for service in started:
        service.close()


@pytest.fixture(scope="module")
def coffee() -> Image.Image:
    return Image.open(COFFEE).convert("RGB")


def test_captions_pictures_of_many_threads(start: Start, coffee: Image.Image) -> None:
    captioning = start()
    black = Image.new("RGB", (64, 64))

    def label(number: int) -> str | None:
        picture = coffee if number % 2 else black
        return captioning.submit(picture, CaptionRequest()).result(30).text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(label, range(24))) == [None, "espresso"] * 12


def test_a_request_may_ask_for_more_confidence(start: Start, coffee: Image.Image) -> None:
    found = start().submit(coffee, CaptionRequest(min_confidence=1)).result(30)

    assert found.text is None
    assert found.reason is not None
    assert "below 1.00" in found.reason


def test_features_are_handed_over_only_where_they_are_asked_for(
    start: Start, coffee: Image.Image
) -> None:
    captioning = start()
    plain = captioning.submit(coffee, CaptionRequest()).result(30)
    assert plain.features is None

    asked = CaptionRequest(wants_text=False, wants_features=True)
    smaller = coffee.resize((coffee.width // 2, coffee.height // 2))
    seen = [
        captioning.submit(it, asked).result(30)
        for it in (coffee, smaller, Image.new("RGB", (99, 99)))
    ]
    assert all(found.text is None and not found.facets for found in seen)
    same, copy, black = unpack([found.features or "" for found in seen])
    assert same @ copy > 0.9
    assert same @ black < 0.5


def test_the_starter_serves_for_a_model_that_cannot_be_loaded(
    start: Start, coffee: Image.Image, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="worker.captioning")
    captioning = start(models=(MISSING,))
    found = [captioning.submit(coffee, CaptionRequest()).result(30) for _ in range(2)]

    assert [each.text for each in found] == ["espresso"] * 2
    for each in found:
        assert each.fallback
        assert each.model == "starter"
        assert each.reason is not None
        assert f"{MISSING!r} cannot be loaded" in each.reason
    (message,) = caplog.messages
    assert "cannot be loaded" in message
    assert "/does/not/exist" in message
    assert "'starter' serves instead" in message
    status = captioning.status()
    assert (status.asked, status.in_use, status.device) == (MISSING, "starter", "cpu")
    assert status.reason == found[0].reason


def test_without_a_stand_in_there_is_no_caption_but_a_reason(
    start: Start, coffee: Image.Image, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="worker.captioning")
    captioning = start(models=(MISSING,), fallback_to_starter=False)

    found = captioning.submit(coffee, CaptionRequest()).result(30)

    assert found.text is None
    assert found.fallback
    assert found.reason is not None
    assert "cannot be loaded" in found.reason
    (message,) = caplog.messages
    assert "keep their file names" in message
    assert captioning.status().in_use is None
    assert captioning.input_size == 256


def test_another_model_of_the_deployment_is_served_on_request(
    start: Start, coffee: Image.Image
) -> None:
    captioning = start(models=("starter", MISSING))

    usual = captioning.submit(coffee, CaptionRequest()).result(30)
    other = captioning.submit(coffee, CaptionRequest(model=MISSING)).result(30)

    assert not usual.fallback
    assert other.text == usual.text
    assert other.fallback


def test_a_model_that_is_not_offered_is_never_loaded(start: Start, coffee: Image.Image) -> None:
    found = start().submit(coffee, CaptionRequest(model="hf-hub:some/model")).result(30)

    assert found.text == "espresso"
    assert found.fallback
    assert found.reason == "this worker does not offer the model 'hf-hub:some/model'"


def test_a_picture_that_breaks_while_it_is_read_costs_only_itself(
    start: Start, coffee: Image.Image, tmp_path: Path
) -> None:
    captioning = start()
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(COFFEE.read_bytes()[:3000])

    with Image.open(torn) as picture:
        broken = captioning.submit(picture, CaptionRequest()).result(30)
    whole = captioning.submit(coffee, CaptionRequest()).result(30)

    assert broken.text is None
    assert broken.reason is not None
    assert "captioning failed on this image" in broken.reason
    assert whole.text == "espresso"


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="processes fork on Linux only")


@pytest.mark.parametrize("in_processes", [False, pytest.param(True, marks=on_linux)])
def test_files_are_read_where_the_model_sees(
    start: Start, tmp_path: Path, *, in_processes: bool
) -> None:
    captioning = start(in_processes=in_processes)
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(COFFEE.read_bytes()[:3000])

    found = [captioning.submit_file(COFFEE, CaptionRequest(), owner="big") for _ in range(20)]
    with COFFEE.open("rb") as file:
        found.append(captioning.submit_file(file, CaptionRequest()))
    broken = captioning.submit_file(torn, CaptionRequest()).result(30)

    assert {each.result(30).text for each in found} == {"espresso"}
    assert broken.text is None
    assert "the picture cannot be read" in (broken.reason or "")
    with pytest.raises(FileNotFoundError):
        captioning.submit_file(tmp_path / "missing", CaptionRequest()).result(30)
    (served,) = captioning._registry.served
    assert (served.processes is not None) is in_processes
    # Once in memory, whoever sees.
    assert 10e6 < served.memory_bytes < 25e6


@on_linux
def test_a_model_sees_here_where_no_process_can_be_started(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING, logger="worker.captioning")
    monkeypatch.setattr(sys, "executable", "/bin/false")

    captioning = start(in_processes=True)

    assert captioning.submit_file(COFFEE, CaptionRequest()).result(30).text == "espresso"
    (message,) = caplog.messages
    assert "sees in the worker's own process" in message


def test_text_features_are_kept_for_the_next_start(start: Start, cache_dir: Path) -> None:
    start()
    kept = {path: path.stat().st_mtime_ns for path in cache_dir.glob("text-*.npy")}
    assert kept

    start()

    assert {path: path.stat().st_mtime_ns for path in cache_dir.glob("text-*.npy")} == kept


def test_a_closed_service_takes_no_pictures(start: Start, coffee: Image.Image) -> None:
    captioning = start()
    captioning.close()

    with pytest.raises(RuntimeError, match="shut down"):
        captioning.submit(coffee, CaptionRequest())


def test_an_offer_of_no_models_is_refused(start: Start) -> None:
    with pytest.raises(ValueError, match="name at least one"):
        start(models=())


def wording_of(**fields: Any) -> CaptionRequest:
    return CaptionRequest(wording=Wording.of(JobSpec(use_clip=True, **fields)))


def test_a_request_brings_candidates_of_its_own(start: Start, coffee: Image.Image) -> None:
    captioning = start()

    found = captioning.submit(coffee, wording_of(candidates=("a dog", "espresso"))).result(60)
    usual = captioning.submit(coffee, CaptionRequest()).result(30)

    assert found.text == found.answer == "espresso"
    assert [term.term for term in found.facets["subject"]] == ["espresso", "a dog"]
    assert usual.text == "espresso"


def test_one_candidate_that_does_not_fit_is_no_answer(start: Start, coffee: Image.Image) -> None:
    found = start().submit(coffee, wording_of(candidates=("a brown bear",))).result(60)

    assert found.text is None
    assert found.reason is not None
    assert "the nearest is 'a brown bear'" in found.reason


def test_a_request_names_a_vocabulary_of_the_operators(
    start: Start, coffee: Image.Image, tmp_path: Path
) -> None:
    (tmp_path / "kitchen").mkdir()
    (tmp_path / "kitchen" / "subject.txt").write_text("cup | coffee cup\nfrying pan\n")
    captioning = start(vocabularies_dir=tmp_path)

    found = captioning.submit(coffee, wording_of(vocabulary="kitchen")).result(60)

    assert found.text == "cup"


def test_a_vocabulary_that_this_worker_lacks_is_a_reason_not_a_failure(
    start: Start, coffee: Image.Image
) -> None:
    found = start().submit(coffee, wording_of(vocabulary="garden")).result(30)

    assert found.text is None
    assert found.reason == "spec.vocabulary: there is no vocabulary 'garden'; there are default"


def test_a_picture_is_recalled_with_the_same_answer_for_any_words(
    start: Start, coffee: Image.Image
) -> None:
    captioning = start()
    content = sha256(COFFEE.read_bytes()).hexdigest()
    assert captioning.recall(content, CaptionRequest()) is None
    first = captioning.submit(coffee, CaptionRequest(), content=content).result(30)
    captioning.close()  # what was put is written by now

    later = start()

    assert later.recall(content, CaptionRequest()) == first
    other = later.recall(content, wording_of(candidates=("a dog", "espresso")))
    assert other is not None
    assert other.text == "espresso"
    assert later.recall(content, CaptionRequest(min_confidence=1)) != first
    compared = later.recall(content, CaptionRequest(wants_text=False, wants_features=True))
    assert compared is not None
    assert compared.text is None
    assert compared.features
    assert later.recall("0" * 64, CaptionRequest()) is None
    assert later.recalled == (4, 1)


class FullDevice(StarterCaptioner):
    """An accelerator with room for no picture, on a machine that has none."""

    device = "cuda"

    def encode_images(self, pixels: FloatArray) -> FloatArray:
        if self.device == "cuda" and pixels.any():
            raise OutOfDeviceMemory("CUDA out of memory")
        return super().encode_images(pixels)

    def move_to_cpu(self) -> bool:
        moved, self.device = self.device != "cpu", "cpu"
        return moved


def test_a_model_that_had_to_go_to_the_cpu_leaves_a_warning(
    start: Start, coffee: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The one part that cannot run here: an accelerator, a full one.
    monkeypatch.setattr("worker.captioning.starter.StarterCaptioner", FullDevice)
    captioning = start()
    assert captioning.status().reason is None

    found = captioning.submit(coffee, CaptionRequest()).result(30)

    reason = "'starter' ran out of memory on cuda and goes on on the cpu"
    assert (found.text, found.fallback, found.reason) == ("espresso", True, reason)
    assert captioning.status().reason == reason
    image = LocalImage(COFFEE, None)
    label = resolve_label(image, JobSpec(use_clip=True), found, has_csv=False)
    (warning,) = label_warnings(0, image.name, label)
    assert warning.code == "clip_fallback"
    assert warning.detail == f"coffee.jpg: {reason}; labeled from: clip"
