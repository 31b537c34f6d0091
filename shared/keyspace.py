"""Names of everything in Redis, and the scripts that change it.

`{gridscribe}` is a hash tag: on a cluster all keys share one slot, as scripts need.
"""

from functools import cache
from importlib import resources

PREFIX = "{gridscribe}:"

_SHARED = ("common", "deliveries")


@cache
def script_source(*names: str) -> str:
    """The script named last, before it those it builds on and what all scripts share.

    Its own first line leads: whether it writes, and whether it may where the store is full.
    """
    folder = resources.files("shared") / "lua"
    *parts, script = ((folder / f"{part}.lua").read_text("utf-8") for part in (*_SHARED, *names))
    flags, _, script = script.partition("\n")
    return "\n".join((flags, *parts, script))
