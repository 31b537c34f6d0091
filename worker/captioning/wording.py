"""Which words a request has its pictures captioned with."""

from dataclasses import dataclass
from pathlib import Path

from shared.job_spec import JobSpec
from shared.named_vocabularies import DEFAULT, NamedVocabularies
from shared.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Wording:
    """Hashable: what is worked out for a wording once serves every picture of its job."""

    candidates: tuple[str, ...] | None = None
    """In place of the vocabulary's terms."""
    vocabulary: str | None = None
    """A named one; None means the default."""
    templates: tuple[str, ...] = ()
    """For the first facet; none means the vocabulary's own."""

    @classmethod
    def of(cls, spec: JobSpec) -> "Wording":
        return cls(spec.candidates, spec.vocabulary, spec.prompt_templates)

    def terms(self, vocabularies_dir: Path | None) -> Vocabulary:
        """Raises `GridscribeError` UNKNOWN_VOCABULARY."""
        vocabulary = _named(self.vocabulary or DEFAULT, vocabularies_dir)
        if self.candidates is not None:
            vocabulary = vocabulary.with_candidates(self.candidates)
        return vocabulary.with_templates(self.templates) if self.templates else vocabulary


def _named(name: str, vocabularies_dir: Path | None) -> Vocabulary:
    if name == "imagenet":
        # Its names come with timm, and torch with that. No service offers it: it is for measuring.
        from worker.captioning.imagenet import imagenet_vocabulary

        return imagenet_vocabulary()
    return NamedVocabularies(vocabularies_dir).get(name)
