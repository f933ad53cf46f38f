"""Which addresses are public, and what a list of permitted hosts means."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.errors import Forbidden, InvalidField
from lookalike.domain.network import is_connectable_if_listed, is_public_address
from lookalike.domain.web_address import AllowedHosts, WebAddress, parse_web_address

PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"]
NOT_PUBLIC = {
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],
    "loopback": ["127.0.0.1", "127.9.9.9", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
    "unique local": ["fc00::1", "fd12:3456::1"],
    "link-local": ["169.254.0.1", "fe80::1", "fe80::1%eth0", "febf::1"],
    "metadata": ["169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "168.63.129.16", "100.100.100.200", "192.0.0.192"],
    "carrier-grade NAT": ["100.64.0.1", "100.127.255.255"],
    "benchmarking": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "protocol assignments": ["192.0.0.8", "192.0.0.9", "2001:1::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "4000::1", "100::1", "5f00::1", "fec0::1"],
    "IPv4 in IPv6": ["::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1", "::8.8.8.8"],
    "6to4": ["2002:a9fe:a9fe::", "2002:7f00:1::", "2002:808:808::1", "192.88.99.1"],
    "NAT64": ["64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::808:808"],
    "Teredo": ["2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public_address(address) and is_public_address(ipaddress.ip_address(address))


@pytest.mark.parametrize(("kind", "address"), [(kind, one) for kind, group in NOT_PUBLIC.items() for one in group])
def test_addresses_that_are_not_public(kind: str, address: str) -> None:
    assert not is_public_address(address), kind


def test_nat64_of_a_public_address_is_public() -> None:
    """Networks without IPv4 reach all IPv4 hosts so."""
    assert is_public_address("64:ff9b::808:808")


@given(st.ip_addresses(v=4))
def test_ipv4_inside_of_ipv6_is_judged_as_ipv4(address: ipaddress.IPv4Address) -> None:
    for inside in (f"::ffff:{address}", str(ipaddress.IPv6Address((0x64FF9B << 96) | int(address)))):
        assert is_public_address(inside) == is_public_address(address)
        assert is_connectable_if_listed(inside) == is_connectable_if_listed(address)


@given(st.ip_addresses())
def test_public_addresses_are_global_for_python(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if is_public_address(address):
        assert address.is_global and not address.is_multicast and is_connectable_if_listed(address)


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        ("https://Images.Shop.example/a.jpg?w=1", "https://images.shop.example", "/a.jpg?w=1"),
        ("http://shop.example:80", "http://shop.example", "/"),
        ("https://shop.example:8443/a b/ä.jpg#part", "https://shop.example:8443", "/a%20b/%C3%A4.jpg"),
        ("https://bücher.example/a%20b.jpg", "https://xn--bcher-kva.example", "/a%20b.jpg"),
        ("https://shop.example./a.jpg", "https://shop.example", "/a.jpg"),
        ("http://[2606:4700::1111]:8080/a.jpg", "http://[2606:4700::1111]:8080", "/a.jpg"),
        ("http://[::FFFF:8.8.8.8]/", "http://[::ffff:808:808]", "/"),
    ],
)
def test_addresses_are_parsed_and_encoded(text: str, origin: str, target: str) -> None:
    address = parse_web_address(text)
    assert (address.origin, address.target) == (origin, target)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop.example/a.jpg",
        "ftp://shop.example/a.jpg",
        "file:///etc/passwd",
        "gopher://shop.example/",
        "data:image/png;base64,AAAA",
        "https://user:password@shop.example/a.jpg",
        "https://user@shop.example/a.jpg",
        "https:///a.jpg",
        "https://shop.example:99999/",
        "https://shop.example:http/",
        "https://shop.example\\@other.example/",
        "https://shop.example/\r\nHost: other",
        "https://shop .example/",
        "https://a..b/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "https://shop.example/" + "a" * 5000,
    ],
)
def test_unusable_addresses_are_refused_without_their_password(text: str) -> None:
    with pytest.raises(InvalidField) as error:
        parse_web_address(text, "image_link")
    assert error.value.details["field"] == "image_link" and "password@" not in error.value.message


@given(
    st.text() | st.text().map(lambda text: f"https://{text}") | st.text().map(lambda text: f"http://a.example/{text}")
)
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parse_web_address(text)
    except InvalidField:
        return
    assert parse_web_address(address.origin + address.target) == address
    assert (address.host + address.target).isascii() and not any(char.isspace() for char in address.target)


def allows(allowed: str, address: str, *resolved: str) -> bool:
    """Whether an address may be connected to if its host has these IP addresses."""
    hosts, parsed = AllowedHosts.parse(allowed), parse_web_address(address)
    try:
        hosts.check_host(parsed)
        hosts.check_addresses(parsed, resolved)
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize(
    ("allowed", "address", "resolved", "expected"),
    [
        ("", "https://shop.example/", ["8.8.8.8"], True),
        ("", "https://shop.example/", ["8.8.8.8", "10.0.0.1"], False),
        ("", "https://shop.example/", ["2606:4700::1111", "::1"], False),
        ("", "https://8.8.8.8/", ["8.8.8.8"], True),
        ("", "https://10.0.0.1/", ["10.0.0.1"], False),
        ("", "https://[::1]/", ["::1"], False),
        ("", "https://shop.example:8443/", ["8.8.8.8"], False),
        ("", "https://shop.example:22/", ["8.8.8.8"], False),
        ("", "https://localhost/", ["8.8.8.8"], False),
        ("", "https://a.localhost/", ["8.8.8.8"], False),
        ("", "https://printer.local/", ["8.8.8.8"], False),
        ("", "https://intranet/", ["8.8.8.8"], False),
        ("", "https://metadata.google.internal/", ["8.8.8.8"], False),
        ("metadata.google.internal", "https://metadata.google.internal/", ["8.8.8.8"], False),
        ("metadata.google.internal", "https://metadata.google.internal./", ["8.8.8.8"], False),
        ("images.shop.example", "https://images.shop.example/", ["8.8.8.8"], True),
        ("images.shop.example", "https://other.example/", ["8.8.8.8"], False),
        ("images.shop.example", "https://images.shop.example/", ["10.0.0.1"], False),
        ("images.shop.example", "https://8.8.8.8/", ["8.8.8.8"], False),
        ("*.cdn.example, b.example", "https://a.b.cdn.example/", ["8.8.8.8"], True),
        ("*.cdn.example", "https://cdn.example/", ["8.8.8.8"], False),
        ("*.cdn.example", "https://evilcdn.example/", ["8.8.8.8"], False),
        ("shop.example:8443", "https://shop.example:8443/", ["8.8.8.8"], True),
        ("shop.example:8443", "https://shop.example/", ["8.8.8.8"], False),
        ("shop.example,shop.example:8443", "https://shop.example/", ["8.8.8.8"], True),
        ("images.corp.internal,10.0.0.0/8", "https://images.corp.internal/", ["10.1.2.3"], True),
        ("images.corp.internal,10.0.0.0/8", "https://images.corp.internal/", ["10.1.2.3", "192.168.0.1"], False),
        ("images.corp.internal,10.0.0.0/8", "https://other.example/", ["10.1.2.3"], False),
        ("10.0.0.0/8", "https://10.1.2.3/", ["10.1.2.3"], True),
        ("10.0.0.0/8", "https://shop.example/", ["10.1.2.3"], True),
        ("10.0.0.0/8", "https://shop.example/", ["::ffff:10.1.2.3"], True),
        ("10.0.0.0/8", "https://shop.example/", ["8.8.8.8"], False),
        ("10.1.2.3:8080", "http://10.1.2.3:8080/", ["10.1.2.3"], True),
        ("10.1.2.3:8080", "http://10.1.2.4:8080/", ["10.1.2.4"], False),
        ("[fd00::1]:8080", "http://[fd00::1]:8080/", ["fd00::1"], True),
        ("localhost,127.0.0.0/8", "http://localhost/", ["127.0.0.1"], True),
        ("169.254.0.0/16", "http://169.254.169.254/", ["169.254.169.254"], False),
        ("0.0.0.0/0", "http://169.254.169.254/", ["169.254.169.254"], False),
        ("0.0.0.0/0", "http://10.0.0.1/", ["10.0.0.1"], True),
        ("::/0", "http://[fe80::1]/", ["fe80::1"], False),
        ("::/0", "http://[fd00:ec2::254]/", ["fd00:ec2::254"], False),
        ("::/0,0.0.0.0/0", "http://shop.example/", ["::ffff:169.254.169.254"], False),
        ("::/0,0.0.0.0/0", "http://shop.example/", ["64:ff9b::a9fe:a9fe"], False),
        ("::/0,0.0.0.0/0", "http://shop.example/", ["2002:a9fe:a9fe::"], False),
    ],
)
def test_permitted_hosts(allowed: str, address: str, resolved: list[str], expected: bool) -> None:
    assert allows(allowed, address, *resolved) is expected


@pytest.mark.parametrize(
    "text", ["a b", "shop.example:0", "shop.example:70000", "10.0.0.1/8", "*", "https://a.example", "*."]
)
def test_wrong_entries_are_refused_without_their_text(text: str) -> None:
    with pytest.raises(ValueError, match="entry 2") as error:
        AllowedHosts.parse(f"shop.example,{text}")
    assert len(text) < 3 or text not in str(error.value)


def test_text_of_an_address_leaves_out_the_query() -> None:
    assert str(parse_web_address("https://shop.example/a.jpg?signature=secret")) == "https://shop.example/a.jpg"


def test_links_are_resolved_at_the_address() -> None:
    base = parse_web_address("http://shop.example/a/b.jpg?x=1")
    assert base.join("c.jpg") == WebAddress("http", "shop.example", 80, "/a/c.jpg")
    assert base.join("//other.example/d").host == "other.example"
    with pytest.raises(InvalidField):
        base.join("file:///etc/passwd")
