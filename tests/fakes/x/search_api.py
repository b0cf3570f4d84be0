"""`/2/tweets/search/recent` and `/2/tweets/counts/recent`: the last seven days, newest first, in pages."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .faults import Faults
from .language import InvalidRule
from .matching import Dialect, Matches, compile_rule
from .names import names
from .problems import BadParameter, Refusal, Reply, invalid_request
from .shapes import Ask
from .times import parse_time, rfc3339, snowflake_time
from .world import Page, Post, World

DAYS = timedelta(days=7)
LATEST = timedelta(seconds=10)
"""`end_time` lies at least so far back."""
DEFAULT_END = timedelta(seconds=30)
"""Without an `end_time`, search ends so far back."""
_GRAIN = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_SEARCH = names(
    "query start_time end_time since_id until_id max_results next_token pagination_token sort_order expansions"
    " tweet.fields user.fields place.fields media.fields poll.fields"
)
_COUNTS = names(
    "query start_time end_time since_id until_id granularity next_token pagination_token search_count.fields"
)


@dataclass(frozen=True)
class _Span:
    """What a call asks for: a query over [start, end), and ids in (since, until)."""

    query: str
    matches: Matches
    start: datetime
    end: datetime
    since: int
    until: int | None

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.query.encode()).hexdigest()[:12]


class SearchApi:
    """`count_page` is the most buckets in one page of counts."""

    def __init__(self, world: World, faults: Faults, count_page: int = 20_000) -> None:
        self._world = world
        self._faults = faults
        self.count_page = count_page

    def recent(self, params: Mapping[str, str]) -> Reply:
        _known(params, _SEARCH)
        limit = _between(params, "max_results", 10, 100, 10)
        if params.get("sort_order", "recency") not in ("recency", "relevancy"):
            raise _bad(params, "sort_order", "is not one of [recency,relevancy]")
        ask = Ask.of(params, self._faults.refused_fields)
        span = self._span(params)
        found = self._found(span)
        if token := params.get("next_token") or params.get("pagination_token"):
            before = _untoken(token, span, "next_token")
            found = [p for p in found if (_micros(p.created_at), int(p.id)) < before]
        page = found[:limit]
        shown, includes = ask.answer([p.data for p in page], self._world.known)
        meta: dict[str, Any] = {"result_count": len(page)}
        out: dict[str, Any] = {}
        if page:
            ids = sorted((p.id for p in page), key=int)
            meta |= {"newest_id": ids[-1], "oldest_id": ids[0]}
            out["data"] = shown
        if includes:
            out["includes"] = includes
        if len(found) > limit:
            meta["next_token"] = _token(span, _micros(page[-1].created_at), int(page[-1].id))
        self._world.pages.append(Page(span.query, tuple(p.id for p in page), self._world.clock.now()))
        self._world.count_read(p.id for p in page)
        return Reply(200, {**out, "meta": meta})

    def lookup(self, params: Mapping[str, str]) -> Reply:
        """Posts by their ids: those that may be seen are given, and paid for; of the others it is said that they are
        not."""
        ids = [each for each in params.get("ids", "").split(",") if each]
        if not 1 <= len(ids) <= 100 or not all(each.isdecimal() for each in ids):
            raise BadParameter("ids", params.get("ids", ""), "`ids` must be 1 to 100 ids")
        ask = Ask.of({name: value for name, value in params.items() if name != "ids"}, self._faults.refused_fields)
        posts = [self._world.posts.get(each) for each in ids]
        seen = [p for p in posts if p is not None and p.deleted_at is None and p.gone in (None, "scrub_geo")]
        shown, includes = ask.answer([p.data for p in seen], self._world.known)
        errors = [
            {
                "value": each, "resource_id": each, "parameter": "ids", "resource_type": "tweet",
                "title": "Authorization Error" if post is not None and post.gone else "Not Found Error",
                "detail": f"Could not find tweet with ids: [{each}].",
                "type": "https://api.twitter.com/2/problems/resource-not-found",
            }
            for each, post in zip(ids, posts, strict=True)
            if post not in seen
        ]  # fmt: skip
        self._world.count_read(p.id for p in seen)
        out = {"data": shown} if shown else {}
        out |= {"includes": includes} if includes else {}
        return Reply(200, {**out, **({"errors": errors} if errors else {})})

    def counts(self, params: Mapping[str, str]) -> Reply:
        _known(params, _COUNTS)
        grain = _GRAIN.get(params.get("granularity", "hour"))
        if grain is None:
            raise _bad(params, "granularity", "is not one of [minute,hour,day]")
        span = self._span(params)
        buckets = list(_buckets(span.start, span.end, grain))
        if token := params.get("next_token") or params.get("pagination_token"):
            end = _untoken(token, span, "next_token")[0]
            buckets = [b for b in buckets if _micros(b[1]) <= end]
        page = buckets[-self.count_page :]
        times = [p.created_at for p in reversed(self._found(span))]
        data, total, at = [], 0, 0
        while page and at < len(times) and times[at] < page[0][0]:
            at += 1
        for start, end_of in page:
            first = at
            while at < len(times) and times[at] < end_of:
                at += 1
            data.append({"start": rfc3339(start), "end": rfc3339(end_of), "tweet_count": at - first})
            total += at - first
        meta: dict[str, Any] = {"total_tweet_count": total}
        if len(buckets) > len(page):
            meta["next_token"] = _token(span, _micros(page[0][0]), 0)
        return Reply(200, {"data": data, "meta": meta})

    def _found(self, span: _Span) -> list[Post]:
        """What search knows, newest first: neither deleted nor since edited, nor what it was told to lack."""
        latest = self._world.clock.now() - timedelta(seconds=self._faults.search_lag)
        return [
            p
            for p in reversed(self._world.between(span.start, span.end))
            if p.deleted_at is None
            and p.newer is None
            and p.id not in self._faults.lacks
            and p.published_at <= latest
            and int(p.id) > span.since
            and (span.until is None or int(p.id) < span.until)
            and span.matches(p.document)
        ]

    def _span(self, params: Mapping[str, str]) -> _Span:
        query = params.get("query", "")
        limit = self._world.plan.query_length
        if not 1 <= len(query) <= limit:
            raise _bad(params, "query", f"length is not between 1 and {limit}")
        try:
            matches = compile_rule(query, Dialect.SEARCH, limit)
            if any(word in query for word in self._faults.refused_words):
                raise InvalidRule("no viable alternative (at position 1)")
        except InvalidRule as wrong:
            message = f"There were errors processing your request: {', '.join(wrong.details)}"
            raise Refusal(invalid_request([{"parameters": {"query": [query]}, "message": message}])) from None
        now = self._world.clock.now()
        earliest = now - DAYS
        start = _instant(params, "start_time") or earliest
        end = _instant(params, "end_time")
        if start < earliest:
            raise _bad_time(params, "start_time", f"must be on or after {_minute(earliest)}")
        if start > now - LATEST:
            raise _bad_time(params, "start_time", "must be a minimum of 10 seconds prior to the request time")
        if end is not None and end > now - LATEST:
            raise _bad_time(params, "end_time", "must be a minimum of 10 seconds prior to the request time")
        if end is not None and end <= start:
            raise _bad_time(params, "end_time", "must be after 'start_time'")
        since = _id(params, "since_id")
        made = snowflake_time(str(since)) if since else None
        if made is not None and made < earliest:
            message = f"'since_id' must be a tweet id created after {_minute(earliest)}"
            raise BadParameter("since_id", str(since), message)
        return _Span(query, matches, start, end or max(now - DEFAULT_END, start), since or 0, _id(params, "until_id"))


def _buckets(start: datetime, end: datetime, grain: timedelta) -> list[tuple[datetime, datetime]]:
    """Whole grains of UTC, but for the first, which begins at `start`, and the last, which ends at `end`."""
    seconds = int(grain.total_seconds())
    out = []
    while start < end:
        next_one = datetime.fromtimestamp((int(start.timestamp()) // seconds + 1) * seconds, UTC)
        out.append((start, min(next_one, end)))
        start = next_one
    return out


def _known(params: Mapping[str, str], allowed: frozenset[str]) -> None:
    for name in sorted(params.keys() - allowed):
        message = f"The query parameter [{name}] is not one of [{','.join(sorted(allowed))}]"
        raise BadParameter(name, params[name], message)


def _bad(params: Mapping[str, str], name: str, what: str) -> BadParameter:
    value = params.get(name, "")
    return BadParameter(name, value, f"The `{name}` query parameter value [{value}] {what}")


def _bad_time(params: Mapping[str, str], name: str, what: str) -> BadParameter:
    value = params.get(name, "")
    return BadParameter(name, value, f"Invalid '{name}':'{value}'. '{name}' {what}.")


def _between(params: Mapping[str, str], name: str, least: int, most: int, default: int) -> int:
    raw = params.get(name)
    if raw is None:
        return default
    if not raw.isdecimal() or not least <= int(raw) <= most:
        raise _bad(params, name, f"is not between {least} and {most}")
    return int(raw)


def _instant(params: Mapping[str, str], name: str) -> datetime | None:
    if name not in params:
        return None
    try:
        return parse_time(params[name])
    except ValueError:
        raise _bad(params, name, "is not a valid RFC3339 date-time") from None


def _id(params: Mapping[str, str], name: str) -> int | None:
    raw = params.get(name)
    if raw is None:
        return None
    if not raw.isdecimal() or len(raw) > 19:
        raise _bad(params, name, "does not match ^[0-9]{1,19}$")
    return int(raw)


def _minute(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%MZ")


def _micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _token(span: _Span, micros: int, post_id: int) -> str:
    """Where the next page goes on; nothing is kept, so the same token gives the same page."""
    raw = f"{span.digest}:{micros}:{post_id}".encode()
    return base64.b32hexencode(raw).decode().rstrip("=").lower()


def _untoken(token: str, span: _Span, name: str) -> tuple[int, int]:
    try:
        padded = token.upper() + "=" * (-len(token) % 8)
        digest, micros, post_id = base64.b32hexdecode(padded).decode().split(":")
        if digest == span.digest:
            return int(micros), int(post_id)
    except ValueError:
        pass
    raise BadParameter(name, token, f"Invalid '{name}':'{token}'")
