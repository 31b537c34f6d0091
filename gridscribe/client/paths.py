"""Addresses of the service, below its base URL."""

from urllib.parse import quote

from gridscribe.client.errors import UnusableArgumentError


def path_of(*parts: str) -> str:
    """`/v1/...`; whatever the parts hold, each stays one segment."""
    for part in parts:
        if part in ("", ".", ".."):
            raise UnusableArgumentError(f"{part!r} is no id and no name of anything")
    return "/".join(["/v1", *(quote(part, safe="", errors="replace") for part in parts)])
