"""One fake platform: its routes, faults, commands, control path, scenario and socket, started and stopped together."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from .commands import Commands
from .control import Control
from .faults import Faults
from .scenario import Player, Scenario, Step
from .sockets import Sockets
from .times import Clock, RealClock
from .verbs import Verbs
from .web import PlatformHandler, Reply, Request, Route


class Platform:
    """Over it a platform says what it is; see the package. All times are in seconds of `clock`, which may run fast
    (`ScaledClock`) or be moved by hand. `port` 0 takes a free one; `scenario` is a file, its steps, or None.

    The port is taken at once, requests are answered after `start`. Hold `lock` to read several things of one moment;
    routes and commands are carried out under it, what takes over a connection is not.
    """

    name: ClassVar[str]

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        port: int = 0,
        scenario: Path | str | Iterable[Step] | None = None,
        lock: threading.RLock | None = None,
    ) -> None:
        """What its routes need, a platform has ready before it calls this. `lock`: what it shares with others is read
        under this one. Raises BadScenario, and OSError where the port or
        the file cannot be had."""
        self.clock: Clock = clock or RealClock()
        self.lock = lock or threading.RLock()
        self.faults = Faults()
        self.asked: list[Request] = []
        self.failures: list[str] = []
        """Steps of the scenario that would not do."""
        self.table: Sequence[Route] = tuple(self.routes())
        self.commands = self.make_commands()
        self.control = Control(self)
        steps = self.scenario().read(scenario) if isinstance(scenario, Path | str) else list(scenario or ())
        self.player = Player(steps, self._say, self.commands.do, self.clock, self.failures.append)
        self._sockets = Sockets(lambda connection, client: PlatformHandler(connection, client, self), port, self.name)
        self._threads: list[threading.Thread] = []

    # -- what a platform says of itself ----------------------------------------------------------------------------

    def routes(self) -> Iterable[Route]:
        """Its endpoints; the first that fits a request answers it."""
        raise NotImplementedError

    def say(self, item: Mapping[str, Any], at: datetime, *, live: bool) -> Any:
        """Something is said at `at`; not `live`: before the fake was there. Returns what names it. Raises ValueError,
        KeyError or TypeError for what cannot be said."""
        raise NotImplementedError

    @classmethod
    def refuses(cls, item: Mapping[str, Any]) -> str | None:
        """Why a line of a scenario cannot be said; None: it can."""
        return None

    command_type: ClassVar[type[Verbs]] = Commands
    """Its verbs."""

    def make_commands(self) -> Verbs:
        return self.command_type(self)  # type: ignore[arg-type]

    def unknown(self, request: Request) -> Reply:
        """What a path gets that is none of its."""
        return Reply(404, {"error": "not found"})

    def state(self) -> dict[str, Any]:
        """For the control path; JSON all of it."""
        return {}

    def told(self, name: str, params: Mapping[str, list[str]]) -> dict[str, Any] | None:
        """What else the control path tells; None: nothing is called so."""
        return None

    def wake(self) -> None:
        """End what takes over connections and waits for something else than its socket."""

    # -- its life --------------------------------------------------------------------------------------------------

    @classmethod
    def scenario(cls) -> Scenario:
        return Scenario(cls.command_type.names(), cls.refuses)

    @property
    def port(self) -> int:
        return self._sockets.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stopping(self) -> threading.Event:
        return self._sockets.stopping

    @property
    def errors(self) -> list[str]:
        """Tracebacks of the fake's own mistakes: none, if all is well."""
        return self._sockets.errors

    def start(self) -> Self:
        """Answer requests and play the scenario from its second 0."""
        self._sockets.start()
        self._threads.append(self.player.start(self.stopping))
        return self

    def stop(self) -> None:
        """End every connection and thread, in less than a second."""
        self._sockets.stop(self.wake)
        for thread in self._threads:
            thread.join()

    def tell(self, item: Mapping[str, Any]) -> Any:
        """Say something now. Raises ValueError for what cannot be said."""
        if why := self.refuses(item):
            raise ValueError(why)
        return self._say(dict(item), self.clock.now(), True)

    def do(self, verb: str, **params: Any) -> Any:
        """Run a command."""
        return self.commands.do(verb, **params)

    def requests(self, route: str = "") -> list[Request]:
        """Requests so far, to this route."""
        with self.lock:
            return [request for request in self.asked if route in ("", request.route)]

    def _say(self, item: dict[str, Any], at: datetime, live: bool) -> Any:
        with self.lock:
            return self.say(item, at, live=live)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None and (self.errors or self.failures):
            raise AssertionError("the fake itself failed:\n" + "\n".join((*self.errors, *self.failures)))
