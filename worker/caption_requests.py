"""What the model is to say of an image: its words, its features, or both."""

from collections.abc import Mapping

from shared.job_spec import JobSpec
from shared.labels import DescribedImage, compares_features, needs_caption
from worker.captioning.captioning import CaptionRequest
from worker.captioning.wording import Wording


def caption_request(
    spec: JobSpec, image: DescribedImage, embedded: Mapping[str, object]
) -> CaptionRequest | None:
    """None where there is nothing to ask; `embedded` are the parameters in the image's file."""
    wants_text, wants_features = needs_caption(image, spec, embedded), compares_features(spec)
    if not (wants_text or wants_features):
        return None
    return CaptionRequest(
        model=spec.clip_model,
        min_confidence=spec.min_confidence,
        wording=Wording.of(spec),
        wants_text=wants_text,
        wants_features=wants_features,
    )
