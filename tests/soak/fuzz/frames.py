"""What the group's long connection may bring: every kind of frame, with something wrong about it or strange in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from bot.channels import protocol
from bot.channels.protocol import Ack, Ignored, Kicked
from tests.soak.fuzz.dice import Dice
from tests.soak.fuzz.line import Line
from tests.soak.fuzz.tally import Tally

NAME = "kfbot"
UNASKED = "send-"  # begins the req_id of what the bot sends by itself, and goes on otherwise
BATCH = 200  # frames between two looks whether the bot keeps up
Frame = dict[str, Any]

COMMANDS = (
    "status", "list", "list waiting", "list queue 2", "help", "help end", "end", "end all", "ack", "snooze", "transfer",
    "history", "servicers", "whoami", "bind", "confirm", "mute", "parked", "replay", "alerts", "nonsense",
    "结束", "状态", "结束 全部", "转接", "帮助", "记录", "绑定", "接待", "列表", "稍后", "?", "st", "ls",
)  # fmt: skip
SLASHES = ("/", "／", "、", "//", "", "/ ", "\u200b/", "\u202e/", "@kfbot /", "＠ＫＦＢＯＴ ／")
WORDS = (
    "wm", "wm7l", "wm…01", "#1", "12", "#９", "10m", "1d", "0s", "999999999d", "idle>30m", "idle＞1小时",
    "waiting>0m", "all", "AGENT01", "”好了”", '"', "'", "。", "，已解决", "000000000000000001", "-1",
    "--help", "@kfbot", "on", "off", "today", "week",
    "wm" + "x" * 62, "wm" + "x" * 5000, "%", "_", "wm%", "wm__", "*", "\\", "`",
    "[a](http://x)", "<@all>", "{0}", "2026-13-99",
)  # fmt: skip
CARDS = ("end:1", "snooze:2", "ack:3", "refresh:1", "noop:1", "list:alerts", "end:999999999999", "end:", "end:１", "x")
STRANGE_KINDS = ("image", "voice", "file", "stream", "video", "markdown", "template_card", "event")


class Frames:
    """`inside`: chats where agents write; `outside`: chats that are not paired. `people`: who writes there."""

    def __init__(
        self, dice: Dice, inside: list[str], outside: list[str], people: list[str], customers: list[str]
    ) -> None:
        self._dice, self._inside, self._outside, self._people = dice, inside, outside, people
        self._customers, self._number = customers, 0
        self._kinds: dict[Callable[[], str | bytes], int] = {
            self._command: 15, self._hurt: 55, self._ack: 12, self._raw: 10, self._event: 8,
        }  # fmt: skip

    def __call__(self) -> str | bytes:
        """Never one after which the bot leaves the line, as it should: what is said there meanwhile nobody hears."""
        while True:
            raw = self._dice.weighted(self._kinds)
            if not _ends_the_line(protocol.parse(raw, NAME)):
                return raw

    def message(self, text: str, chat: str, userid: str) -> Frame:
        """As WeCom writes it."""
        self._number += 1
        body = {
            "msgid": f"fuzz-{self._number}", "aibotid": "aib-sandbox", "chatid": chat, "chattype": "group",
            "from": {"userid": userid}, "response_url": "", "msgtype": "text", "text": {"content": text},
        }  # fmt: skip
        return {"cmd": "aibot_msg_callback", "headers": {"req_id": f"req-{self._number}"}, "body": body}

    # -- kinds

    def _command(self) -> str | bytes:
        """A good frame with words that nobody has thought of, or with good ones from whoever may not say them."""
        frame = self._spoken(self._order() if self._dice.chance(0.3) else self._line())
        if self._dice.chance(0.15):
            frame["body"]["quote"] = {"msgtype": "text", "text": {"content": self._quoted()}}
        if self._dice.chance(0.05):
            frame["body"]["msgid"] = f"fuzz-{self._dice.below(self._number)}"
        return self._text(frame)

    def _hurt(self) -> str | bytes:
        return self._text(self._dice.hurt(self._any()))

    def _event(self) -> str | bytes:
        frame = self._tap()
        if self._dice.chance(0.5):
            frame["body"]["event"] = {
                "eventtype": self._dice.one(("enter_chat", "feedback_event", "x", 7, None, ["a"]))
            }
        return self._text(frame)

    def _ack(self) -> str | bytes:
        """Of nothing that was asked."""
        frame = {
            "headers": {"req_id": f"{UNASKED}{self._dice.text(6)}"},
            "errcode": self._dice.one((0, 846609, -1, 45009, 40014)),
        }
        frame |= {"errmsg": self._dice.text(), "body": {"upload_id": "x"}}
        return self._text(self._dice.hurt(frame) if self._dice.chance(0.6) else frame)

    def _raw(self) -> str | bytes:
        if self._dice.chance(0.4):
            return self._dice.junk()
        if self._dice.chance(0.5):
            return self._dice.text(200).encode("utf-8", "replace").decode()
        raw = self._dice.damaged(self._dice.written(self._any()))
        return raw if self._dice.chance(0.5) else raw.decode("utf-8", "replace")

    # -- parts

    def _any(self) -> Frame:
        """A good frame of any kind."""
        kind = self._dice.below(6)
        if kind == 0:
            return self._tap()
        frame = self._spoken(f"@{NAME} /whoami" if kind < 3 else self._line())
        body = frame["body"]
        if kind == 3:
            items = [
                {"msgtype": "text", "text": {"content": f"@{NAME} /status"}},
                {"msgtype": "image", "image": {"url": "https://x"}},
            ]
            body |= {"msgtype": "mixed", "mixed": {"msg_item": items}}
        elif kind == 4:
            kind_ = self._dice.one(STRANGE_KINDS)
            body |= {
                "msgtype": kind_,
                kind_: {"content": "/whoami", "id": "s-1", "url": "https://x", "aeskey": "k", "finish": True},
            }
        elif kind == 5:
            card = {
                "main_title": {"title": "wm7l", "desc": "#1"},
                "horizontal_content_list": [{"keyname": "a", "value": "wm7l"}],
            }
            body["quote"] = {"msgtype": "template_card", "template_card": card}
        return frame

    def _tap(self) -> Frame:
        frame = self._spoken("")
        frame["cmd"] = "aibot_event_callback"
        chosen = {"selected_item": [{"question_key": "why", "option_ids": {"option_id": ["idle"]}}]}
        detail = {
            "card_type": "button_interaction",
            "event_key": self._dice.one(CARDS),
            "task_id": "al-1",
            "selected_items": chosen,
        }
        event = {"eventtype": "template_card_event", "template_card_event": detail}
        frame["body"] |= {"msgtype": "event", "event": event, "create_time": 1700000000}
        return frame

    def _spoken(self, text: str) -> Frame:
        inside = self._dice.chance(0.5)
        chat = self._dice.one(self._inside if inside else self._outside)
        userid = self._dice.one(self._people)
        frame = self.message(text, chat, userid)
        if not inside and self._dice.chance(0.3):
            frame["body"] |= {"chattype": "single", "chatid": "", "from": {"userid": chat}}
        return frame

    def _order(self) -> str:
        customer, command = self._dice.one(self._customers), self._dice.one(("end", "结束", "end"))
        return f"@{NAME} /{command} {customer} {self._dice.text()}"

    def _line(self) -> str:
        """A command, what stands before it, and words after it."""
        words = [self._word() for _ in range(self._dice.below(4))]
        command = self._dice.one(COMMANDS)
        line = f"{self._dice.one(SLASHES)}{self._dice.scratched(command) if self._dice.chance(0.15) else command}"
        line = self._dice.one((" ", " ", "　", "\n", "")).join([line, *words])
        return f"@{NAME} {line}" if self._dice.chance(0.8) else line

    def _word(self) -> str:
        if self._dice.chance(0.3):
            customer = self._dice.one(self._customers)
            return customer if self._dice.chance(0.5) else customer[: self._dice.below(len(customer))]
        return self._dice.one(WORDS) if self._dice.chance(0.7) else self._dice.text()

    def _quoted(self) -> str:
        numbers = " ".join(f"#{self._dice.below(80)}" for _ in range(self._dice.below(3)))
        return f"{self._dice.text()} {numbers} `{self._word()}`"

    def _text(self, frame: Frame) -> str | bytes:
        raw = self._dice.written(frame)
        return raw if self._dice.chance(0.05) else raw.decode("utf-8", "replace")


def _ends_the_line(known: protocol.Inbound) -> bool:
    """That another has taken over, or that we are not subscribed: to whatever the bot may have said under that req_id,
    which may be as strange as that of the message it answers."""
    if isinstance(known, Ack):
        return known.errcode == protocol.NOT_SUBSCRIBED and not known.req_id.startswith(UNASKED)
    return isinstance(known, Kicked)


async def say_all(line: Line, new: Frames, count: int, tally: Tally, tell: Callable[[int], None]) -> None:
    """Say `count` of them; after each batch somebody asks something, and has to get an answer."""
    for number in range(1, count + 1):
        raw = new()
        await line.say(raw)
        known = protocol.parse(raw, NAME)
        tally.answers[
            f"ignored: {known.why.partition(' ')[0]}" if isinstance(known, Ignored) else type(known).__name__
        ] += 1
        tally.done += 1
        tell(tally.done)
        if number % BATCH == 0 or number == count:
            await asked(line, new, f"asks-{tally.done}", tally)


async def asked(line: Line, new: Frames, userid: str, tally: Tally) -> None:
    """Whoever asks who they are is told."""
    frame = new.message("/whoami", "", userid)
    frame["body"] |= {"chattype": "single"}
    try:
        await line.answer(lambda said: userid in json.dumps(said), json.dumps(frame))
    except TimeoutError:
        tally.fault("no answer to /whoami", userid.encode())
