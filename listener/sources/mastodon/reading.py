"""What one server says → posts, deletions and bad lines, whether it came by the stream or by a timeline."""

from __future__ import annotations

from typing import Final

from pydantic_core import to_json

from listener.clock import Clock
from listener.model.records import Post
from listener.sources.common.fields import Raw, Unusable
from listener.sources.common.sieve import Sieve
from listener.sources.contract import BadLine, DropReason
from listener.sources.mastodon.feeds import TIMELINES
from listener.sources.mastodon.frames import Message, Other, read_message
from listener.sources.mastodon.held import Held
from listener.sources.mastodon.jobs import Look
from listener.sources.mastodon.payload import alias, asks_not_to_be_indexed, id_of, is_public, read_status, words_of

LONGEST: Final = 1_000_000
"""Bytes of a message that may be a post."""


class Taken:
    """What one turn brings. `before`: posts of a lookback, by incident."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.bad: list[BadLine] = []
        self.deleted: tuple[str, ...] = ()
        self.doubles = 0
        self.before: dict[str, list[Post]] = {}

    def leave_out(self, uri: str) -> None:
        """What was deleted before it was given is never stored. Its id, which names a person, is not told either."""
        for posts in (self.posts, *self.before.values()):
            kept = [post for post in posts if post.id != uri]
            self.doubles += len(posts) - len(kept)
            posts[:] = kept

    def __bool__(self) -> bool:
        return bool(self.posts or self.bad or self.deleted or self.doubles or self.before)


class Reading:
    """`held`: what all servers share of what is known. `domain`: of the server's own accounts."""

    def __init__(self, source: str, domain: str, held: Held, clock: Clock) -> None:
        self.domain = domain
        self.sieve = Sieve()
        self._source = source
        self._held = held
        self._clock = clock

    def frame(self, raw: bytes, taken: Taken) -> Message:
        """One message of the stream. What is none is counted."""
        if len(raw) > LONGEST:
            self._bad(DropReason.TOO_LONG, raw, taken)
            return Other()
        try:
            return read_message(raw)
        except Unusable as refused:
            self._bad(refused.reason, raw, taken)
            return Other()

    def status(self, raw: Raw, server: str, feed: str | None, taken: Taken, *, before: Look | None = None) -> None:
        """A post, as the stream or a page has it. `before`: it was looked back for."""
        self._held.met(_alias(raw, server))
        if not is_public(raw):
            return
        if feed in TIMELINES.values() and asks_not_to_be_indexed(raw):
            # Under a hashtag they put it themselves; in a whole timeline it would be found by its words alone.
            return
        try:
            post = read_status(raw, self._source, server, self.domain, self._clock.now())
        except Unusable as refused:
            self._bad(refused.reason, to_json(raw, inf_nan_mode="null"), taken)
            return
        if not self.sieve.lets_through(words_of(post)):
            self._held.name(post)
            return
        given = self._held.meet(post)
        taken.deleted += self._held.news()
        if not given:
            taken.doubles += 1
        elif before is not None:
            taken.before.setdefault(before.incident, []).append(post)
        else:
            taken.posts.append(post)

    def known(self, raw: Raw, server: str) -> None:
        """It was met, and is not wanted: by its number it is known, should it be deleted."""
        try:
            post = read_status(raw, self._source, server, self.domain, self._clock.now())
        except Unusable:
            return
        self._held.name(post)

    def was_met(self, raw: Raw, server: str) -> bool:
        """The server gave it before, whatever became of it; or it is such that nobody could tell."""
        name = _alias(raw, server)
        return name is None or self._held.was_met(name)

    def gone(self, name: str, taken: Taken) -> tuple[str, ...]:
        """A post was deleted. Its id, if it lies on the bus."""
        uri, held = self._held.deleted(name)
        if uri is not None:
            taken.leave_out(uri)
        return held

    def _bad(self, reason: DropReason, raw: bytes, taken: Taken) -> None:
        taken.bad.append(BadLine.of(reason, f"{self._source}:stream", raw))


def _alias(raw: Raw, server: str) -> str | None:
    try:
        return alias(server, id_of(raw))
    except Unusable:
        return None
