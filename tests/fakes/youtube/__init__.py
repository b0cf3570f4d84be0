"""A fake of YouTube's Data API v3, as far as comments go, on a real socket: it counts units, pages, and misbehaves.

    with FakeYoutube(key="a-key") as fake:
        …ask fake.url + "/youtube/v3/commentThreads?…"…
        comment = fake.world.say("Er akutten åpen?", by="kari")
        fake.world.say("Ja", by="ola", reply_to=comment.id)
        fake.do("quota", units=0)

`channel` is the truth, `shapes` what it looks like, `commands` the misbehaviour. A thread comes with its oldest replies
only, and neither an edit nor a deletion is told.

A line of a scenario beside commands (`..platform.scenario`) is one of

    {"at": 1, "text": "Er akutten åpen?", "by": "kari", "id": "a"}   a comment; `id` is what later lines call it; more:
                                                                     `video`, `channel`, `held` (true: it waits for
                                                                     review), `by` null: whose author is not told
    {"at": 2, "text": "Ja", "by": "ola", "reply_to": "a"}            an answer
    {"at": 3, "edit": "a", "text": "Er legevakta åpen?"}             its author writes it anew
    {"at": 4, "delete": "a"}                                         it is deleted, with all answers to it
    {"at": 5, "publish": "b"}   {"at": 5, "reject": "b"}             one that was held is let through, or not

`last` names the newest comment. `sample.jsonl` beside this file is an example.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from ..platform import Clock, Platform, Reply, Request, Route, Step, Verbs
from .channel import CHANNEL, Comment, World, refuses, say
from .commands import YoutubeCommands
from .shapes import channel_of, comment, error, listing, thread

__all__ = ["CHANNEL", "Comment", "FakeYoutube", "World", "channel_of"]

THREADS = "/youtube/v3/commentThreads"
COMMENTS = "/youtube/v3/comments"
TOKEN = "/token"
_ZONE = ZoneInfo("America/Los_Angeles")
UNITS = 10_000
PAGE = 20
"""Threads on a page, whatever more is asked for."""
GIVEN = 5
"""Replies that come with a thread."""
MOST_IDS = 50


class FakeYoutube(Platform):
    """`key` is the API key that it takes; `oauth` are client id, client secret and refresh token of the channel's
    owner, None: nobody is. `units`: what a day may cost."""

    name = "youtube"
    command_type: ClassVar[type[Verbs]] = YoutubeCommands

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        port: int = 0,
        scenario: Path | str | Iterable[Step] | None = None,
        key: str | None = None,
        oauth: tuple[str, str, str] | None = None,
        units: int = UNITS,
    ) -> None:
        self.world = World(clock) if clock is not None else World()
        self.key = key
        self.oauth = oauth
        self.units = units
        self.used = 0
        self.tokens: dict[str, bool] = {}
        """Access tokens → whether they still hold."""
        self._day = ""
        self.well()
        super().__init__(clock=self.world.clock, port=port, scenario=scenario, lock=self.world.lock)

    @classmethod
    def refuses(cls, item: Mapping[str, Any]) -> str | None:
        return refuses(item)

    def well(self) -> None:
        """Nothing goes wrong from now on."""
        self.limited_until: datetime | None = None
        self.empty_pages = self.fails_midway = self.bad_tokens = self.repeats = 0
        self.shuffled = self.lifts = self.markup = self.display = self.refuses_ids = False
        self.rng = random.Random(1)

    def routes(self) -> Iterable[Route]:
        return (
            Route("threads", "GET", THREADS, self._threads),
            Route("comments", "GET", COMMENTS, self._comments),
            Route("token", "POST", TOKEN, self._token),
        )

    def say(self, item: Mapping[str, Any], at: datetime, *, live: bool) -> str:
        return say(self.world, item, at)

    def state(self) -> dict[str, Any]:
        with self.lock:
            return {"comments": len(self.world.comments), "used": self.used, "units": self.units}

    def told(self, name: str, params: Mapping[str, list[str]]) -> dict[str, Any] | None:
        """`comments`: all there are, with their texts and whether they are gone."""
        if name != "comments":
            return None
        with self.lock:
            its = self.world.comments.values()
            return {"comments": [{"id": c.id, "texts": c.texts, "held": c.held, "gone": c.gone} for c in its]}

    # -- what every call goes through ------------------------------------------------------------------------------

    def _passes(self, request: Request) -> Reply | bool:
        """Whether it is the owner who asks; or the refusal. Every call costs, whatever comes of it."""
        day = f"{self.clock.now().astimezone(_ZONE):%Y-%m-%d}"
        if day != self._day:
            self._day, self.used = day, 0
        owner = False
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if bearer:
            if not self.tokens.get(bearer):
                return error(401, "authError", "Invalid Credentials", "global")
            owner = True
        elif self.key is not None and self.key not in (request.headers.get("X-Goog-Api-Key"), request.one("key")):
            text = "API key not valid. Please pass a valid API key."
            refused = error(400, "badRequest", text, "global")
            refused.body["error"]["details"] = [{"reason": "API_KEY_INVALID", "domain": "googleapis.com"}]
            return refused
        if self.used >= self.units:
            return error(403, "quotaExceeded", 'You have exceeded your <a href="/q">quota</a>.', "youtube.quota")
        self.used += 1
        if self.limited_until is not None and self.clock.now() < self.limited_until:
            return error(403, "rateLimitExceeded", "Rate Limit Exceeded", "usageLimits")
        return owner

    def _token(self, request: Request) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        wanted = (form.get("client_id"), form.get("client_secret"), form.get("refresh_token"))
        if form.get("grant_type") != "refresh_token" or self.oauth is None or wanted != self.oauth:
            return Reply(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})
        token = f"ya29.token-{len(self.tokens)}"
        self.tokens[token] = True
        scope = "https://www.googleapis.com/auth/youtube.force-ssl"
        return Reply(200, {"access_token": token, "expires_in": 3599, "scope": scope, "token_type": "Bearer"})

    # -- threads ---------------------------------------------------------------------------------------------------

    def _threads(self, request: Request) -> Reply:
        owner = self._passes(request)
        if isinstance(owner, Reply):
            return owner
        parts = request.one("part").split(",")
        channel, ids = request.one("allThreadsRelatedToChannelId"), request.one("id")
        if bool(channel) == bool(ids) or "snippet" not in parts:
            return error(400, "missingRequiredParameter", domain="global")
        held = request.one("moderationStatus") == "heldForReview"
        if held and not owner:
            return error(403, "forbidden", "The request is not properly authorized.")
        if ids:
            return self._by_ids(ids.split(","), parts)
        tops = self._listed(channel, held=held)
        if tops is None:
            return error(404, "channelNotFound")
        return self._page(request, tops, parts, held=held)

    def _listed(self, channel: str, *, held: bool) -> list[Comment] | None:
        """The newest first. Of threads that are held those too in which an answer is."""
        world = self.world
        if channel not in {CHANNEL, *(c.channel for c in world.comments.values())}:
            return None
        tops = [c for c in world.comments.values() if c.channel == channel and c.parent is None]
        tops = [c for c in tops if world.is_public(c, held=held) and c.video not in world.disabled]
        if held:
            tops = [c for c in tops if c.held or any(r.held for r in world.replies(c.id, held=True))]

        def at(top: Comment) -> tuple[datetime, str]:
            newest = [r.at for r in world.replies(top.id)] if self.lifts else []
            return max([top.at, *newest]), top.id

        return sorted(tops, key=at, reverse=True)

    def _page(self, request: Request, tops: list[Comment], parts: list[str], *, held: bool) -> Reply:
        start, token = 0, request.one("pageToken")
        if token:
            if self.fails_midway:
                self.fails_midway -= 1
                return error(400, "processingFailure")
            query, _, place = token.partition(".")
            if self.bad_tokens or query != self._query(request) or not place.isdigit():
                self.bad_tokens -= bool(self.bad_tokens)
                return error(400, "invalidPageToken")
            start = int(place)
        if self.empty_pages and start < len(tops):
            self.empty_pages -= 1
            return listing("commentThread", [], f"{self._query(request)}.{start}")
        size = min(int(request.one("maxResults", "20")), PAGE)
        page = tops[start : start + size]
        if self.repeats and page:
            self.repeats -= 1
            page = [*page, *page[:3]]
        if self.shuffled:
            page = self.rng.sample(page, len(page))
        following = f"{self._query(request)}.{start + size}" if start + size < len(tops) else None
        return listing("commentThread", [self._thread(top, parts, held=held) for top in page], following)

    def _query(self, request: Request) -> str:
        """A token serves one query."""
        return f"{abs(hash((request.one('allThreadsRelatedToChannelId'), request.one('moderationStatus')))):x}"

    def _by_ids(self, ids: list[str], parts: list[str]) -> Reply:
        if len(ids) > MOST_IDS or self.refuses_ids:
            return error(400, "invalidFilters")
        world = self.world
        found = [world.comments[i] for i in ids if i in world.comments]
        tops = [c for c in found if c.parent is None and world.is_public(c) and c.video not in world.disabled]
        return listing("commentThread", [self._thread(top, parts, held=False) for top in tops])

    def _thread(self, top: Comment, parts: list[str], *, held: bool) -> dict[str, Any]:
        replies = self.world.replies(top.id, held=held)
        given = replies[:GIVEN] if "replies" in parts else None
        return thread(top, len(replies), given, display=self.display or self.markup, markup=self.markup)

    # -- comments --------------------------------------------------------------------------------------------------

    def _comments(self, request: Request) -> Reply:
        owner = self._passes(request)
        if isinstance(owner, Reply):
            return owner
        parent, ids = request.one("parentId"), request.one("id")
        if bool(parent) == bool(ids):
            return error(400, "missingRequiredParameter", domain="global")
        how = {"display": self.display or self.markup, "markup": self.markup}
        world = self.world
        if ids:
            wanted = ids.split(",")
            if len(wanted) > MOST_IDS:
                return error(400, "invalidFilters", domain="youtube.comment")
            found = [world.comments[i] for i in wanted if i in world.comments]
            return listing("comment", [comment(c, **how) for c in found if world.is_public(c, held=owner)])
        top = world.comments.get(parent)
        if top is None or not world.is_public(top, held=owner):
            return error(404, "commentNotFound", domain="youtube.comment")
        if top.video in world.disabled:
            return error(403, "commentsDisabled")
        replies = world.replies(parent, held=owner)
        start = int(request.one("pageToken") or 0) if (request.one("pageToken") or "0").isdigit() else -1
        if start < 0:
            return error(400, "invalidPageToken")
        size = min(int(request.one("maxResults", "20")), 100)
        following = str(start + size) if start + size < len(replies) else None
        return listing("comment", [comment(c, **how) for c in replies[start : start + size]], following)
