"""A fake host of Bluesky over real sockets: what it streams and replays, what it refuses, and each misbehaviour."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.fakes.bluesky import V1, V2, FakeBluesky, Network, did_of

PATIENCE = 20.0
WANTED = [("kinds", "commit"), ("kinds", "account"), ("collections", "app.bsky.feed.post")]


@pytest.fixture
def host() -> Iterator[FakeBluesky]:
    with FakeBluesky(chatter=0) as fake:
        yield fake


def reader(host: FakeBluesky, *more: tuple[str, Any], path: str = V2, ask: Any = WANTED) -> ClientConnection:
    url = f"ws://127.0.0.1:{host.port}{path}?{urlencode([*ask, *more])}"
    return connect(url, compression=None, proxy=None, max_size=32_000_000, close_timeout=1)


def event(connection: ClientConnection) -> dict[str, Any]:
    return json.loads(connection.recv(PATIENCE, decode=False))


def payload(connection: ClientConnection) -> dict[str, Any]:
    found = event(connection)
    assert found["$type"] == "message"
    return found["payload"]


def refusal(host: FakeBluesky, *more: tuple[str, Any], ask: Any = WANTED) -> dict[str, Any]:
    with pytest.raises(InvalidStatus) as refused:
        reader(host, *more, ask=ask)
    assert refused.value.response.status_code == 400
    return json.loads(refused.value.response.body or b"")


def test_what_happens_is_streamed_in_its_shape(host: FakeBluesky) -> None:
    with reader(host) as v2, reader(host, path=V1, ask=[("wantedCollections", "app.bsky.feed.post")]) as v1:
        post = host.network.post("Kø ved sykehuset", by="kari")
        host.network.edit(post.uri, "Ingen kø")
        host.network.delete(post.uri)
        host.network.account("kari")
        found = [payload(v2) for _ in range(4)]
        old = [event(v1) for _ in range(4)]
    assert [p["$type"].partition("#")[2] for p in found] == ["commit", "commit", "commit", "account"]
    assert [p.get("operation") for p in found] == ["create", "update", "delete", None]
    assert [p["seq"] for p in found] == [1, 2, 3, 4]
    assert found[0]["record"]["text"] == "Kø ved sykehuset"
    assert "record" not in found[2]
    assert found[3]["account"] == {**found[3]["account"], "active": False, "status": "deleted"}
    assert [o["kind"] for o in old] == ["commit", "commit", "commit", "account"]
    assert f"at://{old[0]['did']}/{old[0]['commit']['collection']}/{old[0]['commit']['rkey']}" == post.uri
    assert [o["time_us"] for o in old] == sorted(o["time_us"] for o in old)


def test_a_cursor_replays_from_its_event_on_and_one_of_the_future_is_live(host: FakeBluesky) -> None:
    said = [host.network.post(f"nr. {n}").uri for n in range(5)]
    with reader(host, ("cursor", 3)) as after:
        found = [payload(after) for _ in range(3)]
    assert [f"at://{p['did']}/{p['collection']}/{p['rkey']}" for p in found] == said[2:]
    with reader(host, ("cursor", 900)) as live:
        host.network.post("nå")
        assert payload(live)["record"]["text"] == "nå"
    with reader(host, ("cursor", host.log.entries[1].us)) as by_time:
        assert payload(by_time)["seq"] == 2


def test_a_cursor_that_is_too_old_is_refused_by_number_and_told_by_time(host: FakeBluesky) -> None:
    for n in range(3):
        host.network.post(f"nr. {n}")
    first = host.log.entries[0].us
    host.do("keeps", seconds=0)
    host.network.post("ny")
    assert refusal(host, ("cursor", 1))["error"] == "CursorTooOld"
    with reader(host, ("cursor", first)) as told:
        found = payload(told)
        assert (found["$type"].partition("#")[2], found["name"]) == ("info", "OutdatedCursor")
    with reader(host, ("cursor", first), path=V1, ask=[]) as silent:
        host.do("keeps", seconds=3600)
        host.network.post("etter")
        assert event(silent)["commit"]["record"]["text"] == "etter"


def test_what_could_never_match_is_refused(host: FakeBluesky) -> None:
    assert "use collections" in refusal(host, ask=[("wantedCollections", "app.bsky.feed.post")])["message"]
    assert 'unknown kind "likes"' in refusal(host, ask=[("kinds", "likes")])["message"]
    assert "never apply" in refusal(host, ask=[("kinds", "account"), ("collections", "app.bsky.feed.post")])["message"]


def test_hosts_of_one_network_number_it_their_own_way() -> None:
    network = Network()
    with FakeBluesky(network=network, chatter=0) as east, FakeBluesky(network=network, first=5_000, chatter=0) as west:
        with reader(east) as one, reader(west) as other:
            network.post("begge")
            assert (payload(one)["seq"], payload(other)["seq"]) == (1, 5_000)
        west.do("renumber", first=7)
        assert west.log.entries[0].seq == 7


@pytest.mark.parametrize(
    ("verb", "params", "code"),
    [
        ("close", {}, 1000),
        ("close", {"code": 1011}, 1011),
        ("abort", {}, 1006),
        ("cut_streams", {}, 1006),
        ("half_frame", {}, 1006),
    ],
)
def test_a_stream_ends_as_commanded(host: FakeBluesky, verb: str, params: dict[str, Any], code: int) -> None:
    with reader(host) as stream:
        host.network.post("før")
        payload(stream)
        assert host.do(verb, **params) == 1
        with pytest.raises(ConnectionClosed) as ended:
            stream.recv(PATIENCE)
        assert (ended.value.rcvd.code if ended.value.rcvd else 1006) == code
    assert not host.open or not host.open[0].reader.lines


def test_a_slow_reader_is_told_and_put_out(host: FakeBluesky) -> None:
    with reader(host) as stream:
        host.do("too_slow")
        assert event(stream) == {**event_of_error(), "message": "reading below the floor rate; reconnect with cursor=1"}
        with pytest.raises(ConnectionClosed):
            stream.recv(PATIENCE)


def event_of_error() -> dict[str, Any]:
    return {"$type": "error", "error": "ConsumerTooSlow"}


def test_it_falls_silent_with_the_socket_open_and_may_lose_what_comes(host: FakeBluesky) -> None:
    with reader(host) as stream:
        host.do("silence", seconds=600)
        host.network.post("sent")
        with pytest.raises(TimeoutError):
            stream.recv(0.2)
        assert stream.ping().wait(PATIENCE), "its pings are answered"
        host.do("heal")
        assert payload(stream)["record"]["text"] == "sent"
        host.do("silence", seconds=600, loses=True)
        host.network.post("tapt")
        host.do("heal")
        host.network.post("hørt")
        assert payload(stream)["record"]["text"] == "hørt"


def test_events_come_twice_or_the_last_one_first(host: FakeBluesky) -> None:
    with reader(host) as stream:
        host.do("twice")
        host.network.post("to ganger")
        assert payload(stream) == payload(stream)
        host.do("swap")
        post = host.network.post("bort")
        host.network.delete(post.uri)
        assert [payload(stream)["operation"] for _ in range(2)] == ["delete", "create"]


def test_messages_that_are_none_come_between(host: FakeBluesky) -> None:
    with reader(host) as stream:
        for verb in ("garbage_frame", "bad_utf8", "binary", "unknown_kind"):
            host.do(verb)
            assert stream.recv(PATIENCE, decode=False)
        host.do("huge", size=3_000_000)
        assert len(stream.recv(PATIENCE, decode=False)) == 3_000_000


def test_a_host_that_hears_nothing_catches_up(host: FakeBluesky) -> None:
    with reader(host) as stream:
        host.do("deaf", seconds=600)
        host.network.post("en")
        with pytest.raises(TimeoutError):
            stream.recv(0.1)
        host.deaf_until = None
        host.network.post("to")
        assert [payload(stream)["record"]["text"] for _ in range(2)] == ["en", "to"]


def test_it_is_never_still_unless_told_so() -> None:
    with FakeBluesky(chatter=0.01) as host, reader(host) as stream:
        assert "Kaffe" in payload(stream)["record"]["text"]


def test_a_sender_on_the_stream_is_put_out(host: FakeBluesky) -> None:
    with reader(host) as stream:
        stream.send("options_update")
        with suppress(ConnectionClosed):
            while True:
                stream.recv(PATIENCE)
    assert did_of("kari") == did_of("kari")
