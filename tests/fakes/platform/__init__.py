"""What the fakes of platforms share: a real server on a loopback socket that misbehaves on command.

A platform is a folder beside this one: a class of its own over `Platform` that names its routes and what can be said on
it. From here it has

- HTTP/1.1 with keep-alive, plain routes, and handlers that take over the connection (`web`) for a stream (`streams`),
  among them websockets (`websocket`, and `streaming` for a platform that tells all its events over them);
- faults that any route can be given: a status, a delay, no answer at all, an answer cut in the middle of its body, one
  that is garbage or far too large, a reset (`faults`, `commands`);
- a control path, `/__fake__/…`, by which another process commands it and asks what it did (`control`);
- a scenario: JSON lines of what is said and commanded, each with its time (`scenario`);
- a clock that may run fast or be moved by hand (`times`).

    class Town(Platform):
        name = "town"

        def routes(self) -> Sequence[Route]:
            return (Route("posts", "GET", "/posts", lambda request: Reply(200, {"data": self.posts})),)

        def say(self, item: Mapping[str, Any], at: datetime, *, live: bool) -> Any:
            self.posts.append(item["text"])

    with Town() as town:
        town.do("status", on="posts", status=503, times=2)
        …connect a client to town.url…
        assert len(town.requests("posts")) == 3
"""

from .commands import Commands
from .control import PREFIX
from .faults import Fault, FaultKind, Faults
from .platform import Platform
from .scenario import BadScenario, Player, Scenario, Step
from .times import Clock, RealClock, ScaledClock, parse_time, rfc3339, wait
from .verbs import BadCommand, Verbs
from .web import Handler, Reply, Request, Route

__all__ = [
    "PREFIX",
    "BadCommand",
    "BadScenario",
    "Clock",
    "Commands",
    "Fault",
    "FaultKind",
    "Faults",
    "Handler",
    "Platform",
    "Player",
    "RealClock",
    "Reply",
    "Request",
    "Route",
    "ScaledClock",
    "Scenario",
    "Step",
    "Verbs",
    "parse_time",
    "rfc3339",
    "wait",
]
