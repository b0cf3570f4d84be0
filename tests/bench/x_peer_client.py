"""A peer's stream client as its documentation shows it: `x_peer_client.py KIND URL OUT CLOCK START`.

It writes one line to OUT for each post that it hands to its user. It lives as fast as the fake X: its sleeps, its read
timeout and its clock are scaled, and requests for X's host are led to URL; else it is untouched. Runs in the peer's own
environment and needs nothing of ours but the clock, whose beat it keeps up.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter

from tests.soak.clock import SharedClock

TOKEN = "a-token-of-no-account"
HOST = "https://api.twitter.com"
PAUSE = 5.0
"""Seconds between two rounds of the usual loop."""


class BaseUrlAdapter(HTTPAdapter):
    """Leads requests to another host, and divides their timeouts by the speed."""

    def __init__(self, url: str, speed: float) -> None:
        self._to = urlsplit(url)
        self._speed = speed
        super().__init__()

    def send(self, request: Any, stream: bool = False, timeout: Any = None, *args: Any, **more: Any) -> Any:
        asked = urlsplit(request.url)
        request.url = urlunsplit((self._to.scheme, self._to.netloc, asked.path, asked.query, ""))
        if isinstance(timeout, tuple):
            timeout = tuple(each and each / self._speed for each in timeout)
        elif timeout is not None:
            timeout /= self._speed
        return super().send(request, stream, timeout, *args, **more)


def main() -> None:
    kind, url, out, path, start = sys.argv[1:]
    clock = SharedClock(Path(path), datetime.fromisoformat(start))
    adapter = BaseUrlAdapter(url, clock.speed)
    never = threading.Event()

    def beat() -> None:
        while not never.wait(0.01):
            clock.beat()

    threading.Thread(target=beat, daemon=True).start()

    def sleep(seconds: float) -> None:
        clock.wait(seconds, never)

    with open(out, "a", encoding="utf-8", buffering=1) as posts:

        def heard(post_id: object) -> None:
            posts.write(f"{post_id}\n")

        if kind == "twarc":
            twarc(clock, sleep, adapter, heard)
        elif kind == "stock":
            stock(sleep, adapter, heard)
        else:
            while True:
                try:
                    stock(sleep, adapter, heard)
                except Exception as error:
                    print("ended:", type(error).__name__, file=sys.stderr)
                sleep(PAUSE)


def stock(sleep: Callable[[float], None], adapter: BaseUrlAdapter, heard: Callable[[object], None]) -> None:
    """tweepy's documentation: subclass `StreamingClient`, override `on_tweet`, call `filter`."""
    import tweepy

    tweepy.streaming.sleep = sleep

    class Printer(tweepy.StreamingClient):  # type: ignore[misc]
        def on_tweet(self, tweet: Any) -> None:
            heard(tweet.id)

    printer = Printer(TOKEN)
    printer.session.mount(HOST, adapter)
    printer.filter()


def twarc(
    clock: SharedClock, sleep: Callable[[float], None], adapter: BaseUrlAdapter, heard: Callable[[object], None]
) -> None:
    """twarc's documentation: `for tweet in Twarc2(bearer_token=…).stream(): …`."""
    from twarc import client2, decorators2  # type: ignore[import-not-found]

    times = SimpleNamespace(sleep=sleep, time=lambda: clock.now().timestamp())
    client2.time = decorators2.time = times

    class Led(client2.Twarc2):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            self.client.mount(HOST, adapter)

    for tweet in Led(bearer_token=TOKEN, metadata=False).stream():
        if "data" in tweet:
            heard(tweet["data"]["id"])


if __name__ == "__main__":
    try:
        main()
    except requests.RequestException as error:
        sys.exit(f"ended: {error}")
