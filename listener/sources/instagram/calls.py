"""What Meta's calls bring: comments with their words, and mentions of which they tell the ids alone.

A mention is fetched as soon as may be; until then its ids lie in the cursor, so that a crash forgets none that was
answered well. What cannot be fetched any more is lost, and counted so: whether it was deleted nothing tells.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf
from typing import Final

from listener.model.gaps import Cause
from listener.sources.common.fields import Unusable
from listener.sources.common.graph.answers import Answer, Outcome
from listener.sources.contract import DropReason
from listener.sources.instagram import questions
from listener.sources.instagram.cursor import Memory, Wanted
from listener.sources.instagram.parts import Ears
from listener.sources.instagram.payload import Account, Told, is_mention, read_call, read_mention, told_comment
from listener.sources.instagram.questions import Part, Question
from listener.sources.instagram.round import bad_line
from listener.sources.instagram.sorting import Sorted, Sorting
from listener.webhooks.mailbox import Mailbox

MOST: Final = 1_000
"""Mentions that may wait to be fetched."""
KNOWN: Final = 10_000
AGAIN_SECONDS: Final = 30.0
_MOMENT: Final = timedelta(seconds=1)


class Calls:
    """`account`: ours. `lost`: mentions that were told and could not be fetched."""

    def __init__(self, account: str, sorting: Sorting, ears: Ears, memory: Memory) -> None:
        self._account = account
        self._sorting = sorting
        self._ears = ears
        self._memory = memory
        self._due: dict[tuple[str, str | None], float] = {}
        self._refused: dict[tuple[str, str | None], datetime | None] = {}
        """Mentions that did not answer → up to when all was heard then."""
        self._known: OrderedDict[tuple[str, str | None], None] = OrderedDict()
        """Mentions that were told and are done with: they are told twice."""
        self.lost = 0

    # --- what is told -------------------------------------------------------------------------------------------------

    def call(self, mailbox: Mailbox, *, crisis: bool, now: datetime) -> Sorted | None:
        """The next call, all of it, for one batch: it is answered well when that is on the bus. In calm rounds count,
        and what is told is dropped."""
        call = mailbox.take()
        if call is None:
            return None
        if not crisis:
            mailbox.settle(True)
            return None
        try:
            told, unusable = read_call(call.body, self._account, now)
        except ValueError:
            return Sorted(Part.COMMENTS, bad=(bad_line(call.body, DropReason.BAD_JSON, "webhook"),))
        posts, bad = [], [bad_line(raw, DropReason.MISSING_FIELD, "webhook") for raw in unusable]
        for each in told:
            if each.raw is None:
                self._mentioned(each, now)
                continue
            medium = self._sorting.media.get(each.medium)
            try:
                posts.append(told_comment(each, medium.caption if medium else "", self._sorting.ours))
            except Unusable as refused:
                if (refused.reason, refused.field) != (DropReason.MISSING_FIELD, "text"):
                    bad.append(bad_line(each.raw, refused.reason, "webhook"))
        return self._sorting.told(Part.COMMENTS, posts, bad)

    def _mentioned(self, told: Told, now: datetime) -> None:
        key = told.medium, told.comment
        if key in self._known or any((each.medium, each.comment) == key for each in self._memory.wanted):
            return
        self._memory.wanted.append(Wanted(told.medium, told.comment, told.at))
        if len(self._memory.wanted) > MOST:
            first = self._memory.wanted.pop(0)
            self._lose(first, Cause.QUEUE_FULL, now)

    # --- mentions -----------------------------------------------------------------------------------------------------

    def next(self, now: float) -> Question | None:
        """The mention that is to be fetched now, on the monotonic clock."""
        if self._ears.parts[Part.MENTIONS].again > now:
            return None
        for each in self._memory.wanted:
            if self._due.get((each.medium, each.comment), now) <= now:
                return questions.mention(self._account, each.medium, each.comment)
        return None

    def take(self, question: Question, answer: Answer, ours: Account, latest: datetime, now: float) -> None:
        """What became of one."""
        comment = question.about if question.about != question.medium else None
        wanted = next((w for w in self._memory.wanted if (w.medium, w.comment) == (question.medium, comment)), None)
        if wanted is None:
            return
        its = self._ears.parts[Part.MENTIONS]
        match answer.outcome:
            case Outcome.OK if is_mention(answer.data):
                self._fetched(answer, wanted, ours, latest)
                its.well(latest, latest)
            case Outcome.OK | Outcome.STOPPED:
                self._not_there(wanted, answer, latest, now)
            case Outcome.FORBIDDEN:
                its.fail(answer, now)
                its.deaf(wanted.at, answer.cause)
            case _:
                self._due[wanted.medium, wanted.comment] = now + (answer.wait or 0.0)

    def _not_there(self, wanted: Wanted, answer: Answer, latest: datetime, now: float) -> None:
        """It is gone; or the token is of the wrong kind, which is answered just so. Then no round goes through either:
        it is asked for again, and is lost only if one went through meanwhile."""
        key, heard = (wanted.medium, wanted.comment), self._ears.all.at
        first = self._refused.setdefault(key, heard)
        if heard is not None and (first is None or heard > first):
            self.done(wanted)
            self._lose(wanted, Cause.REFUSED, latest)
        else:
            self._due[key] = now + AGAIN_SECONDS

    def _fetched(self, answer: Answer, wanted: Wanted, ours: Account, latest: datetime) -> None:
        posts, bad = [], []
        try:
            posts.append(read_mention(answer.data, wanted.medium, ours, latest))
        except Unusable as refused:
            bad.append(bad_line(answer.data, refused.reason, "mention"))
        # It is wanted until the batch that holds it: a crash before that has it fetched again.
        self._due[wanted.medium, wanted.comment] = inf
        self._sorting.queue(replace(self._sorting.told(Part.MENTIONS, posts, bad), fetched=wanted))

    def done(self, wanted: Wanted) -> None:
        """It goes to the bus, or is lost."""
        key = wanted.medium, wanted.comment
        if wanted in self._memory.wanted:
            self._memory.wanted.remove(wanted)
        self._due.pop(key, None)
        self._refused.pop(key, None)
        self._known[key] = None
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)

    def _lose(self, wanted: Wanted, cause: Cause, now: datetime) -> None:
        self.lost += 1
        self._ears.parts[Part.MENTIONS].lose(wanted.at - _MOMENT, min(wanted.at + _MOMENT, now), cause)
