"""Far ends that never fall silent and never come to an end: each exchange ends, and leaves nothing behind."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Set
from contextlib import suppress

import pytest
import requests
from pydantic import SecretStr

from alerts.board.access import oidc
from alerts.board.access.oidc import OidcError, OidcProblem
from alerts.highlights.account import XAccount
from alerts.highlights.contract import Refused
from alerts.notify.channels import apprise
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import ChannelError, FailureReason, SendNote
from listener.clock import ManualClock, SystemClock
from listener.model.gaps import Cause
from listener.runtime.cancel import CancelScope, time_limit, within
from listener.runtime.checks import CheckLevel
from listener.runtime.download import DownloadError, Limits, download
from listener.settings.highlights import UserKeys
from listener.settings.webhooks import WebhooksSettings
from listener.sources.common.buffer import ReceiveBuffer
from listener.sources.common.graph.access import App, GraphAccess
from listener.sources.common.graph.answers import Outcome
from listener.sources.common.graph.client import GraphClient
from listener.sources.mastodon.rest import CallError, Rest
from listener.sources.x.access import Access
from listener.sources.x.client import Api, Trouble, XError
from listener.sources.x.storage import Storage
from listener.sources.x.stream import Wire
from listener.webhooks.doctor import examine_webhook
from tests.fakes.drip import dripping_server
from tests.unit.telling_support import T0

SECONDS = 0.4
SOON = 15.0
"""Seconds: far less than any far end here would take, and enough for a machine that is busy with other things."""
HEAD = b"HTTP/1.1 200 OK\r\nX-Slow: "
BODY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n"


@pytest.fixture(params=[HEAD, BODY], ids=["head", "body"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of a far end that still drips when it is looked what was left behind."""
    with dripping_server(request.param, drop=b" ") as its:
        before = set(threading.enumerate())
        began = time.monotonic()
        yield its
        assert time.monotonic() - began < SOON
        assert wait_for_end(before) == []


def wait_for_end(before: Set[threading.Thread]) -> list[threading.Thread]:
    """The threads that were not there before, and do not end; those of the far end aside."""
    left: list[threading.Thread] = []
    for _ in range(100):
        left = [each for each in set(threading.enumerate()) - before if not each.name.endswith("(talk)")]
        if not left:
            break
        time.sleep(0.02)
    return left


def timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


# --- each client -----------------------------------------------------------------------------------------------------


def test_a_document_that_trickles_is_given_up_as_a_whole(port: int) -> None:
    with pytest.raises(DownloadError, match=r"is not read after 0.4 s"):
        download(f"http://127.0.0.1:{port}/", "*/*", Limits(seconds=SECONDS, step=5))


def test_a_provider_of_log_ins_that_trickles_is_away(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "ALL_SECONDS", SECONDS)
    with pytest.raises(OidcError) as caught:
        oidc._fetched(f"http://127.0.0.1:{port}/", "discovery")
    assert (caught.value.problem, caught.value.detail) == (OidcProblem.AWAY, "discovery: no answer in time")


def test_a_call_of_meta_ends_with_its_thread(port: int) -> None:
    access = GraphAccess("x.access_token", f"http://127.0.0.1:{port}", "v26.0", "token", None, App("77", "secret"))
    client = GraphClient(access, ManualClock(T0), seconds=SECONDS)
    assert client.get("one").outcome is Outcome.UNAVAILABLE
    client.close()


def test_a_call_of_x_ends_with_its_thread(port: int) -> None:
    with pytest.raises(XError) as caught:
        Api(Access(f"http://127.0.0.1:{port}", "token"), SECONDS).rules()
    assert caught.value.trouble is Trouble.NETWORK


def test_an_answer_of_x_without_an_end_is_not_taken_in() -> None:
    with dripping_server(b"HTTP/1.1 200 OK\r\n\r\n", drop=b"x" * 1_000_000, every=0.001) as port:
        began = time.monotonic()
        with pytest.raises(XError) as caught:
            Api(Access(f"http://127.0.0.1:{port}", "token"), 60.0).rules()
        assert time.monotonic() - began < 30
    assert (caught.value.trouble, caught.value.status) == (Trouble.SERVER, 200)


def test_what_x_stores_ends_with_its_thread(port: int) -> None:
    with pytest.raises(XError):
        Storage(f"http://127.0.0.1:{port}", SECONDS).download(f"http://127.0.0.1:{port}/result")


def test_a_call_of_our_account_ends_with_its_thread(port: int) -> None:
    keys = UserKeys(*(SecretStr("x") for _ in range(4)))
    with pytest.raises(Refused):
        XAccount(lambda: keys, f"http://127.0.0.1:{port}", SECONDS).profile()


def test_a_platform_that_could_not_call_us_is_told_in_time(port: int) -> None:
    settings = WebhooksSettings.model_validate({"url": f"http://127.0.0.1:{port}"})
    began = time.monotonic()
    check = examine_webhook("facebook", settings, {}, SECONDS, running=True)
    assert time.monotonic() - began < SOON
    assert (check.level, "does not answer from here" in check.says) == (CheckLevel.WARNING, True)


def test_a_service_of_apprise_ends_in_the_time_for_a_send(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise, "LONGEST_SEND", SECONDS)
    channel = apprise.open_channel({"services": {"one": f"json://127.0.0.1:{port}/"}})
    card = Card("s", ("t",), {}, urgent=True)
    deliver = channel.prepare(card, "one", note=SendNote("i", "a", 0, 1, may_repeat=False, at=T0))
    with suppress(ChannelError):  # of a body it reads nothing that counts
        deliver()


def test_a_call_of_mastodon_that_is_left_ends_with_its_thread(port: int) -> None:
    rest, raised = Rest(f"http://127.0.0.1:{port}", SystemClock()), []

    def ask() -> None:
        try:
            rest.get("/api", {}, "token")
        except CallError as error:
            raised.append(error.cause)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(SECONDS)
    rest.abandon()
    asking.join(SOON)
    assert len(raised) == 1
    assert raised[0] in (Cause.UNREACHABLE, Cause.RESET, Cause.GARBLED)


def test_a_stream_of_x_that_does_not_come_to_its_head_ends_at_once_when_it_is_left() -> None:
    with dripping_server(HEAD) as port:
        access = Access(f"http://127.0.0.1:{port}", "token")
        wire = Wire(access, Api(access), ReceiveBuffer(), SystemClock(), 60.0)
        listening = threading.Thread(target=wire.listen)
        listening.start()
        time.sleep(SECONDS)
        assert timed(lambda: (wire.disconnect(Cause.SILENCE), listening.join(SOON))) < SOON
    assert wire.end.cause is Cause.SILENCE


def test_a_proxy_that_never_says_yes_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with dripping_server(b"HTTP/1.1 2") as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        before = set(threading.enumerate())
        with pytest.raises(XError):
            Api(Access("https://api.example.org", "token"), SECONDS).rules()
        assert wait_for_end(before) == []


# --- the scope itself ------------------------------------------------------------------------------------------------


def test_a_connection_that_was_kept_open_is_held_as_well() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, requests.Session() as session:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                connection.recv(4096)

        server = threading.Thread(target=serve)
        server.start()
        with time_limit(SOON):
            assert session.get(url, timeout=SOON).status_code == 200
        began = time.monotonic()
        with time_limit(SECONDS) as scope, suppress(requests.RequestException):
            session.get(url, timeout=60)
        assert scope.cancelled
        assert time.monotonic() - began < SOON
        server.join(SOON)


def test_what_comes_to_stand_after_the_end_is_shut_at_once() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, CancelScope() as scope:
        scope.cancel()
        scope.hold(ours)
        assert theirs.recv(1) == b""


def test_an_outer_scope_holds_what_an_inner_one_does_and_neither_shuts_it_when_left() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, CancelScope() as outer:
        with CancelScope() as inner:
            inner.hold(ours)
        inner.cancel()
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"
        outer.cancel()
        assert theirs.recv(1) == b""


def test_who_waits_is_let_go_though_nothing_can_be_shut() -> None:
    held = threading.Event()
    try:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            within(0.1, held.wait, "looks-up")
        assert time.monotonic() - began < SOON
    finally:
        held.set()


def test_what_the_call_raises_is_raised() -> None:
    def fail() -> None:
        raise ChannelError(FailureReason.REFUSED, permanent=True)

    with pytest.raises(ChannelError):
        within(SOON, fail, "fails")
    assert within(SOON, lambda: 7, "gives") == 7
