"""A fake X: a real HTTP server on loopback that filters, streams, searches and counts as X's API v2 does.

It knows what it offered to whom, keeps the truth apart from it, and misbehaves on command:

    with FakeX() as fake:
        rule = fake.world.add_rule('"fjordby sykehus"', "lyttepost")
        …connect a client to fake.url…
        post = fake.post({"text": "Kø ved Fjordby sykehus"})
        fake.do("reset")
        assert fake.world.offered() == [post.id]

`times` is its clock, `language` and `matching` the rules, `world` the truth and the record, `commands` the
misbehaviour, `scenario` the timeline, `api` the endpoints, `control` its own port, `web` the sockets.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .account_api import Account
from .api import Api
from .commands import BadCommand, Commands, verbs
from .control import Control
from .faults import Faults
from .language import InvalidRule
from .matching import Dialect
from .plans import PLANS, Limits, Plan
from .scenario import BadScenario, Player, Step, read_scenario, steps_of
from .streams import Streams
from .times import Clock, RealClock, ScaledClock
from .web import Web
from .world import Offer, Page, Post, Request, Rule, World

__all__ = [
    "PLANS",
    "Account",
    "BadCommand",
    "BadScenario",
    "Clock",
    "Dialect",
    "FakeX",
    "InvalidRule",
    "Offer",
    "Page",
    "Plan",
    "Player",
    "Post",
    "RealClock",
    "Request",
    "Rule",
    "ScaledClock",
    "Step",
    "World",
    "read_scenario",
    "steps_of",
    "verbs",
]


class FakeX:
    """One fake X. All times are in seconds of `clock`, which may run fast (`ScaledClock`) or be moved by hand.

    `plan` is a name of `PLANS` or a plan; `bearer` the only good token (None: any); `port` 0 takes a free one;
    `scenario` is a file, its steps, or None; `account` the one that may publish. The port is taken at once, requests
    are answered after `start`.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        plan: str | Plan = "pay-per-use",
        bearer: str | None = None,
        port: int = 0,
        keep_alive: float = 20.0,
        scenario: Path | str | Iterable[Step] | None = None,
        seed: int = 1,
        account: Account | None = None,
    ) -> None:
        self.clock: Clock = clock or RealClock()
        steps = read_scenario(scenario) if isinstance(scenario, Path | str) else list(scenario or ())
        self.world = World(self.clock, PLANS[plan] if isinstance(plan, str) else plan)
        self.faults = Faults()
        self.limits = Limits(self.clock)
        self.streams = Streams(self.world, self.faults, self.clock, keep_alive, seed)
        self.commands = Commands(self.world, self.faults, self.streams, self.clock)
        self.api = Api(self.world, self.faults, self.streams, account)
        self.failures: list[str] = []
        """Steps of the scenario that would not do."""
        self.player = Player(steps, self._say, self.commands.do, self.clock, self.failures.append)
        control = Control(self.world, self.streams, self.commands)
        self._web = Web(self.api, control, self.world, self.faults, self.streams, self.limits, bearer, port)
        self._threads: list[Any] = []

    @property
    def port(self) -> int:
        return self._web.port

    @property
    def url(self) -> str:
        """What takes the place of https://api.twitter.com."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def errors(self) -> list[str]:
        """Tracebacks of the fake's own mistakes: none, if all is well."""
        return self._web.errors

    @property
    def account(self) -> Account:
        """The one that may publish."""
        return self.api.account.account

    def said(self) -> list[str]:
        """What the account has published, oldest first, as it was written."""
        with self.world.lock:
            return self.api.account.said()

    def start(self) -> Self:
        """Answer requests and play the scenario from its second 0."""
        self._web.start()
        self._threads.append(self.player.start(self._web.stopping))
        return self

    def stop(self) -> None:
        """End every connection and thread, in less than a second."""
        self._web.stop()
        for thread in self._threads:
            thread.join()

    def post(self, post: dict[str, Any] | str, *, live: bool = True, **more: Any) -> Post:
        """Publish a post now: a text, a plain post or a line as X's stream gives; see `World.publish`."""
        raw = {"text": post, **more} if isinstance(post, str) else {**post, **more}
        return self.world.publish(raw, live=live)

    def _say(self, post: dict[str, Any], at: datetime, live: bool) -> Post:
        return self.world.publish(post, at, live=live)

    def do(self, verb: str, **params: Any) -> Any:
        """Run a command of `commands.Commands`."""
        return self.commands.do(verb, **params)

    def requests(self, path: str = "", method: str = "") -> list[Request]:
        """Requests so far whose path ends so, of this method."""
        with self.world.lock:
            return [r for r in self.world.requests if r.path.endswith(path) and method in ("", r.method)]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None and (self.errors or self.failures):
            raise AssertionError("the fake itself failed:\n" + "\n".join((*self.errors, *self.failures)))
