"""The real listener on a bus of its own, against a fake X: what was offered, what was captured, what was missed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from listener_support import ListenerDeployment, inside

from listener.bus.spool import Spool
from listener.clock import Clock, SystemClock
from listener.sources.x.access import Access
from listener.sources.x.source import XSource
from tests.fakes.x import FakeX

TOKEN = "a-token-of-no-account"
SPEED = 60.0
"""The fake and the listener live so much faster than the test."""


@dataclass
class Town:
    """A fake X, a folder, and the listeners that came and went on it."""

    fake: FakeX
    folder: Path
    clock: Clock
    deployments: list[ListenerDeployment] = field(default_factory=list)

    def deployment(
        self,
        holder: str = "listener@test",
        standing: Sequence[str] = (),
        *,
        durable: bool = False,
        spool: Spool | None = None,
        keep: timedelta | None = None,
        **more: Any,
    ) -> ListenerDeployment:
        access = more.pop("access", Access(self.fake.url, TOKEN))
        source = XSource(access, self.clock, **{"chance": random.Random(1).random, **more})
        deployment = ListenerDeployment.deploy(
            source, self.folder, self.clock, holder, standing, durable=durable, spool=spool, keep=keep
        )
        self.deployments.append(deployment)
        return deployment

    @contextmanager
    def deaf(self, deployment: ListenerDeployment, how: Callable[[], Any] | None = None) -> Iterator[None]:
        """The stream breaks (`how`, else by a reset) and X takes nobody in until the end of the `with`: what is
        published meanwhile lies in the gap, however slow this machine is."""
        self.fake.do("refuse", status=503, on="stream")
        (how or (lambda: self.fake.do("reset")))()
        deployment.turn_until(lambda: not deployment.hears(), 20)
        yield
        self.fake.do("heal", on="stream")

    def lost(self, deployment: ListenerDeployment) -> list[str]:
        """Posts that matched a rule or not, were published while the incident was open, and are neither captured nor
        inside a recorded gap."""
        captured, gaps = deployment.captured(), deployment.gaps()
        return [
            post.id
            for post in self.fake.world.posts.values()
            if captured[post.id] == 0 and not any(inside(post.published_at, gap) for gap in gaps)
        ]


@contextmanager
def town(folder: Path, clock: Clock | None = None, **more: Any) -> Iterator[Town]:
    clock = clock or SystemClock()
    # Keep-alives often: a test machine that is busy for a moment must not look like a silent X.
    with FakeX(clock=clock, bearer=TOKEN, keep_alive=5.0, **more) as fake:
        here = Town(fake, folder, clock)
        try:
            yield here
        finally:
            for deployment in here.deployments:
                deployment.die()
                deployment.bus.close()
