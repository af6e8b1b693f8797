"""A bot to be fuzzed: a WeCom with customers and servicers on one side, a group that says anything on the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bot.registry import Role
from bot.sandbox import Sandbox, SandboxConfig
from bot.tokens import Tokens
from tests.soak.fuzz.callbacks import Callbacks
from tests.soak.fuzz.calls import Keyring, Requests, Talks, written
from tests.soak.fuzz.dice import Dice
from tests.soak.fuzz.frames import Frames
from tests.soak.fuzz.line import Line
from tests.soak.fuzz.wire import TEXT, Wire, frame
from tests.soak.record import Record

KF = "wkFUZZ0000000000000000000000001"
ADMIN, OUTSIDER = "ChenJing", "outsider"
AGENTS = tuple(f"agent-{number:02}" for number in range(40))
PATIENCE = 60.0  # seconds; nothing takes as long, except on a machine with too much to do
LOOK_EVERY = 0.02
INSIDE, OUTSIDE = 1500, 1500  # chats: each may be answered some thirty times a minute, however fast all this is
CUSTOMERS = 24  # every other one has a token that is good


class House:
    """`port` is the bot's, once there is one. `taken`: how often a servicer has begun with a customer."""

    def __init__(self, folder: Path, sandbox: Sandbox, line: Line) -> None:
        self.sandbox, self.line, self.port, self.taken = sandbox, line, 0, 0
        self.settings = folder / "settings.yaml"
        self.record = Record(folder / "kfbot.db")
        self.customers = [f"wm{number:02}Fuzz000000000000000000000000" for number in range(CUSTOMERS)]
        self.with_token = self.customers[::2]
        self.inside, self.outside = ([f"wr{kind}{each:04}" for each in range(count)]
                                     for kind, count in (("IN", INSIDE), ("OUT", OUTSIDE)))  # fmt: skip
        self.settings.write_text(json.dumps(self._settings(folder)), "utf-8")

    def _settings(self, folder: Path) -> dict[str, Any]:
        values: dict[str, Any] = self.sandbox.settings
        values["group"]["aibot"]["url"] = self.line.url
        values["group"] |= {"chat_ids": self.inside, "webhook": {"url": ""}}
        return values | {
            "roles": {"admins": [ADMIN], "agents": list(AGENTS)},
            "server": {"host": "127.0.0.1", "port": 0},
            "storage": {"url": f"sqlite:///{folder / 'kfbot.db'}"},
            "log": {"dir": str(folder / "logs")},
            "report": {"at": ""},
        }

    def settle_in(self) -> None:
        """The cast, before there is a bot."""
        self.sandbox.account_new(KF, "售前咨询", {each: f"客服{each[-2:]}" for each in AGENTS})
        for number, customer in enumerate(self.customers):
            self.sandbox.customer_new(f"客户{number}", customer)

    async def refill(self) -> None:
        """Until every customer has somebody to talk to, and the bot knows."""
        try:
            await self.until(self._filled, "every customer is with somebody")
        except AssertionError as failed:
            states = {each: self.sandbox.session(KF, each).state for each in self.customers}
            raise AssertionError(f"{failed}: WeCom says {states}, the bot has open {sorted(self._open())}") from None

    def _open(self) -> set[str]:
        found = self.record.rows("SELECT external_userid FROM handoffs WHERE completed_at IS NULL")
        return {customer for (customer,) in found}

    def _filled(self) -> bool:
        open_ = self._open()
        for number, customer in enumerate(self.customers):
            if self.sandbox.session(KF, customer).state != 3 and customer not in open_:
                self.sandbox.customer_writes(KF, customer, "在吗")
                self.sandbox.servicer_takes(KF, customer, AGENTS[number % len(AGENTS)])
                self.taken += 1
        return len(open_) == CUSTOMERS and set(self.told()) <= set(self.record.items())

    def told(self) -> list[str]:
        """The msgids of all that this WeCom has to tell."""
        page = self.sandbox.world.accounts[KF].stream.page("", 10**6, self.sandbox.now())
        return [item["msgid"] for item in page.items]

    async def until(self, true: Callable[[], object], what: str) -> None:
        """Wait for something that must come."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not true():  # noqa: ASYNC110  there is nothing to wait for but time
                    await asyncio.sleep(LOOK_EVERY)
        except TimeoutError:
            raise AssertionError(f"{what}: it has not happened") from None

    # -- what is sent

    @property
    def tokens(self) -> Tokens:
        """As the bot makes them."""
        return Tokens(bytes.fromhex(self.record.one("SELECT value FROM meta WHERE key='token key'")), self.sandbox)

    def keys(self) -> Keyring:
        mine = [(KF, each) for each in self.with_token]
        return Keyring.of(self.tokens, self.sandbox.config.corp_id, mine, AGENTS, ADMIN)

    def callbacks(self, dice: Dice) -> Callbacks:
        return Callbacks(dice, self.sandbox.config, (KF,), self.sandbox.now)

    def frames(self, dice: Dice) -> Frames:
        people = [*AGENTS, ADMIN, *(f"{OUTSIDER}-{number}" for number in range(len(AGENTS)))]
        return Frames(dice, self.inside, self.outside, people, self.customers)

    def requests(self, dice: Dice) -> Requests:
        return Requests(dice, self.keys())

    def talks(self, dice: Dice) -> Talks:
        return Talks(dice, self.keys())

    # -- what must hold

    async def wrongs(self) -> list[str]:
        """What the record holds that it should not, and what the bot no longer does. Empty: all is well."""
        return [*self._strange_rows(), *[each for each in [await self._still_right()] if each]]

    def _strange_rows(self) -> list[str]:
        """Items, accounts, sessions and handoffs of nobody; ends by nobody who may."""
        told, marks = set(self.told()), ",".join("?" * CUSTOMERS)
        found = [f"item {each} was never told" for each in self.record.items() if each not in told]
        for table in ("sessions", "handoffs", "items"):
            sql = f"SELECT * FROM {table} WHERE open_kfid<>? OR external_userid NOT IN ({marks}, '')"
            found += [f"{table}: {row}" for row in self.record.rows(sql, KF, *self.customers)]
        found += [f"account {row}" for row in self.record.rows("SELECT open_kfid FROM accounts WHERE open_kfid<>?", KF)]
        handoffs = self.record.one("SELECT count(*) FROM handoffs")
        if handoffs != self.taken:
            found.append(f"{handoffs} handoffs, but only {self.taken} times somebody has begun with a customer")
        return found + [f"ended by {row}" for row in self._ended() if not self._may_end(*row)]

    def _ended(self) -> list[tuple[str, str, str]]:
        sql = """SELECT e.operator_type, e.operator_id, external_userid FROM handoff_events e
            JOIN handoffs h ON h.id = e.handoff_id WHERE type='COMPLETED'"""
        return self.record.rows(sql)

    def _may_end(self, operator_type: str, operator_id: str, customer: str) -> bool:
        if operator_type == "USER":
            return operator_id == customer and customer in self.with_token
        return operator_type == "AGENT" and operator_id in (*AGENTS, ADMIN)

    async def _still_right(self) -> str:
        """A callback, a command, a request and a live socket, as every day. Says what does not do what it should."""
        self.line.chance = 0.0
        try:
            await self.refill()
            await self._command_ends(self.customers[0])
            await self._request_ends(self.customers[2])
            await self._socket_listens()
        except (AssertionError, TimeoutError) as failed:
            return f"afterwards: {failed or 'it took too long'}"
        return ""

    def handoff(self, customer: str) -> int:
        return int(self.record.one("SELECT max(id) FROM handoffs WHERE external_userid=?", customer))

    async def _command_ends(self, customer: str) -> None:
        new = self.frames(Dice("afterwards"))
        ask = new.message(f"@kfbot /end #{self.handoff(customer)}", "wrIN0000", AGENTS[0])
        ask["body"]["msgid"] = f"afterwards-{self.taken}"
        answer = await self.line.answer(lambda said: said["req_id"] == ask["headers"]["req_id"], json.dumps(ask))
        assert "✅" in json.dumps(answer, ensure_ascii=False), answer
        assert self.sandbox.session(KF, customer).state == 4

    async def _request_ends(self, customer: str) -> None:
        token = self.tokens.customer_token(self.sandbox.config.corp_id, KF, customer)
        body = json.dumps({"handoffRequestId": self.handoff(customer)}).encode()
        head = {"Authorization": f"Bearer {token}"}
        request = written(Dice("afterwards"), "POST", "/api/customer/handoff/end-by-user", head, body)
        async with Wire(self.port) as wire:
            answer = await wire.ask(request)
        assert answer.status == 200, answer
        assert self.sandbox.session(KF, customer).state == 4

    async def _socket_listens(self) -> None:
        token = self.tokens.agent_token(AGENTS[1], Role.AGENT)
        head = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
        said = frame(TEXT, json.dumps({"type": "AUTH", "token": token}).encode()) + frame(8, b"\x03\xe8")
        async with Wire(self.port) as wire:
            _, heard = await wire.socket(written(Dice("afterwards"), "GET", "/ws/agent", head, b""), said)
        assert any(b"READY" in payload for _, payload in heard), heard

    @classmethod
    @asynccontextmanager
    async def opened(cls, folder: Path, dice: Dice) -> AsyncIterator[House]:
        """Without a bot yet."""
        sandbox = Sandbox(SandboxConfig(token_less_per_minute=10**6, retry_after=PATIENCE))
        async with sandbox.serve(), Line.opened(dice) as line:
            house = cls(folder, sandbox, line)
            house.settle_in()
            yield house

    async def move_in(self, port: int) -> None:
        """A bot listens there: it is told of everything from now on, and has its hands full."""
        self.port = port
        self.sandbox.callback_url = f"http://127.0.0.1:{port}/callback/kf"
        await self.until(lambda: self.record.rows("SELECT 1 FROM accounts WHERE NOT cold"), "the history is read")
        await self.refill()
