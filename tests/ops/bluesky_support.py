"""The real listener on a bus of its own, against fake hosts of one network: what was said, captured, purged, missed."""

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
from listener.sources.bluesky.source import BlueskySource
from tests.fakes.bluesky import FakeBluesky, Network
from tests.fakes.platform import ScaledClock

SPEED = 10.0
"""Seconds of the network in each of the test's: ten are as late as a post may be, which no busy machine is."""
FAST = 30.0
"""For what takes the network minutes."""


@dataclass
class Sky:
    """A network with two hosts, a folder, and the listeners that came and went on it."""

    network: Network
    east: FakeBluesky
    west: FakeBluesky
    folder: Path
    clock: ScaledClock
    deployments: list[ListenerDeployment] = field(default_factory=list)

    def deployment(
        self, holder: str = "listener@test", standing: Sequence[str] = (), *, spool: Spool | None = None, **more: Any
    ) -> ListenerDeployment:
        clock: Clock = more.pop("clock", self.clock)
        hosts = more.pop("hosts", [self.east.url, self.west.url])
        source = BlueskySource(hosts, clock, **{"chance": random.Random(1).random, **more})
        deployment = ListenerDeployment.deploy(source, self.folder, clock, holder, standing, spool=spool)
        self.deployments.append(deployment)
        return deployment

    def say(self, text: str = "det brenner i granvik", **more: Any) -> str:
        return self.network.post(text, **more).uri

    def goes_by(self, seconds: float) -> None:
        """So much of the network's time passes, while nobody listens."""
        threading.Event().wait(seconds / self.clock.speed)

    def lost(self, deployment: ListenerDeployment, word: str = "granvik") -> list[str]:
        """Posts with this word that are neither captured nor inside a recorded gap that was not filled."""
        captured = {uri.partition("@")[0] for uri in deployment.captured()}
        open_gaps = deployment.open_gaps()
        return [
            post.uri
            for post in self.network.posts.values()
            if word in post.texts[0] and post.uri not in captured and not any(inside(post.at, g) for g in open_gaps)
        ]


@contextmanager
def sky(folder: Path, speed: float = SPEED) -> Iterator[Sky]:
    clock = ScaledClock(speed)
    network = Network(clock)
    with FakeBluesky(network=network) as east, FakeBluesky(network=network, first=90_000, chatter=0) as west:
        here = Sky(network, east, west, folder, clock)
        try:
            yield here
        finally:
            for deployment in here.deployments:
                deployment.die()
                deployment.bus.close()
