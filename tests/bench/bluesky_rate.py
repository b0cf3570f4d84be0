"""How many posts of the whole network one core passes over, and how much of that is what.

    python -m tests.bench.bluesky_rate [--posts 50000] [--tracks 20] [--rounds 5] [--floor 2000]

The posts are made up, in the share of scripts and lengths that the network has them: a third of them beyond ASCII, one
in a hundred about a track. Measured, in processor seconds of this process alone: the look at the bytes
(`Outlook.wants`); the same by reading each as JSON first, as one would without it; a post that is wanted, up to the
`Post`; and the listener's thread over a real socket, from the fake host's bytes to the batches (`--floor` is what that
must reach, in posts a second: the network has about a hundred, and a replay must be many times faster).
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median

from listener.clock import SystemClock
from listener.model.incidents import Incident
from listener.sources.bluesky.frames import Commit, Outlook, read_message
from listener.sources.bluesky.payload import read_post, words_of
from listener.sources.bluesky.source import BlueskySource
from listener.sources.common.sieve import Sieve
from tests.fakes.bluesky import FakeBluesky, Network, did_of
from tests.fakes.bluesky.host import Entry, written
from tests.fakes.bluesky.network import Event, tid

START = datetime(2026, 11, 1, 9, tzinfo=UTC)
WORDS = [
    "the",
    "a",
    "to",
    "and",
    "i",
    "it",
    "is",
    "you",
    "of",
    "in",
    "that",
    "my",
    "for",
    "on",
    "not",
    "this",
    "was",
    "so",
    "but",
    "with",
    "have",
    "just",
    "be",
    "me",
    "are",
    "what",
    "no",
    "all",
    "do",
]
SCRIPTS = (
    "今日はとても良い天気ですね散歩に行きました",
    "сегодня хорошая погода мы гуляли в парке",
    "só quero dormir não aguento mais é isso",
    "😭😭🔥💜 amo demais",
    "안녕하세요 오늘 날씨가 좋네요",
)


def texts(count: int, tracks: list[str], rng: random.Random) -> list[str]:
    out = []
    for number in range(count):
        if number % 100 == 7:
            out.append(f"det brenner i {rng.choice(tracks)} nå")
        elif rng.random() < 0.33:
            out.append(" ".join(rng.choice(SCRIPTS) for _ in range(rng.randint(1, 4))))
        else:
            out.append(" ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 45))))
    return out


def frames(said: list[str]) -> list[bytes]:
    out = []
    for number, text in enumerate(said):
        at = START + timedelta(milliseconds=10 * number)
        us = int(at.timestamp() * 1_000_000)
        record = {"$type": "app.bsky.feed.post", "createdAt": at.isoformat(), "langs": ["en"], "text": text}
        event = Event(at, did_of(f"n{number % 500}"), "commit", "create", rkey=tid(us), rev=tid(us), record=record)
        out.append(written(Entry(number + 1, us, event), v2=True))
    return out


def rate(count: int, rounds: int, run: Callable[[], object]) -> float:
    found = []
    for _ in range(rounds):
        began = time.process_time()
        run()
        found.append(count / (time.process_time() - began))
    return median(found)


def over_the_socket(said: list[str], tracks: list[str]) -> tuple[float, float, int]:
    """Posts a second of real time and of this process's processor time, the fake host's share included; and how many
    were given."""
    network = Network()
    with FakeBluesky(network=network, chatter=0) as host:
        since = network.clock.now() - timedelta(minutes=30)
        for number, text in enumerate(said):
            network.post(text, by=f"n{number % 500}", at=since + timedelta(milliseconds=10 * number))
        incident = Incident(
            id="i-0", name="Brann", tracks=tuple(tracks), opened_at=since, opened_by="vakt", why="måling",
            review_at=since + timedelta(hours=4),
        )  # fmt: skip
        source, given = BlueskySource([host.url], SystemClock()), 0
        try:
            source.recall(())
            source.open(None)
            began, ours = time.monotonic(), time.process_time()
            source.follow([incident], ())
            while int(source.state()["seen"]) < len(said) or int(source.state()["queue"]):
                batch = source.read(0.05)
                given += len(batch.posts) if batch is not None else 0
                if time.monotonic() - began > 300:
                    raise SystemExit("not within five minutes")
            took, ours = time.monotonic() - began, time.process_time() - ours
        finally:
            source.close()
    return len(said) / took, len(said) / ours, given


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--posts", type=int, default=50_000)
    options.add_argument("--tracks", type=int, default=20)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--floor", type=float, default=2_000.0)
    its = options.parse_args()
    rng = random.Random(1)
    tracks = ["ullevål*", "granvik sykehus", "#mittous", *(f"sted{n}vik" for n in range(its.tracks - 3))]
    said = texts(its.posts, [track.strip("*#") for track in tracks], rng)
    raw = frames(said)
    sieve = Sieve(tracks)
    outlook = Outlook(sieve)
    wanted = [each for each in raw if outlook.wants(each)]

    def read_first() -> None:
        for each in raw:
            message = read_message(each)
            if isinstance(message, Commit):
                sieve.lets_through(words_of(read_post(message, START, "bluesky", {})))

    def read_wanted() -> None:
        for each in wanted:
            message = read_message(each)
            assert isinstance(message, Commit)
            read_post(message, START, "bluesky", {})

    print(
        f"{len(raw)} posts of {sum(map(len, raw)) // len(raw)} bytes, {len(tracks)} tracks, {len(wanted)} let through"
    )
    looked = rate(len(raw), its.rounds, lambda: [outlook.wants(each) for each in raw])
    print(f"the look at the bytes      {looked:10,.0f} posts a second of one core")
    print(f"read as JSON first         {rate(len(raw), max(1, its.rounds // 2), read_first):10,.0f}")
    print(f"a wanted one, to a Post    {rate(len(wanted), its.rounds, read_wanted):10,.0f}")
    real, core, given = over_the_socket(said, tracks)
    print(f"over a socket, both ends   {real:10,.0f} posts a second, {given} given")
    print(f"  by processor time        {core:10,.0f}")
    print(f"threads left: {threading.active_count() - 1}")
    return 0 if real >= its.floor else 1


if __name__ == "__main__":
    sys.exit(main())
