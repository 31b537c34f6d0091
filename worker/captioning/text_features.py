"""Text features of a vocabulary, computed once and kept on disk."""

import hashlib
import json
import logging
import tempfile
from pathlib import Path

import numpy as np

from worker.captioning.captioner import Captioner, FloatArray
from worker.captioning.vocabulary import Facet, Vocabulary
from worker.captioning.zero_shot import FacetClassifier, ensemble

logger = logging.getLogger(__name__)


def classifiers(
    captioner: Captioner, vocabulary: Vocabulary, cache_dir: Path
) -> tuple[FacetClassifier, ...]:
    """One for each facet that the model can judge."""
    judged = [facet for facet in vocabulary.facets if facet.name in captioner.facets]
    null = vocabulary.null
    null_features = None
    if null is not None and null.name in captioner.facets:
        null_features = facet_features(captioner, null, cache_dir)
    return tuple(
        FacetClassifier(facet, facet_features(captioner, facet, cache_dir), null_features)
        for facet in judged
    )


def facet_features(captioner: Captioner, facet: Facet, cache_dir: Path) -> FloatArray:
    """(names, D), a row for each of `facet.names`, from the disk where it is there."""
    prompts = [facet.prompts(name) if captioner.uses_templates else [name] for name in facet.names]
    path = cache_dir / f"text-{_key(captioner.identity, prompts)}.npy"
    cached = _read(path, rows=len(prompts))
    if cached is not None:
        return cached
    texts = [text for of_one_name in prompts for text in of_one_name]
    encoded = captioner.encode_texts(texts)
    features = ensemble(encoded.reshape(len(prompts), len(prompts[0]), -1))
    _write(path, features)
    return features


def _key(identity: str, prompts: list[list[str]]) -> str:
    return hashlib.sha256(json.dumps([identity, prompts]).encode()).hexdigest()


def _read(path: Path, *, rows: int) -> FloatArray | None:
    try:
        features = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        logger.warning("computing text features again, %s cannot be read: %s", path, error)
        return None
    if (
        not isinstance(features, np.ndarray)
        or features.dtype != np.float32
        or features.ndim != 2
        or len(features) != rows
        or not np.isfinite(features).all()
    ):
        logger.warning("computing text features again, %s does not hold what it should", path)
        return None
    return features


def _write(path: Path, features: FloatArray) -> None:
    """All or nothing, so that two workers on one folder never read half a file."""
    part: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            part = file.name
            np.save(file, features, allow_pickle=False)
        Path(part).replace(path)
    except OSError as error:
        # A cache that cannot be written costs time at the next start, never a caption.
        logger.warning("text features are not kept on disk: %s", error)
        if part is not None:
            Path(part).unlink(missing_ok=True)
