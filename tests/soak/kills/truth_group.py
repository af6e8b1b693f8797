"""What must hold besides after the scenes of `scenes_group`."""

from __future__ import annotations

from collections.abc import Iterator

from tests.soak.kills.house import CHAT, House
from tests.soak.kills.scenes_group import ROBOT_HANDED, SNOOZED, by_robot
from tests.soak.kills.truth import SENDS, truth_of

# A claim on a report is never made twice: it may have arrived, and nobody wants the day's numbers twice.
REPORT = ("report.claimed", "report.told")
# The picture is drawn after the words have been said, which stand alone without it.
PICTURE = ("report.claimed", "picture.sent")


@truth_of("many")
def ended_by_command(house: House) -> Iterator[str]:
    """Both, by who asked for it, and on record as such before it was done."""
    ends = house.record.rows("SELECT id, via, operator_id FROM handoffs")
    if any(each[1:] != ("command", "LiNa") for each in ends):
        yield f"ends: {ends}"
    wanted = "SELECT count(DISTINCT handoff) FROM audit WHERE verb='end' AND outcome='allowed' AND handoff > 0"
    if house.record.one(wanted) != len(ends):
        yield "an end is not in the audit log"


@truth_of("snooze")
def quiet_while_snoozed(house: House) -> Iterator[str]:
    """Put off by the command at last, for as long as it says, and heard again after that only."""
    ((by, at, until),) = house.record.rows("SELECT snoozed_by, snoozed_at, snoozed_until FROM quiets")
    if by != "LiNa" or until != at + SNOOZED:
        yield f"snoozed by {by} from {at} until {until}"
    (sent,) = house.record.rows("SELECT sends, sent_at FROM alerts WHERE rule='customer_waiting'")
    if sent[0] < 2 or sent[1] < until:
        yield f"snoozed from {at} until {until}, sent as number {sent[0]} at {sent[1]}"


@truth_of("cut_off")
def told_by_robot(house: House) -> Iterator[str]:
    """As often as it was claimed, but for what was handed over at the very moment of death. All of it by the robot:
    there was no other way."""
    texts = by_robot(house)
    alerts = [each for each in texts if "已结束：" not in each]
    sends = house.record.one(SENDS)
    lost = 1 if house.died_between(*ROBOT_HANDED) else 0
    if not sends - lost <= len(alerts) <= sends:
        yield f"{len(alerts)} alerts for {sends} claims: {texts}"


@truth_of("report")
def reported_once(house: House) -> Iterator[str]:
    shown = [each for each in house.sandbox.group_messages(CHAT) if each.source == "bot"]
    texts = sum("客服日报" in each.text for each in shown)
    pictures = sum(bool(each.image) for each in shown)
    if not (not house.died_between(*REPORT)) <= texts <= 1:
        yield f"{texts} daily reports"
    if not (not house.died_between(*PICTURE)) <= pictures <= texts:
        yield f"{pictures} pictures for {texts} daily reports"


@truth_of("pairing")
def paired_once(house: House) -> Iterator[str]:
    rows = house.record.rows("SELECT chat_id, userid FROM paired_chats")
    if rows != [(CHAT, "LiNa")]:
        yield f"paired: {rows}"
