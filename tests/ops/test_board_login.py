"""Logging in to the board as browsers do it: on a real socket, with passwords, through a proxy, and by a provider."""

from __future__ import annotations

import http.client
import json
import logging
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from argon2 import PasswordHasher
from certificates import authority, signed
from command_support import Machine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from alerts.board.access import oidc as oidc_module
from alerts.board.access.accounts import Accounts
from alerts.board.access.contract import Access
from alerts.board.access.make import make_access
from alerts.board.access.passwords import hashed, is_old
from alerts.board.access.roles import BoardRole
from alerts.notify.messages import load_messages
from alerts.situation.words import load_words
from listener.clock import ManualClock
from listener.errors import ConfigError
from listener.settings.files import packaged_config
from listener.settings.schema import Settings
from listener.webserver.server import WebServer, listen
from tests.fakes.oidc import CLIENT, SECRET, Provider, providing

NOW = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
PASSWORD = "fire ord om vinteren"
HASH = hashed(PASSWORD)
WORDS = {
    language: load_words(packaged_config(), load_messages(packaged_config(), language)) for language in ("nb", "en")
}


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def cookies(self) -> list[str]:
        return self.headers.get_all("set-cookie") or []

    def field(self, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found, self.text
        return unescape(found[1])

    @property
    def problem(self) -> str:
        found = re.search(r'role="alert">([^<]*)<', self.text)
        return unescape(found[1]) if found else ""


@dataclass
class Browser:
    port: int
    headers: dict[str, str] = field(default_factory=dict)
    trusts: ssl.SSLContext | None = None
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, form: Mapping[str, str] | None = None, **headers: str) -> Answer:
        body = None if form is None else urlencode(form)
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), "Accept": "text/html"}
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        sent |= self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        if self.trusts:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=20, context=self.trusts
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET" if form is None else "POST", path, body, sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()
        for line in answer.cookies:
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0].strip('"')
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return answer

    def log_in(self, name: str = "Åse Øye", password: str = PASSWORD, wanted: str = "", **headers: str) -> Answer:
        page = self.ask(f"/login?{urlencode({'next': wanted})}" if wanted else "/login")
        form = {"token": page.field("token"), "next": page.field("next"), "name": name, "password": password}
        return self.ask("/login", form, **headers)


@dataclass
class Board:
    folder: Path
    clock: ManualClock
    accounts: Accounts
    open: Callable[..., Browser]
    access: Access


@pytest.fixture
def boards(tmp_path: Path) -> Iterator[Callable[..., Board]]:
    servers: list[WebServer] = []

    def make(
        accounts: bool = True,
        clock: ManualClock | None = None,
        certificate: tuple[Path, Path] | None = None,
        **board: Any,
    ) -> Board:
        clock = clock or ManualClock(NOW)
        settings = Settings.model_validate({"board": board})
        access = make_access(settings, tmp_path, clock, WORDS)
        listed = Accounts(tmp_path)
        if accounts and not listed.all():
            listed.add("Åse Øye", BoardRole.CRISIS_TEAM, HASH, NOW)

        async def page(request: Request) -> Response:
            who = access.who(request, active=request.url.path != "/events")
            if who is None:
                return access.challenge(request)
            return PlainTextResponse(f"{who.name}|{who.role}|{access.form_token(request)}")

        async def act(request: Request) -> Response:
            token = (await request.body()).decode().removeprefix("token=")
            return PlainTextResponse("", 200 if access.is_ours(request, token) else 400)

        def app(_: WebServer) -> Starlette:
            routes = [Route("/act", act, methods=["POST"]), Route("/{path:path}", page, methods=["GET", "POST"])]
            return Starlette(routes=[*access.routes(), *routes])

        server = WebServer(app, listen("127.0.0.1", 0, "board"), "board-test", certificate=certificate)
        servers.append(server)
        return Board(tmp_path, clock, listed, lambda **headers: Browser(server.port, dict(headers)), access)

    yield make
    for each in servers:
        each.close()


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "alerts.board")
    return caplog


def test_who_logs_in_gets_to_the_page_they_asked_for(
    boards: Callable[..., Board], told: pytest.LogCaptureFixture
) -> None:
    browser = boards().open()
    first = browser.ask("/alerts?lang=en")
    assert (first.status, first.headers["location"]) == (303, "/login?next=%2Falerts%3Flang%3Den")
    done = browser.log_in(wanted="/alerts?lang=en")
    assert (done.status, done.headers["location"]) == (303, "/alerts?lang=en")
    (cookie,) = [each for each in done.cookies if each.startswith("lyttepost=")]
    assert {each.strip().lower() for each in cookie.split(";")[1:]} == {"httponly", "path=/", "samesite=lax"}
    assert browser.ask("/alerts").text.startswith("Åse Øye|crisis_team|")
    assert browser.ask("/login?next=/now").headers["location"] == "/now"
    assert "board: Åse Øye logged in from 127.0.0.1 by password as crisis_team" in told.text
    assert PASSWORD not in told.text
    assert browser.cookies["lyttepost"] not in told.text


def test_the_page_says_in_both_languages_what_it_asks_for(boards: Callable[..., Board]) -> None:
    page = boards().open().ask("/login")
    assert '<html lang="nb">' in page.text
    assert '<label for="name">Navn</label>' in page.text
    assert 'autocomplete="username"' in page.text
    assert 'autocomplete="current-password"' in page.text
    english = boards().open().ask("/login?lang=en")
    assert '<label for="password">Password</label>' in english.text
    assert 'action="/login?lang=en"' in english.text
    for each in (page, english):
        assert "default-src 'none'" in each.headers["content-security-policy"]
        assert each.headers["cache-control"] == "no-store"
        assert each.headers["referrer-policy"] == "no-referrer"
        assert "<script" not in each.text


def test_where_nobody_has_an_account_the_page_says_how_to_make_one(boards: Callable[..., Board]) -> None:
    page = boards(accounts=False).open().ask("/login?lang=en")
    assert "<code>lyttepost board user add NAME --role crisis_team</code>" in page.text
    assert "<form" not in page.text


def test_a_wrong_password_and_an_unknown_name_look_the_same(
    boards: Callable[..., Board], told: pytest.LogCaptureFixture
) -> None:
    browser = boards().open()
    wrong, unknown = browser.log_in(password="et helt annet ord"), browser.log_in(name="et passord skrevet her")
    assert (wrong.status, unknown.status) == (401, 401)
    assert wrong.problem == unknown.problem == WORDS["nb"].say("login.wrong")
    assert "lyttepost" not in browser.cookies
    assert 'value="Åse Øye"' in wrong.text
    assert "a log-in from 127.0.0.1 as Åse Øye failed" in told.text
    assert "a log-in from 127.0.0.1 failed" in told.text
    assert "passord skrevet" not in told.text
    assert "annet ord" not in told.text


def test_hostile_text_is_shown_as_text(boards: Callable[..., Board]) -> None:
    page = boards().open().log_in(name='"><script>alert(1)</script>', wanted="/a?<b>")
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "/login", "/%5cevil\t"]
)
def test_a_log_in_never_leads_elsewhere(boards: Callable[..., Board], wanted: str) -> None:
    browser = boards().open()
    page = browser.ask("/login")
    form = {"token": page.field("token"), "next": wanted, "name": "Åse Øye", "password": PASSWORD}
    assert browser.ask("/login", form).headers["location"] == "/"


def test_who_tries_too_often_is_told_how_long_to_wait(boards: Callable[..., Board]) -> None:
    board = boards()
    browser = board.open()
    assert [browser.log_in(password="feil feil feil").status for _ in range(5)] == [401] * 5
    refused = browser.log_in()
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert refused.problem == "For mange forsøk. Vent 1 sekund, og prøv igjen."
    board.clock.advance(timedelta(seconds=1))
    assert browser.log_in().status == 303


def test_a_form_that_is_not_this_browsers_is_refused(boards: Callable[..., Board]) -> None:
    board = boards()
    browser, other = board.open(), board.open()
    theirs = other.ask("/login").field("token")
    form = {"token": theirs, "next": "/", "name": "Åse Øye", "password": PASSWORD}
    browser.ask("/login")
    assert browser.ask("/login", form).status == 400
    assert board.open().ask("/login", form).status == 400
    assert board.open().ask("/login", form | {"token": ""}).status == 400
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        foreign = board.open(**headers).log_in()
        assert (foreign.status, foreign.problem) == (400, WORDS["nb"].say("login.old"))


def test_the_token_is_new_at_each_log_in_and_the_old_one_ends(boards: Callable[..., Board]) -> None:
    board = boards()
    browser = board.open()
    # What somebody else put there is no session, and becomes none.
    browser.cookies["lyttepost"] = "fastsatt-av-en-annen"
    page = browser.ask("/login")
    form = {"token": page.field("token"), "next": "/", "name": "Åse Øye", "password": PASSWORD}
    browser.ask("/login", form)
    first = browser.cookies["lyttepost"]
    assert first != "fastsatt-av-en-annen"
    again = board.open()
    page = again.ask("/login")
    again.cookies["lyttepost"] = first
    again.ask("/login", {"token": page.field("token"), "next": "/", "name": "Åse Øye", "password": PASSWORD})
    assert again.cookies["lyttepost"] != first
    assert browser.ask("/").status == 303


def test_each_form_of_a_session_holds_its_token_and_no_others(boards: Callable[..., Board]) -> None:
    board = boards()
    one, two = board.open(), board.open()
    one.log_in()
    two.log_in()
    mine, other = (each.ask("/").text.rpartition("|")[2] for each in (one, two))
    assert mine != other
    assert len(mine) == 43
    assert one.ask("/act", {"token": mine}).status == 200
    assert one.ask("/act", {"token": other}).status == 400
    assert one.ask("/act", {"token": ""}).status == 400
    assert board.open().ask("/act", {"token": ""}).status == 400
    assert one.ask("/act", {"token": mine}, Origin="https://evil.example").status == 400


def test_each_tab_of_a_browser_may_log_in(boards: Callable[..., Board]) -> None:
    browser = boards().open()
    first = browser.ask("/login?next=/a").field("token")
    browser.ask("/login?next=/b")
    form = {"token": first, "next": "/a", "name": "Åse Øye", "password": PASSWORD}
    assert browser.ask("/login", form).headers["location"] == "/a"


def test_logging_out_ends_it_at_once_and_needs_our_own_form(
    boards: Callable[..., Board], told: pytest.LogCaptureFixture
) -> None:
    board = boards()
    browser = board.open()
    browser.log_in()
    kept = dict(browser.cookies)
    assert browser.ask("/logout", {"token": "x"}).status == 400
    token = browser.ask("/").text.rpartition("|")[2]
    done = browser.ask("/logout", {"token": token})
    assert (done.status, done.headers["location"]) == (303, "/login?out=1")
    assert "Du er logget ut." in browser.ask("/login?out=1").text
    browser.cookies = kept
    assert browser.ask("/").status == 303
    assert "Åse Øye logged out from 127.0.0.1" in told.text


@pytest.mark.parametrize("change", ["password", "role", "remove", "removed file"])
def test_what_changes_an_account_ends_its_sessions_at_once(boards: Callable[..., Board], change: str) -> None:
    board = boards()
    browser = board.open()
    browser.log_in()
    assert browser.ask("/").status == 200
    match change:
        case "password":
            board.accounts.set_password("Åse Øye", HASH, NOW)
        case "role":
            board.accounts.set_role("Åse Øye", BoardRole.READER, NOW)
        case "remove":
            board.accounts.remove("Åse Øye")
        case _:
            board.accounts.path.unlink()
    assert browser.ask("/").status == 303


def test_a_page_that_updates_itself_keeps_nobody_logged_in(boards: Callable[..., Board]) -> None:
    board = boards()
    browser, busy = board.open(), board.open()
    browser.log_in()
    busy.log_in()
    for _ in range(4):
        board.clock.advance(timedelta(minutes=20))
        browser.ask("/events")
        busy.ask("/now")
    assert browser.ask("/events", Sec_Fetch_Mode="cors").status == 401
    assert busy.ask("/now").status == 200
    for _ in range(36):
        board.clock.advance(timedelta(minutes=20))
        busy.ask("/now")
    assert busy.ask("/now").status == 303


def test_a_restart_logs_nobody_out(boards: Callable[..., Board]) -> None:
    board = boards()
    browser = board.open()
    browser.log_in()
    form = browser.ask("/").text.rpartition("|")[2]
    again = boards(clock=board.clock).open()
    again.cookies = browser.cookies
    assert again.ask("/").text == f"Åse Øye|crisis_team|{form}"


def test_an_old_hash_is_made_anew_and_logs_nobody_out(boards: Callable[..., Board]) -> None:
    board = boards()
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    board.accounts.add("Ola", BoardRole.READER, old, NOW)
    browser = board.open()
    assert browser.log_in("ola").status == 303
    account = board.accounts.find("Ola")
    assert account is not None
    assert not is_old(account.digest)
    assert browser.ask("/").text.startswith("Ola|reader|")
    assert board.open().log_in("ola").status == 303


@pytest.mark.parametrize(
    ("form", "status"), [({"name": "x" * 80_000}, 413), ({"name": "a", "password": "b" * 1_100}, 401), ({}, 422)]
)
def test_forms_of_any_size_are_answered(boards: Callable[..., Board], form: dict[str, str], status: int) -> None:
    browser = boards().open()
    page = browser.ask("/login")
    answer = browser.ask("/login", {"token": page.field("token"), "next": "/"} | form)
    assert answer.status == status
    assert answer.problem


def test_a_post_without_a_session_and_a_script_are_told_to_log_in(boards: Callable[..., Board]) -> None:
    browser = boards().open()
    assert browser.ask("/anything", {"a": "b"}).headers["location"] == "/login"
    assert browser.ask("/events", Accept="text/event-stream").status == 401


PROXY = {
    "addresses": ["127.0.0.1"],
    "user_header": "X-Remote-User",
    "role_header": "X-Groups",
    "roles": {"beredskap": "crisis_team"},
}


def test_whom_the_proxy_names_is_in_and_its_forms_are_theirs(boards: Callable[..., Board]) -> None:
    board = boards(accounts=False, proxy=PROXY)
    kari = board.open(**{"X-Remote-User": "Kari", "X-Groups": "beredskap", "X-Forwarded-Proto": "https"})
    ola = board.open(**{"X-Remote-User": "Ola", "X-Groups": "beredskap", "X-Forwarded-Proto": "https"})
    name, role, token = kari.ask("/").text.split("|")
    assert (name, role) == ("Kari", "crisis_team")
    assert kari.ask("/act", {"token": token}).status == 200
    assert ola.ask("/act", {"token": token}).status == 400
    nobody = board.open(**{"X-Remote-User": "Per", "X-Groups": "ansatte"}).ask("/")
    assert (nobody.status, nobody.problem) == (403, WORDS["nb"].say("login.no_role"))
    assert WORDS["nb"].say("login.by_proxy") in board.open().ask("/login").text


def test_from_another_address_such_a_header_is_nothing(
    boards: Callable[..., Board], told: pytest.LogCaptureFixture
) -> None:
    board = boards(proxy=PROXY | {"addresses": ["192.0.2.1"]})
    browser = board.open(**{"X-Remote-User": "Kari", "X-Groups": "beredskap", "X-Forwarded-Proto": "https"})
    assert browser.ask("/").status == 303
    assert browser.ask("/").status == 303
    assert browser.log_in().status == 303
    assert "lyttepost" in browser.cookies
    assert told.text.count("X-Remote-User from 127.0.0.1 is ignored") == 1


def test_behind_a_proxy_that_says_https_the_cookie_is_for_https_alone(boards: Callable[..., Board]) -> None:
    board = boards(proxy={"addresses": ["127.0.0.1"]})
    browser = board.open(
        **{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "tavle.example", "X-Forwarded-For": "192.0.2.7"}
    )
    done = browser.log_in(Origin="https://tavle.example")
    assert done.status == 303
    (cookie,) = [each for each in done.cookies if each.startswith("__Host-lyttepost=")]
    attributes = {each.strip().lower() for each in cookie.split(";")[1:]}
    assert attributes == {"httponly", "path=/", "samesite=lax", "secure"}
    assert browser.ask("/").status == 200
    # A cookie that a page in the clear could have set is none.
    browser.cookies["lyttepost"] = browser.cookies.pop("__Host-lyttepost")
    assert browser.ask("/").status == 303


def test_under_our_own_certificate_the_cookie_is_for_https_alone(boards: Callable[..., Board], tmp_path: Path) -> None:
    ca = authority(tmp_path)
    certificate, key = signed(ca, "board")
    browser = boards(certificate=(certificate, key)).open()
    browser.trusts = ssl.create_default_context(cafile=str(ca))
    done = browser.log_in(Origin=f"https://127.0.0.1:{browser.port}")
    assert done.status == 303, done.problem
    assert "__Host-lyttepost" in browser.cookies
    assert all("secure" in each.lower() for each in done.cookies)
    assert browser.ask("/").text.startswith("Åse Øye|")


def test_from_another_machine_in_the_clear_nobody_is_asked_for_a_password(
    boards: Callable[..., Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    board = boards()
    monkeypatch.setattr("alerts.board.access.visitors.Visitors.is_open_to_all", lambda *_: True)
    browser = board.open()
    for path in ("/", "/login"):
        page = browser.ask(path)
        assert (page.status, page.problem) == (403, WORDS["nb"].say("login.plain"))
        assert "<form" not in page.text
        assert page.cookies == []


def test_an_exposed_board_does_not_start(tmp_path: Path) -> None:
    settings = Settings.model_validate({"board": {"host": "0.0.0.0"}})  # noqa: S104
    with pytest.raises(ConfigError, match=r"board\.host: 0\.0\.0\.0 is reached by others"):
        make_access(settings, tmp_path, ManualClock(NOW), WORDS)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing(NOW.timestamp()) as found:
        yield found


@pytest.fixture
def house(boards: Callable[..., Board], provider: Provider, tmp_path: Path) -> Callable[..., Board]:
    def make(**more: Any) -> Board:
        secret = tmp_path / "secret"
        secret.write_text(SECRET, encoding="utf-8")
        oidc = {
            "issuer": provider.issuer,
            "client_id": CLIENT,
            "client_secret_file": str(secret),
            "role_claim": "groups",
            "roles": {"beredskap": "crisis_team", "vakt": "duty_officer"},
        }
        return boards(accounts=False, url="http://127.0.0.1:9471", oidc=oidc | more)

    return make


def by_provider(browser: Browser, provider: Provider, wanted: str = "/alerts") -> Answer:
    """From the page of the log-in to the provider and back."""
    page = browser.ask(f"/login?{urlencode({'next': wanted})}")
    link = re.search(r'href="(/login/oidc[^"]*)"', page.text)
    assert link
    sent = browser.ask(unescape(link[1]))
    assert sent.status == 303, sent.text
    return browser.ask(back(provider.log_in(sent.headers["location"])))


def back(address: str) -> str:
    parts = urlsplit(address)
    assert parts.path == "/login/back"
    return f"{parts.path}?{parts.query}"


def test_the_houses_log_in_lets_somebody_in(
    house: Callable[..., Board], provider: Provider, told: pytest.LogCaptureFixture
) -> None:
    board = house()
    browser = board.open()
    done = by_provider(browser, provider)
    assert (done.status, done.headers["location"]) == (303, "/alerts"), done.problem
    assert browser.ask("/").text.startswith("Åse Øye|crisis_team|")
    assert "Åse Øye logged in from 127.0.0.1 by oidc as crisis_team" in told.text
    assert provider.auth[0].startswith("Basic ")
    assert by_provider(board.open(), provider).status == 303
    assert provider.asked.count("openid-configuration") == 1
    assert provider.asked.count("keys") == 1
    board.clock.advance(timedelta(hours=12))
    assert browser.ask("/").status == 303


def test_a_provider_that_takes_the_secret_in_the_body_gets_it_there(
    house: Callable[..., Board], provider: Provider
) -> None:
    provider.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert by_provider(house().open(), provider).status == 303
    assert provider.auth == [f"post:{CLIENT}:{SECRET}"]


def test_roles_may_lie_within_a_claim_and_be_everybodys(house: Callable[..., Board], provider: Provider) -> None:
    provider.claims = {"realm_access": {"roles": ["vakt"]}}
    browser = house(role_claim="realm_access.roles").open()
    by_provider(browser, provider)
    assert browser.ask("/").text.startswith("Åse Øye|duty_officer|")
    everybody = house(role_claim=None, roles={"*": "reader"}).open()
    by_provider(everybody, provider)
    assert everybody.ask("/").text.startswith("Åse Øye|reader|")


UNTRUSTED: dict[str, dict[str, Any]] = {
    "wrong nonce": {"claims": {"nonce": "another"}},
    "no nonce": {"claims": {"nonce": None}},
    "wrong audience": {"claims": {"aud": "another"}},
    "many audiences, another party": {"claims": {"aud": [CLIENT, "another"], "azp": "another"}},
    "many audiences, no party": {"claims": {"aud": [CLIENT, "another"]}},
    "no audience": {"claims": {"aud": None}},
    "wrong issuer": {"claims": {"iss": "https://evil.example"}},
    "no issuer": {"claims": {"iss": None}},
    "expired": {"claims": {"exp": int(NOW.timestamp()) - 120}},
    "not yet": {"claims": {"nbf": int(NOW.timestamp()) + 3600}},
    "no end": {"claims": {"exp": None}},
    "an end that is no time": {"claims": {"exp": "soon"}},
    "alg none": {"alg": "none"},
    "by our own secret": {"alg": "HS256"},
    "unknown key": {"kid": "unknown"},
    "forged": {"forged": True},
    "another's discovery": {"discovery": {"issuer": "https://evil.example"}},
    "keys in the clear": {"discovery": {"jwks_uri": "http://192.0.2.1/keys"}},
    "no token endpoint": {"discovery": {"token_endpoint": None}},
}


@pytest.mark.parametrize("wrong", UNTRUSTED.values(), ids=UNTRUSTED.keys())
def test_what_cannot_be_trusted_lets_nobody_in(
    house: Callable[..., Board], provider: Provider, wrong: dict[str, Any], told: pytest.LogCaptureFixture
) -> None:
    for name, value in wrong.items():
        setattr(provider, name, value)
    browser = house().open()
    answer = browser.ask("/login/oidc") if "discovery" in wrong else by_provider(browser, provider)
    assert (answer.status, answer.problem) == (403, WORDS["nb"].say("login.oidc_untrusted"))
    assert "lyttepost" not in browser.cookies
    assert browser.ask("/").status == 303
    assert "evil" not in told.text
    assert "a log-in by oidc from 127.0.0.1 failed: untrusted: " in told.text


@pytest.mark.parametrize(
    ("name", "value", "status", "problem"),
    [
        ("status", {"openid-configuration": 500}, 502, "away"),
        ("status", {"openid-configuration": 302}, 502, "away"),
        ("large", {"openid-configuration"}, 502, "away"),
        ("slow", {"openid-configuration"}, 502, "away"),
        ("status", {"token": 500}, 502, "away"),
        ("status", {"token": 302}, 502, "away"),
        ("large", {"token"}, 502, "away"),
        ("slow", {"token"}, 502, "away"),
        ("status", {"keys": 500}, 502, "away"),
        ("claims", {"groups": ["ansatte"]}, 403, "no_role"),
        ("claims", {"groups": None}, 403, "no_role"),
        ("claims", {"name": None}, 403, "no_name"),
        ("claims", {"name": "a\nb"}, 403, "no_name"),
    ],
)
def test_each_failure_says_what_to_do(
    house: Callable[..., Board],
    provider: Provider,
    name: str,
    value: Any,
    status: int,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if name == "slow":
        monkeypatch.setattr(oidc_module, "STEP_SECONDS", 0.5)
    setattr(provider, name, value)
    browser = house().open()
    answer = browser.ask("/login/oidc") if "openid-configuration" in value else by_provider(browser, provider)
    assert (answer.status, answer.problem) == (status, WORDS["nb"].say(f"login.oidc_{problem}"))
    setattr(provider, name, type(value)())
    monkeypatch.undo()
    assert by_provider(browser, provider).status == 303


def test_a_slow_provider_holds_up_nobody_else(
    house: Callable[..., Board], provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_module, "STEP_SECONDS", 3.0)
    provider.slow = {"openid-configuration"}
    board = house()
    answers: list[Answer] = []
    waiting = [threading.Thread(target=lambda: answers.append(board.open().ask("/login/oidc"))) for _ in range(5)]
    for each in waiting:
        each.start()
    while "openid-configuration" not in provider.asked:
        pass
    assert board.open().ask("/login").status == 200
    assert answers == []
    for each in waiting:
        each.join()
    assert {each.status for each in answers} == {502}


def test_a_provider_that_has_changed_its_keys_is_asked_for_them(
    house: Callable[..., Board], provider: Provider
) -> None:
    board = house()
    assert by_provider(board.open(), provider).status == 303
    provider.new_key("two")
    board.clock.advance(timedelta(minutes=1))
    assert by_provider(board.open(), provider).status == 303
    assert provider.asked.count("keys") == 2


def test_a_secret_that_the_provider_does_not_know_is_told(
    house: Callable[..., Board], provider: Provider, tmp_path: Path, told: pytest.LogCaptureFixture
) -> None:
    board = house()
    (tmp_path / "secret").write_text("en helt annen", encoding="utf-8")
    answer = by_provider(board.open(), provider)
    assert (answer.status, answer.problem) == (403, WORDS["nb"].say("login.oidc_refused"))
    assert "its token endpoint answers invalid_client" in told.text
    assert "en helt annen" not in told.text


def test_what_this_browser_did_not_begin_just_now_is_refused(house: Callable[..., Board], provider: Provider) -> None:
    board = house()
    browser, victim = board.open(), board.open()
    sent = provider.log_in(browser.ask("/login/oidc").headers["location"])
    victim.ask("/login/oidc")
    old = WORDS["nb"].say("login.oidc_old")
    assert victim.ask(back(sent)).problem == old
    assert board.open().ask(back(sent)).problem == old
    assert board.open().ask("/login/back").problem == old
    assert browser.ask(back(sent).replace("state=", "state=9")).problem == old
    late = board.open()
    sent = provider.log_in(late.ask("/login/oidc").headers["location"])
    board.clock.advance(timedelta(minutes=11))
    assert late.ask(back(sent)).problem == old


def test_a_code_counts_once(house: Callable[..., Board], provider: Provider) -> None:
    browser = house().open()
    sent = back(provider.log_in(browser.ask("/login/oidc").headers["location"]))
    kept = dict(browser.cookies)
    assert browser.ask(sent).status == 303
    browser.cookies = kept
    assert browser.ask(sent).problem == WORDS["nb"].say("login.oidc_refused")


@pytest.mark.parametrize(
    ("more", "problem"),
    [("error=access_denied", "denied"), ("", "denied"), ("code=x&iss=https://evil.example", "untrusted")],
)
def test_what_the_provider_refuses_is_said(
    house: Callable[..., Board], provider: Provider, more: str, problem: str
) -> None:
    browser = house().open()
    sent = back(provider.log_in(browser.ask("/login/oidc").headers["location"]))
    state = re.search(r"state=[^&]*", sent)
    assert state
    answer = browser.ask(f"/login/back?{state[0]}&{more}")
    assert (answer.status, answer.problem) == (403, WORDS["nb"].say(f"login.oidc_{problem}"))


def test_the_command_makes_accounts_and_changes_them(tmp_path: Path) -> None:
    machine = Machine(tmp_path)

    def user(*words: str, password: str = "") -> tuple[int, str, str]:
        done = machine.run("board", "user", *words, stdin=password.encode())
        return done.returncode, done.stdout, done.stderr

    assert user("list")[2].startswith("Nobody has an account")
    made = user("add", " Åse Øye ", "--role", "crisis_team", "--password-stdin", password=f"{PASSWORD}\nmore\n")
    assert made == (0, "", "Åse Øye may log in as crisis_team.\n")
    assert user("add", "åse øye", "--role", "reader", "--password-stdin", password=PASSWORD)[0] == 3
    for bad in ("passord12345", ""):
        code, out, err = user("add", "Ola Nordmann", "--role", "ops", "--password-stdin", password=bad)
        assert (code, out) == (2, "")
        assert err.startswith("lyttepost: the password ")
        assert "passord12345" not in err
    assert "--password-stdin" in user("add", "Ola", "--role", "ops")[2]
    assert user("add", "a\nb", "--role", "ops", "--password-stdin", password=PASSWORD)[0] == 2
    assert user("add", "Ola", "--role", "chief", "--password-stdin", password=PASSWORD)[0] == 2
    listed = json.loads(user("list", "--json")[1])
    assert [(each["name"], each["role"]) for each in listed] == [("Åse Øye", "crisis_team")]
    assert "digest" not in listed[0]
    assert user("role", "åse øye", "ops")[0] == 0
    assert user("list")[1].splitlines()[1].startswith("Åse Øye  ops  ")
    before = Accounts(machine.data).find("Åse Øye")
    assert user("password", "Åse Øye", "--password-stdin", password="noe helt annet igjen")[0] == 0
    after = Accounts(machine.data).find("Åse Øye")
    assert before is not None
    assert after is not None
    assert before.stamp != after.stamp
    assert user("password", "Ola", "--password-stdin", password=PASSWORD)[0] == 2
    assert user("remove", "Åse Øye")[0] == 0
    assert user("remove", "Åse Øye")[0] == 2
    assert json.loads(user("list", "--json")[1]) == []
