"""settings.yaml + environment -> typed settings, or every problem at once.

Order, strongest first: environment `KFBOT_<SECTION>__<KEY>`, `.env` beside the working directory, the YAML file.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import (
    SettingsError as SettingsSourceError,
)

from bot.errors import SettingsError
from bot.parsing import parse_duration

PREFIX = "KFBOT_"


def _duration(value: Any) -> Any:
    """Text only: a bare 90 says nothing of its unit. Floats are our own defaults, already seconds."""
    if isinstance(value, float):
        return value
    if not isinstance(value, str):
        raise ValueError("write a duration like 90s, 15m, 2h or 1d")
    return parse_duration(value)


def _is_off(value: Any) -> bool:
    """YAML 1.1 reads a bare `off` as false; people also write "off" and leave the value empty."""
    return value is False or value is None or (isinstance(value, str) and value.strip().lower() in ("", "off"))


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
    return json.loads(value) if isinstance(value, str) else value


Duration = Annotated[float, BeforeValidator(_duration)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Words = Annotated[list[str], NoDecode, BeforeValidator(_text_or_list)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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
    chat_ids: Words = Field(default_factory=list)
    routes: dict[str, str] = Field(default_factory=dict)
    aibot: Aibot = Aibot()
    webhook: Webhook = Webhook()


class Roles(Section):
    admins: Words = Field(default_factory=list)
    agents: Words = Field(default_factory=list)


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
        if not re.fullmatch(r"sqlite:///.+", value):
            raise ValueError("must look like sqlite:///data/kfbot.db")
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
    after: Duration
    repeat: Duration


def _rule(value: Any) -> Any:
    return None if _is_off(value) else value


def _default(after: str, repeat: str) -> Rule:
    return Rule(after=parse_duration(after), repeat=parse_duration(repeat))


OptionalRule = Annotated[Rule | None, BeforeValidator(_rule)]


class Rules(Section):
    customer_waiting: OptionalRule = _default("5m", "15m")
    human_idle: OptionalRule = _default("30m", "1h")
    human_open: OptionalRule = _default("4h", "4h")
    queue_waiting: OptionalRule = _default("3m", "10m")


class Watch(Section):
    tick: Duration = 15.0
    rules: Rules = Rules()
    hours: str = ""

    @field_validator("hours")
    @classmethod
    def _hours(cls, value: str) -> str:
        if not value:
            return value
        days = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
        shape = rf"{days}(-{days})?(,{days}(-{days})?)* [0-2]\d:[0-5]\d-[0-2]\d:[0-5]\d \S+"
        if not re.fullmatch(shape, value):
            raise ValueError('must look like "Mon-Fri 09:00-18:00 Asia/Shanghai"')
        try:
            ZoneInfo(value.rsplit(" ", 1)[1])
        except (KeyError, ValueError) as unknown:
            raise ValueError(f"unknown time zone {value.rsplit(' ', 1)[1]}") from unknown
        return value


class Report(Section):
    at: Annotated[str, BeforeValidator(lambda v: "" if _is_off(v) else v)] = "18:00"

    @field_validator("at")
    @classmethod
    def _clock(cls, value: str) -> str:
        if value and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            raise ValueError('must be a time like "18:00" in quotes, or "" for none')
        return value


Policy = Literal["alert", "on_message", "idle"]


class AccountEnd(Section):
    policy: Policy | None = None
    idle_after: Duration | None = None


class End(Section):
    policy: Policy = "alert"
    idle_after: Duration = 3600.0
    accounts: dict[str, AccountEnd] = Field(default_factory=dict)


class Closing(Section):
    user: str = "您已结束与人工客服的对话。再次发送消息即可继续咨询。"
    agent: str = "客服已结束本次对话。再次发送消息即可继续咨询。"
    system: str = "由于长时间没有新消息，本次人工服务已结束。再次发送消息即可继续咨询。"


class Customer(Section):
    end_phrases: Words = Field(default=["结束对话", "结束会话", "结束人工", "退出人工"])
    closing: Closing = Closing()
    rating: bool = True


class OutgoingWebhook(Section):
    url: HttpUrl
    secret: SecretStr
    events: Words = Field(default_factory=list)


class Log(Section):
    dir: Path = Path("logs")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    json_lines: bool = Field(default=False, alias="json")


class Settings(BaseSettings):
    """Every key of settings.yaml. Frozen: what was read at start holds until the next start."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        dotenv_filtering="match_prefix",
        extra="forbid",
        frozen=True,
    )

    lang: Literal["zh", "en"] = "zh"
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
    webhooks: list[OutgoingWebhook] = Field(default_factory=list)
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = YamlConfigSettingsSource(settings_cls, settings_cls.model_config.get("yaml_file"))
        return init_settings, env_settings, dotenv_settings, file


def load(path: Path) -> Settings:
    """Read the file and the environment. Raises SettingsError with every problem found, not just the first."""
    if not path.is_file():
        raise SettingsError([(str(path), "no such file; name it with --settings PATH")])

    class FromFile(Settings):
        model_config = SettingsConfigDict(yaml_file=path, yaml_file_encoding="utf-8")

    strays = _stray_variables()
    try:
        settings = FromFile()
    except ValidationError as invalid:
        raise SettingsError([_problem(error) for error in invalid.errors()] + strays) from None
    except (yaml.YAMLError, UnicodeDecodeError, SettingsSourceError) as unreadable:
        raise SettingsError([(str(path), _first_lines(unreadable)), *strays]) from None
    if strays:
        raise SettingsError(strays)
    return settings


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
    """Everything that must never stand in a log."""
    held = [
        settings.wecom.secret,
        settings.callback.token,
        settings.callback.encoding_aes_key,
        settings.group.aibot.secret,
    ]
    return [secret.get_secret_value() for secret in (*held, *(each.secret for each in settings.webhooks))]


def _plain(value: SecretStr | str) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _problem(error: Any) -> tuple[str, str]:
    key = ".".join(str(part) for part in error["loc"] if not str(part).startswith(("function-", "constrained-")))
    if error["type"] == "extra_forbidden":
        return key, f"unknown key{_suggestion(error['loc'])}"
    message = str(error["msg"]).removeprefix("Value error, ")
    shown = error.get("input")
    secret = "secret" in key or "token" in key or "aes_key" in key
    hint = "" if secret or isinstance(shown, (dict, list)) else f" (found {shown!r})"
    return key, f"{message[0].lower()}{message[1:]}{hint}"


def _suggestion(loc: tuple[Any, ...]) -> str:
    """The key that was probably meant, looked up in the section where the unknown one stands."""
    fields: Any = Settings.model_fields
    for part in loc[:-1]:
        annotation = getattr(fields.get(part), "annotation", None)
        fields = getattr(annotation, "model_fields", {})
    names = [getattr(field, "alias", None) or name for name, field in fields.items()]
    near = difflib.get_close_matches(str(loc[-1]), names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _stray_variables() -> list[tuple[str, str]]:
    """KFBOT_… variables whose section does not exist: pydantic-settings would pass over them in silence."""
    known = [f"{PREFIX}{name}".upper() for name in Settings.model_fields]
    strays = []
    for variable in sorted(os.environ):
        if not variable.upper().startswith(PREFIX):
            continue
        head = variable.upper().split("__", 1)[0]
        if head not in known:
            near = difflib.get_close_matches(head, known, n=1)
            strays.append((variable, "unknown setting" + (f"; did you mean {near[0]}__…?" if near else "")))
    return strays


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
