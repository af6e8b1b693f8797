"""Whatever people and programs do in whatever order, a session stays one that WeCom could show."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.sandbox import NotPossible
from bot.sandbox.states import ENDED, HUMAN

from .conftest import KF, LI, WM, WU, Corp, make_corp

STEPS: dict[str, Callable[[Corp], object]] = {
    "enter": lambda corp: corp.customer_enters(KF, WM),
    "write": lambda corp: corp.customer_writes(KF, WM, "hello"),
    "take": lambda corp: corp.servicer_takes(KF, WM, LI),
    "answer": lambda corp: corp.servicer_writes(KF, WM, WU, "hi"),
    "hand over": lambda corp: corp.servicer_transfers(KF, WM, WU),
    "end": lambda corp: corp.servicer_ends(KF, WM),
    "queue by API": lambda corp: corp.trans(2),
    "give by API": lambda corp: corp.trans(3, LI),
    "end by API": lambda corp: corp.trans(4),
    "send": lambda corp: corp.send(),
    "a day passes": lambda corp: corp.clock_advance(86_400),
}


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=25))
def test_any_order_of_things(steps: list[str]) -> None:
    corp = make_corp()
    for step in steps:
        try:
            STEPS[step](corp)
        except NotPossible:
            continue
    session = corp.session(KF, WM)
    assert (session.state == HUMAN) == bool(session.servicer)
    assert session.state == ENDED or session.wrote_within(corp.now())
    assert 0 <= session.budget <= 5
    assert read_in_pages(corp) == corp.items()
    assert all("" not in event.values() for event in corp.events())


def read_in_pages(corp: Corp) -> list[dict[str, object]]:
    stream, cursor, more, items = corp.world.account(KF).stream, "", True, []
    while more:
        page = stream.page(cursor, 3, corp.now())
        cursor, more = page.cursor, page.more
        items += page.items
    return items
