"""Addresses made out of a source's template and what an event tells."""

import re
from collections.abc import Mapping

from api.inbound.message import invalid

_PLACE = re.compile(r"\{(\w+)(?::0?(\d))?\}")


def filled(template: str, values: Mapping[str, str | int]) -> str:
    """`{frame:04}` writes a number with four digits. Values go in as they are.

    Raises `GridscribeError` INVALID_REQUEST for a place that the event has nothing for.
    """

    def value_of(place: re.Match[str]) -> str:
        if place[1] not in values:
            known = ", ".join(values)
            raise invalid("outputs.url", f"nothing fills in {place[0]!r}; there are {known}")
        return str(values[place[1]]).zfill(int(place[2] or 0))

    return _PLACE.sub(value_of, template)
