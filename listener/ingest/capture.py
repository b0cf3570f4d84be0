"""Post ▶ match ▶ privacy ▶ mention: what becomes of a batch that a source offered.

In crisis a post that matches an open incident becomes a mention, and a tick goes with it that says how far the source
is heard and where to go on reading. In calm a post is counted and dropped. With the counts goes which
minutes were heard in full. What was deleted at the platform is said in both: it may lie on the bus from before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from listener.bus.deadletters import TOO_LARGE, dead_letter, measured
from listener.bus.messages import message, to_every_partition
from listener.bus.protocol import Message, is_too_large
from listener.clock import Clock
from listener.ingest.coverage import Coverage
from listener.ingest.matcher import Matcher
from listener.model import keys
from listener.model.incidents import Incident
from listener.model.records import (
    MENTIONS,
    SPENDING,
    VOLUMES,
    AuthorClass,
    Deletion,
    Mention,
    Origin,
    Post,
    Tick,
    Volume,
    first_key,
)
from listener.model.roles import listen_to
from listener.privacy.screen import Screen
from listener.runtime.metrics import Metrics
from listener.sources.contract import BadLine, Batch

DELETIONS = 1_000
"""Ids in a record of them: far below what a record may hold."""
STANDING = ""
"""The matcher's name for the standing tracks, which are counted whatever is open."""


@dataclass
class Pending:
    """A batch made ready for the bus. Kept until the bus has taken it. `seen`: fingerprints of its mentions; `matched`:
    post id → the incidents that it matched."""

    messages: list[Message]
    batch: Batch
    seen: list[int] = field(default_factory=list)
    mentions: int = 0
    volumes: list[Volume] = field(default_factory=list)
    """What its posts add to the counts."""

    def since(self, until: datetime | None, now: datetime) -> datetime:
        """From when on nothing is taken in, if the bus does not take it. Counts alone can be had again."""
        return min((post.at for post in self.batch.posts), default=now if self.batch.volumes else until or now)

    matched: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class _Captured:
    """What comes of a batch beside its mentions. `taken`: fingerprints of what was new."""

    volumes: Counter[tuple[str, datetime]] = field(default_factory=Counter)
    drops: Counter[str] = field(default_factory=Counter)
    taken: set[int] = field(default_factory=set)


class Capture:
    """What one source's posts become. `seen` holds what is on the bus already, once for each incident."""

    def __init__(
        self,
        source: str,
        screen: Screen,
        standing: Sequence[str],
        *,
        partitions: int,
        clock: Clock,
        metrics: Metrics,
        live: bool = False,
    ) -> None:
        """`live`: its posts are said now, so that it tells something how old they are when they come."""
        self._source = source
        self._screen = screen
        self._standing = tuple(standing)
        self._partitions = partitions
        self._clock = clock
        self._metrics = metrics
        self._delay = metrics.source_delay.labels(source) if live else None
        self._matcher = Matcher({})
        self._late = Matcher({})
        self.incidents: tuple[Incident, ...] = ()
        self.over: tuple[Incident, ...] = ()
        """Closed lately: what was said while they were open may yet be found."""
        self.seen: set[int] = set()
        self.until: datetime | None = None
        """Event time up to which the source is heard."""
        self.ended = False
        """It has said that nothing more comes. One that is opened at its end again says so again."""
        self.minutes = Coverage(source)

    def listen_for(self, incidents: tuple[Incident, ...], over: tuple[Incident, ...] = ()) -> None:
        tracks: dict[str, Sequence[str]] = {i.id: (*i.tracks, *self._standing) for i in incidents}
        opened = min((i.opened_at for i in incidents), default=None)
        wanted = tracks or {STANDING: self._standing}
        self.minutes.listen_for({id_: tuple(its) for id_, its in wanted.items()}, opened, self.until)
        tracks[STANDING] = self._standing
        self._matcher = Matcher(tracks)
        self._late = Matcher({i.id: (*i.tracks, *self._standing) for i in over})
        self.incidents, self.over = incidents, over

    @property
    def open(self) -> frozenset[str]:
        """The ids of the open incidents."""
        return frozenset(incident.id for incident in self.incidents)

    def remember(self, mention: Mention) -> None:
        """It is on the bus."""
        self.seen.update(_fingerprint(incident, mention.post_key) for incident in mention.incidents)
        self.seen.add(_fingerprint(STANDING, first_key(mention)))

    def capture(self, batch: Batch, cursor: str | None) -> Pending:
        """A batch → all that goes to the bus in its transaction; `cursor` is the tick's."""
        pending, heard = Pending([], batch), _Captured()
        deleted = frozenset(batch.deleted)
        for post in batch.posts:
            if post.id in deleted:
                heard.drops["deleted"] += 1
                continue
            try:
                self._hear(post, pending, heard)
            except Exception as error:
                # Whatever one post does to us, those beside it are heard.
                pending.messages.append(self._failed(post, error))
                heard.drops["failed"] += 1
        for start in range(0, len(batch.deleted), DELETIONS):
            ids = batch.deleted[start : start + DELETIONS]
            pending.messages.append(message(MENTIONS, Deletion(source=self._source, at=self._clock.now(), ids=ids)))
        pending.seen += heard.taken
        for (track, minute), count in heard.volumes.items():
            pending.volumes.append(Volume(source=self._source, track=track, minute=minute, count=count))
        pending.messages += map(_volume, (*pending.volumes, *batch.volumes))
        if batch.quota is not None:
            pending.messages.append(message(SPENDING, batch.quota))
        pending.messages += map(self._dead_letter, batch.bad)
        self.minutes.miss(batch.gaps)
        if batch.until is not None and not (self.ended and batch.until == self.until):
            heard_whole = self.minutes.heard(self.until, batch.until, final=batch.final)
            pending.messages += [message(VOLUMES, minutes) for minutes in heard_whole]
            self.until, self.ended = batch.until, batch.final
        if self.until is not None:
            pending.messages += self.tick(cursor, final=batch.final)
        self._count(batch, heard.drops)
        return pending

    def _hear(self, offered: Post, pending: Pending, heard: _Captured) -> None:
        batch, post = pending.batch, _with_own_id(offered)
        matched = self._matcher.match(post)
        if batch.origin is Origin.GAP_FILL:
            matched = {**matched, **self._match_late(post)}
        own = post.author is not None and post.author.author_class is AuthorClass.OWN
        if not own and batch.origin is not Origin.LOOKBACK and self._is_new(STANDING, first_key(post), heard.taken):
            # What came before the incident was counted in calm. An edit is no other post. What the hospital says itself
            # is no measure of what others say.
            minute = post.at.replace(second=0, microsecond=0)
            said = dict.fromkeys(track for tracks in matched.values() for track in tracks)
            heard.volumes.update((track, minute) for track in said)
        if batch.incident is not None:
            matched = {i: tracks for i, tracks in matched.items() if i == batch.incident}
        pending.matched[offered.id] = frozenset(matched) - {STANDING}
        fresh, dropped = self._fresh(post, matched, heard.taken)
        if dropped:
            heard.drops[dropped] += 1
            return
        mention = self._mention(post, fresh, self._clock.now(), batch.origin or Origin.LIVE)
        made = message(MENTIONS, mention)
        if is_too_large(made):
            pending.messages.append(self._buried(TOO_LARGE, made.value or b""))
            heard.drops[TOO_LARGE] += 1
            return
        pending.messages.append(made)
        pending.mentions += 1
        if self._delay is not None and mention.origin is Origin.LIVE:
            self._delay.observe(max(0.0, (mention.captured_at - post.at).total_seconds()))

    def tick(self, cursor: str | None, *, final: bool) -> list[Message]:
        """The source is heard until now: one message for every partition. Nothing, while it was not heard at all."""
        if self.until is None:
            return []
        tick = Tick(source=self._source, until=self.until, cursor=cursor, final=final)
        return to_every_partition(MENTIONS, tick, self._partitions)

    def _match_late(self, post: Post) -> dict[str, tuple[str, ...]]:
        """The closed incidents that it matches and that were open when it was said: it is of their crisis."""
        their = {i.id for i in self.over if i.closed_at is not None and i.opened_at <= post.at <= i.closed_at}
        return {incident: tracks for incident, tracks in self._late.match(post).items() if incident in their}

    def _fresh(
        self, post: Post, matched: Mapping[str, tuple[str, ...]], taken: set[int]
    ) -> tuple[dict[str, tuple[str, ...]], str]:
        """The incidents that the post is new to, with its tracks; or none, and why."""
        wanted = {incident: tracks for incident, tracks in matched.items() if incident != STANDING}
        if not wanted:
            return {}, "no_match" if self.incidents else "calm"
        # An edit says something else: it is captured, and whoever counts persons knows it by its `edits`.
        key = keys.of_source(post.source, post.id)
        fresh = {incident: tracks for incident, tracks in wanted.items() if self._is_new(incident, key, taken)}
        return fresh, "" if fresh else "duplicate"

    def _is_new(self, incident: str, key: str, taken: set[int]) -> bool:
        """It was not met before; it is from now on."""
        fingerprint = _fingerprint(incident, key)
        if fingerprint in self.seen or fingerprint in taken:
            return False
        taken.add(fingerprint)
        return True

    def _mention(self, post: Post, fresh: dict[str, tuple[str, ...]], now: datetime, origin: Origin) -> Mention:
        incidents = [i for i in (*self.incidents, *self.over) if i.id in fresh]
        return self._screen.mention(
            post,
            incidents=fresh,
            origin=origin,
            captured_at=now,
            exercise=all(i.exercise for i in incidents),
            synthetic=all(i.synthetic for i in incidents),
        )

    def _failed(self, post: Post, error: Exception) -> Message:
        return self._buried(f"failed_{type(error).__name__}", post.text.encode("utf-8", "replace"))

    def _buried(self, reason: str, content: bytes) -> Message:
        """A dead letter of a post that is kept nowhere."""
        stage = listen_to(self._source)
        self._metrics.deadletters.labels(stage, reason).inc()
        return dead_letter(stage, reason, content, f"{self._source}:post", self._clock)

    def _dead_letter(self, line: BadLine) -> Message:
        stage = listen_to(self._source)
        self._metrics.deadletters.labels(stage, line.reason).inc()
        return measured(stage, line.reason, line.where, self._clock, length=line.length, digest=line.digest)

    def _count(self, batch: Batch, drops: Counter[str]) -> None:
        name = self._source
        # So that what was heard is what was published and what was dropped, by reason.
        self._metrics.posts_heard.labels(name).inc(len(batch.posts) + batch.duplicates)
        self._metrics.posts_matched.labels(name).inc(len(batch.posts) - drops["no_match"] - drops["calm"])
        if batch.duplicates:
            drops["duplicate"] += batch.duplicates
        for reason, count in drops.items():
            if count:
                self._metrics.posts_dropped.labels(name, reason).inc(count)


def _volume(volume: Volume) -> Message:
    return message(VOLUMES, volume)


def _with_own_id(post: Post) -> Post:
    """An edit that kept its id, under an id of its own: as such all versions can lie on the bus, each once, and
    `first_key` is the platform's id."""
    if post.version is None:
        return post
    own = {"id": f"{post.id}@{post.version}", "edits": (post.id, *post.edits), "version": None}
    return post.model_copy(update=own)


def _fingerprint(incident: str, key: str) -> int:
    """64 bits for (incident, post): a set of them holds millions."""
    return hash((incident, key))
