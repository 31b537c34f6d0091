"""What the model is to say of an image: its words, its features, or both."""

from shared.labels import DescribedImage, compares_features, needs_caption
from shared.schemas import JobSpec
from worker.captioning.captioning import CaptionRequest


def caption_request(spec: JobSpec, image: DescribedImage) -> CaptionRequest:
    return CaptionRequest(
        model=spec.clip_model,
        min_confidence=spec.min_confidence,
        wants_text=needs_caption(image, spec),
        wants_features=compares_features(spec),
    )
