"""Who may look at the board: names, passwords, accounts, sessions, waits, what a proxy says, where a log-in leads."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from argon2 import PasswordHasher
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request

from alerts.board.access import passwords
from alerts.board.access.accounts import Accounts, examine_accounts
from alerts.board.access.apart import Apart, Busy
from alerts.board.access.forms import comes_from_us, local_path
from alerts.board.access.names import fit_name, folded
from alerts.board.access.passwords import hashed, is_old, is_right, password_problem
from alerts.board.access.proxy import Nobody, Proxy, role_of
from alerts.board.access.roles import BoardRole, Who
from alerts.board.access.sessions import Sessions
from alerts.board.access.throttle import LONGEST_NAME_WAIT, MOST, TRUSTED, Throttle
from alerts.board.frame.forms import read_form
from alerts.commands import board as board_command
from listener.clock import ManualClock
from listener.errors import ConfigError, Refused, UsageError
from listener.runtime.checks import CheckLevel
from listener.settings import board as board_settings
from listener.settings.board import BoardSettings, ProxySettings
from listener.webserver.body import NotTaken

NOW = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
GOOD = "fire ord om vinteren"


def asked(peer: str = "127.0.0.1", method: str = "GET", body: bytes = b"", **headers: str | list[str]) -> Request:
    lines = [(n.replace("_", "-"), v) for n, vs in headers.items() for v in ([vs] if isinstance(vs, str) else vs)]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "method": method,
        "path": "/",
        "query_string": b"",
        "scheme": "http",
        "client": (peer, 1),
        "server": ("127.0.0.1", 1),
        "headers": [(name.lower().encode(), value.encode("utf-8")) for name, value in lines],
    }
    return Request(scope, receive)


def test_the_settings_know_the_boards_roles() -> None:
    assert set(get_args(board_settings.Role)) == set(BoardRole)


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "a\x00b", "a\u202eb", "x" * 101, "\ud800"])
def test_what_cannot_stand_beside_a_decision_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"is empty|characters long|one line"):
        fit_name(text)


def test_a_name_is_the_same_however_it_is_typed() -> None:
    assert fit_name("  A\u030ase ") == "Åse"
    assert folded("A\u030aSE ") == folded("åse")


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("elleve tegn", "has 11 characters"),
        ("x" * 1001, "has 1,001 characters"),
        ("Kari Nordmann", "is the name"),
        ("KARI NORDMANN", "is the name"),
        ("nnamdron irak", "is the name"),
        ("Passord12345", "everybody tries"),
        ("abababababababab", "fewer than 5"),
        ("fire ord om\x00vinteren", "control character"),
    ],
)
def test_a_password_that_others_would_guess_is_refused(password: str, why: str) -> None:
    found = password_problem(password, "Kari Nordmann")
    assert found is not None
    assert why in found
    assert password not in found


def test_a_good_password_is_right_from_any_keyboard_and_a_wrong_one_is_not() -> None:
    assert password_problem("blåbær på fjellet", "Kari") is None
    digest = hashed("blåbær på fjellet")
    assert digest.startswith("$argon2id$")
    assert is_right(digest, "bla\u030abær på fjellet")
    assert not is_right(digest, "blåbær på fjellet ")
    assert not is_right("no hash", "blåbær på fjellet")
    assert not is_right(passwords.NOBODYS, "")
    assert not is_old(digest)
    assert is_old(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("x"))


def test_the_commonest_are_all_long_enough_to_be_tried() -> None:
    assert all(len(each) >= passwords.SHORTEST and each == folded(each) for each in passwords.COMMONEST)


def test_accounts_are_private_and_seen_by_others_at_once(tmp_path: Path) -> None:
    here, there = Accounts(tmp_path), Accounts(tmp_path)
    assert there.all() == {}
    found = examine_accounts(tmp_path, BoardSettings())
    assert (found.level, "lyttepost board user add" in (found.fix or "")) == (CheckLevel.WARNING, True)
    made = here.add(" Åse Øye ", BoardRole.OPS, "digest", NOW)
    assert stat.S_IMODE(here.path.stat().st_mode) == 0o600
    assert there.find("åse øye") == made
    assert "digest" not in repr(made)
    assert examine_accounts(tmp_path, BoardSettings()).level is CheckLevel.WARNING, "nobody of the crisis team"
    with pytest.raises(Refused, match="already"):
        there.add("ÅSE ØYE", BoardRole.READER, "other", NOW)
    promoted = there.set_role("Åse Øye", BoardRole.CRISIS_TEAM, NOW)
    assert examine_accounts(tmp_path, BoardSettings()).level is CheckLevel.OK
    assert promoted.stamp != made.stamp
    assert here.find("Åse Øye") == promoted
    changed = here.set_password("Åse Øye", "new", NOW)
    assert changed.stamp != promoted.stamp
    here.renew_digest(promoted, "late")
    assert here.read()[folded("Åse Øye")] == changed
    here.renew_digest(changed, "renewed")
    assert there.find("Åse Øye") == replace(changed, digest="renewed")
    there.remove("åse øye")
    assert here.find("Åse Øye") is None
    with pytest.raises(UsageError, match="no account"):
        here.remove("Åse Øye")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".board-accounts.json")] == []


def test_two_who_add_at_once_lose_nobody(tmp_path: Path) -> None:
    def add(n: int) -> None:
        Accounts(tmp_path).add(f"person {n}", BoardRole.READER, "digest", NOW)

    threads = [threading.Thread(target=add, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(Accounts(tmp_path).all()) == 8


@pytest.mark.parametrize("text", ["", "[]", '{"accounts": [1]}', '{"accounts": [{"name": "a"}]}', "[" * 9_000])
def test_a_damaged_list_is_refused_at_start_and_told_once_later(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    accounts = Accounts(tmp_path)
    accounts.add("Kari", BoardRole.OPS, "digest", NOW)
    accounts.all()
    accounts.path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"board-accounts\.json: is no list of accounts any more; restore"):
        Accounts(tmp_path).all()
    assert accounts.find("Kari") is not None
    assert accounts.find("Kari") is not None
    assert len(caplog.records) == 1


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".board-accounts.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="nothing was changed"):
        Accounts(tmp_path).add("Kari", BoardRole.OPS, "digest", NOW)


def sessions(folder: Path, clock: ManualClock) -> Sessions:
    return Sessions(folder, clock, HOUR, 12 * HOUR)


def test_a_session_ends_when_nobody_is_at_it_and_at_the_latest_after_a_shift(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    ours = sessions(tmp_path, clock)
    idle = ours.begin("Kari", BoardRole.OPS, "password", "s")
    busy = ours.begin("Ola", BoardRole.READER, "oidc")
    for _ in range(3):
        clock.advance(timedelta(minutes=25))
        ours.find(idle, active=False)
        found = ours.find(busy)
        assert found is not None
        assert (found.name, found.role, found.way, found.stamp, found.created) == (
            *("Ola", BoardRole.READER, "oidc", ""),
            NOW,
        )
    assert ours.find(idle) is None
    for _ in range(26):
        clock.advance(timedelta(minutes=25))
        ours.find(busy)
    assert ours.find(busy) is None
    ours.close()


def test_others_and_a_restart_know_a_session_until_it_is_ended(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    ours, others = sessions(tmp_path, clock), sessions(tmp_path, clock)
    token = ours.begin("Kari", BoardRole.OPS, "password", "s")
    assert others.find(token) is not None
    assert others.key() == ours.key()
    assert len(ours.key()) == 32
    others.end(token)
    assert ours.find(token) is None
    assert ours.find("") is None
    ours.close()
    others.close()


def test_the_file_holds_no_token_and_is_ours_alone(tmp_path: Path) -> None:
    ours = sessions(tmp_path, ManualClock(NOW))
    token = ours.begin("Kari", BoardRole.OPS, "password", "s")
    for path in tmp_path.iterdir():
        assert token.encode() not in path.read_bytes()
        assert not path.stat().st_mode & 0o077
    ours.close()


def test_a_damaged_file_is_set_aside_and_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "board-sessions.sqlite"
    path.write_bytes(b"no database" * 1000)
    ours = sessions(tmp_path, ManualClock(NOW))
    token = ours.begin("Kari", BoardRole.OPS, "password", "s")
    assert ours.find(token) is not None
    assert (tmp_path / "board-sessions.sqlite.damaged").exists()
    assert "begun anew: everybody logs in once more" in caplog.text
    ours.close()


def test_a_removed_file_logs_everybody_out_and_makes_a_new_key(tmp_path: Path) -> None:
    ours = sessions(tmp_path, ManualClock(NOW))
    token, key = ours.begin("Kari", BoardRole.OPS, "password", "s"), ours.key()
    for path in tmp_path.glob("board-sessions*"):
        path.unlink()
    assert ours.find(token) is None
    assert ours.key() != key
    ours.close()


def test_who_is_at_it_stays_logged_in_though_it_cannot_be_noted(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    ours = sessions(tmp_path, clock)
    token = ours.begin("Kari", BoardRole.OPS, "password", "s")
    other = sqlite3.connect(tmp_path / "board-sessions.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    clock.advance(timedelta(minutes=2))
    assert ours.find(token) is not None
    other.close()
    ours.close()


def test_waits_grow_with_each_failure_and_what_is_refused_counts_for_nothing() -> None:
    clock = ManualClock(NOW)
    throttle = Throttle(clock)
    assert [throttle.attempt("Kari", "192.0.2.1") for _ in range(5)] == [0] * 5
    waits = []
    for _ in range(9):
        waits.append(throttle.attempt("kari", "192.0.2.1"))
        assert throttle.attempt("kari", "192.0.2.1") == waits[-1]
        clock.advance(timedelta(seconds=waits[-1]))
        assert throttle.attempt("kari", "192.0.2.1") == 0
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits == sorted(waits)


def test_a_hundred_tries_at_once_are_a_hundred() -> None:
    throttle = Throttle(ManualClock(NOW))
    assert sum(throttle.attempt("Kari", f"192.0.2.{n}") == 0 for n in range(100)) == 5


def test_no_stranger_locks_out_who_logged_in_from_there_lately() -> None:
    clock = ManualClock(NOW)
    throttle = Throttle(clock)
    assert throttle.attempt("Kari", "10.0.0.7") == 0
    throttle.succeeded("Kari", "10.0.0.7")
    for n in range(2_000):
        throttle.attempt("Kari", f"2001:db8:{n:x}::1")
        clock.advance(timedelta(seconds=1))
    assert throttle.attempt("Kari", "2001:db8:ffff::1") > 0
    assert throttle.attempt("Kari", "10.0.0.7") == 0
    throttle.succeeded("Kari", "10.0.0.7")
    # Nor a neighbour behind the same address who tries others.
    for n in range(100):
        throttle.attempt(f"annen {n}", "10.0.0.7")
    assert throttle.attempt("ny", "10.0.0.7") > 0
    assert throttle.attempt("Kari", "10.0.0.7") == 0


def test_from_elsewhere_a_name_waits_a_minute_at_most() -> None:
    clock = ManualClock(NOW)
    throttle = Throttle(clock)
    for n in range(100):
        clock.advance(timedelta(seconds=throttle.attempt("Kari", f"2001:db8:{n:x}::1")))
        throttle.attempt("Kari", f"2001:db8:{n:x}::2")
    assert 0 < throttle.attempt("Kari", "2001:db8:f00d::1") <= LONGEST_NAME_WAIT


def test_an_address_is_trusted_for_some_days_and_tries_are_forgotten() -> None:
    clock = ManualClock(NOW)
    throttle = Throttle(clock)
    throttle.attempt("Kari", "10.0.0.7")
    throttle.succeeded("Kari", "10.0.0.7")
    clock.advance(timedelta(seconds=TRUSTED))
    for n in range(5):
        throttle.attempt("Kari", f"192.0.2.{n}")
    assert throttle.attempt("Kari", "10.0.0.7") > 0
    clock.advance(HOUR)
    assert throttle.attempt("Kari", "10.0.0.7") == 0


def test_a_strangers_success_does_not_forgive_the_tries_at_others() -> None:
    throttle = Throttle(ManualClock(NOW))
    for n in range(9):
        assert throttle.attempt(f"navn {n}", "192.0.2.1") == 0
    assert throttle.attempt("egen", "192.0.2.1") == 0
    throttle.succeeded("egen", "192.0.2.1")
    assert throttle.attempt("navn 9", "192.0.2.1") == 0
    assert throttle.attempt("navn 10", "192.0.2.1") > 0


def test_little_is_kept_of_many_strangers() -> None:
    throttle = Throttle(ManualClock(NOW))
    for n in range(MOST):
        throttle.attempt(f"navn {n}", f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert len(throttle._counts) <= MOST


@pytest.mark.parametrize("path", ["/", "/alerts", "/story/a1?lang=en&x=%2F", "/logbook"])
def test_a_log_in_leads_to_a_page_of_ours(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "", "alerts", "//evil.example", "/\\evil.example", "/a\\b", "\\\\evil", "https://evil.example", "/a\n", "\t/a",
        "/\t/evil.example", "/%0d%0a" + "x" * 1000, "/æ", "javascript:alert(1)", "/ /evil", "/a//b", "/login",
        "/logout", "/login/oidc?next=/", "///evil", "/\x00",
    ],
)  # fmt: skip
def test_a_log_in_leads_nowhere_else(path: str) -> None:
    assert local_path(path) == "/"


@given(st.text(max_size=40))
@example("/\\/evil.example")
def test_whatever_is_asked_for_it_stays_here(text: str) -> None:
    found = local_path(text)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert found.isascii()
    assert found.isprintable()


@pytest.mark.parametrize(
    ("headers", "secure", "ours"),
    [
        ({"sec_fetch_site": "same-origin"}, True, True),
        ({"sec_fetch_site": "none"}, True, True),
        ({"sec_fetch_site": "cross-site"}, True, False),
        ({"sec_fetch_site": "same-site", "origin": "https://tavle.example"}, True, False),
        ({"origin": "https://tavle.example"}, True, True),
        ({"origin": "http://tavle.example"}, True, False),
        ({"origin": "http://tavle.example"}, False, True),
        ({"origin": "https://evil.example"}, True, False),
        ({"origin": "null"}, True, True),
        ({}, True, True),
    ],
)
def test_a_form_of_another_site_is_known_by_what_the_browser_says(
    headers: dict[str, str], secure: bool, ours: bool
) -> None:
    assert comes_from_us(asked(**headers), "tavle.example", secure) is ours


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"a=" + b"b" * 80_000, "application/x-www-form-urlencoded", 413),
        (b"a=b", "multipart/form-data; boundary=x", 415),
        (b"a=b", "", 415),
        (b"a=%ff", "application/x-www-form-urlencoded", 400),
        (b"a=\xff", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a=b" for _ in range(600)), "application/x-www-form-urlencoded", 400),
    ],
)
def test_a_body_that_is_no_form_of_ours_is_refused(body: bytes, kind: str, status: int) -> None:
    with pytest.raises(NotTaken) as refused:
        asyncio.run(read_form(asked(method="POST", body=body, content_type=kind)))
    assert refused.value.status == status


def test_a_form_is_read_as_browsers_send_it() -> None:
    request = asked(method="POST", body=b"name=%C3%85se+%C3%98ye&a=", content_type="application/x-www-form-urlencoded")
    form = asyncio.run(read_form(request))
    assert (form.one("name"), form.one("a")) == ("Åse Øye", "")


def proxy(**more: Any) -> Proxy:
    given: dict[str, Any] = {
        "addresses": ("127.0.0.1", "10.0.0.0/8"),
        "user_header": "X-Remote-User",
        "role_header": "X-Remote-Groups",
        "roles": {"beredskap": "crisis_team", "vakt": "duty_officer"},
    }
    return Proxy(ProxySettings(**(given | more)))


def test_the_proxy_says_who_somebody_is() -> None:
    request = asked("10.1.2.3", x_remote_user="Åse Øye", x_remote_groups="ansatte, vakt,beredskap")
    assert proxy().who(request) == Who("Åse Øye", BoardRole.CRISIS_TEAM)
    mapped = asked("::ffff:10.1.2.3", x_remote_user="Ola", x_remote_groups=["ansatte", "vakt"])
    assert proxy().who(mapped) == Who("Ola", BoardRole.DUTY_OFFICER)


def test_anybody_else_may_say_so_in_vain_and_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    ours = proxy()
    for peer in ("192.0.2.1", "11.0.0.1", "::1", "testclient"):
        request = asked(
            peer, x_remote_user="Hemmelig Navn", x_remote_groups="beredskap", x_forwarded_proto="https",
            x_forwarded_for="10.0.0.1", x_forwarded_host="evil.example", host="tavle.example",
        )  # fmt: skip
        assert ours.who(request) is Nobody.UNNAMED
        assert not ours.says_https(request)
        assert ours.host(request) == "tavle.example"
        assert ours.address(request) == (peer if peer != "testclient" else "an unknown address")
    assert len(caplog.records) == 3
    assert "X-Remote-User from 192.0.2.1 is ignored" in caplog.text
    assert "Hemmelig" not in caplog.text


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, Nobody.UNNAMED),
        ({"x_remote_user": "Ola"}, Nobody.NO_ROLE),
        ({"x_remote_user": "Ola", "x_remote_groups": "ansatte"}, Nobody.NO_ROLE),
        ({"x_remote_user": ["Ola", "Kari"], "x_remote_groups": "vakt"}, Nobody.UNNAMED),
        ({"x_remote_user": "", "x_remote_groups": "vakt"}, Nobody.UNNAMED),
        ({"x_remote_user": "Ola\u202e", "x_remote_groups": "vakt"}, Nobody.UNNAMED),
    ],
)
def test_whom_the_proxy_does_not_name_with_a_role_is_nobody(headers: dict[str, Any], found: Nobody) -> None:
    assert proxy().who(asked(**headers)) is found


def test_without_a_proxy_no_header_counts() -> None:
    none = Proxy(None)
    request = asked(x_remote_user="Ola", x_forwarded_proto="https", x_forwarded_for="192.0.2.9")
    assert none.who(request) is Nobody.UNNAMED
    assert not none.says_https(request)
    assert none.address(request) == "127.0.0.1"


@pytest.mark.parametrize(
    ("hops", "address"),
    [
        ("192.0.2.9", "192.0.2.9"),
        ("198.51.100.1, 192.0.2.9, 10.0.0.2", "192.0.2.9"),
        ("nonsense, 10.0.0.2", "10.0.0.2"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("192.0.2.9:4711", "192.0.2.9"),
        ("", "127.0.0.1"),
    ],
)
def test_whose_address_it_is_behind_proxies(hops: str, address: str) -> None:
    assert proxy().address(asked(x_forwarded_for=hops)) == address


def test_of_several_roles_the_one_counts_that_may_most() -> None:
    roles = {"a": "reader", "b": "duty_officer", "*": "ops"}
    assert role_of(["a", "b"], roles) is BoardRole.DUTY_OFFICER
    assert role_of(["x"], roles) is BoardRole.OPS
    assert role_of(["*"], {"a": "reader"}) is None
    assert role_of([], {"a": "reader"}) is None


def test_slow_work_is_done_apart_by_few_at_a_time_and_the_rest_is_sent_away() -> None:
    async def scene() -> None:
        apart, go = Apart(2, 1, "test"), threading.Event()
        busiest: list[int] = []
        now: list[int] = []

        def work() -> int:
            now.append(1)
            busiest.append(len(now))
            go.wait(5)
            now.pop()
            return 7

        waiting = [asyncio.create_task(apart.run(work)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await apart.run(work)
        go.set()
        assert await asyncio.gather(*waiting) == [7, 7, 7]
        assert max(busiest) <= 2
        with pytest.raises(ZeroDivisionError):
            await apart.run(lambda: 1 // 0)
        assert await apart.run(lambda: 8) == 8

    asyncio.run(scene())


def test_the_file_of_accounts_reads_as_it_is_written(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    accounts.add("Kari", BoardRole.OPS, "digest", NOW)
    told = json.loads(accounts.path.read_text(encoding="utf-8"))
    assert [each["name"] for each in told["accounts"]] == ["Kari"]
    os.utime(accounts.path, (1, 1))
    assert Accounts(tmp_path).find("Kari") == accounts.find("Kari")


def test_on_a_terminal_the_password_is_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: answers.pop(0))
    answers[:] = [GOOD, GOOD]
    assert board_command._password("Kari", from_stdin=False) == GOOD
    answers[:] = [GOOD, "noe helt annet"]
    with pytest.raises(UsageError, match="not the same"):
        board_command._password("Kari", from_stdin=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(UsageError, match="--password-stdin"):
        board_command._password("Kari", from_stdin=False)
