"""Requests to addresses that callers name: never into our own network (SSRF).

A name is resolved once, refused if any of its addresses is not public, and the connection goes to
one of those very addresses, so that a second answer of the name server changes nothing. TLS still
verifies the name. Redirects are not followed, and proxies of the environment are not asked.
"""

import re
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import SOCK_STREAM, gaierror

import anyio
import httpcore
import httpx

from shared.settings import Settings

Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to all addresses of that host."""

SCHEMES = ("http", "https")
_HOST = re.compile(rb"[a-z0-9._:-]{1,253}")
"""A name (international ones in punycode) or an address, without a zone."""

# IANA's registries of special-purpose addresses, and two that are only special in a data centre.
# `ipaddress.is_global` alone lets NAT64, 6to4, multicast and 192.88.99.0/24 through.
_SPECIAL: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared address space"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "a cloud platform's own"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "6to4 relays"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("100::/64", "discard-only"),
    ("2001::/23", "protocol assignments"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "unique local"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_FEW_CONNECTIONS = httpx.Limits(max_connections=10)


class ForbiddenUrlError(Exception):
    """The service does not connect there; the message says why, without its addresses."""


def check_address(address: str, allowed: Iterable[Network] = ()) -> None:
    """Raise `ForbiddenUrlError` unless `address` is public, or in a network that is allowed.

    `address` is the text of an IP address, as a resolver gives it.
    """
    ip = _canonical(address)
    if any(ip in network for network in allowed):
        return
    reason = next((why for network, why in _special() if ip in network), None)
    if reason is None and ip.version == 6 and ip not in _GLOBAL_UNICAST:
        reason = "not global unicast"
    if reason is not None:
        raise ForbiddenUrlError(f"its address is not public ({reason})")


def _canonical(address: str) -> IPv4Address | IPv6Address:
    try:
        ip = ip_address(address)
    except ValueError as error:
        raise ForbiddenUrlError("its address cannot be understood") from error
    if isinstance(ip, IPv6Address):
        if ip.scope_id is not None:
            raise ForbiddenUrlError("its address names a zone of this machine")
        return ip.ipv4_mapped or ip
    return ip


@cache
def _special() -> tuple[tuple[Network, str], ...]:
    return tuple((ip_network(network), why) for network, why in _SPECIAL)


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the operating system, which also reads what is a number in any spelling."""
    found = await anyio.getaddrinfo(host, port, type=SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class UrlGuard:
    """What may be connected to. An operator may allow networks and ports; a caller never can.

    `allowed_ports` of None are all of them.
    """

    def __init__(
        self,
        allowed_networks: Iterable[Network] = (),
        allowed_ports: Iterable[int] | None = (80, 443),
        resolver: Resolver = resolve,
    ) -> None:
        self._networks = tuple(allowed_networks)
        self._ports = None if allowed_ports is None else frozenset(allowed_ports)
        self._resolve = resolver

    @classmethod
    def of(cls, settings: Settings) -> "UrlGuard":
        return cls(settings.allowed_networks, settings.allowed_ports)

    def check_url(self, url: str | httpx.URL) -> httpx.URL:
        """`url` as it will be asked for; raises `ForbiddenUrlError` where its form forbids that.

        Nothing is resolved: the addresses are checked when a client of `guarded_client` connects.
        """
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ForbiddenUrlError(f"it cannot be understood: {error}") from error
        if parsed.scheme not in SCHEMES or not parsed.host:
            raise ForbiddenUrlError("it must begin with http:// or https:// and name a host")
        if not _HOST.fullmatch(parsed.raw_host):
            raise ForbiddenUrlError("its host is neither a name nor an address")
        if parsed.userinfo:
            raise ForbiddenUrlError("it must not hold a user name or a password")
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        if self._ports is not None and port not in self._ports:
            listed = ", ".join(map(str, sorted(self._ports)))
            raise ForbiddenUrlError(f"port {port} is not allowed; allowed: {listed}")
        return parsed

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """All addresses of `host`; raises `ForbiddenUrlError` if one of them is not allowed."""
        found = await self._resolve(host, port)
        for address in found:
            check_address(address, self._networks)
        return found


def guarded_client(
    guard: UrlGuard,
    *,
    timeout: httpx.Timeout,
    verify: ssl.SSLContext | None = None,
    limits: httpx.Limits = _FEW_CONNECTIONS,
) -> httpx.AsyncClient:
    """A client whose every request raises `ForbiddenUrlError` where `guard` forbids it.

    It keeps no cookies: what one server sets is no other caller's business.
    """
    return httpx.AsyncClient(
        transport=_GuardedTransport(guard, verify or _public_authorities(), limits),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=timeout,
        trust_env=False,
        follow_redirects=False,
    )


@cache
def _public_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


class _GuardedTransport(httpx.AsyncHTTPTransport):
    def __init__(self, guard: UrlGuard, context: ssl.SSLContext, limits: httpx.Limits) -> None:
        super().__init__(trust_env=False)
        self._guard = guard
        if not isinstance(self._pool, httpcore.AsyncConnectionPool):
            raise TypeError("this httpx keeps its connections elsewhere: the guard has no hold")
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_GuardedBackend(guard),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._guard.check_url(request.url)
        return await super().handle_async_request(request)


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked. TLS begins later, with the name that was asked."""

    def __init__(self, guard: UrlGuard) -> None:
        self._guard = guard
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in await self._addresses(host, port, timeout):
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _addresses(self, host: str, port: int, timeout: float | None) -> Sequence[str]:
        try:
            with anyio.fail_after(timeout):
                return await self._guard.addresses(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"the name {host} was not resolved in time") from error
        except (gaierror, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host} cannot be resolved") from error

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002 (httpcore's signature)
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise ForbiddenUrlError(f"it leads to a socket of this machine: {path}")

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)
