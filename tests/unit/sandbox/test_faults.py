"""Which fault strikes which call, and how often."""

import pytest

from bot.sandbox import Sandbox, bot_commands, faults, kf_calls, replies
from bot.sandbox.faults import Fault, Faults

from .conftest import Corp


def kinds(active: Faults, target: str) -> list[str]:
    return [fault.kind for fault in active.take(target)]


def test_a_fault_strikes_its_target_so_many_times() -> None:
    active = Faults()
    active.add(Fault("/cgi-bin/kf/send_msg", "errcode", errcode=-1, times=2))
    assert kinds(active, "kf/sync_msg") == []
    assert [kinds(active, "kf/send_msg") for _ in range(3)] == [["errcode"], ["errcode"], []]


def test_until_cleared() -> None:
    active = Faults()
    active.add(Fault("gettoken", "delay", times=None))
    active.add(Fault("ping", "no_answer", times=None))
    assert [kinds(active, "gettoken") for _ in range(3)] == [["delay"]] * 3
    active.clear("gettoken")
    assert (kinds(active, "gettoken"), kinds(active, "ping")) == ([], ["no_answer"])
    active.clear()
    assert kinds(active, "ping") == []


def test_chance_strikes_a_share_of_the_calls_and_the_same_ones_again() -> None:
    def fate(seed: int, calls: int = 2000) -> list[bool]:
        active = Faults()
        active.add(Fault("kf/sync_msg", "errcode", errcode=-1, times=None, chance=0.05, seed=seed))
        return [bool(kinds(active, "kf/sync_msg")) for _ in range(calls)]

    assert 60 <= sum(fate(1)) <= 140
    assert fate(1) == fate(1) != fate(2)


def test_what_has_a_chance_is_used_up_by_strikes_alone() -> None:
    active = Faults()
    active.add(Fault("gettoken", "delay", times=3, chance=0.2))
    assert sum(map(len, (kinds(active, "gettoken") for _ in range(200)))) == 3


def test_it_is_counted_what_has_struck() -> None:
    active = Faults()
    active.add(Fault("gettoken", "errcode", errcode=45009, times=2))
    active.add(Fault("gettoken", "delay", times=None))
    for _ in range(3):
        kinds(active, "gettoken")
    assert active.counts == {"errcode 45009": 2, "delay": 3}


@pytest.mark.parametrize("chance", [0.0, -0.1, 1.01])
def test_a_chance_is_one(chance: float) -> None:
    with pytest.raises(ValueError, match="chance"):
        Faults().add(Fault("gettoken", "delay", chance=chance))


def test_everywhere_means_calls_not_pushes() -> None:
    active = Faults()
    active.add(Fault("*", "errcode", times=None))
    assert kinds(active, "kf/send_msg") == kinds(active, "aibot_send_msg") == ["errcode"]
    assert kinds(active, "callback") == []


@pytest.mark.parametrize(
    ("target", "kind"),
    [("kf/sned_msg", "errcode"), ("kf/send_msg", "empty_page"), ("callback", "errcode"), ("gettoken", "lose")],
)
def test_what_could_never_strike_is_refused(target: str, kind: str) -> None:
    with pytest.raises(ValueError, match=r"no such target|kind is one of"):
        Faults().add(Fault(target, kind))


def test_the_targets_are_what_there_is(corp: Corp) -> None:
    commands = bot_commands.BotCommands(corp.groups, replies.Replies())
    assert {*faults.COMMANDS} == {"ping", "aibot_subscribe", *commands.table}
    assert {*kf_calls.CALLS} < {*faults.PATHS}


def test_an_event_may_go_without_a_msgid_for_good() -> None:
    sandbox = Sandbox()
    sandbox.account_new("wkA", "售前", {"LiNa": "李娜"})
    customer = sandbox.customer_new("小林")
    sandbox.fault("event", "no_msgid")
    sandbox.customer_enters("wkA", customer)
    sandbox.customer_writes("wkA", customer, "在吗")
    sandbox.customer_enters("wkA", customer)
    stream = sandbox.world.accounts["wkA"].stream
    for _ in range(2):
        items = stream.page("", 10, sandbox.now()).items
        assert ["msgid" in each for each in items] == [False, True, True]
