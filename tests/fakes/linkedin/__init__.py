"""A fake of LinkedIn's API, as far as an organisation's Page is heard by it, on a real socket; and its misbehaviour.

    with FakeLinkedIn() as fake:
        …ask fake.url with fake.token…
        comment = fake.comment("Kø ved akuttmottaket", by="kari")
        fake.do("sunset", version="202610")

Every notification of the last 60 days is given to who has the token, names a version of the API that is served, and has
calls left today (UTC). `page` is what happens at the Page, `commands` the misbehaviour.

A line of a scenario beside commands (`..platform.scenario`) is one of

    {"at": 1, "text": "Er akuttmottaket åpent?", "by": "kari", "id": "a"}   a comment; `id` is what later lines call it;
                                                        `by` null: LinkedIn does not say whose;
                                                        `"mention": true`: a post that mentions the Page
    {"at": 2, "edit": "a", "text": "Er det åpent nå?"}  its author writes it anew
    {"at": 3, "delete": "a"}                            it is deleted

`sample.jsonl` beside this file is an example.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from ..platform import Clock, Platform, Reply, Request, Route, Step, Verbs
from .commands import LinkedInCommands
from .page import Notification, OrganizationPage, Written, refuses

__all__ = ["TOKEN", "FakeLinkedIn", "Notification", "OrganizationPage", "Written"]

TOKEN = "a-token-of-no-account"
PATH = "/rest/organizationalEntityNotifications"
KEEPS = timedelta(days=60)
SERVED = 12
"""Months for which a version is served."""


class FakeLinkedIn(Platform):
    """`organization`: the number of its Page; `calls`: that may be made a day; `per_page`: it gives no more at once."""

    name = "linkedin"
    command_type: ClassVar[type[Verbs]] = LinkedInCommands

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        port: int = 0,
        scenario: Path | str | Iterable[Step] | None = None,
        token: str = TOKEN,
        organization: int = 2031,
        calls: int = 500,
        per_page: int = 100,
    ) -> None:
        self.page = OrganizationPage(organization)
        self.token = token
        self.calls = calls
        self.per_page = per_page
        self.used: dict[str, int] = {}
        """Day in UTC → calls."""
        self.well()
        super().__init__(clock=clock, port=port, scenario=scenario)

    def well(self) -> None:
        """Nothing goes wrong from now on."""
        self.forbidden = False
        self.sunset: str | None = None
        self.empty_pages = 0
        self.repeats = self.shuffles = self.deaf_to_time = False

    def routes(self) -> Iterable[Route]:
        return (Route("notifications", "GET", PATH, self._notifications),)

    @classmethod
    def refuses(cls, item: Mapping[str, Any]) -> str | None:
        return refuses(item)

    def comment(self, text: str, by: str | None = "ola", **more: Any) -> Written:
        """A comment, now."""
        with self.lock:
            return self.page.write(text, by, self.clock.now(), **more)

    def say(self, item: Mapping[str, Any], at: datetime, *, live: bool) -> str:
        if "delete" in item:
            return self.page.delete(str(item["delete"]), at).urn
        if "edit" in item:
            return self.page.edit(str(item["edit"]), str(item["text"]), at).urn
        given = dict(item)
        by = given.pop("by", "ola")
        return self.page.write(str(given.pop("text")), None if by is None else str(by), at, **given).urn

    def state(self) -> dict[str, Any]:
        with self.lock:
            return {"notifications": len(self.page.notifications), "used": dict(self.used)}

    def told(self, name: str, params: Mapping[str, list[str]]) -> dict[str, Any] | None:
        if name != "comments":
            return None
        with self.lock:
            return {"comments": [{"urn": w.urn, "texts": w.texts, "gone": w.gone} for w in self.page.written.values()]}

    # -- what it gives ---------------------------------------------------------------------------------------------

    def _notifications(self, request: Request) -> Reply:
        now, headers = self.clock.now(), {name.lower(): text for name, text in request.headers.items()}
        if headers.get("authorization") != f"Bearer {self.token}":
            return _failure(401, "The token used in the request has expired", 65601)
        if headers.get("x-restli-protocol-version") != "2.0.0":
            return _failure(400, "Syntax exception in path variables")
        version = headers.get("linkedin-version", "")
        if not re.fullmatch(r"20\d\d(?:0[1-9]|1[0-2])", version):
            return _failure(400, "A version must be present")
        if not self._serves(version, now):
            return _failure(426, f"Requested version {version} is not active")
        day = f"{now:%Y-%m-%d}"
        if self.used.get(day, 0) >= self.calls:
            return _failure(429, "Resource level throttle APPLICATION DAY limit for calls to this resource is reached.")
        self.used[day] = self.used.get(day, 0) + 1
        if self.forbidden:
            return _failure(403, "Not enough permissions to access: organizationalEntityNotifications.FINDER-criteria")
        if request.one("q") != "criteria" or request.one("organizationalEntity") != self.page.urn:
            return _failure(400, "Invalid query parameters")
        return self._found(request, now)

    def _found(self, request: Request, now: datetime) -> Reply:
        actions = re.findall(r"\w+", request.one("actions").removeprefix("List"))
        times = re.search(r"start:(\d+),end:(\d+)", request.one("timeRange"))
        start, count = int(request.one("start", "0")), min(int(request.one("count", "10")), self.per_page)
        first = int((now - KEEPS).timestamp() * 1000)
        found = [n for n in self.page.notifications if n.action in actions and n.at_ms >= first]
        if times and not self.deaf_to_time:
            found = [n for n in found if int(times[1]) <= n.at_ms < int(times[2])]
        found.sort(key=(lambda n: (n.number * 7919) % 104729) if self.shuffles else (lambda n: -n.at_ms))
        if self.empty_pages > 0:
            self.empty_pages -= 1
            return Reply(200, {"elements": [], "paging": {"start": start, "count": count, "links": [{"rel": "next"}]}})
        begin = 0 if self.repeats else start
        shown = found[begin : begin + count]
        links = [{"rel": "next", "type": "application/json"}] if self.repeats or start + count < len(found) else []
        paging = {"start": start, "count": count, "links": links, "total": len(found)}
        return Reply(200, {"elements": [n.shown(self.page.urn) for n in shown], "paging": paging})

    def _serves(self, version: str, now: datetime) -> bool:
        if self.sunset is not None and version <= self.sunset:
            return False
        months = (now.year - int(version[:4])) * 12 + now.month - int(version[4:])
        return 0 <= months < SERVED


def _failure(status: int, message: str, code: int | None = None) -> Reply:
    more = {} if code is None else {"serviceErrorCode": code}
    return Reply(status, {"status": status, "message": message, **more})
