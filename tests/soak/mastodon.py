"""Much of an hour of Mastodon at its worst: `python -m tests.soak.mastodon --seed 1` prints what became of each post.

Two fake servers of one federation misbehave in an order of the seed's, and the listener, a process of its own that
lives fast, is killed and started again. Some posts are known to one server alone. Then what was deleted is purged, and
every byte of the data folder is looked through.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from listener.settings.schema import Settings
from listener.sources.contract import Follows, LiveSource, source_types
from tests.fakes.mastodon import TOKEN, FakeMastodon, Federation
from tests.soak.clock import SharedClock
from tests.soak.trial import (
    TRACK,
    Fault,
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
    Fault("deaf stream", "silence", {"seconds": 100_000, "loses": True}),
    Fault("mute, late", "silence", {"seconds": 40}, everywhere=True),
    Fault("frozen", "freeze"),
    Fault("one away", "status", {"status": 503, "on": "all", "seconds": 60}),
    Fault("all away", "status", {"status": 503, "on": "all", "seconds": 50}, everywhere=True),
    Fault("no stream", "status", {"status": 503, "on": "stream", "seconds": 40}, everywhere=True),
    Fault("no timeline", "status", {"status": 503, "on": "tag", "seconds": 50}, everywhere=True),
    Fault("limited", "status", {"status": 429, "on": "tag", "seconds": 30}, everywhere=True),
    Fault("token refused", "status", {"status": 401, "on": "all", "seconds": 60}),
    Fault("timeline cut", "cut", {"on": "tag", "times": 3}),
    Fault("timeline garbled", "garbage", {"on": "tag", "times": 3}),
    Fault("timeline huge", "garbage", {"on": "tag", "times": 1, "size": 20_000_000}),
    Fault("timeline hangs", "hang", {"hold": 300, "on": "tag", "times": 1}),
    Fault("instance hangs", "hang", {"hold": 300, "on": "instance", "times": 1}),
    Fault("garbage", "garbage_frame"),
    Fault("no UTF-8", "bad_utf8"),
    Fault("notification", "notification"),
    Fault("huge", "huge", {"size": 10_000_000}),
    Fault("feed refused", "refuse_feed"),
    Fault("twice", "twice", {"count": 20}),
    Fault("disorder", "swap", {"count": 4}),
    Fault("deaf server", "deaf", {"seconds": 30}),
    Fault("kill", "kill", {"down": 2.0}),
    Fault("kill, long", "kill", {"down": 45.0}),
    Fault("kill, at once", "kill", {"down": 0.0}),
    Fault("kill while away", "kill away", {"down": 20.0, "seconds": 60}),
)
BREAKS = frozenset({"status", "hang", "cut", "garbage"})
"""What only a new connection meets."""


def script(seed: int) -> list[tuple[float, Fault]]:
    """Every fault once, in an order of the seed's."""
    return in_order(FAULTS, seed)


def mastodon(settings: Settings, clock: SharedClock) -> LiveSource:
    source = source_types()["mastodon"].make(settings, clock)
    assert isinstance(source, Follows)
    return source


class People:
    """What is said, changed and deleted meanwhile. Each post with the hashtag has a word of its own."""

    def __init__(self, federation: Federation, seed: int) -> None:
        self._federation = federation
        self._rng = random.Random(seed)
        self.said: dict[str, str] = {}

    def turn(self) -> None:
        draw = self._rng.random()
        alive = [uri for uri in self.said if not self._federation.is_gone(uri)]
        if draw < 0.75 or not alive:
            word = f"ord{self._rng.getrandbits(40):010x}"
            home = self._rng.choice(("a.example", "b.example"))
            known_to = None if self._rng.random() < 0.7 else [home]
            by = f"person{self._rng.randrange(60)}@{home}"
            self.said[self._federation.post(f"{word} #{TRACK}", by=by, known_to=known_to).uri] = word
        elif draw < 0.85:
            uri = self._rng.choice(alive)
            self._federation.edit(uri, f"{self.said[uri]} endret {self._rng.randrange(1000)} #{TRACK}")
        elif draw < 0.97:
            self._federation.delete(self._rng.choice(alive))

    def is_gone(self, id_: str) -> bool:
        return self._federation.is_gone(id_)

    def at(self, id_: str) -> datetime:
        return self._federation.statuses[id_].at

    def gone_at(self, id_: str) -> datetime:
        at = self._federation.statuses[id_].deleted_at
        assert at is not None
        return at


def play(seed: int, folder: Path) -> Outcome:
    clock, moment = laid_clock(folder)
    federation, out, rng = Federation(clock), Outcome(seed, len(FAULTS)), random.Random(seed)
    with (
        FakeMastodon(federation=federation, clock=clock) as a,
        FakeMastodon(federation=federation, clock=clock, domain="b.example") as b,
        stage(folder, clock, moment, f"#{TRACK}") as here,
    ):
        servers = [a, b]
        ours = {"MASTODON__SERVERS": json.dumps([{"url": server.url, "token": TOKEN} for server in servers])}
        client = Listener("tests.soak.mastodon", ours, clock, moment, folder, seed)
        people = People(federation, seed)
        try:
            client.start()
            until(lambda: all(server.open for server in servers), client, 60.0)
            played(clock, script(seed), client, people.turn, lambda fault: _happen(fault, servers, client, rng))
            for server in servers:
                server.do("heal")
            drained(clock, lambda: settled(here.bus, people), client)
        finally:
            client.stop()
        judge(out, here.bus, people, client.kills)
        purge(here.bus, here.data)
        look(out, here.bus, people, here.data, told=True)
    return out


def _happen(fault: Fault, servers: Sequence[FakeMastodon], client: Listener, rng: random.Random) -> None:
    if fault.verb in ("kill", "kill away"):
        for server in servers if fault.verb == "kill away" else ():
            server.do("status", status=503, on="all", seconds=fault.params["seconds"])
        client.kill(fault.params["down"])
        return
    for server in servers if fault.everywhere else [rng.choice(servers)]:
        server.do(fault.verb, **fault.params)
        if fault.verb in BREAKS:
            server.do("abort")


if __name__ == "__main__":
    main(__doc__ or "", play, mastodon)
