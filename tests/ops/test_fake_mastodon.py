"""A fake Mastodon server over real sockets: what it answers and streams, what it refuses, and each misbehaviour."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import urllib3
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.fakes.mastodon import APP_TOKEN, TOKEN, FakeMastodon, Federation

PATIENCE = 20.0


@pytest.fixture
def server() -> Iterator[FakeMastodon]:
    with FakeMastodon() as fake:
        yield fake


def ask(server: FakeMastodon, path: str, token: str = TOKEN) -> tuple[int, Any, Any]:
    with urllib3.PoolManager(retries=False) as pool:
        answer = pool.request("GET", f"{server.url}{path}", headers={"Authorization": f"Bearer {token}"})
        return answer.status, answer.json(), answer.headers


def page(server: FakeMastodon, tag: str = "granvik", query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(server, f"/api/v1/timelines/tag/{tag}?limit=40{query}")[1]
    return found


@contextmanager
def reader(server: FakeMastodon, *tags: str, token: str = TOKEN) -> Iterator[ClientConnection]:
    with connect(
        f"ws://127.0.0.1:{server.port}/api/v1/streaming", compression=None, proxy=None, max_size=32_000_000,
        close_timeout=1, additional_headers={"Authorization": f"Bearer {token}"},
    ) as ws:  # fmt: skip
        for tag in tags:
            ws.send(json.dumps({"type": "subscribe", "stream": "hashtag", "tag": tag}))
        assert ws.ping().wait(PATIENCE)
        yield ws


def event(ws: ClientConnection) -> tuple[list[str], str, Any]:
    found = json.loads(ws.recv(PATIENCE, decode=False))
    carried = found["payload"]
    return found["stream"], found["event"], carried if found["event"] == "delete" else json.loads(carried)


def test_what_happens_is_streamed_to_who_subscribed_in_its_shape(server: FakeMastodon) -> None:
    with reader(server, "Granvik") as ws:
        server.federation.post("ikke for oss #annet")
        post = server.federation.post("@per det brenner #Granvik\nhttps://nrk.no/x?a=1&b=2", by="kari@b.example")
        server.federation.edit(post.uri, "det brenner ikke #granvik")
        server.federation.delete(post.uri)
        (stream, kind, made), (_, changed, edited), (_, gone, id_) = (event(ws) for _ in range(3))
    assert (stream, kind, changed, gone) == (["hashtag", "Granvik"], "update", "status.update", "delete")
    assert (made["uri"], made["account"]["acct"], made["mentions"][0]["acct"]) == (
        post.uri,
        "kari@b.example",
        "per@b.example",
    )
    assert "a=1&amp;b=2" in made["content"]
    assert made["edited_at"] is None
    assert edited["edited_at"] is not None
    assert id_ == made["id"]


def test_a_hashtag_is_kept_without_its_accents(server: FakeMastodon) -> None:
    with reader(server, "Sørøya") as ws:
        server.federation.post("ferga #soroya")
        assert event(ws)[0] == ["hashtag", "Sørøya"]
    assert len(page(server, "s%C3%B8r%C3%B8ya")) == 1


def test_servers_of_one_federation_give_one_uri_under_numbers_of_their_own() -> None:
    federation = Federation()
    with FakeMastodon(federation=federation) as a, FakeMastodon(federation=federation, domain="b.example") as b:
        federation.post("forskyver tallene #annet", known_to=["b.example"], by="ola@b.example")
        post = federation.post("begge #granvik", at=federation.clock.now())
        one, other = page(a)[0], page(b)[0]
        assert one["uri"] == other["uri"] == post.uri
        assert one["account"]["id"] != other["account"]["id"]
        assert (one["account"]["acct"], other["account"]["acct"]) == ("ola", "ola@a.example")
        assert page(a, "annet") == []


def test_pages_go_forward_behind_min_id_and_back_before_max_id(server: FakeMastodon) -> None:
    for number in range(90):
        server.federation.post(f"nummer {number} #granvik")
    newest = page(server)
    assert len(newest) == 40
    back = page(server, query=f"&max_id={newest[-1]['id']}")
    assert int(back[0]["id"]) < int(newest[-1]["id"])
    first = page(server, query="&min_id=1")
    assert [s["content"].split()[1] for s in (first[-1], first[0])] == ["0", "39"]
    assert page(server, query=f"&min_id={newest[0]['id']}") == []


def test_who_may_not_ask_is_told_so(server: FakeMastodon) -> None:
    assert ask(server, "/api/v1/timelines/tag/x", "gal")[0] == 401
    assert ask(server, "/api/v1/timelines/tag/x", APP_TOKEN)[0] == 422
    for token in ("gal", APP_TOKEN):
        with pytest.raises(InvalidStatus) as refused, reader(server, token=token):
            pass
        assert refused.value.response.status_code == 401
    server.do("allow", calls=2, window=100)
    assert [ask(server, "/api/v1/timelines/tag/x")[0] for _ in range(3)] == [200, 200, 429]
    status, _, headers = ask(server, "/api/v1/timelines/tag/x")
    assert (status, headers["X-RateLimit-Remaining"]) == (429, "0")


def test_a_feed_that_is_closed_is_answered_as_if_nothing_was_said(server: FakeMastodon) -> None:
    server.federation.post("sagt #granvik")
    server.do("close_feed")
    assert page(server) == []
    told = ask(server, "/api/v2/instance")[1]["configuration"]["timelines_access"]
    assert told["hashtag_feeds"]["local"] == "disabled"
    server.do("close_feed", tells=False)
    assert "timelines_access" not in ask(server, "/api/v2/instance")[1]["configuration"]


def test_a_post_is_asked_for_by_its_number_until_it_is_gone(server: FakeMastodon) -> None:
    post = server.federation.post("sagt #granvik")
    path = f"/api/v1/statuses/{page(server)[0]['id']}"
    assert ask(server, path)[1]["uri"] == post.uri
    server.federation.account("ola")
    assert ask(server, path)[:2] == (404, {"error": "Record not found"})


@pytest.mark.parametrize(
    ("verb", "code"), [("close", 1001), ("abort", 1006), ("cut_streams", 1006), ("half_frame", 1006)]
)
def test_a_stream_ends_as_commanded(server: FakeMastodon, verb: str, code: int) -> None:
    with reader(server, "granvik") as ws:
        assert server.do(verb) == 1
        with pytest.raises(ConnectionClosed) as ended:
            ws.recv(PATIENCE)
        assert (ended.value.rcvd.code if ended.value.rcvd else 1006) == code


def test_it_falls_silent_with_or_without_answering_pings(server: FakeMastodon) -> None:
    with reader(server, "granvik") as ws:
        server.do("silence", seconds=600, loses=True)
        server.federation.post("tapt #granvik")
        assert ws.ping().wait(PATIENCE), "its pings are answered"
        server.do("heal")
        server.federation.post("hørt #granvik")
        assert "hørt" in event(ws)[2]["content"]
        server.do("freeze")
        assert not ws.ping().wait(0.2)


def test_messages_that_are_none_come_between_and_events_twice_or_the_last_first(server: FakeMastodon) -> None:
    with reader(server, "granvik") as ws:
        for verb in ("garbage_frame", "bad_utf8", "binary", "notification", "refuse_feed"):
            server.do(verb)
            assert ws.recv(PATIENCE, decode=False)
        server.do("huge", size=3_000_000)
        assert len(ws.recv(PATIENCE, decode=False)) == 3_000_000
        server.do("twice")
        server.federation.post("to ganger #granvik")
        assert event(ws) == event(ws)
        server.do("swap")
        server.federation.delete(server.federation.post("bort #granvik").uri)
        assert [event(ws)[1] for _ in range(2)] == ["delete", "update"]


def test_what_it_hears_late_has_a_number_of_before(server: FakeMastodon) -> None:
    server.do("deaf", seconds=600)
    server.federation.post("sen #granvik")
    server.do("hears")
    server.federation.post("etter #granvik")
    assert [("sen" in s["content"]) for s in page(server)] == [False, True]
