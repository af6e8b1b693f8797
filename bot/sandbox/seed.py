"""The demo cast: two accounts, three servicers, an admin, five customers, one stuck session."""

from collections.abc import Callable
from dataclasses import dataclass

from .groups import Groups
from .people import People

PRESALES = "wk7lKAVwAADCtArVetgUpxDBFQHef6Aw"
AFTERSALES = "wk7lKAVwAAqM3bTnYxC8ZrVhKd0JgLpE"
CHATID = "wrk7lKAVwAAmXo2cPqGd5sTzYvBn1HwR"

SERVICERS = {"ZhangSuQuan": "张素泉", "LiNa": "李娜", "WangWei": "王伟"}
ADMIN = {"ChenJing": "陈静"}

STUCK = "wm7lKAVwAAG68dSOO7G4EVpN1eScOUPw"
CUSTOMERS = {
    STUCK: "小林",
    "wm7lKAVwAAx2QeKc9uWTfZ0aHdRmYs1B": "阿澈",
    "wmEAlECwAAHrZq5vWn8LkS3tGxUpJ2oA": "周周",
    "wmQ4ZbBwAAdT7yNf1iMhXeVgCj6KrPsw": "Nina Zhao",
    "wmoN8SDQAAu9WcFlR0bYzEpK5mJtGqVA": "老杨",
}
_WAITED = 26 * 60


@dataclass(slots=True)
class Backdate:
    """A clock that can be set back while the past is being written."""

    now: Callable[[], float]
    back: float = 0.0

    def __call__(self) -> float:
        return self.now() - self.back


def plant(people: People, groups: Groups) -> None:
    """Accounts, people, the group, and a customer whom nobody has answered for 26 minutes."""
    people.new_account(PRESALES, "售前咨询", SERVICERS, "assistant")
    people.new_account(AFTERSALES, "售后服务", SERVICERS, "assistant")
    for userid, nickname in CUSTOMERS.items():
        people.new_customer(nickname, userid)
    groups.new_group("客服值班群", {**ADMIN, **SERVICERS}, CHATID).opened = True  # or an alert could not come first
    _stuck_session(people)


def _stuck_session(people: People) -> None:
    world = people.world
    real = world.now
    world.now = past = Backdate(real, _WAITED + 240)
    try:
        people.enter(PRESALES, STUCK, "website")
        people.write(PRESALES, STUCK, "你好，我想问一下企业版怎么收费")
        past.back = _WAITED + 180
        people.take(PRESALES, STUCK, "ZhangSuQuan")
        people.servicer_writes(PRESALES, STUCK, "ZhangSuQuan", "您好，我是张素泉，请问大概多少人使用？")
        past.back = _WAITED
        people.write(PRESALES, STUCK, "三十个人左右，有折扣吗？")
    finally:
        world.now = real
