"""Which network addresses may be connected to for addresses on the web that others choose.

The ranges are those of the IANA special-purpose address registries (RFC 6890). They are written out here, because
`ipaddress.is_global` differs between Python versions and accepts 6to4, NAT64 and multicast addresses.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")
"""Prefix under which networks without IPv4 reach IPv4 addresses (RFC 6052); the last 32 bits are the IPv4 address."""
GLOBAL_UNICAST = IPv6Network("2000::/3")
"""The only IPv6 range that is allocated for public addresses."""
SPECIAL_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
SPECIAL_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
METADATA = frozenset(
    ip_address(address)
    for address in (
        "169.254.169.254",  # most clouds
        "fd00:ec2::254",  # Amazon
        "fd20:ce::254",  # Google
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure, in a public range
        "192.0.0.192",  # Oracle
    )
)
"""Addresses of services that give a machine its credentials."""
NEVER_CONNECTED: tuple[IPNetwork, ...] = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("169.254.0.0/16"),
    IPv4Network("224.0.0.0/4"),
    IPv4Network("240.0.0.0/4"),
    IPv6Network("::/128"),
    IPv6Network("fe80::/10"),
    IPv6Network("ff00::/8"),
    # Tunnels: the address of the other end is inside of the address.
    IPv6Network("2001::/32"),
    IPv6Network("2002::/16"),
)
"""Networks that no setting permits: unspecified, link-local, multicast, reserved, Teredo and 6to4."""


def is_public_address(address: str | IPAddress) -> bool:
    """Return whether an IP address is public: reachable from everywhere, and not of a special purpose.

    IPv4 addresses inside of IPv6 addresses (mapped, NAT64) are judged as IPv4. Raises `ValueError` for other texts.
    """
    plain = plain_address(address)
    if plain in METADATA:
        return False
    if isinstance(plain, IPv4Address):
        return not any(plain in network for network in SPECIAL_IPV4)
    if plain.scope_id is not None or plain not in GLOBAL_UNICAST:
        return False
    return not any(plain in network for network in SPECIAL_IPV6)


def is_connectable_if_listed(address: str | IPAddress) -> bool:
    """Return whether an operator may permit this address: not link-local, of a metadata service, multicast, ….

    Raises `ValueError` for texts that are not IP addresses.
    """
    plain = plain_address(address)
    return plain not in METADATA and not any(plain in network for network in NEVER_CONNECTED)


def plain_address(address: str | IPAddress) -> IPAddress:
    """Return the IPv4 address inside of an IPv4-mapped or NAT64 address, and any other address itself.

    Raises `ValueError` for texts that are not IP addresses.
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return parsed.ipv4_mapped
        if parsed in NAT64:
            return IPv4Address(int(parsed) & 0xFFFF_FFFF)
    return parsed
