"""What a reader takes for one character: letters with their marks, emoji sequences (UAX #29)."""

import regex

_CLUSTER = regex.compile(r"\X")
_EMOJI = regex.compile(r"\p{Emoji_Presentation}|\p{Emoji}.*[\uFE0F\u20E3]", regex.DOTALL)
TEXT_SELECTOR = "\ufe0e"


def clusters(text: str) -> list[str]:
    return list(text) if text.isascii() else _CLUSTER.findall(text)


def is_emoji(cluster: str) -> bool:
    """Whether it asks for a picture: by itself as 😀 does, or by a selector as ❤ with U+FE0F."""
    return TEXT_SELECTOR not in cluster and _EMOJI.match(cluster) is not None
