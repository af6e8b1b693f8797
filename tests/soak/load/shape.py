"""How much a load is, who takes part in it, and what goes wrong meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.sandbox import Sandbox

CHAT = "wrLOADGROUP"
SERVICERS = {"ZhangSuQuan": "张素泉", "LiNa": "李娜"}
MEMBER = "ChenJing"

ENDS: Mapping[str, str] = {
    "chat": "USER", "page": "USER", "client": "AGENT", "group": "AGENT", "console": "AGENT", "policy": "SYSTEM",
}  # fmt: skip
"""The ways sessions are ended, each with whose doing it is."""

TROUBLE: tuple[Mapping[str, Any], ...] = (
    {"kind": "errcode", "errcode": -1},
    {"kind": "errcode", "errcode": 45009},
    {"kind": "errcode", "errcode": 42001},
    {"kind": "http", "errcode": 500},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "garbage"},
    {"kind": "delay", "seconds": 2.0},
)


@dataclass(frozen=True, slots=True)
class Customer:
    """`leaves`: the way this one's session is ended, and when; "" for those who stay. `served`: by a servicer."""

    external_userid: str
    open_kfid: str
    leaves: str = ""
    at: float = 0.0
    served: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """`rate` callbacks a second for `seconds`. `served` customers are with a servicer from the start, `ends` more of
    them for each way to end. `failing`: share of WeCom's calls that go wrong. `tick`: how often the bot's watch looks,
    where nothing else wakes it."""

    seconds: float = 60.0
    rate: int = 500
    customers: int = 2000
    accounts: int = 8
    served: int = 800
    ends: int = 20
    failing: float = 0.05
    tick: str = "15s"
    seed: int = 1

    def account(self, number: int) -> str:
        """The first is for those alone who leave by its policy, which ends what it finds with a human."""
        return f"wkLOAD{number:026d}"

    def everybody(self) -> list[Customer]:
        """First those who leave: one after the other, each way in turn, while the load goes on."""
        ways, each = list(ENDS), 0.8 * self.seconds / max(1, len(ENDS) * self.ends)
        return [
            *(self._leaver(number, ways[number % len(ways)], each) for number in range(len(ways) * self.ends)),
            *(self._stays(number) for number in range(len(ways) * self.ends, self.customers)),
        ]

    def _leaver(self, number: int, way: str, each: float) -> Customer:
        account = 0 if way == "policy" else self._turn(number)
        at = 0.1 * self.seconds + number * each
        return Customer(f"wmLOAD{number:026d}", self.account(account), way, at, served=way != "policy")

    def _stays(self, number: int) -> Customer:
        served = number < len(ENDS) * self.ends + self.served
        return Customer(f"wmLOAD{number:026d}", self.account(self._turn(number)), served=served)

    def _turn(self, number: int) -> int:
        return 1 + number % (self.accounts - 1)

    def make_trouble(self, sandbox: Sandbox) -> None:
        """Every kind of it as likely as the other, none or one of them for most calls."""
        chance = 1 - (1 - self.failing) ** (1 / len(TROUBLE))
        for number, each in enumerate(TROUBLE):
            sandbox.fault("*", times=None, chance=chance, seed=self.seed * 100 + number, **each)
