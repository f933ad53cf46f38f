"""Addresses of pages and pictures on the web: parsing, and which of them an operator permits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from lookalike.domain.errors import Forbidden, InvalidField
from lookalike.domain.network import IPNetwork, is_connectable_if_listed, is_public_address, plain_address

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_LENGTH = 4096
"""Characters of an address. The Google Merchant product data specification permits 2,000."""
LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})*")
NUMBER = re.compile(r"(\d+|0x[0-9a-f]*)")
LIST_ENTRY = re.compile(r"(\[[0-9a-f:.]+\]|\*\.[\w.-]+|[\w.-]+)(:\d{1,5})?")
SAFE_IN_TARGET = "%/:=&?~+!$,;'@()*[]"
"""Characters of a path and query that are not percent-encoded. `%` is kept, since addresses are mostly encoded already."""
METADATA_HOSTS = frozenset({"metadata.google.internal", "metadata.goog", "metadata", "instance-data.ec2.internal"})
"""Names of metadata services. No setting permits them."""
LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".localdomain", ".home.arpa", ".lan")
"""Ends of names that exist only inside of a network (RFC 6761, RFC 6762, RFC 8375 and common use)."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """An address with the scheme http or https. Its text leaves out the query, which may hold a signature."""

    scheme: str
    host: str
    """Name in lower case and in ASCII, or an IP address without brackets."""
    port: int
    target: str
    """Path and query, percent-encoded."""

    @property
    def origin(self) -> str:
        """Scheme, host and port: `https://images.shop.example:8443`. The default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}")

    def __str__(self) -> str:
        return self.origin + self.target.partition("?")[0]

    def join(self, location: str) -> "WebAddress":
        """Return the address that a link at this address leads to. Raises `InvalidField`."""
        try:
            return parse_web_address(urljoin(self.origin + self.target, location))
        except ValueError as error:
            raise InvalidField("The link is not a valid address", field="address") from error


def parse_web_address(text: str, field: str = "address") -> WebAddress:
    """Parse an address with the scheme http or https. Spaces and other characters of the path are percent-encoded.

    Raises `InvalidField` with the name of the field. Messages show no query and no credentials.
    """
    parts, port = _split(text, field)
    if parts.scheme not in DEFAULT_PORTS:
        raise InvalidField("The address must start with http:// or https://", field=field)
    if "@" in parts.netloc:
        raise InvalidField("The address must not contain a user name or password", field=field)
    target = quote(parts.path or "/", safe=SAFE_IN_TARGET)
    if parts.query:
        target += "?" + quote(parts.query, safe=SAFE_IN_TARGET)
    host = _parse_host(parts.hostname or "", field)
    return WebAddress(parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port, target)


def _split(text: str, field: str) -> tuple[SplitResult, int | None]:
    text = text.strip(" ")
    # urlsplit drops some control characters, and programs read a backslash differently
    if len(text) > MAX_LENGTH or "\\" in text or not text.isprintable():
        raise InvalidField(
            f"The address contains a backslash or control character, or more than {MAX_LENGTH:,} characters",
            field=field,
        )
    try:
        parts = urlsplit(text)
        return parts, parts.port
    except ValueError as error:
        raise InvalidField("The address has an invalid host or port", field=field) from error


def _parse_host(text: str, field: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        return _parse_host_name(text, field)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise InvalidField("The address must not contain a network interface (%)", field=field)
    return str(address)


def _parse_host_name(text: str, field: str) -> str:
    try:
        name = text.removesuffix(".").encode("idna").decode().lower()
    except UnicodeError:
        name = ""
    # The C library reads 127.1, 0x7f.0.0.1 and 2130706433 as addresses.
    if not HOST_NAME.fullmatch(name) or NUMBER.fullmatch(name.rpartition(".")[2]):
        raise InvalidField("The host of the address is not a valid name", field=field)
    return name


@dataclass(frozen=True, slots=True)
class HostEntry:
    """A host of an allow-list: a name, an IP address, or `*.` and the end of names."""

    pattern: str
    port: int | None = None
    """The permitted port; `None` for 80 and 443."""

    def matches_host(self, host: str) -> bool:
        """Return whether the entry covers this host, whatever the port."""
        return host.endswith(self.pattern[1:]) if self.pattern.startswith("*.") else host == self.pattern

    def matches_port(self, port: int) -> bool:
        """Return whether the entry covers this port."""
        return port in DEFAULT_PORTS.values() if self.port is None else port == self.port


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Which hosts and IP addresses an operator permits. Without entries: all that are public, on ports 80 and 443.

    With host names, only these hosts. Networks permit addresses that are not public; without host names, only
    addresses of these networks are permitted. Metadata services and link-local addresses are never permitted.
    """

    hosts: tuple[HostEntry, ...] = ()
    networks: tuple[IPNetwork, ...] = ()
    setting: str = "PICTURE_HOSTS"
    """Name of the setting that error messages refer to."""

    @classmethod
    def parse(cls, text: str, setting: str = "PICTURE_HOSTS") -> "AllowedHosts":
        """Parse a comma-separated list of hosts, `host:port`, `*.domain` and networks such as `10.1.0.0/16`.

        A single IP address permits that host, also if it is not public. Raises `ValueError`, which never shows the text.
        """
        hosts: list[HostEntry] = []
        networks: list[IPNetwork] = []
        for number, entry in enumerate(filter(None, (part.strip().lower() for part in text.split(","))), 1):
            try:
                if "/" in entry:
                    networks.append(ip_network(entry))
                else:
                    hosts.append(host := _parse_entry(entry))
                    networks += _network_of_host(host.pattern)
            except (ValueError, InvalidField):
                raise ValueError(f"entry {number} is not a host, host:port, *.domain or network") from None
        return cls(tuple(hosts), tuple(networks), setting)

    @classmethod
    def for_address(cls, address: WebAddress, setting: str) -> "AllowedHosts":
        """Permit the host and port of one address, as an entry `host:port` does."""
        return cls((HostEntry(address.host, address.port),), tuple(_network_of_host(address.host)), setting)

    def check_host(self, address: WebAddress) -> None:
        """Check name and port, before the name is resolved. Raises `Forbidden`."""
        if address.host in METADATA_HOSTS:
            raise Forbidden(f"{address} names a metadata service, which is never connected to")
        entries = [entry for entry in self.hosts if entry.matches_host(address.host)]
        if self.hosts and not entries and not self._is_listed(address.host):
            raise Forbidden(f"{address} is on a host that {self.setting} does not list")
        if not entries and not _is_ip(address.host) and _is_local_name(address.host):
            raise Forbidden(f"{address} names a host of a local network; {self.setting} can permit it by name")
        if not any(entry.matches_port(address.port) for entry in entries or [HostEntry("")]):
            raise Forbidden(
                f"{address} uses port {address.port}; {self.setting} can permit it as {address.host}:{address.port}"
            )

    def check_addresses(self, address: WebAddress, resolved: Sequence[str]) -> None:
        """Check all IP addresses of the host, not only the one to be used. Raises `Forbidden`."""
        for one in resolved:
            if not self._is_permitted(one):
                raise Forbidden(
                    f"{address} leads to {one}, which is not a permitted address: only public addresses and networks "
                    f"in {self.setting} are, and never link-local ones and metadata services"
                )

    def _is_permitted(self, resolved: str) -> bool:
        if self._is_listed(resolved):
            return is_connectable_if_listed(resolved)
        is_limited_to_networks = bool(self.networks) and not self.hosts
        return is_public_address(resolved) and not is_limited_to_networks

    def _is_listed(self, host: str) -> bool:
        """Return whether the host is an IP address of a listed network."""
        return _is_ip(host) and any(plain_address(host) in network for network in self.networks)


def _parse_entry(entry: str) -> HostEntry:
    match = LIST_ENTRY.fullmatch(entry)
    port = int(match[2][1:]) if match and match[2] else None
    if match is None or (port is not None and not 0 < port < 65536):
        raise ValueError
    name, prefix = match[1], "*." if match[1].startswith("*.") else ""
    return HostEntry(prefix + _parse_host(name.removeprefix(prefix).strip("[]"), "host"), port)


def _network_of_host(host: str) -> list[IPNetwork]:
    return [ip_network(plain_address(host))] if _is_ip(host) else []


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_local_name(host: str) -> bool:
    return "." not in host or host.endswith(LOCAL_SUFFIXES)
