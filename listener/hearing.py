"""Post ▶ match ▶ privacy ▶ mention: what becomes of a batch that a source offered.

In crisis a post that matches an open incident becomes a mention, and a tick goes with it that says how far the source
is heard and where to go on reading. In calm a post is counted and dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from listener.bus import Message
from listener.clock import Clock
from listener.match import Matcher
from listener.metrics import Metrics
from listener.mode import Incident
from listener.privacy import Screen
from listener.records import DeadLetter, Mention, Origin, Post, Tick, Volume, encode
from listener.sources import BadLine, Batch

STANDING = ""
"""The matcher's name for the standing tracks, which are counted whatever is open."""


@dataclass
class Pending:
    """A batch made ready for the bus. Kept until the bus has taken it. `seen`: fingerprints of its mentions."""

    messages: list[Message]
    batch: Batch
    seen: list[int] = field(default_factory=list)
    mentions: int = 0


class Hearing:
    """What one source's posts become. `seen` holds what is on the bus already, once for each incident."""

    def __init__(
        self, source: str, screen: Screen, standing: Sequence[str], *, partitions: int, clock: Clock, metrics: Metrics
    ) -> None:
        self._source = source
        self._screen = screen
        self._standing = tuple(standing)
        self._partitions = partitions
        self._clock = clock
        self._metrics = metrics
        self._matcher = Matcher({})
        self.incidents: tuple[Incident, ...] = ()
        self.seen: set[int] = set()
        self.until: datetime | None = None
        """Event time up to which the source is heard."""

    def listen_for(self, incidents: tuple[Incident, ...]) -> None:
        tracks: dict[str, Sequence[str]] = {i.id: (*i.tracks, *self._standing) for i in incidents}
        tracks[STANDING] = self._standing
        self._matcher = Matcher(tracks)
        self.incidents = incidents

    def remember(self, mention: Mention) -> None:
        """It is on the bus."""
        for key in _versions(mention):
            self.seen.update(_fingerprint(incident, key) for incident in (*mention.incidents, STANDING))

    def capture(self, batch: Batch, cursor: str | None) -> Pending:
        """A batch → all that goes to the bus in its transaction; `cursor` is the tick's."""
        pending = Pending([], batch)
        volumes: Counter[tuple[str, datetime]] = Counter()
        drops: Counter[str] = Counter()
        now = self._clock.now()
        taken: set[int] = set()
        for post in batch.posts:
            matched = self._matcher.match(post)
            if batch.origin is not Origin.LOOKBACK and self._is_new(STANDING, post, taken):
                # What came before the incident was counted in calm.
                minute = post.at.replace(second=0, microsecond=0)
                said = dict.fromkeys(track for tracks in matched.values() for track in tracks)
                volumes.update((track, minute) for track in said)
            if batch.incident is not None:
                matched = {i: tracks for i, tracks in matched.items() if i == batch.incident}
            fresh, dropped = self._fresh(post, matched, taken)
            if dropped:
                drops[dropped] += 1
                continue
            mention = self._mention(post, fresh, now, batch.origin or Origin.LIVE)
            pending.messages.append(Message("mentions", mention.post_key, encode(mention)))
            pending.mentions += 1
        pending.seen += taken
        for (track, minute), count in volumes.items():
            volume = Volume(source=self._source, track=track, minute=minute, count=count)
            pending.messages.append(Message("volumes", f"{self._source}:{track}", encode(volume)))
        pending.messages += map(self._dead_letter, batch.bad)
        if batch.until is not None:
            self.until = batch.until
        if self.until is not None:
            pending.messages += self.tick(cursor, final=batch.final)
        self._count(batch, drops)
        return pending

    def tick(self, cursor: str | None, *, final: bool) -> list[Message]:
        """The source is heard until now: one message for every partition. Nothing, while it was not heard at all."""
        if self.until is None:
            return []
        value = encode(Tick(source=self._source, until=self.until, cursor=cursor, final=final))
        return [Message("mentions", f"{self._source}:tick", value, number) for number in range(self._partitions)]

    def _fresh(
        self, post: Post, matched: Mapping[str, tuple[str, ...]], taken: set[int]
    ) -> tuple[dict[str, tuple[str, ...]], str]:
        """The incidents that the post is new to, with its tracks; or none, and why."""
        if not self.incidents:
            return {}, "calm"
        wanted = {incident: tracks for incident, tracks in matched.items() if incident != STANDING}
        if not wanted:
            return {}, "no_match"
        fresh = {incident: tracks for incident, tracks in wanted.items() if self._is_new(incident, post, taken)}
        return fresh, "" if fresh else "duplicate"

    def _is_new(self, incident: str, post: Post, taken: set[int]) -> bool:
        """No version of it was met before; they are from now on."""
        fingerprints = {_fingerprint(incident, key) for key in _versions(post)}
        if not (fingerprints.isdisjoint(self.seen) and fingerprints.isdisjoint(taken)):
            return False
        taken |= fingerprints
        return True

    def _mention(self, post: Post, fresh: dict[str, tuple[str, ...]], now: datetime, origin: Origin) -> Mention:
        incidents = [i for i in self.incidents if i.id in fresh]
        return self._screen.mention(
            post,
            incidents=fresh,
            origin=origin,
            captured_at=now,
            exercise=all(i.exercise for i in incidents),
            synthetic=all(i.synthetic for i in incidents),
        )

    def _dead_letter(self, line: BadLine) -> Message:
        stage = f"listen-{self._source}"
        letter = DeadLetter(
            at=self._clock.now(),
            stage=stage,
            reason=line.reason,
            length=line.length,
            digest=line.digest,
            where=line.where,
        )
        self._metrics.deadletters.labels(stage, line.reason).inc()
        return Message("deadletters", line.where, encode(letter))

    def _count(self, batch: Batch, drops: Counter[str]) -> None:
        name = self._source
        self._metrics.posts_heard.labels(name).inc(len(batch.posts))
        self._metrics.posts_matched.labels(name).inc(len(batch.posts) - drops["no_match"] - drops["calm"])
        if batch.duplicates:
            drops["duplicate"] += batch.duplicates
        for reason, count in drops.items():
            if count:
                self._metrics.posts_dropped.labels(name, reason).inc(count)


def _versions(post: Post | Mention) -> tuple[str, ...]:
    """The keys of a post and of what it was before it was edited."""
    return tuple(f"{post.source}:{each}" for each in (post.id, *post.edits))


def _fingerprint(incident: str, key: str) -> int:
    """64 bits for (incident, post): a set of them holds millions."""
    return hash((incident, key))
