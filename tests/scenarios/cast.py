"""Listener, two annotators and two rules workers as processes on three brokers, under load, while something is done.

**What is compared.** *Offered* are all posts of the fake X's world since the stream was up, those included that it said
while nobody listened. *Missing* are those that were not captured, and findings that a captured post should have.
*Twice* counts mentions by source and id, findings by key, alerts by id and event. *Differing* alerts are those that
this run has and the reference (`spread.alone`: the mentions captured, undisturbed) has not, or the other way about:
ids, events, counts, keys, times, samples, all but how and when a post reached us (`spread.NOT_COMPARED`). That a
listener was dead is no excuse here: the allowed lateness is longer than search takes to fill the gap, so that what was
missed is judged in its place. With the default of ten seconds it would come after its window closed, and could add
alerts marked as heard late; that is held by the tests of the rules.

`LYTTEPOST_RATE` is posts a second.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from background import background
from broker import Cluster
from harness import SAYINGS, START_SECONDS, Deployment, Running, read_all, until
from spread import PARTITIONS, Spread, alone, ended, has_begun, names_over, ready, said, twice
from topics import drop_topics

from tests.fakes.x import FakeX

RATE = int(os.environ.get("LYTTEPOST_RATE", "150"))
STILL = 180.0
"""Seconds without a new post after which none will come. Whom X refuses, because the connection of the listener before
it has not ended, waits a minute, and search is asked 36 seconds after a gap's end."""
LATENESS = "15m"
"""Longer than search takes on any machine. It costs nothing: the source's last word closes all windows."""
PLACES = ("granvik", "solnes", "bergvik", "lyngmo")
TOKEN = "a-token-of-no-account"


@dataclass
class World:
    """Posts by the seed: texts, authors, bursts. Times are a post each 1/RATE s from where it begins."""

    seed: int

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.tags = [f"sak{self.seed}x{n}" for n in range(14)]

    def post(self, number: int) -> dict[str, object]:
        rng = self.rng
        # What is talked about moves on: a few tags are loud for some seconds each.
        second = number // RATE
        loud = self.tags[(second // 2) % len(self.tags)]
        tag = loud if rng.random() < 0.3 else rng.choice(self.tags[: 2 + second % len(self.tags)])
        place = PLACES[int(rng.random() ** 2 * len(PLACES))]
        text = rng.choice(SAYINGS).replace("Granvik", place.capitalize()).replace("granvik", place)
        author = rng.randrange(400)
        own = f" {number}" if rng.random() < 0.8 else ""
        return {"text": f"{text} #{tag}{own}", "author": f"bruker{author}"}


def posting(fake: FakeX, world: World) -> AbstractContextManager[None]:
    """RATE posts a second, each with the time at which it was due."""
    began, begun = datetime.now(UTC), time.monotonic()

    def post(stop: threading.Event) -> None:
        done = 0
        while not stop.wait(0.01):
            due = int((time.monotonic() - begun) * RATE)
            for number in range(done, due):
                at = began + timedelta(seconds=number / RATE)
                fake.post({**world.post(number), "created_at": at.isoformat()})
            done = due

    return background(post)


@dataclass
class Played:
    """One seed, and what came of it."""

    seed: int
    what: str
    offered: int
    captured: int
    missing: int
    twice: int
    alerts: int
    differing: int
    deadletters: int
    lag: int
    seconds: float

    HEAD = "seed  offered captured missing twice alerts differing dead lag  sec  what was done"

    def __str__(self) -> str:
        return (
            f"{self.seed:4} {self.offered:8} {self.captured:8} {self.missing:7} {self.twice:5} {self.alerts:6} "
            f"{self.differing:9} {self.deadletters:4} {self.lag:3} {self.seconds:4.0f}  "
            f"{self.what}"
        )


class Cast:
    """The five processes and the brokers. `begin` starts one of a role, under a name: set it to start another one."""

    def __init__(self, spread: Spread, cluster: Cluster) -> None:
        self.spread = spread
        self.cluster = cluster
        self.begin: Callable[[str, str], Running] = spread.start
        self.players: dict[tuple[str, int], Running] = {}
        self._raised: list[threading.Thread] = []
        for who in (("listener", 1), ("annotate", 1), ("annotate", 2), ("judge", 1), ("judge", 2)):
            self.raise_(*who)
        self.await_all()

    def await_all(self) -> None:
        """Until all run. Who meets no leader at its start says so and ends; it is started again, as compose does it."""
        for thread in self._raised:
            thread.join()
        for who, running in list(self.players.items()):
            until(lambda running=running: has_begun(running) or ended(running), 60, "it starts")
            if running.process.returncode == 1 and "no answer" in running.said:
                self.raise_(*who)
        ready(self.players.values())

    def raise_later(self, seconds: float, role: str, number: int) -> None:
        """In a thread of its own; `await_all` waits for it."""

        def later() -> None:
            time.sleep(seconds)
            self.raise_(role, number)

        self._raised.append(threading.Thread(target=later))
        self._raised[-1].start()

    def raise_(self, role: str, number: int) -> None:
        if role == "broker":
            self.cluster.start(number)
        else:
            self.players[role, number] = self.begin(role, str(number))


def play(
    seed: int,
    cluster: Cluster,
    home: Path,
    deploy: Callable[..., Deployment],
    disturb: Callable[[Cast], str],
    *,
    without: Sequence[str] = (),
    look: Callable[[Spread], None] = lambda spread: None,
) -> Played:
    """Posts come for as long as `disturb` does what it does, and it says what; then all is looked at, by `look` too.

    `without` are fields of alerts that are not compared.
    """
    began = time.monotonic()
    home.mkdir()
    url = f"{cluster.url}?prefix=kills{seed}-{uuid.uuid4().hex[:6]}"
    with FakeX(keep_alive=1.0, bearer=TOKEN, seed=seed) as fake, ExitStack() as kept:
        spread = Spread(
            home, url, lambda **more: deploy(f"seed{seed}", **more), replication=len(cluster.nodes), lateness=LATENESS,
            settings={"X__BASE_URL": fake.url, "X__BEARER_TOKEN": TOKEN},
        )  # fmt: skip
        kept.callback(spread.close)
        cast = Cast(spread, cluster)
        spread.open(dict(zip(names_over(PARTITIONS), PLACES, strict=True)))
        until(lambda: fake.streams.open, START_SECONDS, "the stream is up")
        until(lambda: any(r.key == "x:tick" for r in read_all(spread.bus, "mentions")), START_SECONDS, "X is heard")
        with posting(fake, World(seed)):
            what = disturb(cast)
        cast.await_all()
        offered = set(fake.world.posts)
        captured: list[str] = []
        reader = spread.bus.reader(["mentions"])
        kept.callback(reader.close)

        def all_captured() -> bool:
            while records := reader.poll(0.0, 5000):
                captured.extend(r.key.removeprefix("x:") for r in records if r.key[2:].isdecimal())
            return offered <= set(captured)

        news = (0, time.monotonic())
        while not all_captured() and time.monotonic() < news[1] + STILL:
            if len(captured) > news[0]:
                news = len(captured), time.monotonic()
            time.sleep(0.5)
        code, _ = cast.players["listener", 1].terminate()
        assert code == 0, cast.players["listener", 1].said
        all_captured()
        spread.end("x", max(post.created_at for post in fake.world.posts.values()) + timedelta(hours=1))
        spread.wait_until_judged()
        lag = spread.lag()
        for running in cast.players.values():
            running.kill()
        mentions, alerts = spread.records("mentions"), spread.values("alerts", "alert")
        ours = said(_less(alert, without) for alert in alerts if alert["incident"] != "calm")
        reference = said(alone(home / "alone", spread.records("control"), mentions, spread.deployment.configure()))
        differing = ours - reference | reference - ours
        for line in sorted(differing)[:20]:
            print("only ours:" if line in ours else "only in the reference:", line)
        findings = [f"{f['incident']}:{f['source']}:{f['id']}" for f in spread.values("findings", "finding")]
        posts = (json.loads(record.value or b"") for record in mentions if record.key[2:].isdecimal())
        due = {f"{incident}:x:{post['id']}" for post in posts for incident in post["incidents"]}
        played = Played(
            seed=seed,
            what=what,
            offered=len(offered),
            captured=len(offered & set(captured)),
            missing=len(offered ^ set(captured)) + len(due ^ set(findings)),
            twice=twice(captured) + twice(findings) + twice((a["id"], a["event"], a.get("settled")) for a in alerts),
            alerts=reference.total(),
            differing=differing.total(),
            deadletters=len(spread.records("deadletters")),
            lag=lag,
            seconds=time.monotonic() - began,
        )
        look(spread)
    drop_topics(url)
    return played


def _less(alert: Mapping[str, Any], without: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in alert.items() if name not in without}
