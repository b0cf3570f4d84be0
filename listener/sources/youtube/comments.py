"""What of the comments that answers bring is to be given: once each in each version, and for whom.

A comment that was said since an incident was opened is for every incident that it matches; one from the hours before,
for those that look back to it. One that was changed was said when it was changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from listener.clock import Clock, SteadyClock
from listener.model.records import Post
from listener.sources.common.fields import Raw, Unusable
from listener.sources.contract import BadLine
from listener.sources.youtube.payload import read_comment, version_of, when
from listener.sources.youtube.threads import Met

AHEAD: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Bounds:
    """By the platform's clock. `live`: what was said since then is given; `back`: incident → what lies before that and
    in [from, to) is given to it."""

    live: datetime
    back: Mapping[str, tuple[datetime, datetime]] = field(default_factory=dict)


class Found:
    """What was found since the last look."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.back: dict[str, list[Post]] = {}
        self.bad: list[BadLine] = []

    def __bool__(self) -> bool:
        return bool(self.posts or self.back or self.bad)


class Comments:
    """`channels`: id → handle of the hospital's own. `steady`: our clock, which never runs back: what lies ahead of it
    would end every window that is open."""

    def __init__(self, source: str, channels: Mapping[str, str], clock: Clock, steady: SteadyClock) -> None:
        self._source = source
        self._channels = channels
        self._clock = clock
        self._steady = steady
        self._met = Met()
        self._backed: set[tuple[str, str]] = set()
        self._found = Found()
        self.bounds = Bounds(clock.now())

    def take(self, raw: Raw, channel: str) -> None:
        """One comment as it came, under a video of `channel`. Raises Unusable."""
        at, version = when(raw), version_of(raw)
        wanted = self._wanted(f"{raw.get('id')}", version, at)
        if not wanted:
            return
        post = read_comment(raw, channel, self._channels, self._source, self._steady.now() + AHEAD)
        for incident in wanted:
            if incident is None:
                self._met.is_new(post.id, version, at)
                self._found.posts.append(post)
            else:
                self._backed.add((incident, f"{post.id}@{version}"))
                self._found.back.setdefault(incident, []).append(post)

    def unread(self, raw: Raw, refused: Unusable) -> None:
        """What is no comment, told once."""
        content = json.dumps(raw, ensure_ascii=False, default=str).encode("utf-8", "replace")
        bad = BadLine.of(refused.reason, f"{self._source}:comment", content)
        if self._met.is_new(f"bad:{bad.digest}", None, self._clock.now()):
            self._found.bad.append(bad)

    def take_found(self) -> Found:
        found, self._found = self._found, Found()
        return found

    def forget_since(self, at: datetime) -> None:
        """What was said since then, by the platform's clock, is given once more; and to each incident all before it."""
        self._met.forget_since(at)
        self._backed.clear()

    def _wanted(self, id_: str, version: str | None, at: datetime) -> list[str | None]:
        """For whom it is new: None for everybody."""
        if at >= self.bounds.live:
            return [None] if self._met.would_be_new(id_, version) else []
        return [
            incident
            for incident, (since, opened) in self.bounds.back.items()
            if since <= at < opened and (incident, f"{id_}@{version}") not in self._backed
        ]
