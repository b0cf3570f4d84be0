"""What a source is: where posts come from, one folder a platform, each named in `SOURCES`.

A source is read in **batches**. The worker that reads it publishes a batch's posts and a tick (`until`, `cursor`,
`final`) in one transaction of the bus, and after a crash opens the source again with the last tick's cursor. From that
follows what a source must promise (tests/contract/test_sources.py holds every one of them to it):

- Everything up to a batch's `cursor` has been given, in it or before it, and nothing after it. `catch_up` declares what
  going on from a cursor gives.
- `until` never goes back: windows that it has passed are closed. A file has its oldest post first.
- Bad input is named in `bad` and never raised. What raises is what a person must fix: `LyttepostError`.
- A post that is edited and gets a new id names its former ones in `edits`; one that keeps its id gets a `version`. A
  post without an author has none: no name is made up for it.
- A post's `handles` has every name of a person that its `text`, `links` or `url` may hold, in each form in which it may
  stand there (`name`, `name@server`), lower case and without @, with the author's id. From there alone does privacy
  know names in links, and those in texts that stand without @ and can be no word (with a digit or _ in them); the
  author's own `handle` it adds. No contract test can know them: test it with `listener.privacy.screen.Screen`.

A source knows no bus, no mode and no matching. It belongs to one thread; only `close` may be called from another.
What a platform offers beyond posts is a capability, a protocol of its own, which is found by its methods. A source that
`Follows` is live and read by an `Ingestor`, and it may have `Counts`, `Costs` and a quota (`HasQuota`); one that does
not is of the past and played by a `Player`. Either may have `Deletes`. A source that hears all that a platform says is
one that `HearsInCalm`, and it `KnowsHeld`, so that it tells nothing of people who are none of our business. One that
its platform calls `Answers`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from listener.errors import ConfigError
from listener.plugins import load
from listener.units import format_duration

if TYPE_CHECKING:
    from listener.clock import Clock
    from listener.model.incidents import Incident
    from listener.model.records import Gap, Origin, Post, Volume
    from listener.model.spending import QuotaUse
    from listener.runtime.checks import Check
    from listener.settings.files import Loc, RawSettings
    from listener.settings.prices import Tariff
    from listener.settings.schema import Settings
    from listener.webhooks.webhook import Webhook

SOURCES: Mapping[str, str] = {
    "recording": "listener.sources.recording.plugin:TYPE",
    "x": "listener.sources.x.plugin:TYPE",
    "bluesky": "listener.sources.bluesky.plugin:TYPE",
    "feeds": "listener.sources.feeds.plugin:TYPE",
    "linkedin": "listener.sources.linkedin.plugin:TYPE",
    "mastodon": "listener.sources.mastodon.plugin:TYPE",
    "facebook": "listener.sources.facebook.plugin:TYPE",
    "youtube": "listener.sources.youtube.plugin:TYPE",
    "instagram": "listener.sources.instagram.plugin:TYPE",
}
"""Name → `SourceType`. These modules are light: `lyttepost mode` asks them too."""


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

    @classmethod
    def of(cls, reason: DropReason, where: str, content: bytes) -> BadLine:
        """By what was offered, of which nothing else is kept."""
        return cls(reason, where, len(content), hashlib.sha256(content).hexdigest())


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
    deleted: tuple[str, ...] = ()
    """Ids of posts that were deleted at the platform, whether we hold them or not; posts of this batch too."""
    charged: tuple[str, ...] = ()
    """Ids of posts that were read once more, which the platform charges for; they are no news."""
    volumes: tuple[Volume, ...] = ()
    """Posts counted by the platform, of minutes and tracks that are not on `volumes` yet."""
    quota: QuotaUse | None = None
    """Of one that `HasQuota`: its account as it is now; None where it has not changed since the last batch."""

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


class CatchUp(StrEnum):
    """What a source gives when it goes on from a cursor after time in which nobody read it."""

    REPLAY = "replay"
    """All that came after the cursor, once, in the same batches; interrupted or not, the ticks and with them the alerts
    are the same."""
    RESCAN = "rescan"
    """What it finds again of the time in between, which is a gap until then. Posts from shortly before may come twice:
    whoever reads it knows them by their id."""
    NONE = "none"
    """Nothing: the time in between is a gap and stays one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What `lyttepost doctor` knows when it asks a platform."""

    settings: Settings
    incidents: Sequence[Incident]
    """Those that the platform is listened to for."""
    standing: Collection[str]
    clock: Clock
    seconds: float
    """Every call to the platform ends within them."""
    running: bool
    """A listener that runs reads it."""


def any_id(typed: str) -> str:
    """An id of whatever form, without a blank in it. Raises ValueError."""
    if not typed or any(letter.isspace() for letter in typed):
        raise ValueError("is no post id")
    return typed


def _no_link(link: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostIds:
    """How people write the ids of a platform's posts. That may hold a person's name: no error repeats it."""

    parse: Callable[[str], str] = any_id
    """What was typed as the id → the id as it stands on the bus. Raises ValueError: `is no post id`."""
    in_link: Callable[[str], str | None] = _no_link
    """A link → what stands in it as the post's id; None where it leads to no post of this platform. Raises ValueError
    where it knows better: `is a link to a platform that is no source of ours`."""
    looks: str = ""
    """How an id looks that is known by its form, with no source before it: `all digits of the id (1906…)`."""


def _no_bill(raw: RawSettings) -> bool:
    return False


def _no_checks(examination: Examination) -> Iterable[Check]:
    return ()


def _no_doubts(settings: Settings) -> Iterable[tuple[Loc, str]]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceType:
    """A platform as its entry of `SOURCES` names it. The module imports no client: only who uses one pays for it."""

    make: Callable[[Settings, Clock], Source | None]
    """The source as the settings have it; None where they set none up. Raises ConfigError."""
    setting: Loc
    """The setting that a mistake is about when it names none."""
    check: Callable[[Settings], object]
    """Raises ConfigError for what is not there or unfit. Writes nothing and uses no network."""
    doubts: Callable[[Settings], Iterable[tuple[Loc, str]]] = _no_doubts
    """Settings that can be meant so and most often are not, each with what to write."""
    examine: Callable[[Examination], Iterable[Check]] = _no_checks
    """What can be found out by asking the platform, at no cost; their ids begin with the source's name."""
    post_ids: PostIds = field(default_factory=PostIds)
    replays: bool = False
    """Its posts are those of other sources, under the ids that they have there: whoever has `x:ID` purged means this
    source's post ID too. False where a platform's own posts are read, from a file or not."""
    checks_deletions: Callable[[str | None], datetime | None] | None = None
    """Of one that tells of deletions only when it is asked, as one that `AsksAboutHeld`: its cursor → when the last
    complete check was begun. None: another source."""
    content_limit: timedelta | None = None
    """The longest that the platform's terms let content of it lie, from when it was captured; None: they name no time.
    It is purged before, whatever the settings say, and they may only name less."""
    bills: Callable[[RawSettings], bool] = _no_bill
    """By settings that nobody has checked yet: it is set up, and every post that it gives costs. Imports nothing heavy:
    `lyttepost mode` asks where no process runs that it could ask."""


def source_types() -> Mapping[str, SourceType]:
    return {name: load(path) for name, path in SOURCES.items()}


def content_limits(settings: Settings, types: Mapping[str, SourceType] | None = None) -> Mapping[str, timedelta]:
    """Source → how long its content may lie, of those for which that is not `retention.content` alone.

    By `retention.sources`, else by what the platform's terms allow; set up or not, for something may be left from when
    it was. Raises ConfigError for a source that does not exist, and for more than the terms allow.
    """
    types, named = types or source_types(), settings.retention.sources
    for source, keep in named.items():
        if source not in types:
            raise ConfigError(f"retention.sources.{source}: no source is called so; known: {', '.join(sorted(types))}")
        most = types[source].content_limit
        if most is not None and keep > most:
            raise ConfigError(
                f"retention.sources.{source}: {format_duration(keep)} is longer than the platform's terms let content "
                f"lie; write {format_duration(most)} or less, or leave it out"
            )
    limits = {name: its.content_limit for name, its in types.items() if its.content_limit is not None} | named
    return {source: min(limit, settings.retention.content) for source, limit in limits.items()}


@runtime_checkable
class Source(Protocol):
    @property
    def name(self) -> str:
        """Its key in `SOURCES`, and the `source` of its posts."""

    @property
    def catch_up(self) -> CatchUp: ...

    @property
    def only_exercise(self) -> bool:
        """Its posts are not of today: it may only be played under an exercise."""

    @property
    def counts(self) -> OfferedCounts:
        """What the batches given since `open` held."""

    def open(self, resume: str | None) -> None:
        """Begin, or go on after a tick's cursor; after `close`, too. Raises LyttepostError that names what to fix, and
        Corrupt for a cursor that is none of its own.

        A source that had ended ends again, with an empty final batch.
        """

    def read(self, timeout: float) -> Batch | None:
        """The next batch; None when there was none within `timeout` seconds, or the source has ended."""

    def state(self) -> Mapping[str, Any]:
        """For presence and the board: `state` is a word such as playing, waiting or ended; the rest is detail, JSON
        all of it."""

    def close(self) -> None:
        """Release files, sockets and threads within a second, open or not; a `read` that waits in another thread
        returns at once."""


@runtime_checkable
class Follows(Protocol):
    """A live source, which is told what is wanted now. A recording has all it has, and is `only_exercise`.

    The `state` of its `state()` is a word of `listener.runtime.metrics.SourceState`. Beside it may stand `heard`, the
    time of the last byte; `every`, the seconds from one round to the next, where it asks for posts; `queue`, the number
    of posts that wait; `problem`, which a person must fix and which makes the process unready; `reach`, how many
    seconds back it can search; and
    `allowances`: name → how much is `used` of what the platform gives for longer than a day, `of` how much.
    """

    def recall(self, gaps: Sequence[Gap]) -> None:
        """Before `open`: gaps of this source that the ledger holds, older ones than it can search left out."""

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        """What is open now, the standing tracks, and what was closed lately: of that a gap may be left to fill.

        Returns at once; called after `open` and at every change.
        """

    def tend(self) -> None:
        """Called where nothing can be taken from it: stay connected, and hold what comes, within bounds."""


class LiveSource(Source, Follows, Protocol):
    """What an `Ingestor` reads."""


@runtime_checkable
class Counts(Protocol):
    """A source whose platform counts posts for us, in `Batch.volumes`. Its `state` may hold `counted`: up to when."""

    def learn_counts(self, volumes: Iterable[Volume]) -> None:
        """What others have counted: before `open` all that `volumes` holds of this source, from further back than the
        platform counts; later what its own posts add. A minute of a track that has a record is never given again."""


@runtime_checkable
class Costs(Protocol):
    """A source that costs money. Its batches name the calls that it made in `Batch.calls`, and `caps` in its `state` is
    what a month may cost."""

    @property
    def tariff(self) -> Tariff:
        """Its prices, and what a month may cost."""

    def halt(self, halted: bool) -> None:
        """Do nothing that costs, from now on, and have it be a gap; or go on. Called before `follow`, and between."""


@runtime_checkable
class HasQuota(Protocol):
    """A source whose platform allows so many calls a day, which costs no money. It keeps the account itself, for it has
    to know before it asks (`listener.sources.common.quota`), and has it in `Batch.quota` and, as `quota` with `used`,
    `units` and `exhausted`, in its `state`."""

    def learn_quota(self, use: QuotaUse | None) -> None:
        """Before `open`: the account as it lies on the bus; None where there is none."""


@runtime_checkable
class Deletes(Protocol):
    """A source whose platform says which posts were deleted there, in `Batch.deleted`. They are purged, calm or crisis,
    with all that repeats their words; a post that is deleted in the batch that brings it is never stored.

    An id is named again when a cursor before it is gone on from; to purge twice does no harm.
    """

    @property
    def catch_up_deletes(self) -> CatchUp:
        """What it learns of the posts deleted in time in which nobody read it. NONE: those stay until their retention
        ends."""


@runtime_checkable
class KnowsHeld(Protocol):
    """A source whose platform tells of everybody's deletions. Of those alone that are held here it names the ids in
    `Batch.deleted`: an id can name a person, and of one whose posts we do not hold nothing is kept."""

    def learn_held(self, ids: Iterable[str]) -> None:
        """Ids of posts of its own that lie on the bus: before `open` all of them, later those that came."""


@runtime_checkable
class AsksAboutHeld(Protocol):
    """A source whose platform tells of deletions only when it is asked about posts by their ids. Its `state` may hold
    `deletions_checked`: when the last check that is complete was begun, None where nothing is held."""

    def ask_about(self, held: Callable[[], Iterable[str]]) -> None:
        """Before `open`: how the ids of its own posts that lie on the bus now are read, at any time and from any
        thread. Raises BusError where they cannot be."""


@runtime_checkable
class Answers(Protocol):
    """A live source that its platform calls, at a path of our own, and that owes each call an answer: a good one only
    when what the call brought is durable. Its calls come through `webhook.mailbox`, which is open while it is."""

    @property
    def webhook(self) -> Webhook | None:
        """None where the settings have it called by nobody."""

    def settle(self, durable: bool) -> None:
        """What the last batch held is on the bus, or on our own disk while that is away; or, False, nowhere."""


@runtime_checkable
class KnowsAliases(Protocol):
    """A source whose platform tells of a deletion by another name than the post's id, one of its `Post.aliases`: those
    lie on the bus beside the id, and are told after a restart. (Those of what it gives itself it knows.)"""

    def learn_aliases(self, aliases: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        """Ids of posts of its own that lie on the bus, each with its aliases: before `open`, after `learn_held`."""


@runtime_checkable
class HearsInCalm(Protocol):
    """A live source that hears everything, in calm too, when it gives the posts of standing tracks: they are counted
    minute by minute, and dropped. Any other gives no post in calm."""

    @property
    def hears_in_calm(self) -> bool: ...
