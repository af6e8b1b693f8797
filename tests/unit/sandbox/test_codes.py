"""The one-use codes of send_msg_on_event: lives, types, and the state they were given in."""

from collections.abc import Callable

import pytest

from bot.sandbox.states import ENDED, HUMAN, NEW, QUEUED

from .conftest import KF, LI, WM, WU, Corp

MENU = {"msgtype": "msgmenu", "msgmenu": {"head_content": "满意吗", "list": []}}
Give = Callable[[Corp], str]


def ending_code(corp: Corp) -> str:
    corp.customer_writes(KF, WM, "hello")
    corp.trans(HUMAN, LI)
    return str(corp.trans(ENDED)["msg_code"])


def ending_code_of_event(corp: Corp) -> str:
    corp.session_state(KF, WM, HUMAN, LI)
    return corp.servicer_ends(KF, WM)


def pool_code(corp: Corp) -> str:
    corp.customer_writes(KF, WM, "hello")
    return str(corp.trans(QUEUED)["msg_code"])


def accept_code(corp: Corp) -> str:
    corp.customer_writes(KF, WM, "hello")
    return corp.servicer_takes(KF, WM, LI)


def welcome_code(corp: Corp) -> str:
    return corp.customer_enters(KF, WM)


SHORT = [ending_code, ending_code_of_event, welcome_code]
LONG = [pool_code, accept_code]


@pytest.mark.parametrize("give", [*SHORT, *LONG])
def test_a_code_works_once(corp: Corp, give: Give) -> None:
    code = give(corp)
    assert corp.answer_code(code) == 0
    assert corp.answer_code(code) == 40058


@pytest.mark.parametrize(("late", "errcode"), [(20, 0), (21, 40058)])
@pytest.mark.parametrize("give", SHORT)
def test_short_codes_live_20_seconds(corp: Corp, give: Give, late: float, errcode: int) -> None:
    code = give(corp)
    corp.clock_advance(late)
    assert corp.answer_code(code) == errcode


@pytest.mark.parametrize(("late", "errcode"), [(48 * 3600, 0), (48 * 3600 + 1, 40058)])
@pytest.mark.parametrize("give", LONG)
def test_long_codes_live_48_hours(corp: Corp, give: Give, late: float, errcode: int) -> None:
    code = give(corp)
    corp.clock_advance(late)
    assert corp.answer_code(code) == errcode


@pytest.mark.parametrize("give", SHORT)
def test_menus_go_with_short_codes(corp: Corp, give: Give) -> None:
    assert corp.answer_code(give(corp), **MENU) == 0


@pytest.mark.parametrize("give", LONG)
def test_long_codes_take_text_only_and_survive_the_refusal(corp: Corp, give: Give) -> None:
    code = give(corp)
    assert corp.answer_code(code, **MENU) == 40008
    assert corp.answer_code(code) == 0


def test_an_ending_code_dies_when_the_customer_writes_again(corp: Corp) -> None:
    code = ending_code(corp)
    corp.customer_writes(KF, WM, "one more thing")
    assert corp.answer_code(code) == 95018


def test_a_pool_code_dies_when_somebody_takes_the_session(corp: Corp) -> None:
    code = pool_code(corp)
    corp.servicer_takes(KF, WM, LI)
    assert corp.answer_code(code) == 95018


def test_an_accept_code_outlives_a_transfer_but_not_the_end(corp: Corp) -> None:
    code = accept_code(corp)
    corp.servicer_transfers(KF, WM, WU)
    assert corp.world.codes.find(code, corp.now())
    corp.servicer_ends(KF, WM)
    assert corp.answer_code(code) == 95018


def test_the_welcome_works_whatever_happens(corp: Corp) -> None:
    code = welcome_code(corp)
    corp.customer_writes(KF, WM, "hello")
    assert corp.session(KF, WM).state == NEW
    assert corp.answer_code(code) == 0


def test_no_second_welcome_within_48_hours(corp: Corp) -> None:
    assert corp.customer_enters(KF, WM)
    code = corp.customer_enters(KF, WM)
    assert code, "the first one was not used"
    corp.answer_code(code)
    assert corp.customer_enters(KF, WM) == ""
    assert "welcome_code" not in corp.events()[-1]
    corp.clock_advance(48 * 3600 + 1)
    assert corp.customer_enters(KF, WM)


def test_no_welcome_for_who_has_written(corp: Corp) -> None:
    corp.customer_writes(KF, WM, "hello")
    assert corp.customer_enters(KF, WM) == ""


def test_code_messages_are_not_in_the_stream(corp: Corp) -> None:
    before = len(corp.items())
    code = ending_code(corp)
    corp.answer_code(code)
    assert len(corp.items()) == before + 1, "the customer's own message only"
