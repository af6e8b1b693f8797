"""settings.yaml + environment -> typed settings, or every problem at once.

Order, strongest first: environment `KFBOT_<SECTION>__<KEY>`, `.env` in the working directory, the YAML file.
"""

from __future__ import annotations

import difflib
import inspect
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import yaml
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import (
    SettingsError as SettingsSourceError,
)

from bot.errors import SettingsError
from bot.parsing import parse_duration

PREFIX = "KFBOT_"
ENV_FILE = ".env"


def _duration(value: Any) -> Any:
    """Text only: a bare 90 says nothing of its unit. Floats never come from a file; they are seconds, set in code."""
    if isinstance(value, float):
        return value
    if not isinstance(value, str):
        raise ValueError("write a duration like 90s, 15m, 2h or 1d")
    return parse_duration(value)


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


def _json(value: Any) -> Any:
    """What the environment says of lists and mappings; a file has them as they are."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("is no valid JSON") from None


Duration = Annotated[float, BeforeValidator(_duration)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Words = Annotated[list[str], NoDecode, BeforeValidator(_text_or_list)]


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
    chat_ids: Words = Field(default_factory=list)
    routes: Annotated[dict[str, str], NoDecode, BeforeValidator(_json)] = Field(default_factory=dict)
    aibot: Aibot = Aibot()
    webhook: Webhook = Webhook()

    @field_validator("channel")
    @classmethod
    def _file(cls, value: str) -> str:
        if not value.isidentifier() or not Path(__file__).with_name("channels").joinpath(f"{value}.py").is_file():
            raise ValueError("there is no such file in bot/channels/")
        return value


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
    after: Duration
    repeat: Duration


def _rule(value: Any) -> Any:
    return None if _is_off(value) else value


def _default(after: str, repeat: str) -> Rule:
    return Rule(after=parse_duration(after), repeat=parse_duration(repeat))


OptionalRule = Annotated[Rule | None, BeforeValidator(_rule)]


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
        time = r"(([01]\d|2[0-3]):[0-5]\d|24:00)"
        shape = rf"{days}(-{days})?(,{days}(-{days})?)* {time}-{time} \S+"
        if not re.fullmatch(shape, value):
            raise ValueError('must look like "Mon-Fri 09:00-18:00 Asia/Shanghai"')
        try:
            ZoneInfo(value.rsplit(" ", 1)[1])
        except (KeyError, ValueError, OSError):
            raise ValueError(f"unknown time zone {value.rsplit(' ', 1)[1]}") from None
        return value


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
    webhooks: Annotated[list[OutgoingWebhook], NoDecode, BeforeValidator(_json)] = Field(default_factory=list)
    log: Log = Log()


def load(path: Path | None, over: Mapping[str, Any] | None = None) -> Settings:
    """Read the file and the environment. Raises SettingsError with every problem found, not just the first.

    `path` None: the environment alone. `over`: nested as in the file, and stronger than everything.
    """
    written = _read(path) if path is not None else {}

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, dotenv_settings, InitSettingsSource(settings_cls, written)

    variables = _variables()
    problems = _stray_variables(variables)
    try:
        settings = FromFile(**(over or {}))
    except ValidationError as invalid:
        stray = {variable for variable, _ in problems}
        errors = [error for error in invalid.errors() if _variable(error) not in stray]
        problems = [*(_problem(error, variables) for error in errors), *problems]
    except SettingsSourceError as undecodable:
        problems = [_undecodable(undecodable), *problems]
    if problems:
        raise SettingsError(problems)
    return settings


class _PlainYaml(yaml.SafeLoader):
    """YAML in which every value is text until the settings say otherwise, and no key stands twice.

    So `007` stays a userid, `18:00` a time (YAML 1.1 reads 1080), `1.5` no duration, and `off` itself.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        known = set()
        for key, _ in node.value:
            if key.value in known and key.tag != _MERGE:
                raise yaml.constructor.ConstructorError(None, None, "this key stands here twice", key.start_mark)
            known.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


_MERGE, _NULL = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:null"
_PlainYaml.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in (_MERGE, _NULL)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _read(path: Path) -> dict[str, Any]:
    """The file as nested dicts. Raises SettingsError, with nothing of what the file says in it."""
    try:
        written = yaml.load(path.read_bytes(), _PlainYaml)  # noqa: S506  a SafeLoader
    except FileNotFoundError:
        raise SettingsError([(str(path), "no such file; name it with --settings PATH")]) from None
    except OSError as refused:
        raise SettingsError([(str(path), f"cannot be read: {refused.strerror}")]) from None
    except yaml.MarkedYAMLError as broken:
        raise SettingsError([(str(path), _place(broken))]) from None
    except (yaml.YAMLError, ValueError):
        raise SettingsError([(str(path), "is no UTF-8 text")]) from None
    if not isinstance(written, dict | None):
        raise SettingsError([(str(path), "must hold sections such as `wecom:`")])
    return {str(section): value for section, value in (written or {}).items() if value is not None}


def _place(broken: yaml.MarkedYAMLError) -> str:
    """Where it broke and why, in one line; quoted pieces of the file are left out, they may be a secret."""
    mark = broken.problem_mark or broken.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    why = re.sub(r"'(?!<)[^']{2,}'", "…", broken.problem or "not valid YAML")
    return f"{where}{why}"


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
    """Everything that must never stand in a log. The keys of webhook robots stand in their addresses."""
    held = [
        settings.wecom.secret,
        settings.callback.token,
        settings.callback.encoding_aes_key,
        settings.group.aibot.secret,
        *(each.secret for each in settings.webhooks),
    ]
    addresses = [settings.group.webhook.url, *(each.url for each in settings.webhooks)]
    in_addresses = [value for address in addresses for _, value in parse_qsl(urlsplit(address).query)]
    return [secret.get_secret_value() for secret in held] + in_addresses


def _plain(value: SecretStr | str) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


# -- problems in words


def _problem(error: Any, variables: frozenset[str]) -> tuple[str, str]:
    loc = [part for part in error["loc"] if not str(part).startswith(("function-", "constrained-"))]
    key = ".".join(map(str, loc))
    if error["type"] == "extra_forbidden":
        return key, f"unknown key{_suggestion(loc)}{_set_by(loc, variables)}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return key, f"{message[0].lower()}{message[1:]}{_found(error, key)}{_set_by(loc, variables)}"


def _found(error: Any, key: str) -> str:
    """What stood there, unless it may be a secret or is no single value."""
    shown = error.get("input")
    whole = error["type"] in ("model_type", "dict_type", "list_type", "missing") or isinstance(shown, dict | list)
    may_be_secret = re.search(r"secret|token|aes_key|url|webhooks", key) or "JSON" in error["msg"]
    return "" if whole or may_be_secret else f" (found {shown!r:.80})"


def _suggestion(loc: list[Any]) -> str:
    """The key that was probably meant, looked up in the section where the unknown one stands."""
    near = difflib.get_close_matches(str(loc[-1]), _keys(_section_at(loc[:-1])), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _set_by(loc: list[Any], variables: frozenset[str]) -> str:
    """Which variable said it, where it was not the file."""
    names = [_spelled(loc[:length]) for length in range(len(loc), 0, -1)]
    said = next((name for name in names if name in variables), "")
    return f", set by {said}" if said else ""


def _undecodable(error: SettingsSourceError) -> tuple[str, str]:
    """A whole section in one variable, not written as JSON."""
    section = "".join(re.findall(r'field "(\w+)"', str(error))) or "?"
    variable = _spelled([section])
    return section, f"{variable} must hold JSON; or set single keys, such as {variable}__{_first(section)}"


def _first(section: str) -> str:
    return next(iter(_keys(_section_at([section]))), "key").upper()


# -- variables


def _variables() -> frozenset[str]:
    """Names of ours in the environment and in `.env`, in capitals."""
    try:
        filed = dotenv_values(ENV_FILE, encoding="utf-8-sig") if Path(ENV_FILE).is_file() else {}
    except (OSError, UnicodeDecodeError):
        raise SettingsError([(ENV_FILE, "cannot be read, or is no UTF-8 text")]) from None
    return frozenset(name.upper() for name in (*os.environ, *filed) if name.upper().startswith(PREFIX))


def _stray_variables(variables: frozenset[str]) -> list[tuple[str, str]]:
    """Variables that set nothing: pydantic-settings passes over most of them in silence."""
    found = []
    for variable in sorted(variables):
        wrong = _wrong_with(variable)
        if wrong:
            found.append((variable, wrong))
    return found


def _wrong_with(variable: str) -> str:
    parts = variable.removeprefix(PREFIX).lower().split("__")
    section: type[BaseModel] | None = Settings
    for length, part in enumerate(parts, start=1):
        field = _field(section, part)
        if field is None:
            return f"unknown setting{_meant(variable)}"
        if get_origin(field.annotation) in (dict, list) and length < len(parts):
            whole = _spelled(parts[:length])
            return f'names of variables know no case: set {whole} to JSON, such as {{"wk…": …}}'
        section = _section_in(field.annotation)
    return ""


def _meant(variable: str) -> str:
    near = difflib.get_close_matches(variable, [_spelled(loc) for loc in _leaves(Settings)], n=1, cutoff=0.75)
    return f"; did you mean {near[0]}?" if near else ""


def _variable(error: Any) -> str:
    return _spelled(error["loc"])


def _spelled(loc: Any) -> str:
    return PREFIX + "__".join(str(part) for part in loc).upper()


# -- the tree of keys


def _leaves(section: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in section.model_fields.items():
        here = (*above, field.alias or name)
        below = _section_in(field.annotation)
        if below is None or get_origin(field.annotation) in (dict, list):
            yield here
        else:
            yield from _leaves(below, here)


def _section_at(loc: list[Any]) -> type[BaseModel] | None:
    """The section that these keys lead to; keys of mappings and places in lists are passed over."""
    section: type[BaseModel] | None = Settings
    for part in loc:
        field = _field(section, str(part))
        section = section if field is None else _section_in(field.annotation)
    return section


def _field(section: type[BaseModel] | None, key: str) -> Any:
    fields = section.model_fields if section else {}
    return next((field for name, field in fields.items() if (field.alias or name) == key), None)


def _keys(section: type[BaseModel] | None) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()] if section else []


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section a type holds: itself, as an option, or as the values of a mapping or list."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)
