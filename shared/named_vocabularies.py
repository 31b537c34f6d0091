"""The vocabularies that a request may name: our own, and the operator's folders of facet files."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.vocabulary import FACETS, NULL_FACET, Vocabulary, VocabularyError, read_facet

DEFAULT = "default"
BUILT_IN: Mapping[str, Path] = MappingProxyType(
    {DEFAULT: Path(__file__).parent / "vocabularies" / DEFAULT}
)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class NamedVocabularies:
    """Reads files at every call, so that what an operator changes holds at once."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` holds one folder of facet files for each vocabulary; None where there are none.

        A built-in name wins over a folder's.
        """
        self._folder = folder

    def names(self) -> tuple[str, ...]:
        """The default first, the others in alphabetical order."""
        return tuple(self._folders())

    def get(self, name: str) -> Vocabulary:
        """Raises `GridscribeError` UNKNOWN_VOCABULARY: no such one, or its files have a mistake."""
        folders = self._folders()
        if name not in folders:
            raise _unknown(f"there is no vocabulary {name!r}; there are {', '.join(folders)}")
        try:
            return read_vocabulary(folders[name], null_from=folders[DEFAULT])
        except (VocabularyError, OSError) as error:
            raise _unknown(f"the vocabulary {name!r} cannot be used: {error}") from error

    def _folders(self) -> dict[str, Path]:
        found = dict(BUILT_IN)
        if self._folder is not None and self._folder.is_dir():
            for path in sorted(self._folder.iterdir()):
                if path.is_dir() and _NAME.fullmatch(path.name):
                    found.setdefault(path.name, path)
        return found


def read_vocabulary(folder: Path, *, null_from: Path) -> Vocabulary:
    """The facets of a folder, `subject.txt` among them, with the null prompts of `null_from` where
    it has none of its own.

    Raises VocabularyError, and OSError where a file cannot be read.
    """
    paths = {path.stem: path for path in sorted(folder.glob("*.txt"))}
    known = (*FACETS, NULL_FACET)
    if unknown := [name for name in paths if name not in known]:
        raise VocabularyError(f"{unknown[0]}.txt: no such facet; there are {', '.join(known)}")
    if FACETS[0] not in paths:
        raise VocabularyError(f"{FACETS[0]}.txt is missing; it holds what a caption begins with")
    null = paths.get(NULL_FACET, null_from / f"{NULL_FACET}.txt")
    return Vocabulary(
        facets=tuple(read_facet(paths[name]) for name in FACETS if name in paths),
        null=read_facet(null),
    )


def _unknown(detail: str) -> GridscribeError:
    return GridscribeError(
        ErrorCode.UNKNOWN_VOCABULARY,
        f"spec.vocabulary: {detail}",
        errors=[ErrorLocation("spec.vocabulary", detail)],
    )
