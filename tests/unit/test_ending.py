"""What a move and the state read after it mean together."""

from __future__ import annotations

import pytest

from bot.ending import CONVERSATION_END, NOT_ALLOWED, NOT_SERVICER, Move, Verdict, judge
from bot.model import ServiceState, StateReading
from tests.fakes import ASSISTANT, ENDED, HUMAN, LI, NEW, QUEUED, WU, refusal, unavailable

OVER = [StateReading(ENDED), StateReading(NEW), StateReading(ASSISTANT)]
OK = Move(LI, "CODE")
LOST, NEVER_SENT = Move(LI, error=unavailable()), Move(LI, error=unavailable(sent=False))


def refused(errcode: int, servicer: str | None = LI) -> Move:
    return Move(servicer, error=refusal(errcode))


@pytest.mark.parametrize("after", OVER)
def test_an_ok_and_a_state_without_human_is_an_end(after: StateReading) -> None:
    assert judge(OK, after) is Verdict.ENDED


def test_an_ok_is_believed_when_the_state_cannot_be_read() -> None:
    assert judge(OK, None) is Verdict.ENDED


@pytest.mark.parametrize("state", [QUEUED, HUMAN])
def test_an_ok_that_the_state_contradicts_is_not_believed_at_once(state: ServiceState) -> None:
    assert judge(OK, StateReading(state)) is Verdict.STILL_OPEN


def test_a_code_is_given_for_an_end_only_so_what_shows_is_the_next_session() -> None:
    assert judge(OK, StateReading(HUMAN, LI), looked_twice=True) is Verdict.ENDED
    assert judge(Move(LI), StateReading(HUMAN, LI), looked_twice=True) is Verdict.STILL_OPEN


@pytest.mark.parametrize("after", OVER)
def test_no_answer_but_over_is_taken_for_ours(after: StateReading) -> None:
    assert judge(LOST, after) is Verdict.ENDED


@pytest.mark.parametrize("move", [NEVER_SENT, refused(CONVERSATION_END), refused(NOT_ALLOWED), refused(NOT_SERVICER)])
def test_refused_but_over_is_somebody_elses(move: Move) -> None:
    assert judge(move, StateReading(ENDED)) is Verdict.ALREADY


def doubtful(errcode: int) -> Move:
    move = refused(errcode)
    assert move.error is not None
    move.error.doubtful = True
    return move


@pytest.mark.parametrize("errcode", [-1, CONVERSATION_END])
def test_over_after_a_bad_answer_is_taken_for_ours_too(errcode: int) -> None:
    assert judge(doubtful(errcode), StateReading(ENDED)) is Verdict.ENDED
    assert judge(doubtful(errcode), None) is Verdict.UNKNOWN


def test_still_open_after_busy_is_a_failure() -> None:
    assert judge(doubtful(-1), StateReading(HUMAN, LI)) is Verdict.STILL_OPEN


@pytest.mark.parametrize("move", [LOST, NEVER_SENT, refused(CONVERSATION_END)])
def test_no_effect_is_worth_another_try(move: Move) -> None:
    assert judge(move, StateReading(HUMAN, LI)) is Verdict.AGAIN


@pytest.mark.parametrize(
    ("move", "after", "verdict"),
    [
        (refused(NOT_ALLOWED), StateReading(HUMAN, WU), Verdict.AGAIN),
        (refused(NOT_ALLOWED), StateReading(HUMAN, LI), Verdict.STILL_OPEN),
        (refused(NOT_ALLOWED, None), StateReading(HUMAN, LI), Verdict.STILL_OPEN),
        (refused(NOT_ALLOWED, None), StateReading(QUEUED), Verdict.STILL_OPEN),
        (refused(NOT_SERVICER), StateReading(HUMAN, LI), Verdict.STILL_OPEN),
        (refused(48002), StateReading(HUMAN, LI), Verdict.STILL_OPEN),
    ],
)
def test_a_refusal_is_final_unless_the_servicer_has_changed(move: Move, after: StateReading, verdict: Verdict) -> None:
    assert judge(move, after) is verdict


@pytest.mark.parametrize("move", [LOST, refused(CONVERSATION_END), refused(NOT_ALLOWED)])
def test_without_a_state_to_read_it_stays_unknown(move: Move) -> None:
    assert judge(move, None) is Verdict.UNKNOWN


@pytest.mark.parametrize("move", [NEVER_SENT, refused(48002), refused(45009)])
def test_what_certainly_had_no_effect_is_still_open(move: Move) -> None:
    assert judge(move, None) is Verdict.STILL_OPEN


def test_a_move_knows_its_errcode() -> None:
    assert (OK.errcode, refused(NOT_ALLOWED).errcode) == (0, 95016)
