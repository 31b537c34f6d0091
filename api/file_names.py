"""Names that callers give their files: shown and matched, never used as a path."""

MAX_NAME = 200


def clean_name(name: str | None, fallback: str) -> str:
    """The base name without control characters, at most `MAX_NAME` characters; else `fallback`.

    Both slashes part folders, whatever system the name comes from. Invisible characters go too:
    one that turns the direction of writing makes `gpj.exe` look like a picture.
    """
    base = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    visible = "".join(character for character in base if character.isprintable()).strip()
    return fallback if visible in ("", ".", "..") else visible[:MAX_NAME]
