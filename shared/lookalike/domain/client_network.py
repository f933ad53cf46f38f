"""Client addresses as limits count them."""

import ipaddress


def client_network(address: str) -> str:
    """Return the IPv4 address, or the /64 network of an IPv6 address, which usually belongs to one customer."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    ipv4 = parsed if parsed.version == 4 else parsed.ipv4_mapped
    return str(ipv4 or ipaddress.ip_network((parsed, 64), strict=False))
