"""How each highlight stands: a pure fold of the records of `decisions`, in the order of the log.

    PROPOSED ──approve──▶ APPROVED ──intent──▶ SENDING ──▶ PUBLISHED
                           ▲    │                 │ └──▶ UNSURE (it may have been published)
                           │    ▼                 │          │
                        release─HELD ◀──not sent──┘       release, drop
                                                          (DROPPED is the end of any but what is published)

A record that was not made of the highlight as it stands there changes nothing (`listener.model.highlights`). So an
intent that comes after somebody's edit, a hold or another process's intent is none, and whoever wrote it sees that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from listener.model.decisions import DecisionsRecord
from listener.model.highlights import AboutHighlight, Highlight, HighlightStep, HighlightWord, Step, Why, Word


class Stage(StrEnum):
    """The first two are said of a highlight at an instant too: see `alerts.highlights.plan`."""

    HELD = "held"
    UNSURE = "unsure"
    SENDING = "sending"
    PROPOSED = "proposed"
    APPROVED = "approved"
    PUBLISHED = "published"
    DROPPED = "dropped"


MAY_SAY: Final = {
    Word.APPROVE: frozenset({Stage.PROPOSED}),
    Word.EDIT: frozenset({Stage.PROPOSED, Stage.APPROVED, Stage.HELD}),
    Word.RELEASE: frozenset({Stage.APPROVED, Stage.HELD, Stage.UNSURE}),
    Word.DROP: frozenset({Stage.PROPOSED, Stage.APPROVED, Stage.HELD, Stage.UNSURE, Stage.SENDING}),
}
"""Word → the stages in which it counts. One that is approved may be released: a crisis holds it before anybody has
written that down; and one dropped whose process died while it was sent."""
AGAIN: Final = frozenset({Why.RATE_LIMITED, Why.NETWORK, Why.STOPPED})
"""After these it is sent again by itself."""
_WAITING: Final = frozenset({Stage.APPROVED, Stage.SENDING, Stage.UNSURE, Stage.HELD})
ANSWERED: Final = frozenset({Why.DUPLICATE, Why.REJECTED})
"""X let us in, and looked at the text."""


@dataclass(frozen=True)
class HighlightState:
    """One highlight up to some place of the log. `revision` grows with each record that counted.

    `by`, `at`: who said the last word of it, and when. `epoch`, `when`, `decided`: of its approval or release; the last
    is its place in the log. `intents`: every send that was begun, the newest last; `sender`: which process began it.
    `tries`: sends in a row that did not reach X. `not_before`: X, or the network, made us wait. `looked`: it was looked
    for and not found. `asked_since`: since when somebody is asked whether it was published, the last time it was so.
    """

    proposal: Highlight
    text: str
    by: str
    at: datetime
    since: datetime
    stage: Stage = Stage.PROPOSED
    revision: int = 1
    why: Why | None = None
    epoch: int = -1
    when: datetime | None = None
    decided: int = -1
    decided_at: datetime | None = None
    intents: tuple[str, ...] = ()
    sent_at: datetime | None = None
    sender: str = ""
    tries: int = 0
    not_before: datetime | None = None
    looked: bool = False
    asked_since: datetime | None = None
    post: str = ""
    edited: bool = False

    @property
    def id(self) -> str:
        return self.proposal.id

    @property
    def intent(self) -> str:
        return self.intents[-1] if self.intents else ""


@dataclass(frozen=True)
class Refusal:
    """X does not let us publish since `since`. `place`: where in the log that stands. `over`: it does again, from
    then on."""

    since: datetime
    place: int
    over: datetime | None = None


@dataclass
class Highlights:
    """The fold. `take` each record of `decisions` once, in order."""

    states: dict[str, HighlightState] = field(default_factory=dict)
    """In the order in which they were proposed."""
    waiting: dict[str, HighlightState] = field(default_factory=dict)
    """Of these what is approved, and neither published nor dropped: what something may become of by itself."""
    known: set[str] = field(default_factory=set)
    """Guids and links of all that was ever proposed."""
    refusal: Refusal | None = None
    """The last one."""
    limited_until: datetime | None = None
    """X takes nothing before that."""
    last_sent: datetime | None = None
    """When the newest send was begun that may have reached anybody."""
    _sent_before: datetime | None = None
    taken: int = 0
    """Grows with every record that is about highlights."""

    @classmethod
    def of(cls, records: Iterable[DecisionsRecord]) -> Highlights:
        made = cls()
        for record in records:
            made.take(record)
        return made

    @property
    def stopped(self) -> bool:
        """Nothing is sent by itself: X refuses us."""
        return self.refusal is not None and self.refusal.over is None

    def take(self, record: DecisionsRecord) -> None:
        if not isinstance(record, AboutHighlight):
            return
        self.taken += 1
        if isinstance(record, Highlight):
            self._propose(record)
            return
        its = self.states.get(record.id)
        if its is None:
            return  # its proposal is older than what is kept
        after = self._said(its, record) if isinstance(record, HighlightWord) else self._done(its, record)
        if after is not its:
            self._set(replace(after, revision=its.revision + 1))

    def _propose(self, made: Highlight) -> None:
        self.known |= {each for each in (made.guid, made.link) if each}
        if made.id not in self.states:
            self.states[made.id] = HighlightState(made, made.text, by=made.by, at=made.at, since=made.at)

    def _set(self, its: HighlightState) -> None:
        self.states[its.id] = its
        if its.stage in _WAITING:
            self.waiting[its.id] = its
        else:
            self.waiting.pop(its.id, None)

    def _said(self, its: HighlightState, said: HighlightWord) -> HighlightState:
        if said.revision != its.revision or its.stage not in MAY_SAY[said.word]:
            return its
        its = replace(its, by=said.by, at=said.at)
        if said.word is Word.EDIT:
            return replace(its, text=said.text, edited=True)
        if said.word is Word.DROP:
            return replace(its, stage=Stage.DROPPED, since=said.at)
        return replace(
            its, stage=Stage.APPROVED, since=said.at, why=None, epoch=said.epoch, when=said.when, decided=self.taken,
            decided_at=said.at, tries=0, not_before=None, looked=False,
        )  # fmt: skip

    def _done(self, its: HighlightState, done: HighlightStep) -> HighlightState:
        if done.step is Step.PUBLISHED:
            # It counts whenever it comes: whoever waited for X's answer may have been given up long ago.
            if its.stage is Stage.PUBLISHED or done.intent not in its.intents:
                return its
            self._let_in(done.at)
            return replace(its, stage=Stage.PUBLISHED, since=done.at, why=None, post=done.post)
        if done.revision != its.revision:
            return its
        match its.stage, done.step:
            case Stage.APPROVED, Step.HELD:
                return replace(its, stage=Stage.HELD, since=done.at, why=done.why)
            case Stage.APPROVED, Step.SENDING:
                self._sent_before, self.last_sent = self.last_sent, done.at
                return replace(
                    its, stage=Stage.SENDING, since=done.at, sent_at=done.at, intents=(*its.intents, done.intent),
                    sender=done.process,
                )  # fmt: skip
            case Stage.SENDING, Step.UNKNOWN if done.intent == its.intent:
                return replace(its, stage=Stage.UNSURE, since=done.at)
            case Stage.SENDING, Step.NOT_SENT if done.intent == its.intent:
                return self._not_sent(its, done)
            case Stage.UNSURE, Step.NOT_FOUND if done.intent == its.intent:
                return replace(its, looked=True, asked_since=done.at)
        return its

    def _not_sent(self, its: HighlightState, done: HighlightStep) -> HighlightState:
        if done.why is Why.REFUSED and not self.stopped:
            self.refusal = Refusal(done.at, self.taken)
        elif done.why in ANSWERED:
            self._let_in(done.at)
        elif done.why is Why.RATE_LIMITED:
            self.limited_until = done.until
        self.last_sent = self._sent_before
        if done.why in AGAIN:
            tries = its.tries + (done.why is Why.NETWORK)
            return replace(its, stage=Stage.APPROVED, tries=tries, not_before=done.until)
        return replace(its, stage=Stage.HELD, since=done.at, why=done.why)

    def _let_in(self, at: datetime) -> None:
        self.limited_until = None
        if self.refusal is not None and self.refusal.over is None:
            self.refusal = replace(self.refusal, over=at)
