"""The Graph client against a fake host on a real socket: each way in which a call goes wrong, and what follows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from listener.clock import ManualClock
from listener.runtime.checks import CheckLevel
from listener.sources.common.graph.access import App, GraphAccess
from listener.sources.common.graph.answers import Answer, Outcome
from listener.sources.common.graph.client import GraphClient
from listener.sources.common.graph.doctor import examine_api, examine_token
from listener.sources.common.graph.pages import next_page
from listener.sources.common.graph.token import ask_token
from tests.fakes.graph import APP_SECRET, DEFAULT_TOKEN, GraphHost, KnownToken
from tests.fakes.platform import Request, Route

START = datetime(2031, 2, 3, 12, tzinfo=UTC)
SCOPES = frozenset({"read_town"})


class Town(GraphHost):
    """A list of posts."""

    name = "town"

    @classmethod
    def usual_token(cls) -> KnownToken:
        return KnownToken(scopes=SCOPES)

    def nodes(self) -> Iterable[Route]:
        return (
            self.node("post", "/one", lambda request: {"id": "7", "text": "Blålys &amp; røyk"}),
            self.edge("posts", "/{id}/posts", self.posts, "read_town"),
        )

    def posts(self, request: Request) -> dict[str, Any]:
        return self.page([{"id": str(number)} for number in range(7)], request)


@pytest.fixture
def clock() -> ManualClock:
    """Of the client alone: it moves when it is moved."""
    return ManualClock(START)


@pytest.fixture
def town(clock: ManualClock) -> Iterator[Town]:
    with Town(clock=clock) as host:
        yield host


@pytest.fixture
def client(town: Town, clock: ManualClock) -> Iterator[GraphClient]:
    made = client_of(town, clock)
    yield made
    made.close()


def client_of(town: Town, clock: ManualClock, **more: Any) -> GraphClient:
    file = more.pop("file", None)
    access = GraphAccess(
        "town.access_token", town.url, more.pop("version", "v26.0"), DEFAULT_TOKEN, file, App("77", APP_SECRET)
    )
    return GraphClient(access, clock, **{"chance": lambda: 0.5, **more})


def test_an_answer_is_given_with_when_and_in_which_version(client: GraphClient, town: Town) -> None:
    answer = client.get("one", {"fields": "id"})
    assert (answer.outcome, answer.data["text"], answer.version) == (Outcome.OK, "Blålys &amp; røyk", "v26.0")
    assert answer.date == START
    (asked,) = town.requests("post")
    assert asked.path == "/v26.0/one"
    assert len(asked.one("appsecret_proof")) == 64


def test_the_secret_is_proven_where_the_host_asks_for_it(clock: ManualClock) -> None:
    with Town(clock=clock, needs_proof=True) as town:
        assert client_of(town, clock).get("one").ok
        wrong = GraphAccess("town.access_token", town.url, "v26.0", DEFAULT_TOKEN, None, App("77", "another"))
        assert GraphClient(wrong, clock).get("one").outcome is Outcome.STOPPED


def test_pages_go_on_over_an_empty_one(client: GraphClient, town: Town) -> None:
    town.do("hollow", on="posts", times=2)
    found: list[Any] = []
    params: Any = {"limit": "3"}
    while params is not None:
        answer = client.get("9/posts", params)
        assert answer.ok
        found += [item["id"] for item in answer.items()]
        params = next_page(answer.data, params)
    assert found == [str(number) for number in range(7)]
    assert len(town.requests("posts")) == 5


@pytest.mark.parametrize(
    ("verb", "params", "outcome"),
    [
        ("status", {"status": 500, "body": {"error": {"code": 2}}}, Outcome.UNAVAILABLE),
        ("status", {"status": 503}, Outcome.UNAVAILABLE),
        ("status", {"status": 302, "headers": {"Location": "https://elsewhere.example/"}}, Outcome.UNAVAILABLE),
        ("status", {"status": 401}, Outcome.UNAVAILABLE),
        ("garbage", {}, Outcome.UNAVAILABLE),
        ("garbage", {"size": 10_000_000}, Outcome.UNAVAILABLE),
        ("cut", {}, Outcome.UNAVAILABLE),
        ("reset", {}, Outcome.UNAVAILABLE),
        ("error", {"code": 1}, Outcome.UNAVAILABLE),
        ("error", {"code": 100}, Outcome.STOPPED),
        ("error", {"code": 368}, Outcome.STOPPED),
        ("error", {"code": 10}, Outcome.FORBIDDEN),
        ("error", {"code": 190, "subcode": 492}, Outcome.FORBIDDEN),
    ],
    ids=lambda value: str(value)[:40],
)
def test_whatever_comes_is_an_outcome_and_the_next_call_is_well(
    client: GraphClient, town: Town, verb: str, params: dict[str, Any], outcome: Outcome
) -> None:
    town.do(verb, on="post", times=1, **params)
    answer = client.get("one")
    assert answer.outcome is outcome
    assert answer.data == {}
    assert client.get("one").ok


@pytest.mark.parametrize(("verb", "params"), [("hang", {"hold": 3600}), ("slow", {"hold": 3600})])
def test_a_call_that_hangs_or_drips_ends_in_its_time(town: Town, verb: str, params: dict[str, Any]) -> None:
    clock = ManualClock(START)
    client = client_of(town, clock, seconds=0.4)
    town.do(verb, on="post", times=1, **params)
    began = time.monotonic()
    assert client.get("one").outcome is Outcome.UNAVAILABLE
    assert time.monotonic() - began < 5
    assert client.get("one").ok


def test_pauses_grow_with_each_fault_and_begin_anew_after_a_success(client: GraphClient, town: Town) -> None:
    town.do("status", status=503, on="post", times=12)
    waits = [client.get("one").wait or 0 for _ in range(12)]
    assert waits == sorted(waits)
    assert waits[0] < 2.1
    assert 200 < waits[-1] <= 300
    assert client.get("one").ok
    town.do("status", status=503, on="post", times=1)
    assert (client.get("one").wait or 0) < 2.1


@pytest.mark.parametrize("code", [4, 17, 32, 613, 80001, 80002])
def test_limited_not_one_call_is_made_before_the_time_told(
    client: GraphClient, town: Town, clock: ManualClock, code: int
) -> None:
    town.do("limit", minutes=30, code=code)
    assert client.get("one").outcome is Outcome.RATE_LIMITED
    for _ in range(30):
        answer = client.get("9/posts")
        assert (answer.outcome, answer.asked) == (Outcome.RATE_LIMITED, False)
        assert answer.wait is not None
        assert answer.wait > 0
        clock.advance(timedelta(minutes=1))
    assert (town.too_early, client.calls) == (0, 1)
    clock.advance(timedelta(seconds=10))
    assert client.get("one").ok


def test_limited_without_a_time_it_waits_longer_each_time(client: GraphClient, town: Town, clock: ManualClock) -> None:
    town.do("limit", minutes=20, told=False)
    waits = []
    for _ in range(2):
        answer = client.get("one")
        assert answer.outcome is Outcome.RATE_LIMITED
        waits.append(answer.wait or 0)
        clock.advance(timedelta(seconds=waits[-1]))
    assert [round(wait / 60) for wait in waits] == [5, 10]


def test_limited_in_an_answer_that_breaks_off_it_waits_by_what_the_head_tells(
    client: GraphClient, town: Town, clock: ManualClock
) -> None:
    town.do("limit", minutes=4, told=False)
    town.do("cut", times=3)
    assert client.get("one").outcome is Outcome.RATE_LIMITED
    for _ in range(4):
        assert client.get("one").asked is False
        clock.advance(timedelta(minutes=1))
    assert (town.too_early, client.calls) == (0, 1)


@pytest.mark.parametrize("told", [True, False])
def test_limited_in_an_answer_that_stops_halfway_it_waits_by_what_the_head_tells(
    town: Town, clock: ManualClock, told: bool
) -> None:
    client = client_of(town, clock, seconds=1.0)
    town.do("limit", minutes=4, told=told)
    town.do("cut", times=3, hold=3600)
    assert client.get("one").outcome is Outcome.RATE_LIMITED
    for _ in range(4):
        assert client.get("one").asked is False
        clock.advance(timedelta(minutes=1))
    assert (town.too_early, client.calls) == (0, 1)


def test_limited_in_an_answer_whose_head_never_comes_nobody_was_told(town: Town, clock: ManualClock) -> None:
    client = client_of(town, clock, seconds=0.4)
    town.do("limit", minutes=4)
    town.do("slow", times=1, hold=3600)
    assert client.get("one").outcome is Outcome.UNAVAILABLE
    assert client.get("one").outcome is Outcome.RATE_LIMITED
    assert (client.get("one").asked, town.too_early) == (False, 0)


def test_told_to_wait_in_an_answer_that_is_too_large_it_waits(town: Town, clock: ManualClock) -> None:
    client = client_of(town, clock, largest=10)
    town.do("usage", percent=100, minutes=4)
    assert client.get("one").outcome is Outcome.UNAVAILABLE
    assert client.get("one").asked is False


def test_an_answer_that_tells_to_wait_is_given_and_obeyed(client: GraphClient, town: Town, clock: ManualClock) -> None:
    town.do("usage", percent=100, minutes=4)
    assert client.get("one").ok
    town.do("usage", percent=10)
    assert client.get("one").asked is False
    clock.advance(timedelta(minutes=4, seconds=1))
    assert client.get("one").ok


def test_what_an_earlier_process_was_told_holds_and_a_clock_set_back_makes_it_no_shorter(
    town: Town, clock: ManualClock
) -> None:
    town.do("limit", minutes=30)
    first = client_of(town, clock)
    first.get("one")
    until = first.shut_until
    assert (first.take_told_wait(), first.take_told_wait()) == (True, False)
    assert until is not None
    assert timedelta(minutes=30) < until - clock.now() < timedelta(minutes=31)
    second = client_of(town, clock)
    second.shut(until)
    assert second.get("one").asked is False
    clock._now += timedelta(hours=2)  # set by a person: no time has passed
    assert second.get("one").asked is False
    assert town.too_early == 0


def test_a_void_token_is_not_shown_again_and_another_is_taken_at_once(
    town: Town, clock: ManualClock, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(DEFAULT_TOKEN, encoding="utf-8")
    client = client_of(town, clock, file=file)
    town.do("expire", subcode=460)
    answer = client.get("one")
    assert (answer.outcome, answer.wait, answer.subcode) == (Outcome.UNAUTHORIZED, None, 460)
    for _ in range(3):
        assert client.get("one").asked is False
    assert len(town.requests("post")) == 1
    town.do("renew", token="another-token")
    file.write_text("another-token", encoding="utf-8")
    assert client.get("one").ok


def test_a_token_of_the_wrong_kind_gets_empty_lists_and_is_told_apart_by_what_it_is(
    client: GraphClient, town: Town, clock: ManualClock
) -> None:
    town.do("kind", kind="USER")
    assert client.get("9/posts").data == {"data": []}
    info, _ = ask_token(client)
    assert info is not None
    assert info.kind == "USER"
    levels = {check.id: check.level for check in examine_token(client, "town", SCOPES, {"PAGE"}, clock)}
    assert levels["town.token"] is CheckLevel.FAILED


def test_a_lost_permission_is_named(client: GraphClient, town: Town, clock: ManualClock) -> None:
    assert {c.level for c in examine_token(client, "town", SCOPES, {"PAGE"}, clock)} == {CheckLevel.OK}
    town.do("lose", scope="read_town")
    answer = client.get("9/posts")
    assert (answer.outcome, answer.wait) == (Outcome.FORBIDDEN, 3600)
    scopes = next(c for c in examine_token(client, "town", SCOPES, {"PAGE"}, clock) if c.id == "town.scopes")
    assert scopes.level is CheckLevel.FAILED or "not tell" in scopes.says


def test_a_token_that_ends_soon_is_told_of_and_one_that_is_over_too(clock: ManualClock) -> None:
    soon = KnownToken(scopes=SCOPES, data_expires=START + timedelta(days=5), expires=START + timedelta(days=50))
    with Town(clock=clock, known=soon) as town:
        client = client_of(town, clock)
        found = {c.id: c for c in examine_token(client, "town", SCOPES, {"PAGE"}, clock)}
        assert found["town.expiry"].level is CheckLevel.WARNING
        assert "5 more days" in found["town.expiry"].says
        clock.advance(timedelta(days=6))
        found = {c.id: c for c in examine_token(client, "town", SCOPES, {"PAGE"}, clock)}
        assert found["town.expiry"].level is CheckLevel.FAILED


def test_a_version_that_has_ended_is_told_once_and_by_doctor(
    client: GraphClient, town: Town, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get("one").ok
    assert client.outdated is None
    town.do("serve", version="v27.0")
    with caplog.at_level(logging.WARNING):
        answers: list[Answer] = [client.get("one") for _ in range(3)]
    assert client.outdated == "v27.0"
    assert caplog.text.count("has ended at Meta") == 1
    checks = {c.id: c for c in examine_api(client, "town", answers, clock)}
    assert checks["town.version"].level is CheckLevel.WARNING


def test_our_clock_is_held_against_metas(client: GraphClient, town: Town, clock: ManualClock) -> None:
    town.do("skew", seconds=3600)
    found = {c.id: c for c in examine_api(client, "town", [client.get("one")], clock)}
    assert found["town.clock"].level is CheckLevel.FAILED
    assert "3600 s behind" in found["town.clock"].says


def test_the_token_and_what_meta_says_are_in_no_log_and_no_word_of_ours(
    town: Town, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(town, clock, seconds=1.0)
    with caplog.at_level(logging.DEBUG):
        town.do("error", code=190, times=1, on="post", subcode=463)
        answers = [client.get("one")]
        client.key._token = "EAAanother-secret"
        town.do("reset", times=1, on="post")
        answers.append(client.get("one"))
        town.do("hang", times=1, on="post")
        answers.append(client.get("one"))
        closed = GraphAccess("town.access_token", "http://127.0.0.1:1", "v26.0", DEFAULT_TOKEN)
        answers.append(GraphClient(closed, clock).get("one"))
    said = caplog.text + "".join(map(str, answers)) + repr(client)
    for word in (DEFAULT_TOKEN, "EAAanother-secret", APP_SECRET, "Kari", "access_token="):
        assert word not in said
    assert all(answer.why for answer in answers)


def test_whoever_closes_ends_a_call_at_once(town: Town, clock: ManualClock) -> None:
    client = client_of(town, clock)
    town.do("hang", on="post", hold=3600)
    came: list[Answer] = []
    asking = threading.Thread(target=lambda: came.append(client.get("one")), daemon=True)
    asking.start()
    deadline = time.monotonic() + 5
    while not town.requests("post"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    began = time.monotonic()
    client.close()
    asking.join(5)
    assert time.monotonic() - began < 1
    assert came[0].outcome is Outcome.UNAVAILABLE
    assert client.get("one").asked is False
    town.do("heal")
    client.reopen()
    assert client.get("one").ok
