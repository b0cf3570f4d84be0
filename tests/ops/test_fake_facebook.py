"""A fake Facebook over real sockets: what it gives, what it calls, and each misbehaviour of its calls."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from pydantic import SecretStr

from listener.commands.fake import FAKES
from listener.settings.files import raw_settings
from listener.settings.schema import load_settings
from listener.sources.common.graph.access import webhook_guard
from listener.sources.common.graph.client import GraphClient
from listener.sources.facebook.plugin import page_access
from listener.webhooks.meta import signature_of
from tests import fakes
from tests.fakes.facebook import FakeFacebook
from tests.fakes.platform import ScaledClock

WORD = "et-ord"


class Called:
    """Who is called: answers the handshake, and each call with the next of `answers`, else 200."""

    def __init__(self) -> None:
        self.calls: list[tuple[bytes, str]] = []
        self.answers: list[int] = []
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = parse_qs(urlsplit(self.path).query)
                self._answer(200 if asked["hub.verify_token"] == [WORD] else 403, asked["hub.challenge"][0].encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                mine.calls.append((body, self.headers["X-Hub-Signature-256"]))
                self._answer(mine.answers.pop(0) if mine.answers else 200, b"")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/facebook"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def values(self) -> list[dict[str, Any]]:
        """All that was told, in order."""
        return [
            change["value"]
            for body, _ in self.calls
            for entry in json.loads(body)["entry"]
            for change in entry["changes"]
        ]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def called() -> Iterator[Called]:
    it = Called()
    yield it
    it.stop()


@pytest.fixture
def facebook() -> Iterator[FakeFacebook]:
    with FakeFacebook(clock=ScaledClock(20.0)) as fake:
        yield fake


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def get(facebook: FakeFacebook, path: str, **params: Any) -> dict[str, Any]:
    return requests.get(
        f"{facebook.url}/v26.0/{path}", params={"access_token": facebook.token, **params}, timeout=20
    ).json()  # fmt: skip


def test_lists_and_comments_have_the_shape_and_the_order_of_the_original(facebook: FakeFacebook) -> None:
    own, visitor = facebook.world.say("Vårt innlegg"), facebook.world.say("Hei", by="Kari Fjell")
    one = facebook.world.say("Først", by="Ola", on=own.id)
    answer = facebook.world.say("Svar", by="Liv", reply_to=one.id)
    fields = "id,message,created_time,from,parent"
    assert [each["id"] for each in get(facebook, "1000/published_posts")["data"]] == [own.id]
    assert {each["id"] for each in get(facebook, "1000/feed")["data"]} == {own.id, visitor.id}
    found = get(facebook, f"{own.id}/comments", filter="stream", fields=fields)["data"]
    assert [each["id"] for each in found] == [answer.id, one.id]
    assert found[0]["parent"]["id"] == one.id
    assert [each["id"] for each in get(facebook, f"{own.id}/comments", fields=fields)["data"]] == [one.id]
    facebook.world.delete(own.id)
    assert get(facebook, f"{own.id}/comments")["error"]["code"] == 100


def test_every_change_is_told_signed_and_again_until_it_is_answered_well(
    facebook: FakeFacebook, called: Called
) -> None:
    facebook.do("call", url=called.url, token=WORD)
    called.answers = [503, 500]
    post = facebook.world.say("Brann")
    until(lambda: len(called.calls) == 3)
    assert len({body for body, _ in called.calls}) == 1
    assert all(signature_of(body, SecretStr(facebook.secret)) == told for body, told in called.calls)
    comment = facebook.world.say("Er alle ute?", by="Kari", on=post.id)
    facebook.world.edit(comment.id, "Er alle inne?")
    facebook.world.hide(comment.id, True)
    facebook.world.delete(comment.id)
    until(lambda: len(called.values) == 7)
    assert [each["verb"] for each in called.values[3:]] == ["add", "edited", "hide", "remove"]
    assert "message" not in called.values[-1]


def test_who_does_not_know_the_word_is_not_called(facebook: FakeFacebook, called: Called) -> None:
    with pytest.raises(ValueError, match="handshake"):
        facebook.do("call", url=called.url, token="feil")


def test_calls_come_twice_late_together_wrong_or_never(facebook: FakeFacebook, called: Called) -> None:
    facebook.do("call", url=called.url, token=WORD)
    facebook.do("twice", count=1)
    facebook.world.say("to ganger")
    until(lambda: len(called.calls) == 2)
    facebook.do("untold", count=1)
    facebook.world.say("aldri")
    facebook.do("gather", seconds=10)
    ids = [facebook.world.say(f"nr. {n}").id for n in range(1500)]
    until(lambda: len(called.values) == 1502)
    assert len(called.calls) == 4
    assert {each["post_id"] for each in called.values[2:]} == set(ids)
    facebook.do("forge", count=1)
    facebook.world.say("feil")
    until(lambda: len(called.calls) == 5)
    body, told = called.calls[-1]
    assert told != signature_of(body, SecretStr(facebook.secret))
    facebook.do("garbage_call")
    until(lambda: len(called.calls) == 6)
    assert len(facebook.caller.skipped) == 1


def test_the_sample_is_a_scenario_of_it() -> None:
    sample = Path(fakes.__file__).parent / "facebook" / "sample.jsonl"
    steps = FakeFacebook.scenario().read(sample)
    assert len(steps) > 15
    with FakeFacebook(scenario=[step for step in steps if step.verb != "call"][:2]) as fake:
        until(lambda: fake.world.things)


def test_the_hint_of_the_command_points_a_listener_at_it(
    facebook: FakeFacebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given in FAKES["facebook"].hint.replace("<that address>", facebook.url).split():
        name, _, value = given.partition("=")
        monkeypatch.setenv(name, value)
    settings = load_settings(raw_settings())
    access = page_access(settings)
    assert access is not None
    client = GraphClient(access, facebook.clock)
    assert client.get("me", {"fields": "id"}).data["id"] == settings.facebook.page_id
    guard = webhook_guard(settings.meta)
    assert guard is not None
    body = b"{}"
    signed = {"x-hub-signature-256": signature_of(body, SecretStr(facebook.secret))}
    assert guard.is_genuine(signed, body)
    sample = Path(fakes.__file__).parent / "facebook" / "sample.jsonl"
    assert f'"token": "{settings.meta.verify_token.get_secret_value() if settings.meta.verify_token else ""}"' in (
        sample.read_text(encoding="utf-8")
    )
