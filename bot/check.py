"""`bot.py check`: is everything there that the bot needs, and what to do about what is not. One small function a check.

Sends nothing to customers or to the group, and never takes the group's connection away from a bot that is running.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import secrets
import struct
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bot import log
from bot.channels.aibot import AibotChannel
from bot.core import Core
from bot.errors import StorageError, WeComError, WeComUnavailable
from bot.http import decode
from bot.model import CardTap, GroupMessage, KfAccount
from bot.server import CALLBACK
from bot.settings import Settings, exposed_files, missing_for_run, secrets_of
from bot.wecom.errcodes import meaning_of

FINE, FAILED, BAD_SETTINGS = 0, 1, 2

CLOCK_WARN, CLOCK_FAIL = 5.0, 60.0  # seconds; callbacks that are ten minutes off are refused
ECHO_SECONDS = 1.0  # WeCom waits no longer for the answer to its echo
ECHO_PATIENCE = 5.0  # what is waited here, to tell a slow answer from none
LOOKED_THROUGH = 30.0  # seconds in which the database is looked through, or as far as that is
LOCAL_SECONDS = 5.0  # more than a running bot takes to say that it is not well
GROUP_SECONDS = 12.0  # dialling and subscribing; a bad secret may be met with ten seconds of silence
LOOK_AGAIN = 0.05
NOT_TRUSTED = 60020
MOST_NAMES = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `ok` None: no verdict; with a remedy it is a warning, without one a check that was skipped."""

    name: str
    ok: bool | None
    detail: str
    remedy: str | None = None

    @property
    def mark(self) -> str:
        if self.ok is None:
            return "⚠️" if self.remedy else "➖"
        return "✅" if self.ok else "❌"


@dataclass
class Bench:
    """What the checks stand on, and what earlier ones have found for later ones."""

    core: Core
    accounts: list[KfAccount] = field(default_factory=list)
    accounts_error: WeComError | None = None
    path: Path | None = None  # of the settings

    @property
    def settings(self) -> Settings:
        return self.core.settings

    def good(self, name: str, text: str, **values: Any) -> Finding:
        return Finding(name, True, self.core.say(f"check.{text}", **values))

    def warning(self, name: str, text: str, **values: Any) -> Finding:
        return Finding(name, None, self._detail(text, values), self._remedy(text, values))

    def bad(self, name: str, text: str, **values: Any) -> Finding:
        return Finding(name, False, self._detail(text, values), self._remedy(text, values))

    def skipped(self, name: str, missing: str) -> Finding:
        return Finding(name, None, self.core.say("check.skipped", missing=self.title(missing)))

    def refused(self, name: str, error: WeComError, of: str = "") -> Finding:
        """What WeCom says, what it means and what to do. `of`: which account."""
        meaning, english = meaning_of(error.errcode), self.core.say.lang == "en"
        said = error.errmsg if isinstance(error, WeComUnavailable) else str(error.errcode)
        detail = f"{of}{meaning.en if english else meaning.zh} ({said})"
        return Finding(name, False, detail, meaning.remedy_en if english else meaning.remedy_zh)

    def title(self, name: str) -> str:
        return self.core.say(f"check.name.{name}")

    def _detail(self, text: str, values: dict[str, Any]) -> str:
        return self.core.say(f"check.{text}", **values)

    def _remedy(self, text: str, values: dict[str, Any]) -> str:
        return self.core.say(f"check.{text}.remedy", **values)


Look = Callable[[Bench], Awaitable[list[Finding]]]


@dataclass(frozen=True, slots=True)
class Check:
    """`needs`: the check that must not have failed, or been skipped, for this one to make sense."""

    name: str
    look: Look
    needs: str = ""


# -- settings, storage, clock


async def _settings(bench: Bench) -> list[Finding]:
    missing = [key for key, _ in missing_for_run(bench.settings)]
    if not missing:
        wecom = bench.settings.wecom
        return [bench.good("settings", "settings.good", corp_id=wecom.corp_id, api_base=wecom.api_base)]
    kinds = {True: "settings.empty", False: "settings.half"}
    return [bench.bad("settings", kinds[key.startswith("wecom.")], key=key) for key in missing]


async def _storage(bench: Bench) -> list[Finding]:
    """A database that is not there yet is not made here."""
    path = bench.settings.storage.path.absolute()
    if not path.exists():
        return [_place_for(bench, path)]
    try:
        await bench.core.database.integrity.check(LOOKED_THROUGH)
        await bench.core.open()
        await bench.core.database.prove()
    except StorageError as failed:
        return [bench.bad("storage", "storage.broken", why=bench.core.say.storage(failed))]
    return [bench.good("storage", "storage.good", path=path)]


async def _files(bench: Bench) -> list[Finding]:
    """Secrets lie where only the bot can read them."""
    open_to_all = exposed_files(bench.settings, bench.path)
    if not open_to_all:
        return [bench.good("files", "files.good")]
    return [bench.bad("files", "files.open", path=each) for each in open_to_all]


def _place_for(bench: Bench, path: Path) -> Finding:
    """The nearest folder that exists is where the others would be made."""
    folder = next(each for each in path.parents if each.exists())
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return bench.good("storage", "storage.new", path=path)
    return bench.bad("storage", "storage.unwritable", path=path, folder=folder)


async def _clock(bench: Bench) -> list[Finding]:
    asked = time.time()
    try:
        theirs = await bench.core.http.server_time(f"{bench.settings.wecom.api_base}/")
    except WeComError as failed:
        return [bench.warning("clock", "clock.unreachable", why=failed.errmsg)]
    if theirs is None:
        return [bench.warning("clock", "clock.untold")]
    # Their clock is cut to whole seconds, and was read somewhere between question and answer.
    ahead = (asked + time.time()) / 2 - (theirs + 0.5)
    if abs(ahead) > CLOCK_FAIL:
        return [bench.bad("clock", "clock.off", seconds=f"{round(ahead):+d}")]
    if abs(ahead) > CLOCK_WARN:
        return [bench.warning("clock", "clock.off", seconds=f"{round(ahead):+d}")]
    return [bench.good("clock", "clock.good", seconds=f"{round(ahead):+d}")]


# -- WeCom


async def _token(bench: Bench) -> list[Finding]:
    try:
        await bench.core.kf.check_token()
    except WeComError as failed:
        return [bench.refused("token", failed)]
    return [bench.good("token", "token.good")]


async def _trusted_ip(bench: Bench) -> list[Finding]:
    """gettoken is answered to any address; the first real call tells."""
    try:
        bench.accounts = await bench.core.kf.accounts()
    except WeComError as failed:
        bench.accounts_error = failed
    error = bench.accounts_error
    if isinstance(error, WeComUnavailable) or (error and error.errcode == NOT_TRUSTED):
        return [bench.refused("trusted_ip", error)]
    return [bench.good("trusted_ip", "trusted_ip.good")]


async def _accounts(bench: Bench) -> list[Finding]:
    if bench.accounts_error is not None:
        return [bench.refused("accounts", bench.accounts_error)]
    wrong = _wrong_accounts(bench)
    watched = _watched(bench)
    if not watched:
        return [*wrong, bench.bad("accounts", "accounts.none")]
    return [bench.good("accounts", "accounts.good", names=_names(bench, watched)), *wrong]


def _wrong_accounts(bench: Bench) -> list[Finding]:
    """Ids in the settings that lead nowhere, and accounts that are not given to this app."""
    wanted, settings = bench.settings.kf.accounts, bench.settings
    managed = {each.open_kfid: each.manage_privilege for each in bench.accounts}
    unknown = [bench.bad("accounts", "accounts.unknown", account=each) for each in wanted if each not in managed]
    denied = [each for each in bench.accounts if not each.manage_privilege]
    refused = [_denied(bench, each) for each in denied]
    elsewhere = [("group.routes", each) for each in settings.group.routes]
    elsewhere += [("watch.accounts", each) for each in settings.watch.accounts]
    elsewhere += [("end.accounts", each) for each in settings.end.accounts]
    strays = [
        bench.warning("accounts", "accounts.stray", key=key, account=each)
        for key, each in elsewhere
        if each not in managed
    ]
    return [*unknown, *refused, *strays]


def _denied(bench: Bench, account: KfAccount) -> Finding:
    """Only what was asked for by name is missed."""
    say = bench.bad if account.open_kfid in bench.settings.kf.accounts else bench.warning
    return say("accounts", "accounts.denied", account=_name(bench, account))


def _watched(bench: Bench) -> list[KfAccount]:
    wanted = bench.settings.kf.accounts
    return [each for each in bench.accounts if each.manage_privilege and (not wanted or each.open_kfid in wanted)]


async def _servicers(bench: Bench) -> list[Finding]:
    return list(await asyncio.gather(*(_servicers_of(bench, each) for each in _watched(bench))))


async def _servicers_of(bench: Bench, account: KfAccount) -> Finding:
    name = _name(bench, account)
    try:
        servicers = await bench.core.kf.servicers(account.open_kfid)
    except WeComError as failed:
        return bench.refused("servicers", failed, f"{name}: ")
    if not servicers:
        return bench.warning("servicers", "servicers.none", account=name)
    if all(each.receiving is False for each in servicers):
        return bench.warning("servicers", "servicers.away", account=name, total=len(servicers))
    receiving = [each.userid for each in servicers if each.receiving]  # None: a department, or out of the app's sight
    values = {"account": name, "total": len(servicers), "receiving": len(receiving), "names": _some(bench, receiving)}
    return bench.good("servicers", "servicers.good", **values)


def _some(bench: Bench, names: list[str]) -> str:
    """Enough to choose from; an account may have two thousand."""
    return bench.core.say("check.accounts.and").join(names[:MOST_NAMES]) + ("…" if len(names) > MOST_NAMES else "")


def _names(bench: Bench, accounts: list[KfAccount]) -> str:
    return bench.core.say("check.accounts.and").join(_name(bench, each) for each in accounts)


def _name(bench: Bench, account: KfAccount) -> str:
    return f"{bench.core.say.plain(account.name)} {account.open_kfid}".strip()


# -- the running bot, seen from outside


def _here(settings: Settings) -> str:
    """Where a bot on this machine listens, as seen from this machine."""
    host = settings.server.host
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, host)  # noqa: S104  compared
    return f"http://{reachable}:{settings.server.port}"


async def _runs(bench: Bench) -> bool:
    with suppress(WeComError):
        _, answer = await bench.core.http.request("GET", f"{_here(bench.settings)}/healthz", seconds=LOCAL_SECONDS)
        return bool(decode(answer) == {"status": "up"})
    return False


# -- callback


async def _callback(bench: Bench) -> list[Finding]:
    """The same question that WeCom asks when the URL is saved in the console."""
    settings = bench.settings
    if not settings.callback.token.get_secret_value():
        return [bench.warning("callback", "callback.none")]
    public, running = settings.server.public_url, await _runs(bench)
    url = f"{public or _here(settings)}{CALLBACK}"
    if not public and not running:
        return [bench.warning("callback", "callback.down", url=url)]
    echo = Echo.fresh()
    started = time.monotonic()
    try:
        status, answer = await bench.core.http.request("GET", url, query=echo.asked(settings), seconds=ECHO_PATIENCE)
    except WeComError as failed:
        tell = bench.bad if running else bench.warning
        return [tell("callback", "callback.unreachable" if running else "callback.down", url=url, why=failed.errmsg)]
    return [_judged(bench, url, status, answer == echo.text.encode(), time.monotonic() - started)]


def _judged(bench: Bench, url: str, status: int, same: bool, seconds: float) -> Finding:
    if status == 403:
        return bench.bad("callback", "callback.keys", url=url)
    if status != 200 or not same:
        return bench.bad("callback", "callback.foreign", url=url, status=status)
    took = f"{seconds:.2f}"
    if seconds > ECHO_SECONDS:
        return bench.bad("callback", "callback.slow", url=url, seconds=took)
    if not bench.settings.server.public_url:
        return bench.warning("callback", "callback.local", url=url, seconds=took)
    return bench.good("callback", "callback.good", url=url, seconds=took)


@dataclass(frozen=True, slots=True)
class Echo:
    """Sealed here once more, by the vendor's description and not by the bot's own code: a second opinion on that.

    https://developer.work.weixin.qq.com/document/path/90968
    """

    text: str

    @classmethod
    def fresh(cls) -> Echo:
        return cls(str(secrets.randbits(63)))

    def asked(self, settings: Settings) -> dict[str, str]:
        """The query of WeCom's GET."""
        token = settings.callback.token.get_secret_value()
        sealed = self._sealed(settings.callback.encoding_aes_key.get_secret_value(), settings.wecom.corp_id)
        timestamp, nonce = str(int(time.time())), secrets.token_hex(8)
        joined = "".join(sorted((token, timestamp, nonce, sealed)))
        signature = hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest()
        return {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce, "echostr": sealed}

    def _sealed(self, encoding_aes_key: str, corp_id: str) -> str:
        key = base64.b64decode(encoding_aes_key + "=")
        text = self.text.encode()
        plain = secrets.token_bytes(16) + struct.pack(">I", len(text)) + text + corp_id.encode()
        short = 32 - len(plain) % 32
        encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
        return base64.b64encode(encryptor.update(plain + bytes([short]) * short) + encryptor.finalize()).decode()


# -- group


async def _group(bench: Bench) -> list[Finding]:
    """A bot_id has one connection, the newest: where a bot runs, its own word is taken, not its connection."""
    settings = bench.settings
    if not settings.group.aibot.bot_id:
        return [bench.warning("group", "group.none")]
    for base in filter(None, (_here(settings), settings.server.public_url)):
        problem = await _word_of_the_bot(bench, base)
        if problem is not None:
            return [bench.bad("group", "group.bad", why=problem) if problem else bench.good("group", "group.running")]
    problem = await _subscribed(bench)
    return [bench.bad("group", "group.bad", why=problem) if problem else bench.good("group", "group.good")]


async def _word_of_the_bot(bench: Bench, base: str) -> str | None:
    """What the bot there finds wrong with its group, empty for nothing; None where no bot is, and only there."""
    try:
        _, answer = await bench.core.http.request("GET", f"{base}/readyz", seconds=LOCAL_SECONDS)
    except WeComUnavailable as failed:
        return bench.core.say("check.group.silent", url=base) if failed.sent else None
    said = decode(answer)
    checks = said.get("checks") if isinstance(said, dict) else None
    if not isinstance(checks, dict):
        return None  # some other program
    return str(checks.get("group", checks.get("probe", "")))


async def _subscribed(bench: Bench) -> str:
    """Connects, subscribes, leaves. Returns what is wrong, empty for nothing."""
    aibot = bench.settings.group.aibot
    channel = AibotChannel(
        bot_id=aibot.bot_id,
        secret=aibot.secret.get_secret_value(),
        name=aibot.name,
        url=aibot.url,
        connect=bench.core.http.ws_connect,
        on_alarm=lambda kind, text: None,
    )
    await channel.start(_unheard, _unheard)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(GROUP_SECONDS):
                await _decided(channel)
        return channel.problem
    finally:
        await channel.stop()


async def _decided(channel: AibotChannel) -> None:
    """Until it is connected, or has a new problem instead of the one every channel starts with."""
    at_first = channel.problem
    while not channel.ready and channel.problem == at_first:  # noqa: ASYNC110  a failed dial is told by `problem` alone
        await asyncio.sleep(LOOK_AGAIN)


async def _unheard(news: GroupMessage | CardTap) -> None:
    """There is no bot to answer."""


async def _routing(bench: Bench) -> list[Finding]:
    """No API tells how the console routes new sessions."""
    return [bench.warning("routing", "routing")]


CHECKS = (
    Check("settings", _settings),
    Check("files", _files),
    Check("storage", _storage),
    Check("clock", _clock),
    Check("token", _token, needs="settings"),
    Check("trusted_ip", _trusted_ip, needs="token"),
    Check("accounts", _accounts, needs="trusted_ip"),
    Check("servicers", _servicers, needs="accounts"),
    Check("callback", _callback, needs="settings"),
    Check("group", _group, needs="settings"),
    Check("routing", _routing),
)


# -- all of them


async def run_checks(settings: Settings, as_json: bool, path: Path | None = None) -> int:
    """Exit code: 0 fine (there may be warnings), 1 something fails, 2 settings that do not let the bot run."""
    listener = log.start(None, settings.log.level, False, secrets_of(settings), to_stdout=False)
    bench = Bench(Core(settings), path=path)
    try:
        findings = await _look_at_all(bench, as_json)
    finally:
        await bench.core.close()
        listener.stop()
    fine = all(each.ok is not False for each in findings)
    if as_json:
        click.echo(json.dumps({"ok": fine, "checks": [asdict(each) for each in findings]}, ensure_ascii=False))
    if any(each.ok is False and each.name == "settings" for each in findings):
        return BAD_SETTINGS
    return FINE if fine else FAILED


async def _look_at_all(bench: Bench, as_json: bool) -> list[Finding]:
    """Each line is printed when it is known: the slow ones are the interesting ones."""
    findings: list[Finding] = []
    without: dict[str, str] = {}  # checks that gave nothing to stand on, and the first cause
    redaction = log.Redaction(secrets_of(bench.settings))  # an address that is shown may hold a password
    for check in CHECKS:
        cause = without.get(check.needs)
        found = [bench.skipped(check.name, cause)] if cause else await _guarded(check, bench)
        if not any(each.ok for each in found):
            without[check.name] = cause or check.name
        found = [replace(each, detail=redaction.text(each.detail)) for each in found]
        findings += found
        if not as_json:
            click.echo("\n".join(_line(bench, each) for each in found))
    return findings


async def _guarded(check: Check, bench: Bench) -> list[Finding]:
    """A fault in one check must cost neither the others nor the document."""
    try:
        return await check.look(bench)
    except Exception as fault:
        place = traceback.extract_tb(fault.__traceback__)[-1]
        where = f"{type(fault).__name__}, {Path(place.filename).name}:{place.lineno}"
        return [bench.bad(check.name, "internal", where=where)]


def _line(bench: Bench, finding: Finding) -> str:
    line = f"{finding.mark} {bench.title(finding.name)}: {finding.detail}"
    return " ".join((f"{line} → {finding.remedy}" if finding.remedy else line).split())
