"""The real listener on a bus of its own, against a fake YouTube: what was written, captured, purged, missed."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from listener_support import ListenerDeployment, inside

from listener.clock import Clock
from listener.ingest.ingestor import IngestorPhase
from listener.sources.common.key import Key
from listener.sources.common.polling import answer_to
from listener.sources.youtube.access import Access, OwnersGrant
from listener.sources.youtube.source import YoutubeSource
from tests.fakes.platform import ScaledClock
from tests.fakes.youtube import CHANNEL, FakeYoutube

SPEED = 60.0
"""A minute of YouTube's in each second of the test's."""
KEY = "a-key-of-no-project"
OAUTH = ("a-client", "a-secret", "a-refresh-token")


@dataclass
class Tube:
    """A fake YouTube, a folder, and the listeners that came and went on it."""

    fake: FakeYoutube
    folder: Path
    clock: ScaledClock
    deployments: list[ListenerDeployment] = field(default_factory=list)

    def deployment(
        self, holder: str = "listener@test", standing: Sequence[str] = ("@fjordby",), **more: Any
    ) -> ListenerDeployment:
        """`owner`: in the owner's name too; `key_file`: the key is read from it."""
        clock: Clock = more.pop("clock", self.clock)
        grant = OwnersGrant(*OAUTH, f"{self.fake.url}/token") if more.pop("owner", False) else None
        access = Access(self.fake.url, Key("youtube.api_key", KEY, more.pop("key_file", None)), grant)
        usual = {
            "chance": random.Random(1).random, "answer": partial(answer_to, seconds=1.0),
            "deletions": timedelta(minutes=2),
        }  # fmt: skip
        source = YoutubeSource(access, more.pop("channels", {CHANNEL: "fjordby"}), clock, **{**usual, **more})
        deployment = ListenerDeployment.deploy(source, self.folder, clock, holder, standing)
        self.deployments.append(deployment)
        return deployment

    def crisis(self, *args: Any, lookback: float = 0.0, **more: Any) -> ListenerDeployment:
        """A deployment that listens for `granvik`, after some calm."""
        deployment = self.deployment(*args, **more)
        deployment.turn_until(lambda: deployment.listen.phase is IngestorPhase.LISTENING, 20)
        deployment.turn()
        deployment.open("granvik", lookback=lookback)
        deployment.turn_until(deployment.hears, 20)
        return deployment

    def say(self, text: str = "hva skjer i granvik", **more: Any) -> str:
        return self.fake.world.say(text, **more).id

    def goes_by(self, seconds: float) -> None:
        """So much of YouTube's time passes, while nobody listens."""
        threading.Event().wait(seconds / self.clock.speed)

    def lost(self, deployment: ListenerDeployment, word: str = "granvik") -> list[str]:
        """Comments with this word that are neither captured nor inside a recorded gap that was not filled."""
        captured = {id_.partition("@")[0] for id_ in deployment.captured()}
        unfilled = [g for g in deployment.gaps() if g.end is None or (g.refilled_until or g.start) < g.end]
        return [
            comment.id
            for comment in self.fake.world.comments.values()
            if word in comment.texts[0]
            and comment.id not in captured
            and not comment.gone
            and not any(inside(comment.at, gap) for gap in unfilled)
        ]


def units(deployment: ListenerDeployment) -> int:
    return int(deployment.state["quota"]["used"])


@contextmanager
def tube(folder: Path, *, start: datetime | None = None, speed: float = SPEED, **more: Any) -> Iterator[Tube]:
    clock = ScaledClock(speed, start)
    with FakeYoutube(clock=clock, key=KEY, oauth=OAUTH, **more) as fake:
        here = Tube(fake, folder, clock)
        try:
            yield here
        finally:
            for deployment in here.deployments:
                deployment.die()
                deployment.bus.close()
