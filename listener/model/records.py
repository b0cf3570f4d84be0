"""Every record that lies on the bus, in one place: frozen, strict, each with a schema version `v`.

Instants are aware datetimes in UTC, written as RFC 3339. `at` is event time (when it was said or done);
when a record was captured is the bus's own time. Fields that are unset are left out of the JSON.

A record of a newer schema is refused with `NewerSchema` and not guessed at; anything else that does not fit
raises `BadRecord`. Neither message holds a value of the record: values may be a post's text. Fields that this version
does not know are passed over: a later one may add such as can be done without, and its records are read by workers that
are not yet replaced, or that replace it when it is taken back. What cannot be done without needs a newer schema.

`Incident`, `Command` and `Presence` live in `listener.model.incidents`, which a mode switch must import in no time at
all; what people decide about what the public says in `listener.model.decisions`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from enum import StrEnum
from operator import attrgetter
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from listener.model import keys
from listener.model.answers import Answered, AnswerGiven
from listener.model.base import SCHEMA_VERSION, Chained, Instant, Model, Recorded
from listener.model.spending import QuotaUse, Spending
from listener.model.topics import Topic


class Origin(StrEnum):
    """How a mention came to us."""

    LIVE = "live"
    GAP_FILL = "gap_fill"
    LOOKBACK = "lookback"


class Kind(StrEnum):
    """What a mention voices; it may voice several things."""

    VIEWPOINT = "viewpoint"
    WISH = "wish"
    QUESTION = "question"
    RUMOUR = "rumour"
    EYEWITNESS = "eyewitness"
    MEDIA = "media"
    OTHER = "other"


class Stance(StrEnum):
    """The attitude that a text puts into words."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


EXPOSED = 0.5
"""From this score on, a text may show who a patient is. Of 14 that do one is below it; two of five above do not."""
SURELY_EXPOSED = 0.9
"""From this score on it most likely does, five times in six. `listener/privacy/README.md` says what both are for."""
UNKNOWN_LANGUAGE = "und"
"""None of the languages that are understood."""


class AuthorClass(StrEnum):
    """Whose account it is, taken before the author becomes a pseudonym."""

    PERSON = "person"
    MEDIA = "media"
    PUBLIC_BODY = "public_body"
    OWN = "own"
    """The hospital itself: it raises no alert about itself, and is not counted."""
    ORGANISATION = "organisation"
    """The platform says that it is no person's; what it is else is not known."""
    UNKNOWN = "unknown"


class Reach(StrEnum):
    """Followers in bands, so that a number does not lead back to a person."""

    UNKNOWN = "unknown"
    UNDER_100 = "under_100"
    UNDER_1K = "under_1k"
    UNDER_10K = "under_10k"
    UNDER_100K = "under_100k"
    LARGE = "100k_or_more"


class Severity(StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the most severe."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Event(StrEnum):
    """What a rule says."""

    FIRED = "fired"
    RESOLVED = "resolved"
    SUPPRESSED = "suppressed"


WITHDRAWN = "withdrawn"
"""The reason with which an alarm resolves that was told early and did not hold when late posts had been waited for."""


class Author(Model):
    """Who said it, as the platform gives it. Never on the bus: `privacy` makes a pseudonym of it."""

    id: str
    handle: str | None = None
    followers: int | None = None
    author_class: AuthorClass = AuthorClass.UNKNOWN


class Quoted(Model):
    """What another said that a post quotes: it is matched with the post, and never stored with it."""

    text: str
    hashtags: tuple[str, ...] = ()
    handles: tuple[str, ...] = ()
    place: str | None = None


class Post(Recorded):
    """One thing somebody published on one platform, in one shape whatever the platform. Not yet safe to store.

    `handles` maps every name that text, links or url may hold, lower case and without @, to its author's id. `edits`
    are the ids it had before it was edited, the first one first. `version` tells its edits apart where the platform
    keeps the id; None as first published. `aliases` are what else the platform calls it when it tells of a deletion.
    """

    type: Literal["post"] = "post"
    source: str
    id: str
    at: Instant
    text: str
    lang: str | None = None
    author: Author | None = None
    repost_of: str | None = None
    reply_to: str | None = None
    quote_of: str | None = None
    edits: tuple[str, ...] = ()
    version: str | None = None
    aliases: tuple[str, ...] = ()
    hashtags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    handles: Mapping[str, str] = Field(default_factory=dict)
    place: str | None = None
    url: str | None = None
    quoted: Quoted | None = None


class Captured(Recorded):
    """What a mention and a finding share: a post made safe. Handles, numbers and addresses in `text` are masked."""

    source: str
    id: str
    at: Instant
    captured_at: Instant
    origin: Origin = Origin.LIVE
    synthetic: bool = False
    exercise: bool = False
    text: str
    lang: str | None = None
    author: str | None = None
    author_class: AuthorClass = AuthorClass.UNKNOWN
    reach: Reach = Reach.UNKNOWN
    repost_of: str | None = None
    reply_to: str | None = None
    quote_of: str | None = None
    edits: tuple[str, ...] = ()
    hashtags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    place: str | None = None
    url: str | None = None

    @property
    def post_key(self) -> str:
        return keys.of_source(self.source, self.id)


def first_key(post: Post | Captured) -> str:
    """The key of what it was before any edit: the same for all versions of a post."""
    return keys.of_source(post.source, post.edits[0] if post.edits else post.id)


class Mention(Captured):
    """A post that matched a track of an open incident; `incidents` maps each incident to the tracks matched."""

    type: Literal["mention"] = "mention"
    incidents: Mapping[str, tuple[str, ...]]
    aliases: tuple[str, ...] | None = None
    """As the post has them, if it has any: numbers of servers, no names."""


class Cue(Model):
    """A kind with the words that led to it."""

    kind: Kind
    words: tuple[str, ...] = ()


class Finding(Captured):
    """A mention plus what we understood, for one incident. `count` and `fields` serve rules run on other data.

    `themes`: ids of `themes.yaml`, the main one first; where not `theme_sure`, only the likeliest. `language` is what
    the text was read as (`und`: none of those that are understood), `lang` what the platform says. `patient_exposed`: a
    score from 0 to 1, see `EXPOSED`.
    """

    type: Literal["finding"] = "finding"
    incident: str
    tracks: tuple[str, ...] = ()
    cues: tuple[Cue, ...] = ()
    themes: tuple[str, ...] = ()
    theme_sure: bool | None = None
    stance: Stance | None = None
    language: str | None = None
    patient_exposed: float | None = None
    story: str
    count: int = 1
    fields: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(cue.kind for cue in self.cues)

    @property
    def key(self) -> str:
        return keys.of_incident(self.incident, self.source, self.id)


class Tick(Recorded):
    """This source is heard until `until`. `cursor` says where to go on reading; `final`: nothing more will come.

    `partition` is the mentions partition that a forwarded tick came through.
    """

    type: Literal["tick"] = "tick"
    source: str
    until: Instant
    cursor: str | None = None
    final: bool = False
    partition: int | None = None


class Gap(Recorded):
    """A stretch of time in which we could not hear a source; `end` is unset while it lasts.

    `part`: what of the source was not heard, where the rest of it was: one feed of several, one server.
    """

    type: Literal["gap"] = "gap"
    id: str
    source: str
    part: str | None = None
    start: Instant = Field(alias="from")
    end: Instant | None = Field(default=None, alias="to")
    cause: str
    refilled: int = 0
    refilled_until: Instant | None = None
    partition: int | None = None


class Deletion(Recorded):
    """The platform said at `at` that these posts are deleted there: they are to be purged here."""

    type: Literal["deletion"] = "deletion"
    source: str
    at: Instant
    ids: tuple[str, ...]


class Volume(Recorded):
    """Posts heard in one minute for one track; several records of a minute add up. No content."""

    type: Literal["volume"] = "volume"
    source: str
    track: str
    minute: Instant
    count: int


class Heard(Recorded):
    """The minutes of `[start, end)`, in which a source was heard in full; one without a `Volume` had no post.

    `incidents` maps each incident that was open to the tracks that were listened for; in calm `""` to standing ones.
    """

    type: Literal["heard"] = "heard"
    source: str
    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")
    incidents: Mapping[str, tuple[str, ...]]


class Sample(Model):
    """A post that an alert rests on: where it is and the digest of its text, never the text."""

    key: str
    digest: str


class Alert(Recorded):
    """One state of an alert: a rule's word. Numbers, ids and digests only, never a post's text."""

    type: Literal["alert"] = "alert"
    id: str
    event: Event
    at: Instant
    incident: str
    incident_name: str
    exercise: bool = False
    synthetic: bool = False
    rule: str
    rule_type: str
    severity: Severity = Severity.WARNING
    to: str = "duty"
    key: str = ""
    key_fields: tuple[str, ...] = ()
    headline: Mapping[str, str] = Field(default_factory=dict)
    tiltakskort: str | None = None
    count: int
    baseline: float | None = None
    timeframe_seconds: float | None = None
    reason: str
    first_seen: Instant
    authors: int | None = None
    posts: int = 0
    reposts: int = 0
    kinds: Mapping[Kind, int] = Field(default_factory=dict)
    themes: Mapping[str, int] = Field(default_factory=dict)
    """Main theme of `themes.yaml` → posts, the most first."""
    spark: tuple[int, ...] = ()
    samples: tuple[Sample, ...] = ()
    heard_late: bool = False
    posted_at: Instant | None = None
    found_at: Instant | None = None
    gaps: tuple[Gap, ...] = ()
    answer: AnswerGiven | None = None
    """What people had answered to it by then."""
    covers: tuple[str, ...] = ()
    """Other alerts that this one stands for: who answers it has answered them."""
    resolves: bool = True
    """Whether its rule would say that it has passed. What cannot pass never falls open again."""
    command: Mapping[str, str] = Field(default_factory=dict)
    """Language → what a person may type now, if the alert proposes anything."""
    nth: int | None = None
    """Which alarm of its rule and key it is, in order of time, where the rule tells its alarms early; None elsewhere,
    and of an alarm that a post made which was found late."""
    settled: bool | None = None
    """False: told before late posts were waited for, so its numbers are the least that there can be. True: they have
    been waited for, and the record takes the place of an earlier one of its id. None: of a rule that always waits."""


class DecisionKind(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    REOPEN = "reopen"
    """Nobody said a word on an acknowledged alert for so long while it fired: it waits for an answer again."""
    RESOLVE = "resolve"
    """A person says that the condition has passed."""
    CLOSE = "close"
    NOTE = "note"
    ASSIGN = "assign"
    """`to` is asked to take it."""
    UNSILENCE = "unsilence"
    """The silence `id` ends now."""
    PURGE = "purge"
    ROTATE_KEY = "rotate_key"
    BUDGET = "budget"
    """The month's hard cap of the source `id` becomes `usd`."""
    REDRIVE = "redrive"
    """Dead letters were put through their stage once more; `id` says which."""
    RULES_CHANGED = "rules_changed"
    """Alert rules were edited while they were at work; `id` names what they say now, `why` which of them changed."""
    LEARNED = "learned"
    """What the model learned from corrections came into force, or was taken back; `why` says which."""
    HISTORY_GIVEN_UP = "history_given_up"
    """The bus that was there is lost, and the one with this `id` counts from now on."""


class Decision(Chained):
    """A word of a human about the thing `id`: who, when, why. No post text."""

    type: Literal["decision"] = "decision"
    kind: DecisionKind
    id: str
    at: Instant
    by: str
    why: str = ""
    usd: float | None = None
    to: str | None = None
    page: str | None = None
    """The page that was answered, by its link or its code."""

    @property
    def key(self) -> str:
        return self.id


class DeadLetter(Recorded):
    """A record or line that could not be used: why, how long, its digest and where it stands. Never its content."""

    type: Literal["deadletter"] = "deadletter"
    at: Instant
    stage: str
    reason: str
    length: int
    digest: str
    where: str


class KeyFingerprint(Recorded):
    """Which pseudonym key is in use: its fingerprint, from which nobody gets to the key."""

    type: Literal["key"] = "key"
    at: Instant
    fingerprint: str


class BadRecord(ValueError):
    """Bytes that are no such record; the message names fields, never values."""

    reason = "bad_record"


class NewerSchema(BadRecord):
    """A record of a schema version that this program does not know."""

    reason = "newer_schema"


MentionsRecord = Annotated[Mention | Tick | Gap | Deletion, Field(discriminator="type")]
FindingsRecord = Annotated[Finding | Tick | Gap | Answered, Field(discriminator="type")]
VolumesRecord = Annotated[Volume | Heard, Field(discriminator="type")]
SpendingRecord = Annotated[Spending | QuotaUse, Field(discriminator="type")]

T = TypeVar("T")

MENTIONS: Topic[Mention | Tick | Gap | Deletion] = Topic("mentions", TypeAdapter(MentionsRecord), keys.in_band)
FINDINGS: Topic[Finding | Tick | Gap | Answered] = Topic("findings", TypeAdapter(FindingsRecord), keys.in_band)
VOLUMES: Topic[Volume | Heard] = Topic("volumes", TypeAdapter(VolumesRecord), keys.of_counts)
GAPS = Topic("gaps", TypeAdapter(Gap), attrgetter("source"))
SPENDING: Topic[Spending | QuotaUse] = Topic("spending", TypeAdapter(SpendingRecord), keys.of_spending)
ALERTS = Topic("alerts", TypeAdapter(Alert), attrgetter("id"))
DEADLETTERS = Topic("deadletters", TypeAdapter(DeadLetter), attrgetter("where"))
KEYS = Topic("keys", TypeAdapter(KeyFingerprint), lambda record: "pseudonym.key")


def encode(record: BaseModel) -> bytes:
    """One record → one line of JSON, unset fields left out."""
    return to_json(record, by_alias=True, exclude_none=True)


def decode(kind: Topic[T] | TypeAdapter[T], value: bytes) -> T:
    """Bytes → record, without what this version does not know of it. Raises NewerSchema or BadRecord."""
    try:
        return (kind.adapter if isinstance(kind, Topic) else kind).validate_json(value, extra="ignore")
    except ValidationError as error:
        raise _why(value, error) from None


def _why(value: bytes, error: ValidationError) -> BadRecord:
    try:
        raw = from_json(value)
    except ValueError:
        return BadRecord("not JSON")
    version = raw.get("v") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        return NewerSchema(f"schema version {version}; this program knows up to {SCHEMA_VERSION}")
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return BadRecord("; ".join(f"{'.'.join(map(str, p['loc'])) or 'record'}: {p['type']}" for p in problems[:3]))


_BOUNDS = (100, 1_000, 10_000, 100_000)
_BANDS = (Reach.UNDER_100, Reach.UNDER_1K, Reach.UNDER_10K, Reach.UNDER_100K, Reach.LARGE)


def reach_of(followers: int | None) -> Reach:
    """Follower count → band."""
    return Reach.UNKNOWN if followers is None else _BANDS[bisect_right(_BOUNDS, followers)]
