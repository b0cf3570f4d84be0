"""What people say of highlights, checked and written down: approve, edit, release, drop.

Each takes what was entered, raises UsageError for what is off and Refused for what cannot be as things stand, and
writes one record, durable when it returns. Where somebody else was first, that is said and nothing is changed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from alerts.highlights.length import LONGEST, weighted
from alerts.highlights.plan import Schedule, standing
from alerts.highlights.state import MAY_SAY, Highlights, HighlightState, Stage
from alerts.highlights.text import holds_identity
from alerts.register.wording import quotes
from listener.bus import hashchain
from listener.bus.protocol import Bus
from listener.errors import BadValue, Refusal, Refused, UsageError
from listener.model.decisions import DECISIONS
from listener.model.entered import AS_THEY_ARE, Fields, field_of, storable
from listener.model.highlights import HighlightWord, Word
from listener.model.incidents import Mode, State
from listener.units import parse_time

MOST_TYPED: Final = 2_000
"""Characters that are looked at further."""
AHEAD: Final = timedelta(days=366)
BEFORE: Final = timedelta(minutes=5)
"""A time that passed so long ago was meant as now."""

_NOT_AS_SHOWN: Final = {Word.RELEASE: {Stage.APPROVED}, Word.DROP: {Stage.SENDING}}
"""What is in one of these stages for anybody who looks cannot be meant."""
_MEANT: Final = {
    Word.APPROVE: "approved",
    Word.EDIT: "edited",
    Word.RELEASE: "released",
    Word.DROP: "dropped",
}
_FITS: Final = {
    Stage.PROPOSED: "it is proposed: approve, edit or drop it",
    Stage.APPROVED: "it is approved: edit or drop it",
    Stage.HELD: "it is held: release, edit or drop it",
    Stage.SENDING: "it is being published just now; look again in a moment",
    Stage.UNSURE: "it may have been published: look at X, then release it to publish it again, or drop it",
    Stage.PUBLISHED: "it is published; what is to go from X is deleted there",
    Stage.DROPPED: "it was dropped",
}


@dataclass(frozen=True)
class Deciding:
    """What a word rests on. `read`, `control`: the highlights and the mode, with all that lies on the bus at each call.
    `texts`: posts that these words may quote."""

    bus: Bus
    read: Callable[[], Highlights]
    control: Callable[[], State]
    schedule: Schedule
    texts: Callable[[str], list[str]]
    now: datetime

    def find(self, id_: str) -> HighlightState:
        """The beginning of an id is enough. Raises UsageError."""
        states = self.read().states
        found = [states[id_]] if id_ in states else [its for its in states.values() if id_ and its.id.startswith(id_)]
        if not found:
            raise UsageError(
                f"no highlight begins with {id_!r}; `lyttepost highlights` lists them", refusal=Refusal.NO_HIGHLIGHT
            )
        if len(found) > 1:
            ids = ", ".join(its.id for its in found[:4])
            raise UsageError(
                f"{id_!r} fits {len(found)} highlights ({ids}); write more of the id",
                refusal=Refusal.SEVERAL,
                text=id_,
            )
        return found[0]

    def say(
        self, id_: str, word: Word, *, by: str, when: str = "", text: str = "", seen: int | None = None,
        fields: Fields = AS_THEY_ARE,
    ) -> HighlightState:  # fmt: skip
        """The highlight as it stands after that. `seen`: the revision that whoever decides was shown; None: as it is.

        `when`: a time, in the schedule's zone where it names none; empty: when there is room.
        """
        control, its = self.control(), self.find(id_)
        if seen is not None and seen != its.revision:
            raise _changed(its)
        stands = standing(its, control, self.schedule, self.now)
        if stands.stage not in MAY_SAY[word] or stands.stage in _NOT_AS_SHOWN.get(word, ()):
            raise Refused(f"{its.id} cannot be {_MEANT[word]}: {_FITS[stands.stage]}", Refusal.HIGHLIGHT_STANDS)
        if word is Word.RELEASE and its.stage is Stage.SENDING:
            raise Refused(
                f"{its.id} may have been published, which `lyttepost run` looks for: release it in a minute",
                Refusal.HIGHLIGHT_LOOKED_FOR,
            )
        if word in (Word.APPROVE, Word.RELEASE) and control.mode is Mode.CRISIS:
            names = ", ".join(each.id for each in control.open)
            raise Refused(
                f"nothing is published while an incident is open ({names}), an exercise neither; {its.id} waits",
                Refusal.HIGHLIGHT_CRISIS,
                incidents=", ".join(each.name for each in control.open),
            )
        said = HighlightWord(
            id=its.id,
            at=self.now,
            by=storable(by, field_of(fields, "by")),
            revision=its.revision,
            word=word,
            epoch=control.epoch,
            when=self._when(when, field_of(fields, "when")) if when.strip() else None,
            text=self._text(text, its, field_of(fields, "text")) if word is Word.EDIT else "",
        )
        hashchain.append(self.bus, DECISIONS.name, said)
        after = self.read().states[its.id]
        if after.revision == its.revision or (after.by, after.at) != (said.by, said.at):
            raise _changed(after)
        return after

    def _when(self, entered: str, field: str) -> datetime:
        try:
            at = parse_time(entered)
            at = at.replace(tzinfo=self.schedule.zone) if at.tzinfo is None else at
            if not self.now - BEFORE <= at <= self.now + AHEAD:
                raise BadValue("must be a time to come, within a year", field, Refusal.NOT_TO_COME)
        except BadValue:
            raise
        except (ValueError, OverflowError):
            raise BadValue(
                f"{entered[:40]!r} is no time; write it as 2026-12-24T08:00", field, Refusal.NO_TIME
            ) from None
        return at

    def _text(self, entered: str, its: HighlightState, field: str) -> str:
        plain = unicodedata.normalize("NFC", storable(entered.replace("\r\n", "\n"), field, MOST_TYPED))
        if not plain:
            raise BadValue("says nothing", field, Refusal.SAYS_NOTHING)
        if any(not (each.isprintable() or each == "\n" or each in "\u200d\ufe0f") for each in plain):
            raise BadValue("holds a character that cannot be seen", field, Refusal.UNSEEN)
        if (length := weighted(plain)) > LONGEST:
            raise BadValue(
                f"is {length} long as X counts; {LONGEST} is the most (a link counts 23)",
                field,
                Refusal.HIGHLIGHT_LENGTH,
                length=length,
                most=LONGEST,
            )
        if holds_identity(plain):
            raise BadValue("holds what looks like a national identity number", field, Refusal.IDENTITY)
        # The hospital's own headline may stand in posts that pass it on.
        strange = [each for each in self.texts(plain) if not quotes(its.proposal.text, [each])]
        if quotes(plain, strange):
            raise UsageError(
                "quotes a post that was heard. What is published is kept for good, and a post must be removable: "
                "say it in words of your own",
                field,
                Refusal.HIGHLIGHT_QUOTES,
            )
        return plain


def _changed(its: HighlightState) -> Refused:
    return Refused(
        f"{its.id} was changed meanwhile, last by {its.by}: look at it again, then decide; {_FITS[its.stage]}",
        Refusal.HIGHLIGHT_CHANGED,
        name=its.by,
    )
