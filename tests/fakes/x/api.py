"""The endpoints in one table: what they are called, how often they may be, what they answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .account_api import Account, AccountApi
from .compliance_api import ComplianceApi
from .faults import Faults
from .names import names
from .plans import Plan
from .problems import BadParameter, Refusal, Reply, invalid_request, no_rules, too_many_connections, usage_capped
from .rules_api import RulesApi
from .search_api import SearchApi
from .shapes import Ask
from .streams import Connection, End, Streams
from .world import World

_STREAM_PARAMS = names("backfill_minutes expansions tweet.fields user.fields place.fields media.fields poll.fields")


@dataclass(frozen=True)
class Open:
    """The answer to a connect: headers, then the connection's lines. `at_once`: it is closed before the first."""

    ask: Ask
    backfill: int
    at_once: bool


@dataclass(frozen=True)
class Route:
    """`name` is also the key of its rate limit, but for what stands after a colon."""

    method: str
    path: re.Pattern[str]
    name: str
    handle: Callable[[Mapping[str, str], Any], Reply | Open]
    user: bool = False
    """It wants a user's context; the others an app's bearer token."""

    @property
    def limit(self) -> str:
        return self.name.partition(":")[0]


class Api:
    def __init__(self, world: World, faults: Faults, streams: Streams, account: Account | None = None) -> None:
        self._world = world
        self._faults = faults
        self._streams = streams
        self.rules = RulesApi(world, faults)
        self.search = SearchApi(world, faults)
        self.compliance = ComplianceApi(world, faults)
        self.account = AccountApi(world, account or Account())
        stream = "/2/tweets/search/stream"
        self.routes = (
            _route("GET", stream, "stream", lambda params, body: self._connect(params)),
            _route("GET", f"{stream}/rules", "rules.get", lambda params, body: self.rules.get(params)),
            _route("POST", f"{stream}/rules", "rules.post", self.rules.post),
            _route("GET", f"{stream}/rules/counts", "rules.counts", lambda params, body: self.rules.counts()),
            _route("GET", "/2/tweets/search/recent", "search", lambda params, body: self.search.recent(params)),
            _route("GET", "/2/tweets/counts/recent", "counts", lambda params, body: self.search.counts(params)),
            _route("GET", "/2/connections", "connections", lambda params, body: self._connections(params)),
            _route("DELETE", "/2/connections", "connections:some", lambda params, body: self._kill(body)),
            _route("DELETE", "/2/connections/all", "connections:all", lambda params, body: self._kill(None)),
            _route("DELETE", "/2/connections/(?P<id>[^/]+)", "connections:one", lambda p, body: self._kill_one(p)),
            _route("GET", "/2/tweets", "lookup", lambda params, body: self.search.lookup(params)),
            _route("GET", "/2/compliance/jobs", "compliance.list", lambda params, body: self.compliance.list(params)),
            _route("POST", "/2/compliance/jobs", "compliance.post", lambda params, body: self.compliance.create(body)),
            _route("GET", "/2/compliance/jobs/(?P<id>[^/]+)", "compliance.get", lambda p, b: self.compliance.get(p)),
            _route("GET", "/2/usage/tweets", "usage", lambda params, body: self._usage(params)),
            _route("POST", "/2/tweets", "tweets", lambda params, body: self.account.publish(body), user=True),
            _route("GET", "/2/users/me", "me", lambda params, body: self.account.me(), user=True),
            _route(
                "GET", "/2/users/(?P<id>[0-9]+)/tweets", "timeline", lambda p, body: self.account.timeline(p), user=True
            ),
        )

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of a request and what its path says."""
        for route in self.routes:
            found = route.path.fullmatch(path)
            if found and route.method == method:
                return route, found.groupdict()
        return None

    def _connect(self, params: Mapping[str, str]) -> Open:
        for name in sorted(params.keys() - _STREAM_PARAMS):
            known = ",".join(sorted(_STREAM_PARAMS))
            raise BadParameter(name, params[name], f"The query parameter [{name}] is not one of [{known}]")
        ask = Ask.of(params, self._faults.refused_fields)
        plan: Plan = self._world.plan
        backfill = params.get("backfill_minutes", "0")
        if not backfill.isdecimal() or int(backfill) > 5 or ("backfill_minutes" in params and int(backfill) < 1):
            message = f"The `backfill_minutes` query parameter value [{backfill}] is not between 1 and 5"
            raise BadParameter("backfill_minutes", backfill, message)
        if int(backfill) > plan.backfill:
            raise BadParameter("backfill_minutes", backfill, "'backfill_minutes' is not available on your access level")
        if self._world.read_this_month() >= plan.posts_a_month:
            raise Refusal(usage_capped())
        if self._streams.count() >= plan.connections:
            raise Refusal(too_many_connections())
        if not self._world.rules:
            raise Refusal(no_rules())
        at_once = self._faults.close_at_connect > 0
        if at_once:
            self._faults.close_at_connect -= 1
        return Open(ask, int(backfill), at_once)

    def _connections(self, params: Mapping[str, str]) -> Reply:
        self._streams.count()
        status = params.get("status", "active")
        shown = [
            c.shown() for c in self._streams.all if status == "all" or (c.ended_at is None) == (status == "active")
        ]
        if status in ("all", "active"):
            held = self._faults.stuck_now(self._world.clock.now())
            shown += [{"id": f"stuck-{n}", "endpoint_name": "filtered_stream"} for n in range(held)]
        return Reply(200, {**({"data": shown} if shown else {}), "meta": {"result_count": len(shown)}})

    def _kill(self, body: Any) -> Reply:
        """Close connections: those of `{"uuids": […]}`, or all."""
        wanted: list[str] | None = None
        if body is not None:
            if not isinstance(body, dict) or not isinstance(body.get("uuids"), list):
                message = "Request must contain 'uuids'"
                raise Refusal(invalid_request([{"parameters": {"uuids": []}, "message": message}]))
            wanted = [str(u) for u in body["uuids"]]
        live = {c.id: c for c in self._streams.open}
        stuck = [f"stuck-{n}" for n in range(self._faults.stuck_now(self._world.clock.now()))]
        results: list[dict[str, Any]] = []
        killed_stuck: set[str] = set()
        for name in [*live, *stuck] if wanted is None else wanted:
            connection: Connection | None = live.get(name)
            if connection is not None:
                connection.end(End.CLOSE, "killed by the client")
            elif name in stuck:
                killed_stuck.add(name)
            ok = connection is not None or name in stuck
            results.append({"uuid": name, "success": ok, **({} if ok else {"error_message": "Connection not found"})})
        self._faults.stuck = [until for n, until in enumerate(self._faults.stuck) if f"stuck-{n}" not in killed_stuck]
        killed = sum(1 for r in results if r["success"])
        data = {"successful_kills": killed, "failed_kills": len(results) - killed, "results": results}
        return Reply(200, {"data": data})

    def _kill_one(self, params: Mapping[str, str]) -> Reply:
        return self._kill({"uuids": [params["id"]]})

    def _usage(self, params: Mapping[str, str]) -> Reply:
        days = params.get("days", "7")
        if not days.isdecimal() or not 1 <= int(days) <= 90:
            raise BadParameter("days", days, f"The `days` query parameter value [{days}] is not between 1 and 90")
        usage = [
            {"date": f"{day}T00:00:00.000Z", "usage": str(count)}
            for day, count in list(self._world.read_by_day.items())[-int(days) :]
        ]
        app = {"client_app_id": "10000001", "usage": usage, "usage_result_count": len(usage)}
        data = {
            "cap_reset_day": 1,
            "project_id": "20000001",
            "project_cap": str(self._world.plan.posts_a_month),
            "project_usage": str(self._world.read_this_month()),
            "daily_project_usage": {"project_id": "20000001", "usage": usage},
            "daily_client_app_usage": [app],
        }
        return Reply(200, {"data": data})


def _route(
    method: str, path: str, name: str, handle: Callable[[Mapping[str, str], Any], Reply | Open], *, user: bool = False
) -> Route:
    return Route(method, re.compile(path), name, handle, user)
