"""How many may be connected, and who is one of them."""

from __future__ import annotations

import resource

import pytest
from multidict import CIMultiDict

from bot.web.room import Room, address_of, places


def test_an_address_has_so_many_places_and_no_more() -> None:
    room = Room(most=100, per_address=2)
    assert [room.enter("a"), room.enter("a"), room.enter("a"), room.enter("b")] == [True, True, False, True]
    room.leave("a")
    assert room.enter("a") and not room.enter("a")


def test_all_of_them_have_so_many_places() -> None:
    room = Room(most=2, per_address=2)
    assert [room.enter(each) for each in "abc"] == [True, True, False]
    room.leave("b")
    assert room.enter("c") and room.count == 2


def test_an_empty_room_remembers_nobody() -> None:
    room = Room(most=9, per_address=9)
    for address in ("a", "b", "a"):
        room.enter(address)
    for address in ("a", "b", "a"):
        room.leave(address)
    assert room.count == 0 and not room._taken
    room.enter("x")
    assert not Room(0, 9).enter("x")


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        ("203.0.114.7", "", "203.0.114.7"),
        ("203.0.114.7", "198.51.101.1", "203.0.114.7"),  # a stranger may say what it likes
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.101.1", "198.51.101.1"),
        ("10.0.0.2", "1.1.1.1, 198.51.101.1", "198.51.101.1"),  # what stands before the last, the client has sent
        ("100.100.0.9", "198.51.101.1", "198.51.101.1"),  # where some clouds' balancers stand
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "unknown, ", "127.0.0.1"),
        ("::1", "2a00:1450:4001:81b::200e", "2a00:1450:4001:81b::/64"),
        ("2a00:1450:4001:81b::1", "", "2a00:1450:4001:81b::/64"),
        ("2a00:1450:4001:81b:ffff::2", "", "2a00:1450:4001:81b::/64"),
        ("::ffff:203.0.114.7", "", "203.0.114.7"),
        ("::ffff:127.0.0.1", "198.51.101.1", "198.51.101.1"),
        ("fe80::1%eth0", "", "fe80::/64"),
        (None, "198.51.101.1", ""),
        ("", "", ""),
    ],
)
def test_who_asks(remote: str | None, forwarded: str, address: str) -> None:
    headers = CIMultiDict[str]()
    if forwarded:
        headers.add("X-Forwarded-For", forwarded)
    assert address_of(remote, headers) == address


def test_of_several_headers_the_last_is_the_proxys() -> None:
    """HAProxy leaves the one that the client has sent, and adds its own below it."""
    headers = CIMultiDict([("X-Forwarded-For", "1.1.1.1"), ("x-forwarded-for", "8.8.8.8, 198.51.101.1")])
    assert address_of("127.0.0.1", headers) == "198.51.101.1"


@pytest.mark.parametrize(
    ("limits", "found", "raised"),
    [
        ((1024, 4096), 3072, [(4096, 4096)]),
        ((1024, resource.RLIM_INFINITY), 49152, [(65536, resource.RLIM_INFINITY)]),
        ((100_000, 200_000), 75_000, []),
        ((1024, 1024), 768, []),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 49152, []),
    ],
)
def test_as_many_places_as_there_may_be_open_files(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], found: int, raised: list[tuple[int, int]]
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: asked.append(wanted))
    assert places() == found
    assert asked == raised
