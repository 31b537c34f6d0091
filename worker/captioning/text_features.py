"""Text features of vocabularies: computed once, then kept in memory and on disk."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from shared.vocabulary import Facet, Vocabulary
from worker.captioning.captioner import Captioner, FloatArray, OutOfDeviceMemory
from worker.captioning.computed_once import ComputedOnce
from worker.captioning.feature_files import FeatureFiles
from worker.captioning.zero_shot import FacetClassifier, ensemble

PART = 64
"""Texts that are encoded in one go. Between two parts other requests have their turn."""
FACETS_IN_MEMORY = 64


class TextFeatures:
    """All methods may be called from many threads.

    Texts are encoded by one thread of their own: beside the one that runs images, which goes on,
    and not in each caller's, where torch would start a pool of threads for every caller.
    """

    def __init__(self, files: FeatureFiles) -> None:
        self._files = files
        self._facets: ComputedOnce[str, FloatArray] = ComputedOnce(FACETS_IN_MEMORY)
        self._encoding = ThreadPoolExecutor(1, thread_name_prefix="texts")
        self._readers: Counter[int] = Counter()
        self._lock = threading.Lock()

    def classifiers(
        self, captioner: Captioner, vocabulary: Vocabulary
    ) -> tuple[FacetClassifier, ...]:
        """One for each facet that the model can judge. Raises what the model raises for texts."""
        null = vocabulary.null
        with self._reading(captioner):
            null_features = None
            if null is not None and null.name in captioner.facets:
                null_features = self.of_facet(captioner, null)
            return tuple(
                FacetClassifier(facet, self.of_facet(captioner, facet), null_features)
                for facet in vocabulary.facets
                if facet.name in captioner.facets
            )

    def of_facet(self, captioner: Captioner, facet: Facet) -> FloatArray:
        """(names, D), a row for each of `facet.names`."""
        prompts = [
            facet.prompts(name) if captioner.uses_templates else [name] for name in facet.names
        ]
        key = hashlib.sha256(json.dumps([captioner.identity, prompts]).encode()).hexdigest()
        return self._facets.get(key, lambda: self._load_or_encode(captioner, key, prompts))

    def close(self) -> None:
        """Ends after the part that is being encoded; who waits for more gets a CancelledError."""
        self._encoding.shutdown(cancel_futures=True)

    @contextmanager
    def _reading(self, captioner: Captioner) -> Iterator[None]:
        """Lets go of the text encoder, often the larger half of a model, after its last reader."""
        key = id(captioner)
        with self._lock:
            self._readers[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers[key] -= 1
                if not self._readers[key]:
                    del self._readers[key]
                    captioner.release_texts()

    def _load_or_encode(
        self, captioner: Captioner, key: str, prompts: Sequence[Sequence[str]]
    ) -> FloatArray:
        kept = self._files.read(key, rows=len(prompts))
        if kept is not None:
            return kept
        texts = [text for of_one_name in prompts for text in of_one_name]
        parts = [
            self._encoding.submit(_encode, captioner, texts[start : start + PART]).result()
            for start in range(0, len(texts), PART)
        ]
        encoded = np.concatenate(parts)
        features = ensemble(encoded.reshape(len(prompts), len(prompts[0]), -1))
        self._files.write(key, features)
        return features


def _encode(captioner: Captioner, texts: Sequence[str]) -> FloatArray:
    """In halves where the accelerator has no room for all."""
    try:
        return captioner.encode_texts(texts)
    except OutOfDeviceMemory:
        if len(texts) == 1:
            raise
    half = len(texts) // 2
    return np.concatenate([_encode(captioner, texts[:half]), _encode(captioner, texts[half:])])
