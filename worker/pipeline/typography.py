"""Text into boxes: cleaned, wrapped, shrunk to one size a sheet, and only then cut."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from shared.text_metrics import line_height
from worker.pipeline.bidi_order import RIGHT_TO_LEFT_MARK, is_right_to_left
from worker.pipeline.graphemes import clusters
from worker.pipeline.typeface import Typeface, Weight, typeface

MAX_CHARACTERS = 4000
"""Of one text; more than anybody would read under a picture."""
LONGEST_WORD = 100
"""Characters; what is longer is broken anywhere, without being measured as a whole."""
MAX_MARKS = 4
"""Combining marks in a row; living languages need no more."""
SMALLEST_SHARE = 0.7
"""Of the asked font size: how far labels may shrink before they are cut."""
SMALLEST_SIZE = 9
"""Pixels below which Latin text is hard to read; smaller only where that was asked for."""
ELLIPSIS = "…"

LINE_BREAKS = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
SPACES = re.compile(r"\s+")
UNDRAWABLE = frozenset({"Cc", "Cf", "Cs"})
"""Categories of control characters, bidi and zero-width ones, lone surrogates."""
VARIATION_SELECTORS = range(0xFE00, 0xFE10)
EMOJI_SELECTORS = ("\ufe0e", "\ufe0f")
JOINERS = ("\u200c", "\u200d")
"""Persian words and emoji sequences are written with them; between Latin letters they only hide."""
FIRST_JOINED = "\u0590"
"""Scripts before it, Latin, Greek and Cyrillic among them, do not join."""
FLAG, TAGS = "\U0001f3f4", range(0xE0020, 0xE0080)
"""Flags such as Scotland's are a black flag and the letters of the region as tags."""

IDEOGRAPHS = "\u2e80-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff"
"""Chinese and Japanese, which may break after any character."""
CLOSING = "\u3001\u3002\u3009\u300b\u300d\u300f\u3011\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f"
"""Full-width punctuation and brackets that must not begin a line."""
UNBREAKABLE = re.compile(
    rf"[{IDEOGRAPHS}][{CLOSING}]*\s*|[^\s{IDEOGRAPHS}/\\_-]+[/\\_-]*\s*|[/\\_-]+\s*|\s+"
)
"""Ideograph, word, or a file name's part with its separator; each with the space behind it."""


def clean_text(text: str) -> str:
    """`text` as it can be drawn: trimmed lines without what is invisible or moves other text about.

    Its length is bounded, whatever the length of what comes in.
    """
    is_long = len(text) > MAX_CHARACTERS
    text = unicodedata.normalize("NFC", text[:MAX_CHARACTERS])
    lines = (SPACES.sub(" ", _drawable(line)).strip() for line in LINE_BREAKS.split(text))
    return "\n".join(line for line in lines if line) + (ELLIPSIS if is_long else "")


def _drawable(line: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in line:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if character.isspace():
            kept.append(" ")
        elif _belongs(character, kept[-1] if kept else " ") or (
            category not in UNDRAWABLE
            and marks <= MAX_MARKS
            and ord(character) not in VARIATION_SELECTORS
        ):
            kept.append(character)
    return "".join(kept)


def _belongs(character: str, before: str) -> bool:
    """Whether something invisible shapes the character before it."""
    if character in JOINERS:
        return before >= FIRST_JOINED and before not in JOINERS
    if character in EMOJI_SELECTORS:
        return before not in (" ", *EMOJI_SELECTORS, *JOINERS)
    return ord(character) in TAGS and (before == FLAG or ord(before) in TAGS)


def lines_within(height: int, font_size: int) -> int:
    """How many lines a text of this height may have; one even where it is cut."""
    return max(1, height // line_height(font_size))


def most_lines(texts: Sequence[str], face: Typeface, width: int, bound: int) -> int:
    """Lines that the longest of `texts` takes within `width` pixels; `bound` where it is more."""
    most = 0
    for text in texts:
        most = max(most, len(list(islice(_wrapped(text, face, width), bound))))
        if most == bound:
            break
    return most


def common_size(texts: Sequence[str], weight: Weight, room: tuple[int, int], asked: int) -> int:
    """The largest font size up to `asked` at which all `texts` fit into `room` (width, height).

    Where one is too long for any, the smallest: it is cut, but as little of it as can be.
    """
    width, height = room

    def fits(text: str, size: int) -> bool:
        face, most = typeface(weight, size), lines_within(height, size)
        return len(list(islice(_wrapped(text, face, width), most + 1))) <= most

    smallest = min(asked, max(round(asked * SMALLEST_SHARE), SMALLEST_SIZE))
    size = asked
    while size > 1 and line_height(size) > height:
        size -= 1
    smallest = min(smallest, size)
    for text in texts:
        if size == smallest:
            break
        if not fits(text, size):
            size = next((s for s in range(size - 1, smallest, -1) if fits(text, s)), smallest)
    return size


def fitted(text: str, face: Typeface, room: tuple[int, int]) -> list[str]:
    """The lines of `text` within `room` (width, height).

    Where they do not fit, the longest paragraphs are cut first, so that a seed stays below a prompt
    however long that is. What is cut ends in …, and so does the last line where paragraphs are
    left out behind it.
    """
    width, height = room
    most = lines_within(height, face.size)
    paragraphs = text.split("\n")
    lines: list[str] = []
    wrapped = [list(islice(_wrapped(it, face, width), most + 1)) for it in paragraphs[:most]]
    for own, share in zip(wrapped, _shares([len(own) for own in wrapped], most), strict=True):
        lines += own[:share]
        if len(own) > share:
            lines[-1] = _with_ellipsis(lines[-1], face, width)
    if len(paragraphs) > most:
        lines[-1] = _with_ellipsis(lines[-1], face, width)
    return lines


def _shares(needed: Sequence[int], most: int) -> list[int]:
    """How many of `most` lines each of as many paragraphs or fewer gets.

    One each; then one after the other to that which has the fewest and needs more.
    """
    shares = [1] * len(needed)
    for _ in range(most - len(needed)):
        lacking = [at for at, share in enumerate(shares) if share < needed[at]]
        if not lacking:
            break
        shares[min(lacking, key=shares.__getitem__)] += 1
    return shares


def _wrapped(text: str, face: Typeface, width: int) -> Iterator[str]:
    for paragraph in text.split("\n"):
        yield from map(_direction_marker(paragraph), _wrapped_paragraph(paragraph, face, width))


def _direction_marker(paragraph: str) -> Callable[[str], str]:
    """Makes each line run as its paragraph does, whatever letter it happens to begin with."""
    if paragraph.isascii() or not is_right_to_left(paragraph):
        return str
    return lambda line: line if is_right_to_left(line) else RIGHT_TO_LEFT_MARK + line


def _wrapped_paragraph(paragraph: str, face: Typeface, width: int) -> Iterator[str]:
    line, used = "", 0.0
    for piece in UNBREAKABLE.findall(paragraph):
        if len(piece) <= LONGEST_WORD:
            needed = face.width(piece.rstrip())
            if line and used + needed > width:
                yield line.rstrip()
                line, used = "", 0.0
            if needed <= width:
                line, used = line + piece, used + face.width(piece)
                continue
        for cluster in clusters(piece):  # longer than a line
            advance = face.width(cluster)
            if line and used + advance > width:
                yield line
                line, used = "", 0.0
            line, used = line + cluster, used + advance
    yield line.rstrip()


def _with_ellipsis(line: str, face: Typeface, width: int) -> str:
    kept = clusters(line.removesuffix(ELLIPSIS))
    used = face.width("".join(kept)) + face.width(ELLIPSIS)
    while kept and used > width:
        used -= face.width(kept.pop())
    return "".join(kept).rstrip(" ,;:._-/") + ELLIPSIS
