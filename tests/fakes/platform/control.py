"""`/__fake__/…`: a platform's own path for whoever plays with it or tests it from another process. No token needed.

POST /__fake__/do/VERB      a command, its parameters as a JSON object
POST /__fake__/say          what is said now, JSON lines as in a scenario, without `at`
GET  /__fake__/requests     every request to the platform's routes;  ?route=NAME
GET  /__fake__/state        the time and what the platform tells of itself
GET  /__fake__/NAME         what else the platform tells (`Platform.told`)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .times import rfc3339
from .verbs import BadCommand

if TYPE_CHECKING:
    from .platform import Platform
    from .web import Reply

PREFIX = "/__fake__/"


class Control:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def handle(self, method: str, path: str, params: Mapping[str, list[str]], body: bytes) -> Reply:
        from .web import Reply

        name = path.removeprefix(PREFIX)
        try:
            answer = self._post(name, body) if method == "POST" else self._get(name, params)
        except (BadCommand, ValueError, KeyError, TypeError, AttributeError) as wrong:
            return Reply(400, {"error": f"{type(wrong).__name__}: {wrong}"})
        if answer is None:
            return Reply(404, {"error": f"nothing here; commands: {', '.join(self._platform.commands.names())}"})
        return Reply(200, answer)

    def _post(self, name: str, body: bytes) -> dict[str, Any] | None:
        if name.startswith("do/"):
            given = json.loads(body or b"{}")
            if not isinstance(given, dict):
                raise BadCommand("parameters must be an object")
            return {"did": self._platform.commands.do(name.removeprefix("do/"), **given)}
        if name == "say":
            items = [json.loads(line) for line in body.decode().splitlines() if line.strip()]
            return {"said": [self._platform.tell(item) for item in items]}
        return None

    def _get(self, name: str, params: Mapping[str, list[str]]) -> dict[str, Any] | None:
        if name == "requests":
            found = self._platform.requests(params.get("route", [""])[0])
            return {"requests": [request.shown() for request in found]}
        if name == "state":
            return {"now": rfc3339(self._platform.clock.now()), **self._platform.state()}
        return self._platform.told(name, params)
