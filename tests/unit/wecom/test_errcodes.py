"""errcode -> exception, meaning, remedy."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import errors
from bot.wecom import protocol
from bot.wecom.errcodes import KINDS, MEANINGS, UNAVAILABLE, WHOLE_APP, Meaning, meaning_of, raise_for

PATH = "/cgi-bin/kf/x"
# Every code of sections 1.4 and 7 of the reference, and that of the web login.
DOCUMENTED = [
    *(-1, 40001, 40003, 40007, 40008, 40009, 40013, 40014, 40058, 40091, 40096, 40201, 41001, 41002, 41004, 42001),
    *(45001, 45002, 45009, 45033, 45034, 48002, 48007, 50003, 60011, 60020, 60030, 60111, 90207, 301002),
    *(40029, *range(95000, 95033)),
]


def raised(payload: dict[str, Any]) -> errors.WeComError:
    with pytest.raises(errors.WeComError) as caught:
        raise_for(payload, PATH)
    return caught.value


@pytest.mark.parametrize("errcode", [*DOCUMENTED, UNAVAILABLE])
def test_every_documented_code_has_a_meaning_in_both_languages(errcode: int) -> None:
    meaning = meaning_of(errcode)
    assert MEANINGS[errcode] is meaning
    assert re.search("[一-鿿]", meaning.zh)
    assert not re.search("[一-鿿]", meaning.en)
    assert bool(meaning.remedy_zh) == bool(meaning.remedy_en)
    assert not any(text.endswith((".", "。")) for text in meaning)


def test_nothing_undocumented_is_explained() -> None:
    assert set(MEANINGS) == {*DOCUMENTED, UNAVAILABLE}
    assert set(KINDS) <= set(MEANINGS)
    assert set(MEANINGS) > WHOLE_APP


@pytest.mark.parametrize("errcode", [95014, 95016])
def test_the_seeds_advice_with_the_manual_way(errcode: int) -> None:
    meaning = meaning_of(errcode)
    for remedy in (meaning.remedy_zh, meaning.remedy_en):
        assert "删除会话" in remedy
        assert "仅智能助手接待" in remedy
    assert "长按" in meaning.remedy_zh
    assert "long-presses" in meaning.remedy_en


@pytest.mark.parametrize(
    ("errcode", "page"),
    [
        (60020, "企业可信IP"),
        (48002, "可调用接口的应用"),
        (48007, "可管理的客服账号"),
        (95011, "可调用接口的应用"),
        (95012, "管理后台 → 微信客服"),
        (95017, "微信客服 → API"),
        (95023, "企业内部开发"),
    ],
)
def test_permission_errors_name_the_console_page(errcode: int, page: str) -> None:
    assert page in meaning_of(errcode).remedy_zh
    assert page.rpartition("→ ")[2] in meaning_of(errcode).remedy_en


def test_an_unknown_code_is_looked_up_at_the_vendors() -> None:
    meaning = meaning_of(123456)
    assert isinstance(meaning, Meaning)
    assert all("123456" in text for text in meaning)


@pytest.mark.parametrize(
    ("errcode", "kind"),
    [
        (-1, errors.WeComBusy),
        (40001, errors.CredentialRejected),
        (40014, errors.TokenExpired),
        (42001, errors.TokenExpired),
        (45009, errors.RateLimited),
        (45033, errors.RateLimited),
        (60020, errors.CredentialRejected),
        (95007, errors.SyncTokenExpired),
        (95016, errors.WeComError),
        (7, errors.WeComError),
        ("95016", errors.WeComError),
        (None, errors.WeComUnavailable),
        (True, errors.WeComUnavailable),
        ("x", errors.WeComUnavailable),
        ([], errors.WeComUnavailable),
    ],
)
def test_the_exception_follows_the_code(errcode: Any, kind: type[errors.WeComError]) -> None:
    assert type(raised({"errcode": errcode, "errmsg": "x"})) is kind


def test_no_error_where_there_is_none() -> None:
    raise_for({"errcode": 0, "errmsg": "ok"}, PATH)
    raise_for({"errcode": "0"}, PATH)
    raise_for({"access_token": "t", "expires_in": 7200}, PATH)


def test_the_hint_with_our_ip_is_stripped() -> None:
    tail = ", hint: [1700000000000000000], from ip: 203.0.113.5, more info at https://open.work.weixin.qq.com/?e=95018"
    error = raised({"errcode": 95018, "errmsg": "send msg session status invalid" + tail})
    assert (error.errcode, error.errmsg, error.endpoint) == (95018, "send msg session status invalid", PATH)
    assert str(error) == "/cgi-bin/kf/x: 95018 send msg session status invalid"


def test_a_request_echoed_in_the_errmsg_shows_no_secret() -> None:
    error = raised({"errcode": 40001, "errmsg": "bad GET /x?corpid=ww1&corpsecret=HUSH&access_token=HUSH2, sorry"})
    assert error.errmsg == "bad GET /x?corpid=ww1&corpsecret=…&access_token=…, sorry"


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


@given(JSON, JSON)
def test_any_envelope_is_silence_or_a_wecom_error(errcode: Any, errmsg: Any) -> None:
    try:
        raise_for({"errcode": errcode, "errmsg": errmsg}, PATH)
    except errors.WeComError as error:
        assert len(error.errmsg) <= 200
    else:
        assert errcode in (0, "0", "-0", "00") or int(errcode) == 0


def test_the_table_is_part_of_the_protocol() -> None:
    assert protocol.MEANINGS is MEANINGS
    assert protocol.raise_for is raise_for
