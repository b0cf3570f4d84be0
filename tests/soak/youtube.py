"""A third of an hour of YouTube at its worst: `python -m tests.soak.youtube --seed 1` prints what became of it all.

A fake API misbehaves in an order of the seed's, its quota is spent shortly before midnight in California, and the
listener, a process of its own that lives fast, is killed and started again. It is asked every two minutes what is
deleted; then that is purged, and every byte of the data folder is looked through.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from listener.settings.schema import Settings
from listener.sources.common.polling import answer_to
from listener.sources.contract import LiveSource
from listener.sources.youtube.access import youtube_access
from listener.sources.youtube.source import YoutubeSource
from tests.fakes.youtube import CHANNEL, FakeYoutube, World
from tests.soak.clock import SharedClock
from tests.soak.listener import CALL_SECONDS
from tests.soak.trial import (
    TRACK,
    Fault,
    Listener,
    Outcome,
    drained,
    in_order,
    judge,
    look,
    main,
    played,
    purge,
    settled,
    stage,
    until,
)

KEY = "a-key-of-no-project"
MIDNIGHT = 700.0
"""Seconds from the beginning to midnight in California."""
FAULTS = (
    Fault("away", "status", {"status": 503, "on": "all", "seconds": 90}),
    Fault("no replies", "status", {"status": 500, "on": "comments", "seconds": 40}),
    Fault("forbidden", "status", {"status": 403, "on": "all", "times": 1}),
    Fault("redirects", "status", {"status": 302, "headers": {"Location": "/"}, "on": "threads", "times": 1}),
    Fault("limited", "rate_limit", {"seconds": 40}),
    Fault("cut", "cut", {"on": "all", "times": 3}),
    Fault("garbled", "garbage", {"on": "all", "times": 3}),
    Fault("huge", "garbage", {"on": "threads", "times": 1, "size": 10_000_000}),
    Fault("hangs", "hang", {"hold": 600, "on": "all", "times": 1}),
    Fault("drips", "slow", {"hold": 600, "on": "threads", "times": 1}),
    Fault("reset", "reset", {"on": "all", "times": 3}),
    Fault("empty pages", "empty_pages", {"count": 5}),
    Fault("cannot go on", "processing_failure", {"count": 3}),
    Fault("tokens refused", "bad_tokens", {"count": 3}),
    Fault("twice", "repeat", {"count": 10}),
    Fault("no order", "shuffle"),
    Fault("in order", "shuffle", {"on_pages": False}),
    Fault("lifts threads", "lift"),
    Fault("lifts none", "lift", {"threads": False}),
    Fault("late index", "lag", {"seconds": 40}),
    Fault("markup", "markup"),
    Fault("empty answer", "status", {"status": 200, "body": {"items": []}, "on": "comments", "times": 1}),
    Fault("kill", "kill", {"down": 2.0}),
    Fault("kill, long", "kill", {"down": 90.0}),
    Fault("kill, at once", "kill", {"down": 0.0}),
)
SPENT = Fault("quota spent", "used", {"units": 10_000})


def script(seed: int) -> list[tuple[float, Fault]]:
    """Every fault once, in an order of the seed's, and the quota spent a minute or two before midnight."""
    spent = MIDNIGHT - 60.0 - random.Random(seed).uniform(0.0, 60.0)
    return sorted([*in_order(FAULTS, seed), (spent, SPENT)], key=lambda each: each[0])


def youtube(settings: Settings, clock: SharedClock) -> LiveSource:
    """As the program makes it, but that a call has failed after a real second."""
    access, its = youtube_access(settings), settings.youtube
    assert access is not None
    return YoutubeSource(
        access, its.channels, clock, deletions=its.deletions, answer=partial(answer_to, seconds=CALL_SECONDS)
    )


class People:
    """What is written, answered, changed and deleted meanwhile. Each comment about the track has a word of its own."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._rng = random.Random(seed)
        self.said: dict[str, str] = {}

    def turn(self) -> None:
        draw = self._rng.random()
        alive = [id_ for id_ in self.said if not self.is_gone(id_)]
        if draw < 0.45 or not alive:
            self._say()
        elif draw < 0.77:
            self._say(reply_to=self._rng.choice(alive))
        elif draw < 0.86:
            id_ = self._rng.choice(alive)
            self._world.edit(id_, f"{TRACK} {self.said[id_]} endret {self._rng.randrange(1000)}")
        else:
            self._world.delete(self._rng.choice(alive))

    def is_gone(self, id_: str) -> bool:
        return self._world.comments[id_].gone

    def at(self, id_: str) -> datetime:
        return self._world.comments[id_].at

    def gone_at(self, id_: str) -> datetime:
        at = self._world.comments[id_].gone_at
        assert at is not None
        return at

    def _say(self, **more: str) -> None:
        word = f"ord{self._rng.getrandbits(40):010x}"
        by = None if self._rng.random() < 0.05 else f"person{self._rng.randrange(60)}"
        self.said[self._world.say(f"{TRACK} {word}", by=by, **more).id] = word


def play(seed: int, folder: Path) -> Outcome:
    path, start = folder / "clock", _before_midnight()
    SharedClock.lay(path)
    clock = SharedClock(path, start)
    out = Outcome(seed, len(script(seed)))
    with (
        FakeYoutube(clock=clock, key=KEY) as fake,
        stage(folder, clock, (str(path), start.isoformat())) as here,
    ):
        ours = {
            "YOUTUBE__BASE_URL": fake.url, "YOUTUBE__API_KEY": KEY, "YOUTUBE__DELETIONS": "2m",
            "YOUTUBE__CHANNELS": json.dumps({CHANNEL: "@fjordby"}),
        }  # fmt: skip
        client = Listener("tests.soak.youtube", ours, clock, here.moment, folder, seed)
        people = People(fake.world, seed)
        try:
            client.start()
            until(lambda: bool(fake.requests()), client, 60.0)
            played(clock, script(seed), client, people.turn, lambda fault: _happen(fault, fake, client))
            fake.do("heal")
            fake.do("lag", seconds=0)
            drained(clock, lambda: settled(here.bus, people), client)
        finally:
            client.stop()
        judge(out, here.bus, people, client.kills)
        purge(here.bus, here.data)
        look(out, here.bus, people, here.data, told=True)
    return out


def _happen(fault: Fault, fake: FakeYoutube, client: Listener) -> None:
    if fault.verb == "kill":
        client.kill(fault.params["down"])
    else:
        fake.do(fault.verb, **fault.params)


def _before_midnight() -> datetime:
    """So that the day of the quota ends in the middle of it."""
    zone = ZoneInfo("America/Los_Angeles")
    tomorrow = datetime.now(UTC).astimezone(zone).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).astimezone(UTC) - timedelta(
        seconds=MIDNIGHT
    )


if __name__ == "__main__":
    main(__doc__ or "", play, youtube)
