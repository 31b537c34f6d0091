"""Which addresses and URLs may be connected to, in every spelling."""

from ipaddress import ip_network

import pytest

from shared.settings import Settings
from shared.url_guard import ForbiddenUrlError, UrlGuard, check_address

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700::1111",
    "2a00:1450::1",
    "::ffff:8.8.8.8",
]

NOT_PUBLIC = [
    ("0.0.0.0", "this network"),  # noqa: S104 (nothing is bound to it)
    ("0.1.2.3", "this network"),
    ("10.0.0.0", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.0", "shared"),
    ("100.100.100.200", "shared"),
    ("100.127.255.255", "shared"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.255", "loopback"),
    ("168.63.129.16", "cloud"),
    ("169.254.0.0", "link-local"),
    ("169.254.169.254", "link-local"),
    ("172.16.0.0", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.192", "protocol"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "6to4"),
    ("192.168.0.1", "private"),
    ("198.18.0.1", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.1", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.250", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::127.0.0.1", "global unicast"),
    ("::8.8.8.8", "global unicast"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:7f00:1", "loopback"),
    ("::ffff:10.0.0.1", "private"),
    ("::ffff:169.254.169.254", "link-local"),
    ("0:0:0:0:0:ffff:a9fe:a9fe", "link-local"),
    ("::ffff:0:127.0.0.1", "global unicast"),
    ("64:ff9b::7f00:1", "NAT64"),
    ("64:ff9b::8.8.8.8", "NAT64"),
    ("64:ff9b:1::1", "NAT64"),
    ("64:ff9b:1:ffff::1", "NAT64"),
    ("100::1", "discard"),
    ("100:0:0:1::1", "global unicast"),
    ("2001::1", "protocol"),
    ("2001:0:7f00:1::", "protocol"),
    ("2001:2::1", "protocol"),
    ("2001:1ff:ffff::", "protocol"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::", "6to4"),
    ("2002:808:808::1", "6to4"),
    ("3fff::1", "documentation"),
    ("5f00::1", "segment"),
    ("4000::1", "global unicast"),
    ("fc00::1", "unique local"),
    ("fd00:ec2::254", "unique local"),
    ("fe80::1", "link-local"),
    ("febf::1", "link-local"),
    ("fec0::1", "site-local"),
    ("feff::1", "site-local"),
    ("ff02::1", "multicast"),
    ("ff0e::1", "multicast"),
    ("fe80::1%eth0", "zone"),
    ("2001:4860:4860::8888%1", "zone"),
    ("localhost", "understood"),
    ("127.1", "understood"),
    ("", "understood"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_connected_to(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(("address", "why"), NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(address: str, why: str) -> None:
    with pytest.raises(ForbiddenUrlError, match=why):
        check_address(address)


@pytest.mark.parametrize(
    ("address", "passes"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("10.2.0.1", False),
        ("fd00:7::1", True),
        ("fd00:8::1", False),
        ("64:ff9b::10.1.2.3", False),
        ("2002:a01:203::", False),
    ],
)
def test_an_operator_allows_networks_and_nothing_beside_them(address: str, passes: bool) -> None:
    allowed = (ip_network("10.1.0.0/16"), ip_network("fd00:7::/32"))
    if passes:
        check_address(address, allowed)
    else:
        with pytest.raises(ForbiddenUrlError):
            check_address(address, allowed)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.png",
        "https://example.com:443/",
        "HTTP://EXAMPLE.com:80/?q=%2e%2e#part",
        "https://[2606:4700::1111]/",
        "https://bücher.example/ä.png",
    ],
)
def test_a_plain_url_is_well_formed(url: str) -> None:
    UrlGuard().check_url(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.com/a", "http://"),
        ("file:///etc/passwd", "http://"),
        ("gopher://example.com", "http://"),
        ("data:image/png;base64,xx", "http://"),
        ("//example.com/a", "http://"),
        ("/etc/passwd", "http://"),
        ("http:///a", "http://"),
        ("http:a", "http://"),
        ("", "http://"),
        ("http://user@example.com/", "user name"),
        ("http://user:pw@example.com/", "user name"),
        ("http://1.1.1.1@127.0.0.1/", "user name"),
        ("http://example.com:22/", "port 22"),
        ("http://example.com:6379/", "port 6379"),
        ("https://example.com:8443/", "allowed: 80, 443"),
        ("http://example.com:99999/", "port 99999"),
        ("http://exa mple.com/", "neither"),
        ("http://example.com/\r\nX-Evil: 1", "understood"),
        ("http://example.com\t.evil/", "understood"),
        ("http://[::1/", "understood"),
        ("http://exa%20mple.com/", "neither"),
        ("http://[fe80::1%25eth0]/", "neither"),
        ("http://\udcff/", "understood"),
    ],
)
def test_a_url_of_another_form_is_refused(url: str, why: str) -> None:
    with pytest.raises(ForbiddenUrlError, match=why):
        UrlGuard().check_url(url)


def test_settings_name_networks_and_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSCRIBE_ALLOWED_NETWORKS", "10.1.0.0/16, fd00:7::/32")
    monkeypatch.setenv("GRIDSCRIBE_ALLOWED_PORTS", "80,9000")
    settings = Settings()
    assert settings.allowed_networks == (ip_network("10.1.0.0/16"), ip_network("fd00:7::/32"))
    UrlGuard.of(settings).check_url("http://example.com:9000/")
    with pytest.raises(ForbiddenUrlError):
        UrlGuard.of(settings).check_url("https://example.com/")


@pytest.mark.parametrize("networks", ["10.0.0.1/8", "everything", "10.0.0.0/33"])
def test_networks_that_are_none_are_refused(networks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSCRIBE_ALLOWED_NETWORKS", networks)
    with pytest.raises(ValueError, match="allowed_networks"):
        Settings()
