"""Sources: where posts come from, one file a platform. This is the contract that they keep.

A source is read in **batches**. The reader publishes a batch's posts and a tick (`until`, `cursor`, `final`) in one
transaction of the bus, and after a crash opens the source again with the last tick's cursor. From that follows what a
source must promise:

- Everything up to a batch's `cursor` has been given, in it or before it; nothing after it has. So going on from a
  cursor repeats nothing and loses nothing.
- Where a source can be read again (a recording), it is cut into the same batches each time, interrupted or not, so
  that the ticks, and with them the alerts, are the same.
- Bad input is named in `bad` and never raised. What raises is what a person must fix: `LyttepostError`.

A source knows no bus, no mode and no matching. It belongs to one thread; only `close` may be called from another.
`x_payload` is no source but the shape of X's answers, shared by the live listener and by recordings of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from listener.model.incidents import Incident
    from listener.model.records import Gap, Origin, Post, Volume
    from listener.settings.prices import Tariff

SOURCES: Mapping[str, str] = {
    "recording": "listener.sources.recording.source:RecordingSource",
    "x": "listener.sources.x.source:XSource",
}
"""Name → class."""


class DropReason(StrEnum):
    """Why something offered became no post."""

    BAD_JSON = "bad_json"
    """No JSON, or JSON that is cut short in the middle of the file."""
    NOT_A_POST = "not_a_post"
    """JSON of another kind: a user, a count, a notice, a deletion."""
    MISSING_FIELD = "missing_field"
    """No id, time or text."""
    WRONG_TYPE = "wrong_type"
    BAD_DATE = "bad_date"
    """No date, one without a time zone, or one before the year 2000 or after 2100."""
    LONE_DATE = "lone_date"
    """Years ahead of every post around it: it would end every window that is open."""
    TOO_LONG = "too_long"
    """A line of more than a million bytes, or a post with more than a thousand hashtags, links or accounts."""
    TRUNCATED_LINE = "truncated_line"
    """The file ends in the middle of its last line."""
    BROKEN_LINE = "broken_line"
    """A connection ended in the middle of a line."""
    TRUNCATED_GZIP = "truncated_gzip"
    CORRUPT_GZIP = "corrupt_gzip"


@dataclass(frozen=True, slots=True)
class BadLine:
    """Something offered that became no post: why, where (`file:line`), its length in bytes and its SHA-256 digest."""

    reason: DropReason
    where: str
    length: int
    digest: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that ops must know of: `what` is a name of `listener.runtime.ops_alerts.OPS_ALERTS`, whose braces
    `words` fill. `over`: not any more."""

    what: str
    since: datetime
    over: bool = False
    words: Mapping[str, str] = field(default_factory=dict)


class Call(NamedTuple):
    """A request to the platform: to which endpoint, and whether it was answered with success."""

    endpoint: str
    answered: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What to publish in one transaction. `read` = posts + bad + duplicates: everything offered is accounted for.

    `until` is the time up to which the source is heard, None while no post had one. An empty batch is a sign of life.
    """

    posts: tuple[Post, ...] = ()
    bad: tuple[BadLine, ...] = ()
    duplicates: int = 0
    until: datetime | None = None
    cursor: str | None = None
    final: bool = False
    """Nothing more will come."""
    origin: Origin | None = None
    """How its posts came; None: as they were said."""
    incident: str | None = None
    """Its posts are for this incident alone; None: for every one that they match."""
    gaps: tuple[Gap, ...] = ()
    """Gaps as they are now. `refilled` counts what an earlier process found; what this one finds is added to it."""
    fills: str | None = None
    """Its posts are of the time of this gap."""
    notices: tuple[Notice, ...] = ()
    reconnects: tuple[str, ...] = ()
    """Why connections were made anew, each once."""
    calls: Mapping[Call, int] = field(default_factory=dict)
    """Requests made since the last batch."""
    volumes: tuple[Volume, ...] = ()
    """Posts counted by the platform, of minutes and tracks that are not on `volumes` yet."""

    @property
    def read(self) -> int:
        return len(self.posts) + len(self.bad) + self.duplicates


@dataclass(kw_only=True)
class OfferedCounts:
    """What was offered in all and what became of it."""

    read: int = 0
    posts: int = 0
    duplicates: int = 0
    bad: dict[DropReason, int] = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        self.read += batch.read
        self.posts += len(batch.posts)
        self.duplicates += batch.duplicates
        for line in batch.bad:
            self.bad[line.reason] = self.bad.get(line.reason, 0) + 1


class Source(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def only_exercise(self) -> bool:
        """Its posts are not of today: it may only be played under an exercise."""

    @property
    def counts(self) -> OfferedCounts:
        """What the batches given since `open` held."""

    def open(self, resume: str | None) -> None:
        """Begin, or go on after a tick's cursor; after `close`, too. Raises LyttepostError that names what to fix.

        A source that had ended ends again, with an empty final batch.
        """

    def read(self, timeout: float) -> Batch | None:
        """The next batch; None when there was none within `timeout` seconds, or the source has ended."""

    def state(self) -> Mapping[str, Any]:
        """For presence and the board: `state` is a word such as playing, waiting or ended; the rest is detail."""

    def close(self) -> None:
        """Let go of files and sockets; a `read` that waits in another thread returns at once."""


@runtime_checkable
class Live(Protocol):
    """A source of today, which is asked for what is wanted now. A recording has all it has.

    Its `state` may hold `heard`, the time of the last byte; `queue`, the number of posts that wait; and `problem`,
    which a person must fix and which makes the process unready; `reach`, how many seconds back it can search; `caps`,
    what a month may cost (x.budget), where it costs something.
    """

    def recall(self, gaps: Sequence[Gap]) -> None:
        """Before `open`: gaps of this source that the ledger holds, older ones than it can search left out."""

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        """What is open now, the standing tracks, and what was closed lately: of that a gap may be left to fill.

        Returns at once; called after `open` and at every change.
        """

    def tend(self) -> None:
        """Called where nothing can be taken from it: stay connected, and hold what comes, within bounds."""


@runtime_checkable
class Counting(Protocol):
    """A source whose platform counts posts for us. Its `state` may hold `counted`, up to when they are counted."""

    def learn_counts(self, volumes: Iterable[Volume]) -> None:
        """What others have counted: before `open` all that `volumes` holds of this source, from further back than the
        platform counts; later what its own posts add. A minute of a track that has a record is never given again."""


@runtime_checkable
class Paid(Protocol):
    """A source that costs money. Its batches list the calls that it made."""

    @property
    def tariff(self) -> Tariff:
        """Its prices, and what a month may cost."""

    def halt(self, halted: bool) -> None:
        """Do nothing that costs, from now on, and have it be a gap; or go on. Called before `follow`, and between."""
