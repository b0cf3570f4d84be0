"""A third of an hour of feeds at their worst: `python -m tests.soak.feeds --seed 1` prints what became of each entry.

Three feeds are published, which misbehave in an order of the seed's, and the listener, a process of its own that lives
fast, is killed and started again. An entry that was not captured must lie in a gap of its own feed, or of all.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from listener.ingest.gaps import ledger
from listener.settings.schema import Settings
from listener.sources.contract import Follows, LiveSource, source_types
from tests.fakes.feeds import Entry, FakeFeeds
from tests.soak.clock import SharedClock
from tests.soak.trial import (
    TRACK,
    Fault,
    Later,
    Listener,
    Outcome,
    drained,
    in_a_gap,
    in_order,
    judge,
    laid_clock,
    main,
    played,
    settled,
    stage,
    until,
    values,
)

FEEDS = ("posten", "avisa", "radio")
FAULTS = (
    Fault("away", "status", {"status": 503, "on": "feed", "seconds": 150}),
    Fault("limited", "status", {"status": 429, "on": "feed", "times": 2, "headers": {"Retry-After": "45"}}),
    Fault("gone for a while", "status", {"status": 404, "on": "feed", "seconds": 60}),
    Fault("one hangs", "hang", {"hold": 200, "on": "feed", "times": 1}),
    Fault("two hang", "hang", {"hold": 300, "on": "feed", "times": 2}),
    Fault("drips", "slow", {"hold": 200, "on": "feed", "times": 1}),
    Fault("cut", "cut", {"on": "feed", "times": 3}),
    Fault("reset", "reset", {"on": "feed", "times": 3}),
    Fault("garbled", "garbage", {"on": "feed", "times": 3}),
    Fault("huge", "garbage", {"on": "feed", "times": 1, "size": 6_000_000}),
    Fault("a page", "page", {"times": 2}),
    Fault("a bomb", "bomb", {"feed": "posten", "times": 1}),
    Fault("empty", "empty", {"times": 1}),
    Fault("half", "half", {"times": 2}),
    Fault("holds two", "keeps", {"feed": "avisa", "count": 2}),
    Fault("no dates", "style", {"feed": "radio", "undated": True}),
    Fault("all touched", "style", {"feed": "posten", "touched": True}),
    Fault("no validators", "style", {"feed": "avisa", "tags": False}),
    Fault("packed", "style", {"feed": "posten", "packed": True}),
    Fault("one name for all", "style", {"feed": "avisa", "one_guid": True}),
    Fault("dropped", "drop"),
    Fault("kill", "kill", {"down": 2.0}),
    Fault("kill, long", "kill", {"down": 90.0}),
    Fault("kill, at once", "kill", {"down": 0.0}),
)


RETURNED = Fault("returned", "drop")
"""Some time after entries were dropped: they are there again."""
HOLDS_FIFTY = Fault("holds fifty", "keeps", {"feed": "avisa", "count": 50})
"""Some time after it held two: what it did not hold when it was read, it does not hold any more."""


def script(seed: int) -> list[tuple[float, Fault]]:
    return in_order(FAULTS, seed)


def feeds(settings: Settings, clock: SharedClock) -> LiveSource:
    source = source_types()["feeds"].make(settings, clock)
    assert isinstance(source, Follows)
    return source


class Newsrooms:
    """What is published and changed meanwhile. Each entry has a word of its own."""

    def __init__(self, fake: FakeFeeds, seed: int) -> None:
        self._fake = fake
        self._rng = random.Random(seed)
        self.said: dict[str, str] = {}
        self.entries: dict[str, tuple[str, Entry]] = {}
        """Id → feed and entry."""
        self._dropped: list[str] = []

    def turn(self) -> None:
        if self._rng.random() < 0.85 or not self.said:
            feed, word = self._rng.choice(FEEDS), f"ord{self._rng.getrandbits(40):010x}"
            entry = self._fake.publish(feed, f"{TRACK} {word}", "<p>Mer fra <b>stedet</b></p>")
            self.said[entry.guid], self.entries[entry.guid] = word, (feed, entry)
        else:
            id_ = self._rng.choice([*self.said][-20:])
            self._fake.tell({"edit": id_, "title": f"{TRACK} {self.said[id_]} endret {self._rng.randrange(1000)}"})

    def drop(self) -> None:
        """Entries that everybody has read by now are in the feeds no more, and come back."""
        if self._dropped:
            for id_ in self._dropped:
                self._fake.tell({"return": id_})
        self._dropped = [] if self._dropped else [*self.said][:10]
        for id_ in self._dropped:
            self._fake.tell({"drop": id_})

    def is_gone(self, id_: str) -> bool:
        return False

    def at(self, id_: str) -> datetime:
        return self.entries[id_][1].at

    def gone_at(self, id_: str) -> datetime:
        raise AssertionError("a feed never says so")


def play(seed: int, folder: Path) -> Outcome:
    clock, moment = laid_clock(folder)
    out = Outcome(seed, len(FAULTS))
    with FakeFeeds(clock=clock) as fake, stage(folder, clock, moment) as here:
        read = [{"url": fake.address(feed), "name": feed, "inside": True} for feed in FEEDS]
        ours = {"FEEDS__READ": json.dumps(read), "FEEDS__EVERY": "30s"}
        client = Listener("tests.soak.feeds", ours, clock, here.moment, folder, seed)
        rooms = Newsrooms(fake, seed)
        try:
            client.start()
            until(lambda: len(fake.requests()) >= len(FEEDS), client, 60.0)
            played(clock, script(seed), client, rooms.turn, lambda fault: _happen(fault, fake, rooms, client))
            fake.do("heal")
            drained(clock, lambda: settled(here.bus, rooms), client)
        finally:
            client.stop()
        judge(out, here.bus, rooms, client.kills)
        _in_its_own_gap(out, here.bus, rooms)
    return out


def _happen(fault: Fault, fake: FakeFeeds, rooms: Newsrooms, client: Listener) -> Later | None:
    if fault.verb == "kill":
        client.kill(fault.params["down"])
    elif fault.verb == "drop":
        rooms.drop()
    else:
        fake.do(fault.verb, **fault.params)
    return {"dropped": (80.0, RETURNED), "holds two": (200.0, HOLDS_FIFTY)}.get(fault.name)


def _in_its_own_gap(out: Outcome, bus: object, rooms: Newsrooms) -> None:
    """A gap of another feed is none of an entry's."""
    found: list[Mapping[str, object]] = [v for v in values(bus) if v["type"] == "mention"]  # type: ignore[arg-type]
    held = {str(value["id"]).partition("@")[0] for value in found}
    every = ledger(bus)  # type: ignore[arg-type]
    for id_, (feed, entry) in rooms.entries.items():
        its = [gap for gap in every if gap.part in (None, feed)]
        if id_ not in held and not in_a_gap(its, entry.at) and in_a_gap(every, entry.at):
            out.in_gaps -= 1
            out.lost += 1
            out.lost_posts.append(f"{id_} {entry.at.isoformat()} lies in a gap of another feed")


if __name__ == "__main__":
    main(__doc__ or "", play, feeds)
