"""What customers and servicers say to each other, as the items of sync_msg."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Item = dict[str, Any]

LIVE = 300  # conversations at any time: about as many customers as a page of 1000 items shows
SHORTEST, LONGEST = 8, 24  # items of a conversation, its two events included
ITEMS_A_SECOND = 5
TRANSFERS = 0.02  # share of items that hand the customer to another servicer
SERVICERS = ("ZhangSan", "LiSi", "WangWu", "ZhaoLiu", "ChenJing")
WORDS = (
    "你好，请问我上周下的订单什么时候发货？",
    "好的，我帮您查一下，请稍等片刻。",
    "订单号是 20261120-88231，收货地址没有变。",
    "已经帮您登记，预计 2 个工作日内会有专人与您联系，请保持电话畅通。",
    "谢谢",
    "还有一个问题：发票可以改成公司抬头吗？",
)
_LETTERS = string.ascii_letters + string.digits


@dataclass(slots=True)
class Traffic:
    """Pages of items in time order. Each conversation is one handoff; `ended` of the `begun` are over."""

    pages: list[list[Item]] = field(default_factory=list)
    begun: int = 0
    ended: int = 0


def talk(open_kfid: str, pages: int, first: int, *, size: int = 1000, seed: int = 1) -> Traffic:
    """`pages` pages of live customer service from the second `first` on, the same for the same arguments.

    A conversation: the customer writes, a servicer accepts (event), both write, now and then one servicer hands over
    to another (event), a servicer ends it (event). Texts are about nine in ten items. Ids are random, as WeCom's are:
    that is what indexes have to bear.
    """
    chance = random.Random(seed)
    told = Traffic()
    live = [_conversation(open_kfid, told, chance) for _ in range(LIVE)]
    for page in range(pages):
        items: list[Item] = []
        for number in range(size):
            place = chance.randrange(LIVE)
            item = next(live[place], None)
            if item is None:
                live[place] = _conversation(open_kfid, told, chance)
                item = next(live[place])
            item["send_time"] = first + (page * size + number) // ITEMS_A_SECOND
            items.append(item)
        told.pages.append(items)
    return told


def _conversation(open_kfid: str, told: Traffic, chance: random.Random) -> Iterator[Item]:
    who = {"open_kfid": open_kfid, "external_userid": f"wm{_id(chance, 30)}"}
    servicer = chance.choice(SERVICERS)
    yield text(who, "", chance)
    told.begun += 1
    yield _event(who, chance, change_type=1, new_servicer_userid=servicer, msg_code=_id(chance, 24))
    for _ in range(chance.randint(SHORTEST, LONGEST) - 3):
        if chance.random() < TRANSFERS:
            before, servicer = servicer, chance.choice([name for name in SERVICERS if name != servicer])
            yield _event(who, chance, change_type=2, old_servicer_userid=before, new_servicer_userid=servicer)
        else:
            yield text(who, chance.choice(("", servicer)), chance)
    told.ended += 1
    yield _event(who, chance, change_type=3, old_servicer_userid=servicer, msg_code=_id(chance, 24))


def text(who: Item, servicer: str, chance: random.Random) -> Item:
    """A message of the servicer, or with an empty name of the customer; `send_time` is to be set. `who`: both ids."""
    origin: Item = {"origin": 5, "servicer_userid": servicer} if servicer else {"origin": 3}
    words = {"msgtype": "text", "text": {"content": chance.choice(WORDS)}}
    return {"msgid": _id(chance, 32), **who, "send_time": 0, **origin, **words}


def _event(who: Item, chance: random.Random, **change: Any) -> Item:
    event = {"event_type": "session_status_change", **who, **change}
    return {"msgid": _id(chance, 32), "send_time": 0, "origin": 4, "msgtype": "event", "event": event}


def _id(chance: random.Random, length: int) -> str:
    return "".join(chance.choices(_LETTERS, k=length))
