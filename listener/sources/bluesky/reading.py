"""One message after another → posts, deletions and bad lines, whichever stream they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from listener.clock import SteadyClock
from listener.model.records import Post
from listener.sources.bluesky.deletions import Held
from listener.sources.bluesky.frames import Account, Commit, Place, read_message
from listener.sources.bluesky.payload import read_post, words_of
from listener.sources.common.fields import EARLIEST, Unusable
from listener.sources.common.sieve import Sieve
from listener.sources.contract import BadLine, DropReason

AHEAD: Final = timedelta(seconds=5)
"""So far ahead may a host's clock be. What lies further in the future would end every window that is open."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Found:
    """What one turn brings."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.bad: list[BadLine] = []
        self.deleted: list[str] = []
        self.doubles = 0

    def leave_out(self, gone: Callable[[Post], bool]) -> None:
        """What was deleted before it was given is never stored. Its id, which names a person, is not told either."""
        kept = [post for post in self.posts if not gone(post)]
        self.doubles += len(self.posts) - len(kept)
        self.posts = kept

    def __bool__(self) -> bool:
        return bool(self.posts or self.bad or self.deleted or self.doubles)


class Reading:
    """`handles`: DID → handle, of accounts that the settings name; `clock`: one that never runs back."""

    def __init__(self, source: str, handles: Mapping[str, str], held: Held, clock: SteadyClock) -> None:
        self._source = source
        self._handles = handles
        self._held = held
        self._clock = clock

    def take(self, raw: bytes, sieve: Sieve, found: Found) -> Place | None:
        """One message into `found`. Where it stands; None where it tells none."""
        try:
            message = read_message(raw)
            if isinstance(message, Commit):
                self._hear(message, sieve, found)
            elif isinstance(message, Account):
                found.deleted += self._held.gone(message)
                did = message.did
                if self._held.is_away(did, message.place.us):
                    found.leave_out(lambda post: post.author is not None and post.author.id == did)
        except Unusable as refused:
            found.bad.append(BadLine.of(refused.reason, f"{self._source}:stream", raw))
            return None
        return getattr(message, "place", None)

    def _hear(self, commit: Commit, sieve: Sieve, found: Found) -> None:
        if commit.operation == "delete":
            found.deleted += self._held.deleted(commit)
            found.leave_out(lambda post: post.id == commit.uri)
            return
        if self._held.was_deleted(commit):
            found.doubles += 1
            return
        post = read_post(commit, self._at(commit.place), self._source, self._handles)
        if sieve.lets_through(words_of(post)):
            found.posts.append(post)

    def _at(self, place: Place) -> datetime:
        """When the host saw it, but no later than now. Raises Unusable."""
        at = instant_of(place)
        if at < EARLIEST:
            raise Unusable(DropReason.BAD_DATE, "time")
        return min(at, self._clock.now() + AHEAD)


def instant_of(place: Place) -> datetime:
    return _EPOCH + timedelta(microseconds=place.us)


def microseconds_of(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000 + at.microsecond
