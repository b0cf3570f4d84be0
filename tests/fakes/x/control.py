"""`/__fake__/…`: the fake's own port for whoever plays with it or tests it from another process. No token needed.

    POST /__fake__/do/VERB      a command, its parameters as a JSON object
    POST /__fake__/posts        posts to publish, JSON lines
    GET  /__fake__/posts        all posts there are
    GET  /__fake__/offered      ids written to streams;  ?rules=ID,…&start=…&end=…
    GET  /__fake__/due          ids that matched rules in force, connected or not;  the same parameters
    GET  /__fake__/searched     ids that search gave;  ?start=…&end=…
    GET  /__fake__/matching     ids of all posts that a rule matches;  ?query=…&start=…&end=…
    GET  /__fake__/requests     every request to X's endpoints
    GET  /__fake__/state        the time, connections, rules, counts

Times are RFC 3339 in the fake's clock; start is included, end is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .commands import BadCommand, Commands, verbs
from .language import InvalidRule
from .problems import Reply
from .streams import Streams
from .times import parse_time, rfc3339
from .world import World

PREFIX = "/__fake__/"


class Control:
    def __init__(self, world: World, streams: Streams, commands: Commands) -> None:
        self._world = world
        self._streams = streams
        self._commands = commands

    def handle(self, method: str, path: str, params: Mapping[str, str], body: bytes) -> Reply:
        name = path.removeprefix(PREFIX)
        try:
            if method == "POST" and name.startswith("do/"):
                given = json.loads(body or b"{}")
                if not isinstance(given, dict):
                    raise BadCommand("parameters must be an object")
                return Reply(200, {"did": self._commands.do(name.removeprefix("do/"), **given)})
            if method == "POST" and name == "posts":
                posts = [json.loads(line) for line in body.decode().splitlines() if line.strip()]
                return Reply(200, {"ids": [self._world.publish(post).id for post in posts]})
            if method == "GET":
                return self._get(name, params)
        except (BadCommand, InvalidRule, ValueError, KeyError, AttributeError) as wrong:
            return Reply(400, {"error": f"{type(wrong).__name__}: {wrong}"})
        return Reply(404, {"error": f"nothing here; commands: {', '.join(verbs())}"})

    def _get(self, name: str, params: Mapping[str, str]) -> Reply:
        start, end = _instant(params, "start"), _instant(params, "end")
        rules = params["rules"].split(",") if "rules" in params else None
        if name == "posts":
            return Reply(200, {"posts": self._world.truth()})
        if name == "offered":
            return Reply(200, {"ids": self._world.offered(rules, start, end)})
        if name == "due":
            return Reply(200, {"ids": self._world.due(rules, start, end)})
        if name == "searched":
            return Reply(200, {"ids": self._world.searched(start, end)})
        if name == "matching":
            return Reply(200, {"ids": self._world.matching(params.get("query", ""), start, end)})
        if name == "requests":
            return Reply(200, {"requests": [{**vars(r), "at": rfc3339(r.at)} for r in self._world.requests]})
        if name == "state":
            return Reply(200, self._state())
        return Reply(404, {"error": f"nothing here; commands: {', '.join(verbs())}"})

    def _state(self) -> dict[str, Any]:
        with self._world.lock:
            return {
                "now": rfc3339(self._world.clock.now()),
                "plan": self._world.plan.name,
                "connections": [c.shown() for c in self._streams.all],
                "counted": self._streams.count(),
                "rules": [r.shown() for r in self._world.rules.values()],
                "posts": len(self._world.posts),
                "offers": len(self._world.offers),
                "read_by_day": self._world.read_by_day,
            }


def _instant(params: Mapping[str, str], name: str) -> datetime | None:
    return parse_time(params[name]) if name in params else None
