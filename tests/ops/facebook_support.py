"""The real listener on a bus of its own, called by a fake Facebook and asking it: what was said, captured, missed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from listener_support import ListenerDeployment, inside
from pydantic import SecretStr

from listener.bus.spool import Spool
from listener.clock import Clock
from listener.sources.common.graph.access import App, GraphAccess
from listener.sources.common.graph.client import GraphClient
from listener.sources.facebook.source import FacebookSource
from listener.webhooks.application import application
from listener.webhooks.meta import MetaGuard
from listener.webserver.server import WebServer, listen
from tests.fakes.facebook import FakeFacebook
from tests.fakes.platform import ScaledClock

SPEED = 20.0
"""Seconds of Facebook in each of the test's."""
SECRET, WORD = "app-hemmelighet", "et-ord-vi-valgte"
TRACK = "granvik"


class Listener(ListenerDeployment):
    def turn(self) -> None:
        """Waits for a bell, and not for the processor."""
        self.reporter.step(0.0)
        self.listen.step(0.05)


@dataclass
class Wall:
    """A Page with one post of its own, a folder, and the listeners that came and went on it."""

    fake: FakeFacebook
    folder: Path
    clock: ScaledClock
    post: str
    deployments: list[ListenerDeployment] = field(default_factory=list)
    servers: list[WebServer] = field(default_factory=list)

    def deployment(
        self,
        holder: str = "listener@test",
        standing: Sequence[str] = (),
        *,
        spool: Spool | None = None,
        called: bool = True,
        token_file: Path | None = None,
        **more: Any,
    ) -> ListenerDeployment:
        """`called`: Facebook has the address of its webhook."""
        clock: Clock = more.pop("clock", self.clock)
        access = GraphAccess(
            "facebook.access_token", self.fake.url, "v26.0", self.fake.token, token_file, App("77", SECRET)
        )
        guard = MetaGuard(SecretStr(SECRET), SecretStr(WORD)) if called else None
        source = FacebookSource(self.fake.world.id, GraphClient(access, clock), clock, guard=guard, **more)
        made = Listener.deploy(source, self.folder, clock, holder, standing, spool=spool)
        self.deployments.append(made)
        if source.webhook is not None:
            app = application({"facebook": source.webhook}, clock, made.metrics)
            server = WebServer(lambda _: app, listen("127.0.0.1", 0, "webhooks"), "webhooks")
            self.servers.append(server)
            self.fake.do("call", url=f"http://127.0.0.1:{server.port}/facebook", token=WORD)
        return made

    def crisis(self, **more: Any) -> ListenerDeployment:
        """One that listens for the track."""
        made = self.deployment(**more)
        made.open(TRACK)
        made.turn_until(made.hears, 20)
        return made

    def say(self, text: str = f"det brenner i {TRACK}", by: str | None = "Kari Fjell", **more: Any) -> str:
        """A comment below the Page's post."""
        return self.fake.world.say(text, by=by, **{"on": self.post, **more}).id

    def hear(self, its: ListenerDeployment, text: str = f"det brenner i {TRACK}", **more: Any) -> str:
        """A comment, captured."""
        id_ = self.say(text, **more)
        its.turn_until(lambda: its.captured()[id_] == 1, 20)
        return id_

    def goes_by(self, seconds: float) -> None:
        """So much of Facebook's time passes, while nobody listens."""
        threading.Event().wait(seconds / self.clock.speed)

    def lost(self, its: ListenerDeployment) -> list[str]:
        """What holds the track, and is neither captured nor inside a recorded gap that was not filled."""
        captured = {id_.partition("@")[0] for id_ in its.captured()}
        open_gaps = its.open_gaps()
        return [
            each.id
            for each in self.fake.world.things.values()
            if TRACK in each.texts[0] and each.on is not None and each.id not in captured
            if each.gone_at is None and not any(inside(each.at, gap) for gap in open_gaps)
        ]


def mention(its: ListenerDeployment, id_: str) -> dict[str, Any]:
    return next(v for v in its.values("mentions", "mention") if v["id"] == id_)


def versions(its: ListenerDeployment, id_: str) -> list[str]:
    return [v["text"] for v in its.values("mentions", "mention") if v["id"].partition("@")[0] == id_]


def deleted(its: ListenerDeployment) -> set[str]:
    return {id_ for v in its.values("mentions", "deletion") for id_ in v["ids"]}


@contextmanager
def wall(folder: Path, speed: float = SPEED, text: str = "Vi følger situasjonen") -> Iterator[Wall]:
    clock = ScaledClock(speed)
    with FakeFacebook(clock=clock, secret=SECRET, needs_proof=True) as fake:
        post = fake.world.say(text, at=clock.now() - timedelta(days=1), told=False)
        here = Wall(fake, folder, clock, post.id)
        try:
            yield here
        finally:
            for each in here.deployments:
                each.die()
            for server in here.servers:
                server.close()
            for each in here.deployments:
                each.bus.close()
