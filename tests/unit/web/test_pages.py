"""Both pages over a real socket: what a token buys, what a browser may do with them, and what they do not give away."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

import pytest
from aiohttp import ClientResponse, ClientSession, ClientTimeout, web

from bot import server
from bot.registry import Role
from bot.tokens import CUSTOMER_TTL, Tokens
from bot.web import pages as module
from bot.web.doors import AGENT_COOKIE, CUSTOMER_COOKIE, WRONG, Doors
from bot.web.limits import Limit
from bot.web.pages import STATIC, Pages
from bot.wecom.errcodes import meaning_of
from bot.wording import TEXT, Words
from tests.fakes import ANN, KF, LI, TENANT, FakeClock

PHRASE = "结束对话"
SECRET = b"of the tests"
OURS = sorted(file.name for file in STATIC.iterdir() if ".min." not in file.name)
SCRIPTS = [name for name in OURS if name.endswith(".js")]


class Seen(HTMLParser):
    """A page as a browser takes it apart."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._within = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._within, []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def body(self) -> dict[str, str | None]:
        [body] = self.all("body")
        return body

    @property
    def words(self) -> dict[str, dict[str, str]]:
        read: dict[str, dict[str, str]] = json.loads(self.texts["script"][0])
        return read


@dataclass
class Answer:
    status: int
    text: str
    response: ClientResponse

    @property
    def seen(self) -> Seen:
        return Seen(self.text)

    @property
    def policy(self) -> dict[str, str]:
        parts = self.response.headers["Content-Security-Policy"].split(";")
        return {name: rest for name, _, rest in (part.strip().partition(" ") for part in parts)}


@dataclass
class Stage:
    tokens: Tokens
    clock: FakeClock
    http: ClientSession
    port: int = 0

    @property
    def token(self) -> str:
        return self.tokens.customer_token(TENANT, KF, ANN)

    async def get(self, path: str, **headers: str) -> Answer:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.http.get(url, headers=headers, allow_redirects=False) as response:
            return Answer(response.status, await response.text(), response)

    async def raw(self, path: str) -> bytes:
        """As it stands: a client would tidy the path up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


Make = Callable[..., AsyncIterator[Stage]]


@pytest.fixture
def make(fake_clock: FakeClock) -> Make:
    async def made(*, lang: str = "zh", secure: bool = False, phrase: str = PHRASE, login: bool = False,
                   snooze: float = 600.0, addresses: Limit | None = None,
                   files: Limit | None = None) -> AsyncIterator[Stage]:  # fmt: skip
        tokens, say = Tokens(SECRET, fake_clock, tenant_id=TENANT), Words(lang, "kfbot", meaning_of)
        doors = Doors(tokens, say, secure=secure, addresses=addresses, files=files)
        app = web.Application()
        Pages(tokens, doors, fake_clock, say, phrase, login=login, snooze=snooze).add_to(app)
        runner = server.runner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with ClientSession(timeout=ClientTimeout(total=20)) as http:
            yield Stage(tokens, fake_clock, http, runner.addresses[0][1])
        await runner.cleanup()

    return made


@pytest.fixture
async def stage(make: Make) -> AsyncIterator[Stage]:
    async for ready in make():
        yield ready


@pytest.fixture
async def secure(make: Make) -> AsyncIterator[Stage]:
    async for ready in make(secure=True):
        yield ready


# -- the link


async def test_the_token_in_the_link_becomes_a_cookie_that_no_script_can_read(stage: Stage) -> None:
    token = stage.token
    answer = await stage.get(f"/h/{token}")
    assert (answer.status, answer.seen.body["data-status"]) == (200, "200")
    [cookie] = answer.response.headers.getall("Set-Cookie")
    name, *attributes = cookie.split("; ")
    assert name == f"{CUSTOMER_COOKIE}={token}"
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
    assert "Secure" not in attributes, "the demo is plain http"


async def test_the_cookie_lives_as_long_as_its_token(stage: Stage) -> None:
    token = stage.token
    for spent in (0, 3600):
        stage.clock.move(spent)
        [cookie] = (await stage.get(f"/h/{token}")).response.headers.getall("Set-Cookie")
        [left] = re.findall(r"Max-Age=(\d+)", cookie)
        assert CUSTOMER_TTL - spent - 2 <= int(left) <= CUSTOMER_TTL - spent


async def test_under_https_the_cookie_stays_there(secure: Stage) -> None:
    [cookie] = (await secure.get(f"/h/{secure.token}")).response.headers.getall("Set-Cookie")
    assert "Secure" in cookie.split("; ")


@pytest.mark.parametrize(
    "wrong", ["forged", "expired", "agent", "tenant", "cut", "unsigned", "text", "long", "letters"]
)
async def test_a_link_that_is_worth_nothing_shows_the_same_page_and_buys_nothing(stage: Stage, wrong: str) -> None:
    good = stage.token
    tokens = {
        "forged": Tokens(b"another secret", stage.clock).customer_token(TENANT, KF, ANN),
        "expired": stage.tokens.customer_token(TENANT, KF, ANN, ttl=0),
        "agent": stage.tokens.agent_token(LI, Role.ADMIN),
        "tenant": stage.tokens.customer_token("ww-other-corp", KF, ANN),
        "cut": good[:-1],
        "unsigned": good.rpartition(".")[0] + ".",
        "text": "hello",
        "long": good + "x" * 4000,
        "letters": "%E7%BB%93%22%3E%3Cscript%3E",
    }
    answer = await stage.get(f"/h/{tokens[wrong]}")
    assert (answer.status, answer.seen.body["data-status"]) == (401, "401")
    assert "Set-Cookie" not in answer.response.headers
    right = await stage.get(f"/h/{good}")
    assert answer.text == right.text.replace('data-status="200"', 'data-status="401"'), "nothing of it is in the page"


async def test_a_token_is_good_until_the_second_it_expires(stage: Stage) -> None:
    token = stage.tokens.customer_token(TENANT, KF, ANN, ttl=60)
    stage.clock.move(59)
    assert (await stage.get(f"/h/{token}")).status == 200
    stage.clock.move(1)
    assert (await stage.get(f"/h/{token}")).status == 401


async def test_without_the_token_the_page_still_loads_for_its_cookie(stage: Stage) -> None:
    answer = await stage.get("/h")
    assert (answer.status, answer.seen.body["data-status"]) == (200, "200")
    assert "Set-Cookie" not in answer.response.headers


async def test_whoever_tries_many_links_is_soon_told_to_wait(make: Make) -> None:
    moment = FakeClock()
    async for stage in make(addresses=Limit(1.0, 2 * WRONG, moment.now)):
        statuses = [(await stage.get("/h/guess")).status for _ in range(3)]
        assert statuses == [401, 401, 429]
        held = await stage.get(f"/h/{stage.token}")
        assert (held.status, held.seen.body["data-status"]) == (429, "429")
        assert "Set-Cookie" not in held.response.headers and int(held.response.headers["Retry-After"]) >= 1
        other = await stage.get(f"/h/{stage.token}", **{"X-Forwarded-For": "8.8.8.8"})
        assert other.status == 200, "others are not kept waiting"
        moment.move(float(held.response.headers["Retry-After"]))
        assert (await stage.get(f"/h/{stage.token}")).status == 200


async def test_whoever_loads_pages_and_files_without_end_is_told_to_wait(make: Make) -> None:
    async for stage in make(files=Limit(1.0, 6, FakeClock().now)):
        paths = ["/console", "/h", "/assets/console.css"] * 2
        assert [(await stage.get(path)).status for path in paths] == [200] * 6
        for path in paths[:3]:
            held = await stage.get(path)
            assert held.status == 429 and int(held.response.headers["Retry-After"]) >= 1
            assert (await stage.get(path, **{"X-Forwarded-For": "8.8.8.8"})).status == 200
        assert (await stage.get(f"/h/{stage.token}")).status == 200, "a customer's link has a limit of its own"


async def test_the_token_is_neither_in_the_page_nor_in_the_log(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    good, old = stage.token, stage.tokens.customer_token(TENANT, KF, ANN, ttl=-1)
    for token in (good, old, f"{good}x", "not-ours-at-all"):
        answer = await stage.get(f"/h/{token}")
        rest = {name: value for name, value in answer.response.headers.items() if name != "Set-Cookie"}
        assert token not in answer.text and token not in str(rest)
        assert token not in caplog.text


async def test_a_page_of_the_staff_gives_a_customers_cookie_nothing(stage: Stage) -> None:
    answer = await stage.get("/console", Cookie=f"{CUSTOMER_COOKIE}={stage.token}; {AGENT_COOKIE}=x")
    assert answer.status == 200 and "Set-Cookie" not in answer.response.headers


# -- what a browser may do with it


@pytest.mark.parametrize("path", ["/h/wrong", "/h", "/console"])
async def test_a_page_runs_our_own_files_and_nothing_else(stage: Stage, path: str) -> None:
    answer = await stage.get(path)
    headers, policy = answer.response.headers, answer.policy
    assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
    assert (headers["Referrer-Policy"], headers["Cross-Origin-Opener-Policy"]) == ("no-referrer", "same-origin")
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == f"'self' ws://127.0.0.1:{stage.port}"
    assert not any(word in str(policy) for word in ("unsafe", "*", "https:", "http:"))


async def test_under_https_so_is_the_socket(secure: Stage) -> None:
    answer = await secure.get("/h", Host="kf.example.com")
    assert answer.policy["connect-src"] == "'self' wss://kf.example.com"


@pytest.mark.parametrize("host", ["x; script-src *", "a b", "evil.example/..", "x,y", "h" * 300])
async def test_no_host_can_write_into_the_policy(stage: Stage, host: str) -> None:
    assert (await stage.get("/h", Host=host)).policy["connect-src"].strip() == "'self'"


@pytest.mark.parametrize("page", ["/h", "/console"])
async def test_nothing_in_a_page_needs_more_than_its_policy(stage: Stage, page: str) -> None:
    seen = (await stage.get(page)).seen
    for tag, attributes in seen.tags:
        assert "style" not in attributes and tag != "style", tag
        assert not [name for name in attributes if name.startswith("on")], tag
    for script in seen.all("script"):
        assert "src" in script or script == {"type": "application/json", "id": "words"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_turns_text_into_markup_or_code(name: str) -> None:
    source = (STATIC / name).read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", source)


def _scripts(first: str) -> Iterator[str]:
    """It, and what it imports."""
    found, wanted = set[str](), [first]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            wanted += re.findall(r"from '\./(.+?)'", (STATIC / name).read_text("utf-8"))
            yield name


@pytest.mark.parametrize("name", sorted(_scripts("customer.js")))
def test_the_customers_page_asks_no_more_than_a_phone_of_some_years_has(name: str) -> None:
    """The browsers inside other apps come from the phone's system: iOS 14, Chromium 86."""
    source = (STATIC / name).read_text("utf-8")
    young = r"AbortSignal\.timeout|\?\?=|\|\|=|&&=|\.at\(|\.replaceAll\(|replaceChildren|structuredClone|Object\.hasOwn"
    assert not re.search(young, source)


# -- files


@pytest.mark.parametrize("page", ["/h", "/console"])
async def test_every_file_that_a_page_names_is_there(stage: Stage, page: str) -> None:
    seen = (await stage.get(page)).seen
    named = {each.get("src") or each.get("href") for tag, each in seen.tags if tag in ("script", "link", "img")}
    assert named >= {"/assets/base.css", "/assets/words.js" if page == "/console" else "/assets/customer.js"}
    for path in named - {None}:
        assert path is not None and path.startswith("/assets/")
        answer = await stage.get(path)
        assert answer.status == 200, path
        assert answer.response.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", SCRIPTS)
async def test_every_script_finds_what_it_imports(stage: Stage, name: str) -> None:
    answer = await stage.get(f"/assets/{name}")
    assert (answer.status, answer.response.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    for imported in re.findall(r"from '\./(.+?)'", answer.text):
        assert (await stage.get(f"/assets/{imported}")).status == 200, imported


async def test_a_file_that_has_not_changed_is_not_sent_again(stage: Stage) -> None:
    first = await stage.get("/assets/base.css")
    again = await stage.get("/assets/base.css", **{"If-None-Match": first.response.headers["ETag"]})
    assert (first.status, again.status, again.text) == (200, 304, "")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/", "/assets", "/assets/customer.html", "/assets/console.html", "/assets/chart.LICENSE.md",
        "/assets/nothing.js", "/assets/../pages.py", "/assets/..%2fpages.py", "/assets/%2e%2e/pages.py",
        "/assets/..%5cpages.py", "/assets/%2fetc%2fpasswd", "/assets//etc/passwd", "/assets/base.css/",
        "/assets/base.css%00.js", "/static/base.css", "/h/", "/h/a/b",
    ],
)  # fmt: skip
async def test_nothing_else_is_given_out(stage: Stage, path: str) -> None:
    answer = await stage.raw(path)
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), answer[:80]
    assert b"root:" not in answer and b"import" not in answer


# -- words


@pytest.mark.parametrize(("path", "page"), [("/h", "customer"), ("/console", "console")])
async def test_a_page_brings_its_words_in_both_languages(stage: Stage, path: str, page: str) -> None:
    seen = (await stage.get(path)).seen
    keys = {key for key in TEXT if key.startswith(("page.", f"{page}."))}
    assert set(seen.words["zh"]) == set(seen.words["en"]) == keys
    assert all((seen.words["zh"][key], seen.words["en"][key]) == TEXT[key] for key in keys)


async def test_no_word_can_end_the_element_it_stands_in(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    wild = "</script><script src=/x></script><!--<script>\u2028 & {name}"
    monkeypatch.setitem(TEXT, "customer.title", (wild, wild))
    module._words.cache_clear()
    try:
        async for stage in make():
            seen = (await stage.get("/h")).seen
            assert len(seen.all("script")) == 2 and seen.words["zh"]["customer.title"] == wild
            assert "".join(seen.texts["title"]) == wild
    finally:
        module._words.cache_clear()


async def test_what_the_settings_say_is_text_in_the_page(make: Make) -> None:
    phrase = "\"><img src=x onerror=alert(1)> '$words' &amp; ${title}"
    async for stage in make(phrase=phrase):
        seen = (await stage.get("/h")).seen
        assert seen.body["data-phrase"] == phrase
        assert seen.all("img") == []


@pytest.mark.parametrize(("lang", "declared", "index"), [("zh", "zh-CN", 0), ("en", "en", 1)])
async def test_a_page_begins_in_the_bots_language(make: Make, lang: str, declared: str, index: int) -> None:
    async for stage in make(lang=lang, phrase=""):
        answer = await stage.get("/h")
        [html] = answer.seen.all("html")
        assert html["lang"] == declared
        assert answer.seen.texts["title"] == [TEXT["customer.title"][index]]
        assert f'<noscript><p class="card">{TEXT["page.noscript"][index]}</p></noscript>' in answer.text
        assert answer.seen.body["data-phrase"] == ""


@pytest.mark.parametrize("login", [True, False])
async def test_the_console_knows_whether_there_is_a_login(make: Make, login: bool) -> None:
    async for stage in make(login=login):
        assert (await stage.get("/console")).seen.body["data-login"] == ("wecom" if login else "")


@pytest.mark.parametrize(("seconds", "minutes"), [(600.0, "10"), (90.0, "2"), (604800.0, "10080")])
async def test_the_console_knows_for_how_long_a_card_snoozes(make: Make, seconds: float, minutes: str) -> None:
    async for stage in make(snooze=seconds):
        assert (await stage.get("/console")).seen.body["data-snooze"] == minutes
