"""The real listener on a bus of its own, against fake servers of one federation: what was said, captured, purged,
missed."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from listener_support import ListenerDeployment, inside

from listener.bus.spool import Spool
from listener.clock import Clock
from listener.sources.common.key import Key
from listener.sources.mastodon.access import Access
from listener.sources.mastodon.source import MastodonSource
from tests.fakes.mastodon import TOKEN, FakeMastodon, Federation
from tests.fakes.platform import ScaledClock

SPEED = 10.0
"""Seconds of the servers in each of the test's: ten are as late as a post may be, which no busy machine is."""
FAST = 30.0
"""For what takes the servers minutes."""


@dataclass
class Fediverse:
    """Servers of one federation, a folder, and the listeners that came and went on it."""

    federation: Federation
    a: FakeMastodon
    b: FakeMastodon
    folder: Path
    clock: ScaledClock
    deployments: list[ListenerDeployment] = field(default_factory=list)

    def accesses(self, *servers: FakeMastodon, token: str = TOKEN, timeline: str = "none") -> list[Access]:
        named = [(server.domain, server.url) for server in servers or (self.a, self.b)]
        return [Access(name, url, Key("mastodon.servers.token", token), timeline) for name, url in named]

    def deployment(
        self, holder: str = "listener@test", standing: Sequence[str] = (), *, spool: Spool | None = None, **more: Any
    ) -> ListenerDeployment:
        clock: Clock = more.pop("clock", self.clock)
        accesses = more.pop("accesses", self.accesses())
        source = MastodonSource(accesses, clock, **{"chance": random.Random(1).random, **more})
        deployment = ListenerDeployment.deploy(source, self.folder, clock, holder, standing, spool=spool)
        self.deployments.append(deployment)
        return deployment

    def say(self, text: str = "det brenner #granvik", **more: Any) -> str:
        return self.federation.post(text, **more).uri

    def goes_by(self, seconds: float) -> None:
        """So much of the servers' time passes, while nobody listens."""
        threading.Event().wait(seconds / self.clock.speed)

    def lost(self, deployment: ListenerDeployment, word: str = "granvik") -> list[str]:
        """Posts with this word that are neither captured nor inside a recorded gap that was not filled."""
        captured = {v["edits"][0] if v.get("edits") else v["id"] for v in deployment.values("mentions", "mention")}
        open_gaps = deployment.open_gaps()
        return [
            status.uri
            for status in self.federation.statuses.values()
            if word in status.texts[0]
            and status.uri not in captured
            and not any(inside(status.at, g) for g in open_gaps)
        ]


@contextmanager
def fediverse(folder: Path, speed: float = SPEED) -> Iterator[Fediverse]:
    clock = ScaledClock(speed)
    federation = Federation(clock)
    with (
        FakeMastodon(federation=federation) as a,
        FakeMastodon(federation=federation, domain="b.example") as b,
    ):
        here = Fediverse(federation, a, b, folder, clock)
        try:
            yield here
        finally:
            for deployment in here.deployments:
                deployment.die()
                deployment.bus.close()
