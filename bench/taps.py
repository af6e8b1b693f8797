"""From a tap on an alert card's 结束 to the frame that changes the card.

Subject: the real bot, started as `make run` does, on its real long connection; 2,000 handoffs are open. The whole way:
the tap claimed on record, state read, intention on disk, move, read back, settled, closing message sent, card changed.
One tap at a time, each on another handoff and in another chat.

Floor: as for `/end` in `commands`: four HTTP calls and one small write forced to the disk, then the answer.

Slow: WeCom takes 10 s, eight people tap at once. First only the move is slow, then every call about a session's state.
The card must change within WeCom's 5 s all the same, and say that it is not over yet: it has the one button to ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice

from bench import records
from bench.bots import BOT_ID, CHATS, Bot, database
from bench.children import ChildFailed
from bench.commands import FLOOR_ID, Pairs, all_ended, fsync_ms
from bench.runner import Goal, Row, Stage, bench, of_rounds, quantile
from bench.wecom import Wecom

ROUNDS, EACH, WARM_UP = 5, 100, 20
OPEN = 2000
SLOW, AT_ONCE = 10.0, 8
STATE, MOVE = "kf/service_state/get", "kf/service_state/trans"
P99, IN_TIME = Goal(at_most=200.0), Goal(at_most=4.5)


@bench("taps", steps=ROUNDS + 3)
def taps(stage: Stage) -> Iterator[Row]:
    wecom = Wecom(stage.children)
    folder = stage.folder / "bot"
    records.fill(database(folder), sessions=OPEN, open_=OPEN)
    bot = Bot(stage.children, wecom, folder)
    stage.children.call("bench.commands:answer", port=wecom.port, path=str(stage.folder / "floor.txt")).hear()
    fingers = _Fingers(wecom)
    fingers.both(WARM_UP)
    stage.step("warm")
    rounds = []
    for number in range(ROUNDS):
        rounds.append(fingers.both(EACH))
        stage.step(f"round {number + 1}: slowest {max(rounds[-1][0]):.1f} ms")
    all_ended(bot, database(folder), "button", ROUNDS * EACH + WARM_UP)
    yield from _rows(rounds, f"one small write and fsync here takes {fsync_ms(stage.folder):.2f} ms")
    taken = []
    for paths in ((MOVE,), (STATE, MOVE)):
        wecom.slow(SLOW, *paths)
        taken.append(fingers.at_once(AT_ONCE))
        stage.step(f"slow: {max(taken[-1]):.2f} s")
    detail = (
        f"{AT_ONCE} at once; only the move slow: {max(taken[0]):.2f} s, every call about states: {max(taken[1]):.2f} s"
    )
    yield Row(f"tap, WeCom takes {SLOW:.0f} s", max(map(max, taken)), "s", IN_TIME, detail=detail)


class _Fingers:
    """Taps to the subject and the floor in turn, no handoff twice."""

    def __init__(self, wecom: Wecom) -> None:
        self._wecom = wecom
        self._chats, self._handoffs = cycle(CHATS), iter(range(1, OPEN + 1))

    def both(self, count: int) -> tuple[list[float], list[float]]:
        """Milliseconds of `count` taps of the subject, and of as many of the floor."""
        asked = self._taps(count)
        return self._ms(BOT_ID, asked), self._ms(FLOOR_ID, asked)

    def at_once(self, count: int) -> list[float]:
        """Seconds of `count` taps all together."""
        return self._tap(BOT_ID, self._taps(count), "refresh", at_once=True)

    def _ms(self, bot_id: str, asked: list[tuple[str, str]]) -> list[float]:
        return [seconds * 1000 for seconds in self._tap(bot_id, asked, "noop")]

    def _taps(self, count: int) -> list[tuple[str, str]]:
        return [(chat, f"end:{next(self._handoffs)}") for chat in islice(self._chats, count)]

    def _tap(self, bot_id: str, asked: list[tuple[str, str]], wanted: str, *, at_once: bool = False) -> list[float]:
        """`wanted`: what the one button of the changed card does."""
        changed = self._wecom.tap(bot_id, asked, at_once=at_once)
        for (_, key), (_, buttons) in zip(asked, changed, strict=True):
            if [button.partition(":")[0] for button in buttons] != [wanted]:
                raise ChildFailed(f"{bot_id}: the card has the buttons {buttons} after a tap on {key}, wanted {wanted}")
        return [seconds for seconds, _ in changed]


def _rows(rounds: Pairs, detail: str) -> Iterator[Row]:
    for share, goal in ((0.5, Goal()), (0.99, P99)):
        pairs = [(quantile(subject, share), quantile(floor, share)) for subject, floor in rounds]
        yield of_rounds(f"tap to changed card p{share * 100:.0f}", "ms", pairs, goal, detail)
        detail = f"{ROUNDS} rounds of {EACH}, slowest {max(max(subject) for subject, _ in rounds):.1f} ms"
