"""How many may be connected at once, so that no visitor takes the place of all others, nor all of them the bot's."""

from __future__ import annotations

import sys
from collections import Counter
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from multidict import MultiMapping

from bot.addresses import is_public

if sys.platform != "win32":
    import resource

FILES = 65536  # as many open files as we ever want
SHARE = 0.75  # of the files a process may open; the rest is for WeCom, the group, storage and probes


class Room:
    """`most` places in all, `per_address` for each address."""

    def __init__(self, most: int, per_address: int) -> None:
        self._most, self._per_address = most, per_address
        self._taken: Counter[str] = Counter()
        self.count = 0

    def enter(self, address: str, most: int | None = None) -> bool:
        """Take a place; False where none is left. Whoever has one gives it back with `leave`.

        `most`: for this address, where that is not as usual.
        """
        most = self._per_address if most is None else most
        if self.count >= self._most or self._taken.get(address, 0) >= most:
            return False
        self.count += 1
        self._taken[address] += 1
        return True

    def leave(self, address: str) -> None:
        self.count -= 1
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]


def address_of(remote: str | None, headers: MultiMapping[str]) -> str:
    """Who asks. A neighbour may be a proxy, and is believed in whose name it asks; a stranger is not. Proxies write
    behind what the client has sent, some into the same header, some into another one.

    Who has one IPv6 address has 2**64 of them.
    """
    address = _parsed(remote)
    if address is None:
        return ""
    if not is_public(str(address)):
        forwarded = headers.getall("X-Forwarded-For", [""])
        address = _parsed(forwarded[-1].rpartition(",")[2]) or address
    return str(address if isinstance(address, IPv4Address) else IPv6Network((address, 64), strict=False))


@lru_cache(1000)
def _parsed(address: str | None) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address((address or "").strip())
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


def places() -> int:
    """How many sockets this process can afford: the limit of open files is raised as far as that is allowed."""
    if sys.platform == "win32":
        return FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return int(SHARE * (FILES if soft == resource.RLIM_INFINITY else soft))
