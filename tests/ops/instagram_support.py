"""The real listener on a bus of its own, against a fake Instagram: what was said, captured, purged, missed, told."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from listener_support import ListenerDeployment, inside
from pydantic import SecretStr

from listener.bus.spool import Spool
from listener.clock import Clock
from listener.model.records import Gap
from listener.runtime.health import Health
from listener.sources.common.graph.access import App, GraphAccess
from listener.sources.common.graph.client import GraphClient
from listener.sources.instagram.source import InstagramSource, Wishes
from listener.webhooks.meta import MetaGuard
from listener.webhooks.worker import Webhooks
from tests.fakes.graph import APP_SECRET, DEFAULT_TOKEN
from tests.fakes.instagram import ACCOUNT, FakeInstagram, Said
from tests.fakes.platform import ScaledClock

SPEED = 20.0
"""Seconds of Instagram's and ours in each of the test's."""
FAST = 120.0
"""For what takes minutes and hours."""
EVERY = 10.0
WORD = "et-ord-vi-valgte"

__all__ = ["ACCOUNT", "DEFAULT_TOKEN", "EVERY", "FAST", "SPEED", "Gram", "GramListener", "gram"]


@dataclass
class GramListener(ListenerDeployment):
    """With the port that Meta calls, where it calls."""

    webhooks: Webhooks | None = None

    def turn(self) -> None:
        super().turn()
        if self.webhooks is not None:
            self.webhooks.step(0.0)

    def die(self) -> None:
        super().die()
        if self.webhooks is not None:
            self.webhooks.close()

    def posts(self) -> dict[str, str]:
        """Id → what it says, on the bus."""
        return {value["id"]: value["text"] for value in self.values("mentions", "mention")}

    def unfilled(self, part: str | None = None) -> list[Gap]:
        """Gaps that nothing was found for, of all or of a part."""
        return [gap for gap in self.open_gaps() if gap.part == part]

    def deleted(self) -> set[str]:
        return {id_ for value in self.values("mentions", "deletion") for id_ in value["ids"]}


@dataclass
class Gram:
    """A fake Instagram, a folder, and the listeners that came and went on it."""

    fake: FakeInstagram
    folder: Path
    clock: ScaledClock
    deployments: list[GramListener] = field(default_factory=list)

    def deployment(
        self,
        holder: str = "listener@test",
        standing: Sequence[str] = (),
        *,
        calls: bool = False,
        spool: Spool | None = None,
        file: Path | None = None,
        seconds: float = 10.0,
        **wishes: Any,
    ) -> GramListener:
        """`calls`: Meta calls it. `file`: of the token. `seconds`: real ones, for a call of the API."""
        clock: Clock = wishes.pop("clock", self.clock)
        access = GraphAccess(
            "instagram.access_token", self.fake.url, "v26.0", DEFAULT_TOKEN, file, App(self.fake.app_id, APP_SECRET)
        )
        chance = random.Random(1).random
        source = InstagramSource(
            Wishes(account=ACCOUNT, **{"every": EVERY, "calm_every": 60.0, **wishes}),
            GraphClient(access, clock, chance=chance, seconds=seconds),
            clock,
            guard=MetaGuard(SecretStr(APP_SECRET), SecretStr(WORD)) if calls else None,
            chance=chance,
        )
        made = GramListener.deploy(source, self.folder, clock, holder, standing, spool=spool)
        if source.webhook is not None:
            part = Health(clock).part("webhooks")
            made.webhooks = Webhooks(
                [source.webhook], host="127.0.0.1", port=0, clock=clock, metrics=made.metrics, part=part
            )
        self.deployments.append(made)
        return made

    def crisis(self, *tracks: str, lookback: float = 0.0, **more: Any) -> GramListener:
        """One that listens for these; with `calls` Meta knows its address."""
        made = self.deployment(**more)
        made.open(*(tracks or ("granvik",)), lookback=lookback)
        made.turn_until(made.hears, 20)
        self.call_back(made)
        return made

    def call_back(self, made: GramListener) -> None:
        if made.webhooks is not None:
            its = made.webhooks
            made.turn_until(lambda: its.port is not None, 20)
            self.fake.do("call_back", url=f"http://127.0.0.1:{its.port}/instagram")

    def goes_by(self, seconds: float) -> None:
        """So much of Instagram's time passes, while nobody listens."""
        threading.Event().wait(seconds / self.clock.speed)

    def lost(self, made: GramListener, word: str = "granvik") -> list[Said]:
        """What was said with this word and is neither captured, nor deleted, nor inside a gap that was not filled."""
        captured, open_gaps = made.captured(), made.open_gaps()
        return [
            said
            for said in self.fake.world.values()
            if word in said.text and said.deleted_at is None and said.post not in captured
            if not any(inside(said.at, gap) for gap in open_gaps)
        ]


@contextmanager
def gram(folder: Path, speed: float = SPEED) -> Iterator[Gram]:
    clock = ScaledClock(speed)
    with FakeInstagram(clock=clock) as fake:
        fake.medium("Til alle pårørende")
        here = Gram(fake, folder, clock)
        try:
            yield here
        finally:
            fake.do("call_back", url=None)
            for made in here.deployments:
                made.die()
                made.bus.close()
