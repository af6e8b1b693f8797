"""Which IP addresses stand in the public internet, and which inside somebody's own network. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """False for loopback, private, link-local, shared (CGNAT), multicast and reserved ones, and for what is no address.

    An IPv6 address that leads to an IPv4 one (mapped, 6to4, NAT64) is as public as that one.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = _inside(ip)
    if inner.version == 6 and inner not in _GLOBAL_UNICAST:
        return False
    return inner.is_global and not inner.is_multicast


def is_private_host(host: str) -> bool:
    """A host that says by itself that it is inside; any other name tells when it is resolved."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return not is_public(name)


def _inside(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if ip.version == 4:
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
