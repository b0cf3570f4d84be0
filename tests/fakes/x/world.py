"""The truth behind the fake: its posts, the rules in force, and the record of all that it offered and was asked.

A test compares what a listener captured with `posts` (all there was), `due` (what the stream ought to have brought),
`offered` (what it did bring) and `searched` (what search gave).
"""

from __future__ import annotations

import bisect
import itertools
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .document import Document, Known
from .matching import Dialect, Matches, compile_rule
from .plans import Plan
from .shapes import from_plain
from .times import Clock, parse_time, rfc3339, snowflake

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    id: str
    value: str
    tag: str | None
    matches: Matches = field(compare=False, repr=False)

    def shown(self) -> dict[str, str]:
        return {"id": self.id, "value": self.value, **({} if self.tag is None else {"tag": self.tag})}


@dataclass
class Post:
    """One published post. `matched` are the rules in force when it came; `newer` is the id of its next edit."""

    id: str
    created_at: datetime
    published_at: datetime
    data: dict[str, Any]
    document: Document = field(repr=False)
    matched: tuple[Rule, ...] = ()
    deleted_at: datetime | None = None
    newer: str | None = None
    gone: str | None = None
    """Why X wants it removed though it is not deleted: `suspended`, `protected`, `scrub_geo`, …"""


@dataclass(frozen=True)
class Offer:
    """A post whose line was written whole. `kind` is `live`, `duplicate` or `backfill`."""

    connection: str
    post: str
    rules: tuple[str, ...]
    at: datetime
    kind: str


@dataclass(frozen=True)
class Page:
    """A page that search gave."""

    query: str
    posts: tuple[str, ...]
    at: datetime


@dataclass
class Request:
    """One request. `connections` is how many streams were open when it came; `status` 0: not answered (yet)."""

    at: datetime
    method: str
    path: str
    params: dict[str, str]
    body: Any
    connections: int
    status: int = 0


class World:
    """Everything shared. Hold `lock` to read several things of one moment."""

    def __init__(self, clock: Clock, plan: Plan) -> None:
        self.clock = clock
        self.plan = plan
        self.lock = threading.RLock()
        self.known = Known()
        self.posts: dict[str, Post] = {}
        self.rules: dict[str, Rule] = {}
        self.offers: list[Offer] = []
        self.pages: list[Page] = []
        self.requests: list[Request] = []
        self.cut: list[tuple[str, str]] = []
        """(connection, post) of lines broken off in the middle, or of which nobody knows whether they arrived."""
        self.on_publish: Callable[[Post], None] = lambda post: None
        self._order: list[tuple[datetime, int, str]] = []
        self._numbers = itertools.count(1)
        self._read: dict[str, set[str]] = {}

    def publish(self, raw: Raw, at: datetime | None = None, *, live: bool = True) -> Post:
        """Put a post into the world: a line as the stream gives (`data`, `includes`), or a plain one (`shapes`).

        `at` becomes its `created_at`; default: the one it has, else now. Not `live`: only search ever finds it.
        Raises ValueError for an id that is no number or taken, KeyError without a text.
        """
        with self.lock:
            now = self.clock.now()
            line = raw if isinstance(raw.get("data"), dict) else None
            given: Raw = line["data"] if line else raw
            created = at or (parse_time(str(given["created_at"])) if "created_at" in given else now)
            post_id = str(int(given["id"])) if "id" in given else snowflake(created, next(self._numbers))
            if post_id in self.posts:
                raise ValueError(f"a post with the id {post_id} is there already")
            if line:
                self.known.learn(line.get("includes") or {})
                history = {"edit_history_tweet_ids": [post_id], **given}
                data = {**history, "id": post_id, "text": str(given["text"]), "created_at": rfc3339(created)}
            else:
                data = from_plain(given, post_id, created, self.known)
            return self._add(data, created, now, live)

    def _add(self, data: dict[str, Any], created: datetime, now: datetime, live: bool) -> Post:
        self.known.tweets[data["id"]] = data
        document = Document(data, self.known)
        matched = tuple(rule for rule in self.rules.values() if rule.matches(document)) if live else ()
        post = Post(data["id"], created, now, data, document, matched)
        for older in data["edit_history_tweet_ids"]:
            if older != post.id and older in self.posts:
                self.posts[older].newer = post.id
        self.posts[post.id] = post
        bisect.insort(self._order, (created, int(post.id), post.id))
        if matched:
            self.on_publish(post)
        return post

    def edit(self, post_id: str, text: str, new_id: str | None = None) -> Post:
        """Publish an edit: a new id, with the old ones in its history. Raises KeyError for an unknown post."""
        with self.lock:
            old = self.posts[post_id]
            now = self.clock.now()
            edited = str(int(new_id)) if new_id else snowflake(now, next(self._numbers))
            history = [*old.data["edit_history_tweet_ids"], edited]
            plain = {"text": text, "author_id": old.data.get("author_id"), "lang": old.data.get("lang", "no")}
            made = from_plain(plain, edited, now, self.known)
            kept = {k: v for k, v in old.data.items() if k not in ("note_tweet", "entities")}
            # X lets an edit keep its conversation and what it answers; time and id are new.
            new = ("id", "text", "created_at", "note_tweet", "entities")
            mine: dict[str, Any] = {k: made[k] for k in new if k in made}
            return self._add({**kept, **mine, "edit_history_tweet_ids": history}, now, now, live=True)

    def delete(self, post_id: str) -> None:
        """Its author takes it back: search and the stream know it no longer. Raises KeyError."""
        with self.lock:
            self.posts[post_id].deleted_at = self.clock.now()
            self.known.tweets.pop(post_id, None)

    def remove(self, post_id: str, reason: str) -> None:
        """X wants it removed: its account was suspended or protected, its place was scrubbed, … Raises KeyError."""
        with self.lock:
            self.posts[post_id].gone = reason

    def add_rule(self, value: str, tag: str | None = None) -> Rule:
        """Raises language.InvalidRule. Whoever calls has looked for duplicates and the plan's limit."""
        with self.lock:
            matches = compile_rule(value, Dialect.STREAM, self.plan.rule_length)
            rule = Rule(snowflake(self.clock.now(), next(self._numbers)), value, tag, matches)
            self.rules[rule.id] = rule
            return rule

    def between(self, start: datetime | None, end: datetime | None) -> list[Post]:
        """Posts created in [start, end), oldest first, deleted and edited ones among them."""
        with self.lock:
            low = 0 if start is None else bisect.bisect_left(self._order, (start, -1, ""))
            high = len(self._order) if end is None else bisect.bisect_left(self._order, (end, -1, ""))
            return [self.posts[post_id] for _, _, post_id in self._order[low:high]]

    def matching(
        self,
        query: str,
        start: datetime | None = None,
        end: datetime | None = None,
        dialect: Dialect = Dialect.STREAM,
    ) -> list[str]:
        """The ids of all posts in [start, end) that a rule matches, oldest first: what there was to hear."""
        matches = compile_rule(query, dialect, max(self.plan.rule_length, self.plan.query_length))
        return [post.id for post in self.between(start, end) if matches(post.document)]

    def due(
        self, rules: Iterable[str] | None = None, start: datetime | None = None, end: datetime | None = None
    ) -> list[str]:
        """Posts that matched rules (of these ids; default any) in force when they came, connected or not."""
        wanted = None if rules is None else set(rules)
        posts = self.between(start, end)
        return [p.id for p in posts if p.matched and (wanted is None or wanted & {r.id for r in p.matched})]

    def offered(
        self, rules: Iterable[str] | None = None, start: datetime | None = None, end: datetime | None = None
    ) -> list[str]:
        """Ids of posts created in [start, end) whose lines were written to a stream, each once, in that order."""
        wanted = None if rules is None else set(rules)
        with self.lock:
            inside = {p.id for p in self.between(start, end)}
            offers = [o.post for o in self.offers if o.post in inside and (wanted is None or wanted & set(o.rules))]
        return list(dict.fromkeys(offers))

    def searched(self, start: datetime | None = None, end: datetime | None = None) -> list[str]:
        """Ids that search gave, of posts created in [start, end), each once."""
        with self.lock:
            inside = {p.id for p in self.between(start, end)}
            return list(dict.fromkeys(i for page in self.pages for i in page.posts if i in inside))

    def count_read(self, posts: Iterable[str]) -> None:
        """Posts given out cost money, each once a UTC day."""
        with self.lock:
            self._read.setdefault(self._day(), set()).update(posts)

    @property
    def read_by_day(self) -> dict[str, int]:
        with self.lock:
            return {day: len(posts) for day, posts in sorted(self._read.items())}

    def read_this_month(self) -> int:
        with self.lock:
            return sum(count for day, count in self.read_by_day.items() if day[:7] == self._day()[:7])

    def _day(self) -> str:
        return self.clock.now().astimezone(UTC).date().isoformat()

    def truth(self) -> list[dict[str, Any]]:
        """All posts, for whoever asks over HTTP."""
        with self.lock:
            return [
                {
                    "id": p.id,
                    "created_at": rfc3339(p.created_at),
                    "rules": [r.id for r in p.matched],
                    "deleted": p.deleted_at is not None,
                    "newer": p.newer,
                    "data": json.loads(json.dumps(p.data)),
                }
                for p in self.between(None, None)
            ]
