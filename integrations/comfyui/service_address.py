"""Where the service is, and whether it may be shown the API key."""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from .sheet_order import SheetError

STANDARD_SERVER = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Address:
    scheme: str
    host: str
    port: int
    path: str
    """What comes before `/v1`, without a slash at its end."""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """As RFC 6454 has it: what must agree for two addresses to be the same server."""
        return self.scheme, self.host, self.port


def parse_address(url: str) -> Address:
    """Read an address such as `http://gpu-box:8000`; empty means the environment's own.

    Raises:
        SheetError: it is no http or https address.
    """
    url = url.strip() or _own_server()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SheetError(f"server_url: {url!r} is no address: {error}") from error
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or any(not "!" <= character <= "~" for character in url)
        or parts.username is not None
        or parts.query
        or parts.fragment
    ):
        raise SheetError(f"server_url: {url!r} is no address like {STANDARD_SERVER}")
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    return Address(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))


def api_key_for(address: Address) -> str | None:
    """GRIDSCRIBE_API_KEY, for the server that the environment itself names and for no other.

    A workflow from a stranger may name a server of theirs; it must not be told the key.
    """
    key = os.environ.get("GRIDSCRIBE_API_KEY", "").strip()
    return key if key and address.origin == parse_address(_own_server()).origin else None


def _own_server() -> str:
    return os.environ.get("GRIDSCRIBE_SERVER", "").strip() or STANDARD_SERVER
