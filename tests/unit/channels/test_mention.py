"""Taking the mention out, in every way people and clients write it (wecom-group.md 4.10)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channels.mention import strip_mention


@pytest.mark.parametrize(
    ("text", "left"),
    [
        # plain
        ("@kfbot /status", "/status"),
        ("  @kfbot   /end wm7l  ", "/end wm7l"),
        ("@kfbot", ""),
        ("@kfbot ", ""),
        ("/status", "/status"),
        ("", ""),
        # blanks and full-width forms
        ("＠kfbot　／ＥＮＤ wm7l", "/ＥＮＤ wm7l"),
        ("@kfbot\u2005/status", "/status"),
        ("@kfbot\u00a0/status", "/status"),
        ("@kfbot\u200b/status", "/status"),
        ("@kfbot\n/status", "/status"),
        ("@ｋｆｂｏｔ /status", "/status"),
        ("@KFBot /status", "/status"),
        ("@ kfbot /status", "/status"),
        # no blank after the name
        ("@kfbot/status", "/status"),
        ("@kfbot状态", "状态"),
        ("@kfbot，状态", "，状态"),
        # several mentions, mention last or in the middle
        ("@lisi @kfbot /end wm7l", "/end wm7l"),
        ("@kfbot @lisi /end wm7l", "/end wm7l"),
        ("@kfbot @kfbot /status", "/status"),
        ("@kfbot @lisi 状态", "状态"),
        ("/end wm7l @kfbot", "/end wm7l"),
        ("/end wm7l @kfbot because", "/end wm7l because"),
        ("/transfer wm7l @lisi @kfbot", "/transfer wm7l @lisi"),
        ("请看 @kfbot /status", "/status"),
        ("状态 @kfbot", "状态"),
        # another's name
        ("@kfbot2 /status", "/status"),
        ("@kfbot-test /status", "/status"),
        ("@kfbot2 @kfbot /status", "/status"),
        ("@kfbot @kfbot2 状态", "状态"),
        ("mail me@kfbot.com about /x", "/x"),
        # the bot was renamed
        ("@newname /status now", "/status now"),
        ("@new name /status", "/status"),
        ("@newname 状态", "状态"),
        ("look at a/b", "look at a/b"),
        # the reason keeps its shape
        ("@kfbot /end wm7l 客户说：“好　的” ＠老板 a／b", "/end wm7l 客户说：“好　的” ＠老板 a／b"),
        ("@kfbot /end wm7l\n第一行\n第二行", "/end wm7l\n第一行\n第二行"),
    ],
)
def test_kfbot(text: str, left: str) -> None:
    assert strip_mention(text, "kfbot") == left


@pytest.mark.parametrize(
    ("text", "name", "left"),
    [
        ("@Ops Bot /end wm7l", "Ops Bot", "/end wm7l"),
        ("＠Ops　Bot　／end wm7l", "Ops Bot", "/end wm7l"),
        ("@Ops  Bot/end", "Ops Bot", "/end"),
        ("@OpsBot /end", "Ops Bot", "/end"),
        ("@客服 状态", "客服", "状态"),
        ("@客服状态", "客服", "状态"),
        ("@客服小王 @客服 状态", "客服", "状态"),
        ("@a.b(c)* /x", "a.b(c)*", "/x"),
        ("@kfbot /x", "@kfbot", "/x"),
        ("@kfbot /x", "", "/x"),
        ("@kfbot 状态", " ", "状态"),
    ],
)
def test_other_names(text: str, name: str, left: str) -> None:
    assert strip_mention(text, name) == left


@given(st.text(st.characters(), max_size=80), st.text(max_size=8))
def test_any_text_and_name(text: str, name: str) -> None:
    left = strip_mention(text, name)
    assert left == left.strip()
    assert len(left) <= len(text)


@given(st.sampled_from(["/end wm7l", "状态", "/help"]), st.sampled_from([" ", "\u3000", "\u2005", ""]))
def test_first_or_last_it_is_found(command: str, blank: str) -> None:
    assert strip_mention(f"@kfbot{blank}{command}", "kfbot") == command
    assert strip_mention(f"{command} @kfbot{blank}", "kfbot") == command
