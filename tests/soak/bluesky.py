"""A third of an hour of Bluesky at its worst: `python -m tests.soak.bluesky --seed 1` prints what became of each post.

Two fake hosts of one network misbehave in an order of the seed's, and the listener, a process of its own that lives
fast, is killed and started again. Then what was deleted is purged, and every byte of the data folder is looked through.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from listener.settings.schema import Settings
from listener.sources.contract import Follows, LiveSource, source_types
from tests.fakes.bluesky import FakeBluesky, Network, did_of
from tests.soak.clock import SharedClock
from tests.soak.trial import (
    TRACK,
    Fault,
    Later,
    Listener,
    Outcome,
    drained,
    in_order,
    judge,
    laid_clock,
    look,
    main,
    played,
    purge,
    settled,
    stage,
    until,
)

FAULTS = (
    Fault("closed", "close"),
    Fault("aborted", "abort"),
    Fault("reset", "cut_streams"),
    Fault("half a frame", "half_frame"),
    Fault("too slow", "too_slow"),
    Fault("mute", "silence", {"seconds": 90, "loses": True}),
    Fault("mute, late", "silence", {"seconds": 40}, everywhere=True),
    Fault("all away", "status", {"status": 503, "on": "subscribe", "seconds": 50}, everywhere=True),
    Fault("limited", "status", {"status": 429, "on": "subscribe", "seconds": 20}, everywhere=True),
    Fault("hangs", "hang", {"hold": 40, "on": "subscribe", "times": 1}),
    Fault("garbage", "garbage_frame"),
    Fault("no UTF-8", "bad_utf8"),
    Fault("unknown kind", "unknown_kind"),
    Fault("huge", "huge", {"size": 6_000_000}),
    Fault("twice", "twice", {"count": 20}),
    Fault("disorder", "swap", {"count": 4}),
    Fault("deaf", "deaf", {"seconds": 30}),
    Fault("other numbers", "renumber", {"first": 7}),
    Fault("kill", "kill", {"down": 2.0}),
    Fault("kill, long", "kill", {"down": 45.0}),
    Fault("kill, at once", "kill", {"down": 0.0}),
    Fault("kill, forgotten", "forget", {"keeps": 15.0, "down": 40.0}),
)
REMEMBERS: Final = Fault("remembers", "keeps", {"seconds": 36 * 3600.0}, everywhere=True)
"""Some time after `forget`: what was said while the listener was down, no host gave any more."""


def script(seed: int) -> list[tuple[float, Fault]]:
    """Every fault once, in an order of the seed's."""
    return in_order(FAULTS, seed)


def bluesky(settings: Settings, clock: SharedClock) -> LiveSource:
    source = source_types()["bluesky"].make(settings, clock)
    assert isinstance(source, Follows)
    return source


class People:
    """What is said, changed and deleted meanwhile. Each post about the track has a word of its own."""

    def __init__(self, network: Network, seed: int) -> None:
        self._network = network
        self._rng = random.Random(seed)
        self.said: dict[str, str] = {}

    def turn(self) -> None:
        draw = self._rng.random()
        alive = [uri for uri in self.said if not self._network.is_gone(uri)]
        if draw < 0.75 or not alive:
            word = f"ord{self._rng.getrandbits(40):010x}"
            post = self._network.post(f"{TRACK} {word}", by=self._somebody())
            self.said[post.uri] = word
        elif draw < 0.85:
            uri = self._rng.choice(alive)
            self._network.edit(uri, f"{TRACK} {self.said[uri]} endret {self._rng.randrange(1000)}")
        elif draw < 0.97:
            self._network.delete(self._rng.choice(alive))
        elif draw < 0.98:
            self._network.account(self._somebody())

    def is_gone(self, id_: str) -> bool:
        return self._network.is_gone(id_)

    def at(self, id_: str) -> datetime:
        return self._network.posts[id_].at

    def gone_at(self, id_: str) -> datetime:
        """When it was deleted, or its account was."""
        post, events = self._network.posts[id_], self._network.events
        gone = (e.at for e in events if e.kind == "account" and e.did == post.did and e.status == "deleted")
        return min(at for at in (post.deleted_at, next(gone, None)) if at is not None)

    def _somebody(self) -> str:
        """Who has an account yet."""
        there = [f"person{n}" for n in range(60) if did_of(f"person{n}") not in self._network.gone]
        return self._rng.choice(there)


def play(seed: int, folder: Path) -> Outcome:
    clock, moment = laid_clock(folder)
    network, out = Network(clock), Outcome(seed, len(FAULTS))
    with (
        FakeBluesky(network=network, clock=clock, chatter=1.0) as east,
        FakeBluesky(network=network, clock=clock, first=500_000, chatter=0) as west,
        stage(folder, clock, moment) as here,
    ):
        hosts = [east, west]
        ours = {"BLUESKY__ENABLED": "true", "BLUESKY__HOSTS": json.dumps([host.url for host in hosts])}
        client = Listener("tests.soak.bluesky", ours, clock, moment, folder, seed)
        people = People(network, seed)
        try:
            client.start()
            until(lambda: any(host.open for host in hosts), client, 60.0)
            played(clock, script(seed), client, people.turn, lambda fault: _happen(fault, hosts, client))
            for host in hosts:
                host.do("heal")
            network.post("slutt", by="slutt")
            drained(clock, lambda: settled(here.bus, people), client)
        finally:
            client.stop()
        judge(out, here.bus, people, client.kills)
        purge(here.bus, here.data)
        look(out, here.bus, people, here.data)
    return out


def _happen(fault: Fault, hosts: Sequence[FakeBluesky], client: Listener) -> Later | None:
    if fault.verb in ("kill", "forget"):
        for host in hosts if fault.verb == "forget" else ():
            host.do("keeps", seconds=fault.params["keeps"])
        client.kill(fault.params["down"])
        return (80.0, REMEMBERS) if fault.verb == "forget" else None
    read = [host for host in hosts if host.open] or list(hosts)
    for host in hosts if fault.everywhere else read[:1]:
        host.do(fault.verb, **fault.params)
        if fault.verb in ("status", "hang", "renumber"):
            host.do("abort")
    return None


if __name__ == "__main__":
    main(__doc__ or "", play, bluesky)
