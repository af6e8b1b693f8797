"""What may be set, typed and checked; `settings_file` reads it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    SettingsConfigDict,
)

from bot.addresses import is_private_host
from bot.exposed import exposed
from bot.hours import Hours, parse_holiday, parse_hours, parse_zone
from bot.live import TYPES
from bot.model import EventType
from bot.parsing import parse_duration
from bot.phrases import normal

WEBHOOK_EVENTS = {f"handoff.{each.lower()}": each for each in TYPES}
PREFIX = "KFBOT_"
ENV_FILE = ".env"


def _duration(value: Any) -> Any:
    """Text only: a bare 90 says nothing of its unit. Floats never come from a file; they are seconds, set in code."""
    if isinstance(value, float):
        return value
    if not isinstance(value, str):
        raise ValueError("write a duration like 90s, 15m, 2h or 1d")
    return parse_duration(value)


def _between(shortest: str, longest: str) -> BeforeValidator:
    """A duration within bounds; one that is set in code may be as short as a test needs."""
    least, most = parse_duration(shortest), parse_duration(longest)

    def check(value: Any) -> Any:
        seconds = parse_duration(value, math.inf) if isinstance(value, str) else _duration(value)
        if not 0 < seconds <= most or (seconds < least and isinstance(value, str)):
            raise ValueError(f"must be a duration from {shortest} to {longest}")
        return seconds

    return BeforeValidator(check)


def _is_off(value: Any) -> bool:
    """Written off, "off", false or no, or left empty."""
    written = value.strip().lower() if isinstance(value, str) else value
    return written in (None, False, "", "off", "false", "no")


def _http_url(value: str) -> str:
    if value and not re.match(r"https?://[^\s/]+", value):
        raise ValueError("must start with http:// or https://")
    return value.rstrip("/")


def _ws_url(value: str) -> str:
    if not re.match(r"wss?://[^\s/]+", value):
        raise ValueError("must start with wss:// (or ws:// in a private deployment)")
    return value


def _text_or_list(value: Any) -> Any:
    """Lists may come from the environment as `a,b` as well as JSON."""
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return [part.strip() for part in value.split(",") if part.strip()]
    return _json(value)


def _userids(value: Any) -> Any:
    """An empty list lets everybody in, so that it must not come of names that were left out by mistake."""
    listed = _text_or_list(value)
    names = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    blank = isinstance(value, str) and not names and not value.lstrip().startswith("[")
    if blank or any(not each or each != each.strip() for each in names):
        raise ValueError("names nobody, or not as WeCom does; leave it out, or write [] or userids like LiNa")
    return listed


def _chat_ids(value: Any) -> Any:
    """A group without an id is none, and must not be taken for one that is paired."""
    listed = _text_or_list(value)
    names = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    if any(not each or each != each.strip() for each in names):
        raise ValueError("names no group, or not as WeCom does; leave it empty, or write ids like wr…")
    return listed


def _json(value: Any) -> Any:
    """What the environment says of lists and mappings; a file has them as they are."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("is no valid JSON") from None


Duration = Annotated[float, BeforeValidator(_duration)]
RuleTime = Annotated[float, _between("1s", "30d")]
Holiday = Annotated[tuple[date, ...], BeforeValidator(lambda v: parse_holiday(v) if isinstance(v, str) else v)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Words = Annotated[list[str], NoDecode, BeforeValidator(_text_or_list)]
UserIds = Annotated[list[str], NoDecode, BeforeValidator(_userids)]
ChatIds = Annotated[list[str], NoDecode, BeforeValidator(_chat_ids)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    EMPTY_IS_OFF: ClassVar[bool] = False
    """What a key with nothing behind it means: switched off, or else the default."""

    @model_validator(mode="before")
    @classmethod
    def _left_empty(cls, value: Any) -> Any:
        if cls.EMPTY_IS_OFF or not isinstance(value, dict):
            return value
        return {key: each for key, each in value.items() if each is not None}


class WeCom(Section):
    corp_id: str = ""
    secret: SecretStr = SecretStr("")
    api_base: HttpUrl = "https://qyapi.weixin.qq.com"


class Callback(Section):
    token: SecretStr = SecretStr("")
    encoding_aes_key: SecretStr = SecretStr("")

    @field_validator("encoding_aes_key")
    @classmethod
    def _forty_three(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not re.fullmatch(r"[0-9A-Za-z]{43}", value.get_secret_value()):
            raise ValueError("must be the 43 letters and digits shown in the console")
        return value


class Aibot(Section):
    bot_id: str = ""
    secret: SecretStr = SecretStr("")
    name: str = "kfbot"
    url: Annotated[str, AfterValidator(_ws_url)] = "wss://openws.work.weixin.qq.com"


class Webhook(Section):
    url: HttpUrl = ""


class Group(Section):
    channel: str = "aibot"
    chat_ids: ChatIds = Field(default_factory=list)
    routes: Annotated[dict[str, str], NoDecode, BeforeValidator(_json)] = Field(default_factory=dict)
    aibot: Aibot = Aibot()
    webhook: Webhook = Webhook()

    @field_validator("routes")
    @classmethod
    def _to_groups(cls, value: dict[str, str]) -> dict[str, str]:
        _chat_ids(list(value.values()))
        return value

    @field_validator("channel")
    @classmethod
    def _file(cls, value: str) -> str:
        if not value.isidentifier() or not Path(__file__).with_name("channels").joinpath(f"{value}.py").is_file():
            raise ValueError("there is no such file in bot/channels/")
        return value


class Roles(Section):
    admins: UserIds = Field(default_factory=list)
    agents: UserIds = Field(default_factory=list)


class Server(Section):
    host: str = "0.0.0.0"  # noqa: S104  WeCom must reach the callback; see README for a reverse proxy
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: HttpUrl = ""


class Storage(Section):
    url: str = "sqlite:///data/kfbot.db"
    retention: Duration = 90 * 86400.0
    keep_text: Literal["none", "last", "all"] = "last"

    @field_validator("url")
    @classmethod
    def _sqlite(cls, value: str) -> str:
        if not re.fullmatch(r"sqlite:///[^:?]+", value):
            raise ValueError("must name a file, like sqlite:///data/kfbot.db")
        return value

    @property
    def path(self) -> Path:
        return Path(self.url.removeprefix("sqlite:///"))


class Kf(Section):
    accounts: Words = Field(default_factory=list)
    poll: Duration = 300.0

    @field_validator("accounts")
    @classmethod
    def _open_kfids(cls, value: list[str]) -> list[str]:
        for account in value:
            if account.startswith("kfc"):
                raise ValueError(f"{account} is part of a contact link, not an open_kfid (wk…)")
        return value


class Rule(Section):
    after: RuleTime
    repeat: RuleTime


class RuleChange(Section):
    """What an account has of its own; the rest is the rule for all."""

    after: RuleTime | None = None
    repeat: RuleTime | None = None


def _rule(value: Any) -> Any:
    if _is_off(value):
        return None
    if not isinstance(value, dict | Section):
        raise ValueError("write {after: 5m, repeat: 15m}, or off")
    return value


def _default(after: str, repeat: str) -> Rule:
    return Rule(after=parse_duration(after), repeat=parse_duration(repeat))


OptionalRule = Annotated[Rule | None, BeforeValidator(_rule)]
OptionalChange = Annotated[RuleChange | None, BeforeValidator(_rule)]


class Rules(Section):
    EMPTY_IS_OFF = True

    customer_waiting: OptionalRule = _default("5m", "15m")
    human_idle: OptionalRule = _default("30m", "1h")
    human_open: OptionalRule = _default("4h", "4h")
    queue_waiting: OptionalRule = _default("3m", "10m")

    @field_validator("*", mode="before")
    @classmethod
    def _rest_of_the_rule(cls, value: Any, info: ValidationInfo) -> Any:
        """`{after: 2h}` alone leaves `repeat` as it was."""
        default = cls.model_fields[info.field_name or ""].default
        return {**default.model_dump(), **value} if isinstance(value, dict) else value


class AccountRules(Section):
    """A rule left out is the one for all; None is off."""

    EMPTY_IS_OFF = True

    customer_waiting: OptionalChange = None
    human_idle: OptionalChange = None
    human_open: OptionalChange = None
    queue_waiting: OptionalChange = None

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """So that what is left out and what is off look different."""
        return [(name, value) for name, value in super().__repr_args__() if name in self.model_fields_set]

    def over(self, rules: Rules) -> Rules:
        return rules.model_copy(update={name: self._changed(name, rules) for name in self.model_fields_set})

    def _changed(self, name: str, rules: Rules) -> Rule | None:
        """A rule that is off for all comes back with the default for what is left out."""
        change: RuleChange | None = getattr(self, name)
        if change is None:
            return None
        rule: Rule = getattr(rules, name) or Rules.model_fields[name].default
        return rule.model_copy(update=change.model_dump(exclude_none=True))


def _hours(value: str) -> str:
    parse_hours(value)
    return value


WrittenHours = Annotated[str, AfterValidator(_hours)]


class AccountWatch(Section):
    rules: AccountRules = AccountRules()
    hours: WrittenHours | None = None


class Watch(Section):
    tick: Annotated[float, _between("1s", "10m")] = 15.0
    rules: Rules = Rules()
    hours: WrittenHours = ""
    holidays: Annotated[list[Holiday], NoDecode, BeforeValidator(_text_or_list)] = Field(default_factory=list)
    snooze: Annotated[float, _between("1m", "7d")] = 600.0
    accounts: Annotated[dict[str, AccountWatch], NoDecode, BeforeValidator(_json)] = Field(default_factory=dict)

    def rules_of(self, open_kfid: str) -> Rules:
        return self._of(open_kfid).rules.over(self.rules)

    def hours_of(self, open_kfid: str) -> Hours:
        own = self._of(open_kfid).hours
        return parse_hours(self.hours if own is None else own, chain.from_iterable(self.holidays))

    def _of(self, open_kfid: str) -> AccountWatch:
        return self.accounts.get(open_kfid, AccountWatch())


class Report(Section):
    EMPTY_IS_OFF = True

    at: Annotated[str, BeforeValidator(lambda v: "" if _is_off(v) else v)] = "18:00"

    @field_validator("at")
    @classmethod
    def _clock(cls, value: str) -> str:
        if value and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            raise ValueError('must be a time like "18:00", or "" for none')
        return value


Policy = Literal["alert", "on_message", "idle"]


class AccountEnd(Section):
    policy: Policy | None = None
    idle_after: Duration | None = None


class End(Section):
    policy: Policy = "alert"
    idle_after: Duration = 3600.0
    accounts: Annotated[dict[str, AccountEnd], NoDecode, BeforeValidator(_json)] = Field(default_factory=dict)

    def of(self, open_kfid: str) -> tuple[Policy, float]:
        """Policy of an account, and the seconds of silence after which policy idle ends a session."""
        own = self.accounts.get(open_kfid, AccountEnd())
        return own.policy or self.policy, own.idle_after or self.idle_after


class Closing(Section):
    user: str = "您已结束与人工客服的对话。再次发送消息即可继续咨询。"
    agent: str = "客服已结束本次对话。再次发送消息即可继续咨询。"
    system: str = "由于长时间没有新消息，本次人工服务已结束。再次发送消息即可继续咨询。"
    on_message: str | None = None

    FOR_ON_MESSAGE: ClassVar[str] = "人工会话已结束，请再发一次您的消息，即可继续咨询。"

    @property
    def for_on_message(self) -> str:
        """What `system` says by default is not true for a customer who has just written."""
        if self.on_message is not None:
            return self.on_message
        changed = self.system != type(self).model_fields["system"].default
        return self.system if changed else self.FOR_ON_MESSAGE


class Customer(Section):
    end_phrases: Words = Field(default=["结束对话", "结束会话", "结束人工", "退出人工"])
    greeting: str = "发送「{phrase}」可随时结束人工服务"
    queued: str = "您正在排队，当前第 {place} 位。发送「{phrase}」可随时结束人工服务"
    closing: Closing = Closing()
    rating: bool = True
    tell_group: Literal["alerted", "always"] = "alerted"

    @field_validator("end_phrases")
    @classmethod
    def _words(cls, value: list[str]) -> list[str]:
        for phrase in value:
            if not normal(phrase):
                raise ValueError(f"{phrase!r} has neither letter nor digit, so no message could equal it")
        return value

    @property
    def phrase(self) -> str:
        """The one that customers are told of; empty for none."""
        return self.end_phrases[0] if self.end_phrases else ""


def _webhook_url(value: str) -> str:
    """As it was written: to some receivers a slash at the end is another path."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not re.search(r"\s", value)
    except ValueError:
        good = False
    if not good:
        raise ValueError("must be a whole address, like https://example.com/hook")
    return value


class OutgoingWebhook(Section):
    url: Annotated[str, AfterValidator(_webhook_url)]
    secret: SecretStr
    events: Words = Field(default_factory=list)

    @field_validator("secret")
    @classmethod
    def _not_empty(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value():
            raise ValueError("is empty; without it nobody can tell our events from forged ones")
        return value

    @field_validator("events")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        if unknown := [each for each in value if each not in WEBHOOK_EVENTS]:
            raise ValueError(f"there is no event {', '.join(unknown)[:80]}; there are: {', '.join(WEBHOOK_EVENTS)}")
        return value

    @property
    def id(self) -> str:
        """Stable as long as the address is; the record knows the webhook by it, and never by the address."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    @property
    def host(self) -> str:
        """All of the address that may be shown: paths and queries hold keys."""
        return urlsplit(self.url).hostname or ""

    @property
    def types(self) -> frozenset[EventType]:
        """What it wants to hear; all where no event is named."""
        return frozenset(WEBHOOK_EVENTS[each] for each in self.events or WEBHOOK_EVENTS)


def _timezone(value: str) -> str:
    if value:
        parse_zone(value)
    return value


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


class Log(Section):
    dir: Path = Path("logs")
    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = "INFO"
    json_lines: bool = Field(default=False, alias="json")


class Settings(BaseSettings):
    """Every key of settings.yaml. Frozen: what was read at start holds until the next start."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=ENV_FILE,
        env_file_encoding="utf-8-sig",
        dotenv_filtering="only_existing",  # names that nobody knows are told by _stray_variables
        extra="forbid",
        frozen=True,
    )

    lang: Literal["zh", "en"] = "zh"
    timezone: Annotated[str, AfterValidator(_timezone)] = ""
    wecom: WeCom = WeCom()
    callback: Callback = Callback()
    group: Group = Group()
    roles: Roles = Roles()
    server: Server = Server()
    storage: Storage = Storage()
    kf: Kf = Kf()
    watch: Watch = Watch()
    report: Report = Report()
    end: End = End()
    customer: Customer = Customer()
    webhooks_allow_private: bool = False  # before `webhooks`, which looks at it
    webhooks: Annotated[list[OutgoingWebhook], NoDecode, BeforeValidator(_json)] = Field(default_factory=list)
    log: Log = Log()

    @field_validator("webhooks")
    @classmethod
    def _webhooks(cls, value: list[OutgoingWebhook], info: ValidationInfo) -> list[OutgoingWebhook]:
        if len({each.id for each in value}) < len(value):
            raise ValueError("one address stands here twice; list its events in one place")
        inside = [each.host for each in value if is_private_host(each.host)]
        if inside and not info.data.get("webhooks_allow_private"):
            raise ValueError(f"{inside[0]} is a private address; where that is meant, set webhooks_allow_private: true")
        return value

    @property
    def zone(self) -> ZoneInfo | None:
        """None: the machine's."""
        return ZoneInfo(self.timezone) if self.timezone else None


def missing_for_run(settings: Settings) -> list[tuple[str, str]]:
    """What `run` needs beyond a valid file. Callback and group may be left out as a whole, not by half."""
    problems = [
        (f"wecom.{key}", "is empty; the README says where the console shows it")
        for key, value in (
            ("corp_id", settings.wecom.corp_id),
            ("secret", settings.wecom.secret.get_secret_value()),
        )
        if not value
    ]
    pairs = (
        (
            "callback.token",
            settings.callback.token,
            "callback.encoding_aes_key",
            settings.callback.encoding_aes_key,
        ),
        (
            "group.aibot.bot_id",
            settings.group.aibot.bot_id,
            "group.aibot.secret",
            settings.group.aibot.secret,
        ),
    )
    for first, a, second, b in pairs:
        if bool(_plain(a)) != bool(_plain(b)):
            empty, filled = (second, first) if _plain(a) else (first, second)
            problems.append((empty, f"is empty while {filled} is set; set both, or neither to do without"))
    return problems


def secrets_of(settings: Settings) -> list[str]:
    """What must never be shown. Some of it stands in addresses: keys of webhook robots, the password of a gateway."""
    held = [
        settings.wecom.secret,
        settings.callback.token,
        settings.callback.encoding_aes_key,
        settings.group.aibot.secret,
        *(each.secret for each in settings.webhooks),
    ]
    addresses = [settings.group.webhook.url, *(each.url for each in settings.webhooks)]
    addresses += [settings.wecom.api_base, settings.group.aibot.url, settings.server.public_url]
    in_addresses = [value for address in addresses for _, value in parse_qsl(urlsplit(address).query)]
    in_addresses += [password for address in addresses if (password := urlsplit(address).password)]
    return [secret.get_secret_value() for secret in held] + in_addresses


def exposed_files(settings: Settings, path: Path | None) -> list[Path]:
    """Files with secrets, or with the record, that everybody on this machine may read. `path`: of the settings."""
    written = [each for each in (path, Path(ENV_FILE)) if each is not None]
    return exposed(written, [settings.storage.path], secrets_of(settings))


def _plain(value: SecretStr | str) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


# -- problems in words
