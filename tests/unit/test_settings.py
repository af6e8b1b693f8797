"""settings.yaml, .env and the environment: what is read, and how what is wrong is told."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.errors import SettingsError
from bot.hours import ALWAYS, parse_hours
from bot.model import EventType
from bot.settings import (
    WEBHOOK_EVENTS,
    Closing,
    Customer,
    Rule,
    Settings,
    Watch,
    missing_for_run,
    secrets_of,
)
from bot.settings_file import load

KEY = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
DAY = 86400.0


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder with nothing in it, and no variables of ours."""
    for name in [name for name in os.environ if name.upper().startswith("KFBOT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def read(text: str) -> Settings:
    Path("settings.yaml").write_text(text, "utf-8")
    return load(Path("settings.yaml"))


def problems(text: str) -> dict[str, str]:
    with pytest.raises(SettingsError) as refused:
        read(text)
    assert all("\n" not in what for _, what in refused.value.problems)
    return dict(refused.value.problems)


# -- the file


def test_an_empty_file_is_all_defaults() -> None:
    settings = read("")
    assert settings.lang == "zh"
    assert settings.storage.retention == 90 * DAY
    assert settings.watch.rules.customer_waiting == Rule(after=300.0, repeat=900.0)


def test_a_section_with_every_key_commented_out_is_the_default() -> None:
    assert read("wecom:\n  # secret: x\nserver: {port: }\n").model_dump() == read("").model_dump()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('wecom: {secret: "hunter2\nlang: zh', "line 2, column"),
        ("wecom:\n  secret: hunter2: x\n", "line 2, column 18"),
        ("wecom:\n\tsecret: hunter2\n", "line 2, column 1"),
        ("wecom: {secret: *hunter2}", "line 1, column 17"),
        ("wecom: {secret: !hunter2 x}", "line 1, column 17"),
        ("lang: zh\nserver: {}\nlang: en", "line 3, column 1"),
        ("server:\n  port: 1\n  port: 2", "line 3, column 3"),
    ],
)
def test_a_syntax_error_is_one_line_with_its_position(text: str, where: str) -> None:
    found = problems(text)
    assert list(found) == ["settings.yaml"]
    assert found["settings.yaml"].startswith(where)
    assert "hunter2" not in found["settings.yaml"]


@pytest.mark.parametrize("text", ["- a\n- b", "hello", "3"])
def test_a_file_without_sections(text: str) -> None:
    assert "sections" in problems(text)["settings.yaml"]


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere.yaml: no such file.*--settings"):
        load(Path("nowhere.yaml"))
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path)
    Path("settings.yaml").write_bytes(b"lang: \xff\xfe\x00")
    with pytest.raises(SettingsError, match="no UTF-8"):
        load(Path("settings.yaml"))


def test_windows_notepad_may_write_the_file() -> None:
    Path("settings.yaml").write_bytes("\ufefflang: en\r\n".encode())
    assert load(Path("settings.yaml")).lang == "en"


def test_merge_keys_work_and_do_not_count_as_twice() -> None:
    text = "end: {accounts: {wk1: &idle {policy: idle, idle_after: 10m}, wk2: {<<: *idle, idle_after: 20m}}}"
    assert read(text).end.accounts["wk2"].idle_after == 1200.0


def test_values_are_text_until_their_key_says_otherwise() -> None:
    """YAML 1.1 would make 007 seven and 18:30 one thousand one hundred and ten."""
    settings = read("wecom: {corp_id: 007, secret: 123456}\nroles: {admins: [0012, 1e3]}\nreport: {at: 18:30}")
    assert (settings.wecom.corp_id, settings.wecom.secret.get_secret_value()) == ("007", "123456")
    assert settings.roles.admins == ["0012", "1e3"]
    assert settings.report.at == "18:30"


def test_json_is_yaml() -> None:
    """What `bot.py sandbox` prints can be pasted."""
    assert read('{"server": {"port": 9}, "customer": {"rating": false}, "log": {"json": true}}').server.port == 9


def test_every_problem_at_once_with_its_key() -> None:
    found = problems(
        "lang: fr\nserver: {port: 99999}\nkf: {poll: 90}\nstorage: {url: postgres://x}\nwatch: {tik: 15s}\n"
    )
    assert set(found) == {"lang", "server.port", "kf.poll", "storage.url", "watch.tik"}
    assert "'zh' or 'en' (found 'fr')" in found["lang"]


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("foo: {}", "foo", ""),
        ("wcom: {}", "wcom", "wecom"),
        ("wecom: {secrt: x}", "wecom.secrt", "secret"),
        ("log: {jsn: true}", "log.jsn", "json"),
        ("watch: {rules: {human_opn: off}}", "watch.rules.human_opn", "human_open"),
        ("watch: {rules: {human_open: {aftr: 1h}}}", "watch.rules.human_open.aftr", "after"),
        ("watch: {accounts: {wk1: {rules: {human_opn: off}}}}", "watch.accounts.wk1.rules.human_opn", "human_open"),
        ("watch: {accounts: {wk1: {hour: off}}}", "watch.accounts.wk1.hour", "hours"),
        ("end: {accounts: {wk1: {polcy: idle}}}", "end.accounts.wk1.polcy", "policy"),
        ('webhooks: [{url: "http://x", secret: s, evnts: []}]', "webhooks.0.evnts", "events"),
        ("1: 2", "1", ""),
    ],
)
def test_unknown_keys_name_what_was_meant(text: str, key: str, meant: str) -> None:
    said = problems(text)[key]
    assert said == (f"unknown key; did you mean {meant}?" if meant else "unknown key")


# -- webhooks


def hook(url: str = "https://crm.example/hook", secret: str = "s", events: str = "[]", more: str = "") -> str:
    return f'webhooks: [{{url: "{url}", secret: "{secret}", events: {events}}}]\n{more}'


def test_a_webhook_hears_of_everything_unless_it_names_events() -> None:
    assert read(hook()).webhooks[0].types == frozenset(WEBHOOK_EVENTS.values())
    named = read(hook(events="[handoff.completed, handoff.progress]")).webhooks[0]
    assert named.types == {EventType.COMPLETED, EventType.PROGRESS}


def test_an_unknown_event_is_refused_with_those_there_are() -> None:
    said = problems(hook(events="[handoff.completed, HANDOFF_COMPLETED]"))["webhooks.0.events"]
    assert said == (
        "there is no event HANDOFF_COMPLETED; there are: handoff.requested, handoff.accepted, handoff.progress, "
        "handoff.transferred, handoff.completed"
    )


@pytest.mark.parametrize("url", ["", "crm.example", "ftp://crm", "https://", "https:///x", "http://x:0/", "http://x:y/",
                                 "http://[::1", "http://a b/"])  # fmt: skip
def test_what_is_no_whole_address(url: str) -> None:
    assert "must be a whole address" in problems(hook(url, more="webhooks_allow_private: true"))["webhooks.0.url"]


def test_a_secret_must_not_be_empty() -> None:
    assert "is empty" in problems(hook(secret=""))["webhooks.0.secret"]


def test_an_address_is_known_by_its_hash_and_shown_by_its_host() -> None:
    url = "https://Crm.example/h/?key=k"
    one, other = read(hook(url)).webhooks[0], read(hook("https://crm.example/h?key=k")).webhooks[0]
    assert one.url == url, "the slash at the end stays"
    assert one.host == other.host == "crm.example"
    assert one.id != other.id and len(one.id) == 16
    assert read(hook(url, secret="another")).webhooks[0].id == one.id


def test_an_address_stands_there_once() -> None:
    twice = 'webhooks: [{url: "https://a/?k=s5s5s5", secret: s}, {url: "https://a/?k=s5s5s5", secret: t}]'
    said = problems(twice)["webhooks"]
    assert "twice" in said and "s5s5s5" not in said


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "10.0.0.8", "192.168.1.1:8000", "[::1]", "[fd00::1]:80"])
def test_the_own_network_is_refused_unless_it_is_meant(host: str) -> None:
    said = problems(hook(f"http://{host}/hook?key=s5s5s5"))["webhooks"]
    assert "is a private address" in said and "webhooks_allow_private: true" in said and "s5s5s5" not in said
    assert read(hook(f"http://{host}/hook", more="webhooks_allow_private: true")).webhooks_allow_private


@pytest.mark.parametrize(
    "text",
    [
        hook("https://me:hunter2@crm.example/hook"),
        "wecom: {api_base: 'https://me:hunter2@gateway.example'}",
        "group: {aibot: {url: 'wss://gateway.example/?token=hunter2'}}",
        "server: {public_url: 'https://me:hunter2@kfbot.example'}",
    ],
)
def test_a_password_in_an_address_is_a_secret(text: str) -> None:
    assert "hunter2" in secrets_of(read(text))


# -- values


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("1d", DAY), ("10分钟", 600)]
)
def test_durations(written: str, seconds: float) -> None:
    assert read(f"kf: {{poll: {written}}}").kf.poll == seconds


@pytest.mark.parametrize("written", ["90", "1.5", "0s", "-5m", "1h30m", "5 m", "soon", "[1]", "999999999d"])
def test_what_is_no_duration(written: str) -> None:
    assert "duration" in problems(f"kf: {{poll: {written}}}")["kf.poll"]


@pytest.mark.parametrize("off", ["off", '"off"', "OFF", "false", "no", '""', ""])
def test_rules_are_switched_off(off: str) -> None:
    rules = read(f"watch: {{rules: {{human_open: {off}}}}}").watch.rules
    assert rules.human_open is None
    assert rules.human_idle is not None


def test_half_a_rule_keeps_the_other_half() -> None:
    rules = read("watch: {rules: {human_open: {after: 1h}, human_idle: {repeat: 2h}}}").watch.rules
    assert rules.human_open == Rule(after=3600.0, repeat=4 * 3600.0)
    assert rules.human_idle == Rule(after=1800.0, repeat=7200.0)


@pytest.mark.parametrize("written", ["on", "10", "-5m", "[5m, 10m]"])
def test_a_rule_that_is_neither(written: str) -> None:
    assert (
        "{after: 5m, repeat: 15m}, or off"
        in problems(f"watch: {{rules: {{human_open: {written}}}}}")["watch.rules.human_open"]
    )


@pytest.mark.parametrize("key", ["after", "repeat"])
@pytest.mark.parametrize("written", ["0", "0s", "10", "-5m", "31d", "1000d", "soon"])
@pytest.mark.parametrize("place", ["rules", "accounts.wk1.rules"])
def test_rules_that_make_no_sense(place: str, key: str, written: str) -> None:
    rules = f"rules: {{human_open: {{{key}: {written}}}}}"
    text = f"watch: {{{rules}}}" if place == "rules" else f"watch: {{accounts: {{wk1: {{{rules}}}}}}}"
    assert "duration" in problems(text)[f"watch.{place}.human_open.{key}"]


def test_a_variable_may_not_say_nonsense_as_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "KFBOT_WATCH__RULES", '{"human_open": {"after": -0.5, "repeat": NaN}, "human_idle": {"after": 1e9}}'
    )
    assert set(problems("")) == {
        "watch.rules.human_open.after",
        "watch.rules.human_open.repeat",
        "watch.rules.human_idle.after",
    }


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("watch: {tick: 11m}", "watch.tick", "from 1s to 10m (found '11m')"),
        ("watch: {snooze: 59s}", "watch.snooze", "from 1m to 7d"),
        ("watch: {snooze: 8d}", "watch.snooze", "from 1m to 7d"),
        ("watch: {snooze: 10}", "watch.snooze", "write a duration"),
    ],
)
def test_durations_with_bounds(text: str, key: str, says: str) -> None:
    assert says in problems(text)[key]


def test_code_may_tick_faster_than_a_file() -> None:
    assert Watch(tick=0.05).tick == 0.05


# -- accounts

PER_ACCOUNT = """
watch:
  rules: {human_open: off, customer_waiting: {after: 4m}}
  hours: "Mon-Fri 09:00-18:00 Asia/Shanghai"
  holidays: [2026-10-01..2026-10-07]
  accounts:
    wkNew: {rules: {customer_waiting: {after: 2m}, human_idle: off, human_open: {repeat: 1h}}}
    wkNight: {hours: "Mon-Sun 20:00-08:00 Asia/Shanghai"}
    wkAlways: {hours: "", rules: }
end:
  idle_after: 2h
  accounts: {wkNew: {policy: idle}, wkNight: {idle_after: 30m}}
"""


def test_an_account_has_rules_of_its_own_and_the_rest_from_all() -> None:
    watch = read(PER_ACCOUNT).watch
    rules = watch.rules_of("wkNew")
    assert rules.customer_waiting == Rule(after=120.0, repeat=900.0)
    assert rules.human_idle is None
    assert rules.human_open == Rule(after=4 * 3600.0, repeat=3600.0)
    assert rules.queue_waiting == watch.rules.queue_waiting
    assert watch.rules_of("wkNight") == watch.rules_of("wkAlways") == watch.rules_of("wkOther") == watch.rules


def test_watch_reads_differently_when_it_means_something_else() -> None:
    """Its repr tells later whether anything has changed since the last start."""
    texts = ["{}", "{human_idle: off}", "{human_idle: {after: 1h}}"]
    watches = [read(f"watch: {{accounts: {{wk1: {{rules: {text}}}}}}}").watch for text in texts]
    assert len({repr(watch) for watch in watches}) == 3


def test_an_account_has_hours_of_its_own() -> None:
    watch = read(PER_ACCOUNT).watch
    week = frozenset(date(2026, 10, day) for day in range(1, 8))
    assert watch.hours_of("wkNew") == parse_hours("Mon-Fri 09:00-18:00 Asia/Shanghai", week)
    assert watch.hours_of("wkNight") == parse_hours("Mon-Sun 20:00-08:00 Asia/Shanghai", week)
    assert watch.hours_of("wkAlways") == ALWAYS
    assert read("").watch.hours_of("wkNew") == ALWAYS


def test_an_account_has_an_end_of_its_own() -> None:
    end = read(PER_ACCOUNT).end
    assert end.of("wkNew") == ("idle", 7200.0)
    assert end.of("wkNight") == ("alert", 1800.0)
    assert end.of("wkOther") == ("alert", 7200.0)


def test_accounts_by_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFBOT_WATCH__ACCOUNTS", '{"wkA": {"rules": {"human_open": false}}}')
    monkeypatch.setenv("KFBOT_WATCH__HOLIDAYS", "2026-10-01, 2026-12-31..2027-01-01")
    watch = read("").watch
    assert watch.rules_of("wkA").human_open is None
    assert len(watch.holidays) == 2


def test_each_wrong_holiday_is_told() -> None:
    found = problems("watch: {holidays: [2026-10-01, 10-02, 2026-02-30]}")
    assert "write a date like 2026-10-01" in found["watch.holidays.1"]
    assert found["watch.holidays.2"].startswith("there is no day 2026-02-30")


def test_hours_of_an_account_that_are_none() -> None:
    found = problems('watch: {accounts: {wk1: {hours: "Mon 09:00-29:00 UTC"}}}')
    assert "29:00 is no time of day" in found["watch.accounts.wk1.hours"]


# -- closing texts


def test_the_closing_text_of_on_message() -> None:
    assert "请再发一次" in Closing().for_on_message
    assert Closing(system="bye").for_on_message == "bye"
    assert Closing(system="").for_on_message == ""
    assert Closing(system="bye", on_message="again").for_on_message == "again"
    assert Closing(on_message="").for_on_message == ""
    assert read("customer: {closing: {on_message: }}").customer.closing == Closing()


# -- what customers are told, and what they may say


def test_the_phrase_customers_are_told_of_is_the_first() -> None:
    assert Customer().phrase == "结束对话"
    assert read("customer: {end_phrases: [再见, 结束对话]}").customer.phrase == "再见"
    assert read("customer: {end_phrases: []}").customer.phrase == ""


@pytest.mark.parametrize("phrase", ["", " ", "！！", "👋"])
def test_a_phrase_of_nothing_but_marks_would_never_be_met(phrase: str) -> None:
    found = problems(f'customer: {{end_phrases: [结束对话, "{phrase}"]}}')
    assert "neither letter nor digit" in found["customer.end_phrases"]


def test_the_group_hears_of_alerted_ends_or_of_all() -> None:
    assert read("customer: {tell_group: always}").customer.tell_group == "always"
    assert "customer.tell_group" in problems("customer: {tell_group: never}")


# -- times


def test_a_time_zone_has_an_iana_name() -> None:
    assert read("").zone is None
    assert read("timezone: Asia/Shanghai").zone == ZoneInfo("Asia/Shanghai")
    assert problems("timezone: Beijing")["timezone"].startswith(
        "unknown time zone Beijing; write one like Asia/Shanghai"
    )


@pytest.mark.parametrize(
    ("written", "at"), [("18:00", "18:00"), ('"09:30"', "09:30"), ("off", ""), ('""', ""), ("", "")]
)
def test_report_time(written: str, at: str) -> None:
    assert read(f"report: {{at: {written}}}").report.at == at


def test_report_at_no_time() -> None:
    assert "18:00" in problems("report: {at: 6pm}")["report.at"]


@pytest.mark.parametrize(
    "hours",
    [
        "",
        "Mon-Fri 09:00-18:00 Asia/Shanghai",
        "Mon,Wed-Fri,Sun 00:00-24:00 UTC",
        "Sat 22:00-06:00 Asia/Tokyo",
        "Mon-Fri 09:00-12:00; Mon-Fri 13:30-18:00 Asia/Shanghai",
    ],
)
def test_hours(hours: str) -> None:
    assert read(f'watch: {{hours: "{hours}"}}').watch.hours == hours


@pytest.mark.parametrize(
    "hours",
    ["always", "Mon-Fri 9:00-18:00 UTC", "Mon-Fri 09:00-29:00 UTC", "Mon 09:00-18:00 Asia", "Mon 09:00-18:00 Mars/X"],
)
def test_hours_that_are_none(hours: str) -> None:
    assert set(problems(f'watch: {{hours: "{hours}"}}')) == {"watch.hours"}


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("kf: {accounts: [kfc123]}", "kf.accounts", "kfc123 is part of a contact link"),
        ("callback: {encoding_aes_key: tooshort}", "callback.encoding_aes_key", "43 letters and digits"),
        ("group: {channel: smoke}", "group.channel", "no such file in bot/channels/"),
        ("group: {channel: ../app}", "group.channel", "no such file in bot/channels/"),
        ("group: {aibot: {url: http://x}}", "group.aibot.url", "wss://"),
        ("wecom: {api_base: qyapi}", "wecom.api_base", "http://"),
        ("storage: {url: 'sqlite:///:memory:'}", "storage.url", "must name a file"),
        ("storage: {keep_text: some}", "storage.keep_text", "'none', 'last' or 'all'"),
        ("end: {policy: kill}", "end.policy", "'alert', 'on_message' or 'idle'"),
        ("log: {level: LOUD}", "log.level", "'DEBUG'"),
        ("wecom: abc", "wecom", "dictionary"),
        ("group: {chat_ids: {a: b}}", "group.chat_ids", "list"),
    ],
)
def test_what_is_refused(text: str, key: str, says: str) -> None:
    assert says in problems(text)[key]


def test_small_mercies() -> None:
    settings = read("log: {level: debug}\nwecom: {api_base: 'https://proxy/'}\nkf: {accounts: wk1}")
    assert settings.log.level == "DEBUG"
    assert settings.wecom.api_base == "https://proxy"
    assert settings.kf.accounts == ["wk1"]


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read("").server.port = 1


# -- secrets


@pytest.mark.parametrize(
    "text",
    [
        "wecom: hunter2hunter2",
        "wecom: {secret: [hunter2hunter2]}",
        "callback: {token: {a: hunter2hunter2}, encoding_aes_key: hunter2hunter2}",
        'group: {webhook: {url: "qyapi/send?key=hunter2hunter2"}}',
        'group: {aibot: {url: "x?secret=hunter2hunter2"}}',
        'webhooks: [{url: "x?key=hunter2hunter2", secret: [hunter2hunter2], evnts: hunter2hunter2}]',
        "webhooks: hunter2hunter2",
        "hunter2: [",
    ],
)
def test_problems_never_show_a_secret(text: str) -> None:
    assert "hunter2" not in str(problems(text))


def test_variables_never_show_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WECOM", "WEBHOOKS", "GROUP__ROUTES", "CALLBACK__ENCODING_AES_KEY", "WECOM__SECRT"):
        monkeypatch.setenv(f"KFBOT_{name}", "hunter2hunter2")
    assert "hunter2" not in str(problems(""))


def test_secrets_of_names_what_logs_black_out() -> None:
    settings = read(
        f"wecom: {{secret: s1}}\ncallback: {{token: s2, encoding_aes_key: {KEY}}}\n"
        'group: {aibot: {secret: s3}, webhook: {url: "https://qyapi/send?key=s4"}}\n'
        'webhooks: [{url: "https://crm/?k=s5", secret: s6}]'
    )
    assert sorted(secrets_of(settings)) == sorted(["s1", "s2", KEY, "s3", "s4", "s5", "s6"])
    assert not any(secret in repr(settings) for secret in ("s1", "s2", KEY, "s3", "s6"))


# -- variables


def test_the_environment_is_stronger_than_dotenv_and_that_than_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("KFBOT_SERVER__PORT=2\nKFBOT_SERVER__HOST=dotenv\nOTHER=1\nKFBOT_WECOM__SECRET=sss\n")
    monkeypatch.setenv("KFBOT_SERVER__PORT", "3")
    settings = read("server: {port: 1, host: file, public_url: 'http://file'}")
    assert (settings.server.port, settings.server.host) == (3, "dotenv")
    assert settings.server.public_url == "http://file"
    assert settings.wecom.secret.get_secret_value() == "sss"


@pytest.mark.parametrize(
    ("name", "value", "key", "expected"),
    [
        ("LANG", "en", "lang", "en"),
        ("ROLES__ADMINS", "a, b,", "roles.admins", ["a", "b"]),
        ("ROLES__ADMINS", '["a,b"]', "roles.admins", ["a,b"]),
        ("KF__ACCOUNTS", "wkAbC", "kf.accounts", ["wkAbC"]),
        ("GROUP__AIBOT__NAME", "helper", "group.aibot.name", "helper"),
        ("GROUP__ROUTES", '{"wkAbC": "chat"}', "group.routes", {"wkAbC": "chat"}),
        ("WATCH__RULES__HUMAN_OPEN", "off", "watch.rules.human_open", None),
        ("WATCH__RULES__HUMAN_OPEN", "false", "watch.rules.human_open", None),
        ("WATCH__RULES__HUMAN_OPEN__AFTER", "3h", "watch.rules.human_open", Rule(after=10800.0, repeat=7200.0)),
        ("WATCH__RULES__HUMAN_OPEN", '{"after": "3h"}', "watch.rules.human_open", Rule(after=10800.0, repeat=14400.0)),
        ("LOG__JSON", "true", "log.json_lines", True),
        ("CUSTOMER__RATING", "no", "customer.rating", False),
        ("CUSTOMER__CLOSING__USER", "", "customer.closing.user", ""),
        ("REPORT__AT", "off", "report.at", ""),
        ("WECOM", '{"corp_id": "ww1"}', "wecom.corp_id", "ww1"),
    ],
)
def test_variables_reach_every_kind_of_key(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, key: str, expected: Any
) -> None:
    monkeypatch.setenv(f"KFBOT_{name}", value)
    found: Any = read("watch: {rules: {human_open: {repeat: 2h}}}" if "__AFTER" in name else "")
    for part in key.split("."):
        found = getattr(found, part)
    assert found == expected


def test_variables_of_nested_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFBOT_END__ACCOUNTS", '{"wkAb": {"policy": "idle", "idle_after": "30m"}}')
    monkeypatch.setenv("KFBOT_WEBHOOKS", '[{"url": "https://crm", "secret": "x", "events": ["handoff.completed"]}]')
    settings = read("")
    assert settings.end.accounts["wkAb"].idle_after == 1800.0
    assert settings.webhooks[0].events == ["handoff.completed"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("KFBOT_SERVR__PORT", "KFBOT_SERVER__PORT"),
        ("KFBOT_WECOM_SECRET", "KFBOT_WECOM__SECRET"),
        ("KFBOT_WECOM__SECRETT", "KFBOT_WECOM__SECRET"),
        ("KFBOT_LOG__JSON_LINES", "KFBOT_LOG__JSON"),
        ("KFBOT_SERVER__PORT__X", "KFBOT_SERVER__PORT"),
        ("KFBOT_ZZZ", ""),
    ],
)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_unknown_variables_are_told(monkeypatch: pytest.MonkeyPatch, place: str, name: str, meant: str) -> None:
    if place == ".env":
        Path(".env").write_text(f"{name}=1\n")
    else:
        monkeypatch.setenv(name, "1")
    found = problems("")
    assert found[name] == "unknown setting" + (f"; did you mean {meant}?" if meant else "")
    assert set(found) <= {name, "server.port"}


@pytest.mark.parametrize("name", ["GROUP__ROUTES__WKABC", "END__ACCOUNTS__WKABC__POLICY"])
def test_ids_know_case_and_names_of_variables_do_not(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"KFBOT_{name}", "idle")
    assert "JSON" in problems("")[f"KFBOT_{name}"]


def test_a_problem_names_the_variable_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFBOT_SERVER__PORT", "http")
    monkeypatch.setenv("KFBOT_GROUP__ROUTES", "wk=chat")
    found = problems("lang: fr")
    assert found["server.port"].endswith("(found 'http'), set by KFBOT_SERVER__PORT")
    assert found["group.routes"] == "is no valid JSON, set by KFBOT_GROUP__ROUTES"
    assert "set by" not in found["lang"]


def test_a_whole_section_that_is_no_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFBOT_WECOM", "ww1")
    assert "KFBOT_WECOM__CORP_ID" in problems("")["wecom"]


def test_an_unreadable_dotenv() -> None:
    Path(".env").write_bytes(b"KFBOT_LANG=\xff\xfe")
    assert "UTF-8" in problems("")[".env"]


def test_values_put_over_the_file_are_stronger_than_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFBOT_SERVER__PORT", "3")
    settings = load(None, {"server": {"port": 4}})
    assert settings.server.port == 4


# -- what a bot needs beyond a valid file


def test_a_run_needs_corp_id_and_secret() -> None:
    assert [key for key, _ in missing_for_run(read(""))] == ["wecom.corp_id", "wecom.secret"]
    assert missing_for_run(read("wecom: {corp_id: ww1, secret: x}")) == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("callback: {token: x}", "callback.encoding_aes_key"),
        (f"callback: {{encoding_aes_key: {KEY}}}", "callback.token"),
        ("group: {aibot: {bot_id: x}}", "group.aibot.secret"),
        ("group: {aibot: {secret: x}}", "group.aibot.bot_id"),
    ],
)
def test_half_a_pair_is_a_problem(text: str, missing: str) -> None:
    assert missing in [key for key, _ in missing_for_run(read(text))]
