"""The tables of moves, and the questions asked of them."""

from __future__ import annotations

import pytest

from bot.model import HandoffStatus, ServiceState
from bot.states import STATUS_MOVES, end_status, has_human


@pytest.mark.parametrize("state", ServiceState)
def test_a_handoff_is_open_while_queued_or_with_a_human(state: ServiceState) -> None:
    assert has_human(state) is (state in (2, 3))


def test_closed_handoffs_never_move_again_and_open_ones_always_may() -> None:
    assert set(STATUS_MOVES) == set(HandoffStatus)
    for status, moves in STATUS_MOVES.items():
        assert bool(moves) is status.is_open


@pytest.mark.parametrize("status", [status for status in HandoffStatus if status.is_open])
def test_every_open_handoff_can_end(status: HandoffStatus) -> None:
    assert end_status(status) in STATUS_MOVES[status]
    assert not end_status(status).is_open


def test_only_what_nobody_has_accepted_is_cancelled() -> None:
    cancelled = [status for status in HandoffStatus if status.is_open and end_status(status) == "CANCELLED"]
    assert cancelled == [HandoffStatus.PENDING]
