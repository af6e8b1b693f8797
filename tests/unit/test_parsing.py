"""What people type, and what comes out of it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.parsing import DAY, CommandLine, parse_command, parse_duration


def parsed(text: str) -> CommandLine:
    line = parse_command(text)
    assert line is not None
    return line


@pytest.mark.parametrize(
    ("text", "name", "args"),
    [
        ("/end wm7l because he left", "end", ("wm7l", "because", "he", "left")),
        ("/status", "status", ()),
        ("  /status  ", "status", ()),
        ("/END WM7L", "end", ("WM7L",)),
        ("／ＥＮＤ　ｗｍ７ｌ", "end", ("wm7l",)),
        ("/ status", "status", ()),
        ("//status", "status", ()),
        ("、结束 12", "结束", ("12",)),
        # whitespace of all kinds
        ("/end\twm7l\n第一行\r\n第二行", "end", ("wm7l", "第一行", "第二行")),
        ("/end\u00a0wm7l\u2005x\u3000y", "end", ("wm7l", "x", "y")),
        # punctuation around the name
        ("/status。", "status", ()),
        ("/status!", "status", ()),
        ("/end：wm7l", "end", ("wm7l",)),
        ("/end: wm7l", "end", ("wm7l",)),
        ("（/end wm7l", "end", ("wm7l",)),
        ("/我是谁？", "我是谁", ()),
        ("/end#12", "end", ("#12",)),
        ("/help /end", "help", ("/end",)),
        # no blank between scripts
        ("/结束wm7l", "结束", ("wm7l",)),
        ("/列表2", "列表", ("2",)),
        # quotes
        ('/end "a b" “c d” e', "end", ("a b", "c d", "e")),
        ('/end"x y"', "end", ("x y",)),
        ("/end wm7l “不配对", "end", ("wm7l", "“不配对")),
        ("/end wm7l it's over", "end", ("wm7l", "it's", "over")),
        ('/end say"hi there"', "end", ('say"hi', 'there"')),
        ('/end ""', "end", ("",)),
        # numbers
        ("/end #12", "end", ("#12",)),
        ("/end ＃１２", "end", ("#12",)),
        ("/end all idle＞30m", "end", ("all", "idle>30m")),
        # unseen characters
        ("\ufeff/st\u200batus\u200d \u200ewm7l\u2060", "status", ("wm7l",)),
    ],
)
def test_commands(text: str, name: str, args: tuple[str, ...]) -> None:
    line = parsed(text)
    assert (line.name, line.args, line.slash) == (name, args, True)


@pytest.mark.parametrize(
    ("text", "name", "args"),
    [
        ("状态", "状态", ()),
        ("结束 wm7l", "结束", ("wm7l",)),
        ("“状态”", "状态", ()),
        ("Status please", "status", ("please",)),
        ("你好，在吗", "你好", ("在吗",)),
        ("#12", "#12", ()),
        ("🙂", "🙂", ()),
    ],
)
def test_words_without_a_slash(text: str, name: str, args: tuple[str, ...]) -> None:
    line = parsed(text)
    assert (line.name, line.args, line.slash) == (name, args, False)


@pytest.mark.parametrize(
    "text", ["", " ", "\n\u3000", "/", "／", "///", "?!", "。。。", "\u200b", "##", '""', "\ud800"]
)
def test_no_word_at_all(text: str) -> None:
    assert parse_command(text) is None


def test_rest_is_as_written() -> None:
    line = parsed("/end ｗｍ７ｌ  客户说：“好　的”，\n下次再来！ ")
    assert line.rest == "ｗｍ７ｌ  客户说：“好　的”，\n下次再来！"
    assert line.after(0) == line.rest
    assert line.after(1) == "客户说：“好　的”，\n下次再来！"
    assert line.after(9) == ""


def test_a_quoted_reason_loses_its_quotes() -> None:
    assert parsed('/end wm7l "he left"').after(1) == "he left"
    assert parsed("/end “a b” he left").after(1) == "he left"
    assert parsed("/end wm7l").after(1) == ""


@pytest.mark.parametrize(
    ("text", "name", "args", "rest"),
    [
        ("/end all idle>30m", "end all", ("idle>30m",), "idle>30m"),
        ("/END All: Idle ＞ 30m", "end all", ("Idle", ">", "30m"), "Idle ＞ 30m"),
        ("/结束 全部 空闲＞30分钟", "结束 全部", ("空闲>30分钟",), "空闲＞30分钟"),
        ("/end，all，idle>30m", "end all，idle>30m", (), ""),
        ("/end `all`", "end all", (), ""),
        ('/end "all" "two words"', "end all", ("two words",), "two words"),
    ],
)
def test_a_line_read_as_having_a_name_of_two_words(text: str, name: str, args: tuple[str, ...], rest: str) -> None:
    line = parsed(text).longer()
    assert line is not None
    assert (line.name, line.args, line.rest, line.slash) == (name, args, rest, True)


@pytest.mark.parametrize("text", ["/end", "/end 。", "/end ?!"])
def test_a_line_without_a_second_word_has_no_longer_name(text: str) -> None:
    assert parsed(text).longer() is None


def test_emoji_stay_whole() -> None:
    assert parsed("/end wm7l 👨‍👩‍👧 bye").args == ("wm7l", "👨‍👩‍👧", "bye")


def test_absurd_lengths_are_bounded() -> None:
    line = parsed("/end " + "急" * 100_000)
    assert len(line.rest.encode()) <= 4096
    assert set(line.rest) == {"急"}
    assert len(parsed("/" + "x" * 100_000).name) < 4096
    assert len(parsed("/end " + '"' * 100_000).rest) < 4096


@given(st.text(st.characters(), max_size=200))
def test_any_text(text: str) -> None:
    line = parse_command(text)
    if line is not None:
        assert line.name
        assert line.name == line.name.casefold()
        assert not any(char.isspace() for char in line.name)
        assert line.after(0) in (line.rest, *line.args[:1]) or not line.args
        line.rest.encode()


WORDS = st.text(st.sampled_from("abcwm0123456789_-#客户好"), min_size=1, max_size=8)


@given(st.sampled_from(["end", "status", "结束"]), st.lists(WORDS, max_size=6), st.sampled_from(" \t\n\u3000\u2005"))
def test_words_come_out_as_they_went_in(name: str, words: list[str], blank: str) -> None:
    line = parsed("/" + blank.join([name, *words]))
    assert (line.name, list(line.args)) == (name, words)
    for count in range(len(words)):
        assert line.after(count) == blank.join(words[count:])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("15M", 900),
        ("2h", 7200),
        ("1d", DAY),
        ("30秒", 30),
        ("30秒钟", 30),
        ("10分", 600),
        ("10分钟", 600),
        ("2小时", 7200),
        ("2个小时", 7200),
        ("1天", DAY),
        ("１０分钟", 600),
        ("１ｈ", 3600),
        ("90d", 90 * DAY),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "10",
        "m",
        "-5m",
        "+5m",
        "1.5h",
        "1000d",
        "0m",
        "10 m",
        " 10m",
        "10m ",
        "10m\n",
        "10x",
        "1h30m",
        "9" * 9999 + "s",
    ],
)
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="a duration"):
        parse_duration(text)


def test_the_longest_is_the_callers() -> None:
    assert parse_duration("30d", longest=30 * DAY) == 30 * DAY
    with pytest.raises(ValueError, match="at most 30d"):
        parse_duration("31d", longest=30 * DAY)


@given(st.text(max_size=12))
def test_any_duration(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 < parse_duration(text) <= 366 * DAY
