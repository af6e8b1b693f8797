"""Read settings.yaml, `.env` and the environment; tell everything that is wrong with them in one go, with its key."""

from __future__ import annotations

import difflib
import inspect
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from dotenv import dotenv_values
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource
from pydantic_settings import SettingsError as SettingsSourceError

from bot import faults
from bot.errors import SettingsError
from bot.settings import ENV_FILE, PREFIX, Settings


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
    names = {name.upper() for name in (*os.environ, *filed) if name.upper().startswith(PREFIX)}
    return frozenset(names - {faults.VARIABLE})  # which is no setting


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
