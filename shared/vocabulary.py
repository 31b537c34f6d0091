"""The terms a picture can be labelled with, by facet, and the prompts they are asked in."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

FACETS = ("subject", "medium", "style", "lighting", "setting")
"""In the order they stand in a caption."""
NULL_FACET = "null"


class VocabularyError(ValueError):
    """A vocabulary file that cannot be understood: which, where and why."""


@dataclass(frozen=True, slots=True)
class Term:
    """One possible answer."""

    names: tuple[str, ...]
    """The first is what a sheet shows; the others are synonyms that only compete."""
    parent: int | None = None
    """Index of the broader term, always a smaller one than the term's own."""

    @property
    def text(self) -> str:
        return self.names[0]


@dataclass(frozen=True, slots=True)
class Facet:
    """Terms that exclude each other, such as the media a picture can be made in."""

    name: str
    terms: tuple[Term, ...]
    templates: tuple[str, ...] = ("{}",)
    """Prompts with `{}` where a name goes."""

    @property
    def names(self) -> tuple[str, ...]:
        """All names of all terms, in order."""
        return tuple(name for term in self.terms for name in term.names)

    @property
    def owners(self) -> tuple[int, ...]:
        """For each of `names` the index of its term."""
        return tuple(index for index, term in enumerate(self.terms) for _ in term.names)

    def prompts(self, name: str) -> list[str]:
        # Not str.format: a name is data, and may hold braces of its own.
        return [template.replace("{}", name) for template in self.templates]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    facets: tuple[Facet, ...]
    """The first one carries the caption; the others add to it."""
    null: Facet | None = None
    """Prompts that say nothing; a term must beat them."""

    def with_templates(self, templates: tuple[str, ...]) -> "Vocabulary":
        """The first facet asked in `templates`; the others keep theirs, made for what they say."""
        first, *others = self.facets
        return replace(self, facets=(replace(first, templates=templates), *others))

    def with_candidates(self, candidates: Iterable[str]) -> "Vocabulary":
        """One facet of the texts that a request brings, asked as the first one here.

        One that is there twice, whatever its case, counts once: it would be torn with itself.
        """
        unique = {text.casefold(): text for text in reversed(tuple(candidates))}
        terms = tuple(Term((text,)) for text in reversed(unique.values()))
        return replace(self, facets=(replace(self.facets[0], terms=terms),))


def read_facet(path: Path) -> Facet:
    """Reads `NAME.txt`, UTF-8. Raises VocabularyError, and OSError where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise VocabularyError(f"{path.stem}: not UTF-8: {error}") from error
    return parse_facet(path.stem, text.splitlines())


def parse_facet(name: str, lines: Iterable[str]) -> Facet:
    """One term a line; raises VocabularyError.

    `red fox | fox` gives synonyms, an indent makes a term a narrower one of the term above it, `{}`
    marks a prompt template, `#` a comment.
    """
    terms: list[Term] = []
    templates: list[str] = []
    broader: list[tuple[int, int]] = []  # (indent, index) from the root to the last term
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        if "{}" in content:
            templates.append(content)
            continue
        names = tuple(part.strip() for part in content.split("|"))
        for each in names:
            if not each:
                raise VocabularyError(f"{name}, line {number}: an empty name beside '|'; delete it")
            if each.casefold() in seen:
                where = seen[each.casefold()]
                raise VocabularyError(f"{name}, line {number}: {each!r} is on line {where} already")
            seen[each.casefold()] = number
        indent = len(line) - len(line.lstrip())
        while broader and broader[-1][0] >= indent:
            broader.pop()
        parent = broader[-1][1] if broader else None
        broader.append((indent, len(terms)))
        terms.append(Term(names, parent))
    if not terms:
        raise VocabularyError(f"{name}: no term in it; write at least one, one a line")
    return Facet(name, tuple(terms), tuple(templates) or ("{}",))
