"""The least that a listener to X can do: what the machine and its other work leave of it is what ours is set against.

One is tweepy's own stream as its documentation shows it, which makes `Tweet` objects and throws them away. The other
reads the socket, parses each line as JSON and writes it down in SQLite.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import requests

from tests.bench.x_peer_client import HOST, TOKEN, BaseUrlAdapter

FIRST: Final = 1_900_000_000_000_000_000
BARE_POSTS: Final = 40_000
SAYINGS = (
    "Det brenner i Granvik sykehus, jeg står utenfor og ser røyk fra taket #granvikbrann",
    "Kan noen i Granvik si hvor pårørende skal ringe? @granvik_sykehus svarer ikke",
    "Er det sant at legevakta i Granvik er stengt? Naboen sier det, men jeg finner ingenting om det noe sted",
    "Is anybody still inside the hospital in Granvik?",
)


def line(number: int, at: str) -> bytes:
    """As X's stream gives it, with all fields that we ask for."""
    author = 7_000_000_000 + number * 7919 % 40_000
    post_id = str(FIRST + number)
    data = {
        "id": post_id, "text": f"{SAYINGS[number % len(SAYINGS)]} {number}", "created_at": at, "author_id": str(author),
        "lang": "no", "conversation_id": post_id, "edit_history_tweet_ids": [post_id],
        "entities": {"hashtags": [{"start": 0, "end": 12, "tag": "granvikbrann"}],
                     "mentions": [{"start": 0, "end": 15, "username": "granvik_sykehus", "id": "7000000001"}]},
        "public_metrics": {"retweet_count": 0, "reply_count": 0, "like_count": 0, "quote_count": 0},
    }  # fmt: skip
    users = [
        {"id": str(author), "username": f"innbygger_{author}", "name": "Innbygger", "verified_type": "none",
         "public_metrics": {"followers_count": 120, "following_count": 10, "tweet_count": 5, "listed_count": 0}},
    ]  # fmt: skip
    rules = [{"id": "1", "tag": "lyttepost:1"}]
    return json.dumps({"data": data, "includes": {"users": users}, "matching_rules": rules}).encode() + b"\r\n"


def be_bare(port: Connection, count: int) -> None:
    """One stream of so many lines, as fast as it is taken, to each who connects."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    lines = [line(n, at) for n in range(count)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(raw), raw) for raw in lines) + b"0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port.send(server.getsockname()[1])
        while True:
            taken, _ = server.accept()
            with taken, suppress(OSError):
                taken.recv(65536)
                taken.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)


def tweepy_loop(url: str) -> int:
    import tweepy

    logging.getLogger("tweepy.streaming").disabled = True

    class Counting(tweepy.StreamingClient):  # type: ignore[misc]
        seen = 0

        def on_tweet(self, tweet: Any) -> None:
            self.seen += 1
            if self.seen == BARE_POSTS:
                self.disconnect()

    client = Counting(TOKEN)
    client.session.mount(HOST, BaseUrlAdapter(url, 1.0))
    client.filter()
    return client.seen


def database(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE IF NOT EXISTS mentions (id TEXT PRIMARY KEY, value BLOB)")
    return db


def sqlite_loop(url: str, path: Path, together: int = 1) -> int:
    """`together`: at least so many posts in a transaction."""
    seen, held, rest = 0, 0, b""
    db = database(path)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
        while chunk := answer.raw.read1(65536):
            *lines, rest = (rest + chunk).split(b"\r\n")
            for raw in filter(None, lines):
                if not db.in_transaction:
                    db.execute("BEGIN")
                db.execute("INSERT INTO mentions VALUES (?, ?)", (json.loads(raw)["data"]["id"], raw))
                seen, held = seen + 1, held + 1
            if held >= together:
                db.commit()
                held = 0
    db.commit()
    db.close()
    return seen


def bare(loop: Callable[[str], int]) -> float:
    """Processor seconds that one post takes."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    server = spawn.Process(target=be_bare, args=(theirs, BARE_POSTS), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    began = time.process_time()
    seen = loop(url)
    used = time.process_time() - began
    server.kill()
    server.join()
    assert seen == BARE_POSTS, seen
    return used / BARE_POSTS
