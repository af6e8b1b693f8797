"""Which fault strikes which call, and how often."""

import pytest

from bot.sandbox import bot_commands, faults, kf_calls, replies
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
