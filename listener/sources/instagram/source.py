"""Instagram: polled round by round in calm and crisis, and told by its webhook between two rounds.

    webhook ──▶ comment ───────────────┐
            └─▶ mention ──▶ fetched ──▶ Sorting ──▶ batches
    round ──▶ comments, hashtags, tagged ┘

What catches up how: comments by reading the newest fifty of each medium again; hashtags by their last 24 hours; tagged
media from the newest on. **A mention comes by the webhook alone**: one that was told while nobody took calls, and is
not told again, is lost, and the time is a gap of the part `mentions` which nothing fills. No deletion is told: the
comments that we hold are asked for, one after the other, and named when they are gone.

Calls are made by a thread of their own, one at a time, so that whoever reads never waits.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Any, Final

from listener.clock import Clock, SteadyClock
from listener.model.gaps import Cause
from listener.model.incidents import Incident
from listener.model.records import Gap
from listener.settings.instagram import TAGS_A_WEEK
from listener.sources.common.gap_tracker import unheard
from listener.sources.common.graph.answers import Answer, Outcome
from listener.sources.common.graph.client import GraphClient
from listener.sources.common.notices import NoticeBook
from listener.sources.common.polling import OneAtATime
from listener.sources.common.waiting import first_batch
from listener.sources.contract import Batch, CatchUp, OfferedCounts
from listener.sources.instagram.calls import Calls
from listener.sources.instagram.cursor import Memory
from listener.sources.instagram.hashtags import TagBudget
from listener.sources.instagram.held import Held
from listener.sources.instagram.parts import Ears
from listener.sources.instagram.payload import SOURCE, Account
from listener.sources.instagram.questions import Kind, Part, Question
from listener.sources.instagram.round import Plan, Round
from listener.sources.instagram.sorting import AHEAD, Sorting
from listener.units import format_instant
from listener.webhooks.meta import MetaGuard
from listener.webhooks.webhook import Webhook

PATIENCE: Final = 15.0
"""Seconds beyond two rounds, or one that met a fault, after which what is not heard is a gap."""
SILENT: Final = "source_silent"
REFUSED: Final = "source_refused"
SILENT_AFTER: Final = timedelta(minutes=3)
SILENT_IN_CALM: Final = timedelta(hours=2)
BUSY: Final = 50.0
"""Percent of Meta's limit from which rounds come half as often; from three quarters on a quarter as often."""
ROOM: Final = 5_000
"""Posts that wait to be taken. With more nothing is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is listened for, as the settings have it. Durations are in seconds."""

    account: str
    media: int = 20
    hashtags: tuple[str, ...] = ()
    tagged: bool = False
    every: float = 30.0
    calm_every: float = 1800.0
    recheck: float = 86_400.0

    @property
    def parts(self) -> tuple[Part, ...]:
        polled = {Part.COMMENTS: True, Part.HASHTAGS: bool(self.hashtags), Part.TAGGED: self.tagged}
        return tuple(part for part, wanted in polled.items() if wanted)


class InstagramSource:
    """Belongs to one thread; `close` may be called from any."""

    name = SOURCE
    catch_up = CatchUp.RESCAN
    catch_up_deletes = CatchUp.RESCAN
    hears_in_calm = True
    only_exercise = False

    def __init__(
        self,
        wishes: Wishes,
        client: GraphClient,
        clock: Clock,
        *,
        guard: MetaGuard | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`guard`: by which calls of Meta's are known; None: it does not call us."""
        self._wishes = wishes
        self._client = client
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._chance = chance
        self._bell = threading.Event()
        failed = Answer(outcome=Outcome.UNAVAILABLE, wait=60.0, why="a call failed by a mistake of ours; report it")
        self._asker: OneAtATime[Question, Answer] = OneAtATime(
            SOURCE, self._bell.set, lambda question: client.get(question.path, question.params), failed
        )
        self.webhook = None if guard is None else Webhook(SOURCE, guard, self._bell)
        self._leaving = True
        self._reset()

    def _reset(self) -> None:
        self.counts = OfferedCounts()
        self._ears = Ears(self._wishes.parts)
        self._held = Held(self._wishes.recheck, self._chance)
        self._ours = Account(self._wishes.account)
        self._incidents: dict[str, Incident] = {}
        self._late: tuple[Incident, ...] = ()
        self._followed = False
        self._since: datetime | None = None
        """Since when anybody waits for what was not heard yet, where that is later than what was heard."""
        self._cause = Cause.PROCESS_DOWN
        self._asked: tuple[Question, Round | None] | None = None
        self._next: Question | None = None
        """What is to be asked before anything else."""
        self._round: Round | None = None
        self._round_due = -inf
        self._looked = False
        self._missing: frozenset[str] = frozenset()
        self._rounds = 0
        self._contact: datetime | None = None
        self._deleted: list[str] = []
        self._gaps: deque[Gap] = deque()
        self._ticked = -inf
        self._prepare(Memory())

    def _prepare(self, memory: Memory) -> None:
        self._memory = memory
        self._ears.learn(memory.heard)
        self._budget = TagBudget(self._wishes.hashtags, memory.tags)
        self._notices = NoticeBook(memory.notices)
        self._sorting = Sorting(memory, self._ears, self._now)
        self._calls = Calls(self._wishes.account, self._sorting, self._ears, memory)

    def recall(self, gaps: Sequence[Gap]) -> None:
        self._reset()
        self._ears.recall(gaps)
        self._gaps.extend(self._ears.end_the_gone(self._now()))

    def learn_held(self, ids: Iterable[str]) -> None:
        self._held.learn(ids)

    def open(self, resume: str | None) -> None:
        """Ready to follow. Raises Corrupt when the cursor is none of ours."""
        self._prepare(Memory.parse(resume) if resume else Memory())
        self._client.reopen()
        if self._memory.shut is not None:
            self._client.shut(self._memory.shut)
        self._leaving = False
        if self.webhook is not None:
            self.webhook.mailbox.open()

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        real = {incident.id: incident for incident in incidents if not incident.synthetic}
        before, first = self._incidents, not self._followed
        self._incidents, self._followed = real, True
        heard = self._ears.all.at
        if first:
            late = (i for i in over if not i.synthetic and i.closed_at is not None and heard and i.closed_at > heard)
            self._late = tuple(late)
            self._begin()
        elif not before and real:
            # What was said since the last round of calm is looked for at once; nobody waited for it until now.
            self._since = self._now()
            self._memory.up = self._memory.up or self._now()
        if real.keys() - before.keys() or any(real[id_] != before.get(id_) for id_ in real):
            self._round, self._round_due = None, -inf
        self._sorting.follow(real, self._late)
        if not real and not self._late:
            self._memory.wanted.clear()  # in calm no id of a mention is kept

    def settle(self, durable: bool) -> None:
        if not durable:
            self._sorting.forget_told()
        if self.webhook is not None:
            self.webhook.mailbox.settle(durable)

    def read(self, timeout: float) -> Batch | None:
        batch = first_batch(self._look, timeout, self._clock, self._bell, lambda: self._leaving)
        if batch is not None:
            self.counts.add(batch)
        return batch

    def _look(self) -> Batch | None:
        self.tend()
        return self._turn() if self._followed else None

    def tend(self) -> None:
        """Ask on, as far as there is room for what comes."""
        if self._leaving or not self._followed:
            return
        if self._asked is not None:
            if (answer := self._asker.take()) is None:
                return
            (asked, of), self._asked = self._asked, None
            self._take(asked, of, answer)
        if (question := self._question()) is not None:
            self._asked = question, self._round if question.part is not Part.MENTIONS else None
            self._asker.ask(question)

    def close(self) -> None:
        """Let go of the thread and of whoever calls, in less than a second."""
        self._leaving = True
        self._asker.stop()
        self._asked = None
        self._client.close()
        if self.webhook is not None:
            self.webhook.mailbox.close()
        self._bell.set()

    def state(self) -> Mapping[str, Any]:
        ears, now = self._ears, self._clock.now()
        lasting = ears.all.book.lasting
        problem = self._client.key.fault or next(ears.problems(), None)
        word = "listening" if self._incidents else "counting"
        if self._leaving:
            word = "idle"
        elif not self._rounds or lasting is not None:
            word = "stopped" if ears.all.fault is not None and ears.all.fault.needs_person else "connecting"
        state: dict[str, Any] = {
            "state": word,
            "connected": bool(self._rounds) and lasting is None,
            "heard": None if self._contact is None else format_instant(self._contact),
            "every": self._every,
            "queue": len(self._sorting),
            "parts": {str(part): ears.parts[part].told() for part in ears.wanted},
            "mentions": {
                "waiting": len(self._memory.wanted), "lost": self._calls.lost, "told": self.webhook is not None,
            },
            "held": len(self._held),
            "calls": self._client.calls,
        }  # fmt: skip
        if self._wishes.hashtags:
            refused = self._budget.refused(now)
            state["allowances"] = {"hashtags": {"used": self._budget.used(now), "of": TAGS_A_WEEK}}
            state["refused_hashtags"] = list(refused)
            if refused and problem is None:
                problem = f"{TAGS_A_WEEK} hashtags in 7 days are used up: {', '.join(refused)} must wait"
        if self._client.usage.percent is not None:
            state["usage"] = self._client.usage.percent
        if self._client.outdated is not None:
            state["version"] = f"meta.version has ended; Meta answers in {self._client.outdated}"
        if (shut := self._client.shut_until) is not None:
            state["waits_until"] = format_instant(shut)
        if not self._incidents and self._memory.counted is not None:
            state["counted"] = format_instant(self._memory.counted)
        if lasting is not None:
            state |= {"gap": lasting.cause, "gap_since": format_instant(lasting.start)}
        if problem is not None and not self._leaving:
            state["problem"] = problem
        return state

    # --- what is asked ------------------------------------------------------------------------------------------------

    def _now(self) -> datetime:
        return self._steady.now()

    def _latest(self, date: datetime | None) -> datetime:
        """Nothing was said later. Meta's own clock tells when it answered, but never drives ours ahead."""
        now = self._now()
        if date is not None:
            self._sorting.ahead = now - date if now - date > AHEAD else timedelta()
        return now + AHEAD if date is None else min(date, now + AHEAD)

    @property
    def _every(self) -> float:
        every = self._wishes.every if self._incidents else self._wishes.calm_every
        percent = self._client.usage.percent or 0.0
        return every * (4.0 if percent >= (100 + BUSY) / 2 else 2.0 if percent >= BUSY else 1.0)

    def _begin(self) -> None:
        """What went unheard while nobody ran."""
        heard, now = self._ears.all.at, self._now()
        wanted = [*self._incidents.values(), *self._late]
        spans = unheard(heard, wanted)
        if heard is None:
            self._since = spans[0][0] if spans else now
        elif spans:
            # Before that nobody wished to hear.
            self._ears.not_before(spans[0][0])
        up = self._memory.up
        if self.webhook is not None:
            # Mentions are told once, and are told again for some hours at most, if at all.
            for start, end in unheard(up, wanted) if up is not None else ():
                if (end or now) - start > timedelta(seconds=PATIENCE):
                    self._ears.parts[Part.MENTIONS].lose(start, end or now, Cause.PROCESS_DOWN)
            self._memory.up = now

    def _question(self) -> Question | None:
        """What is asked now, the most urgent first; None: nothing, or there is no room for an answer."""
        now = self._clock.monotonic()
        if self._client.key.reread():
            self._ears.renewed()
            self._round_due = -inf
        if len(self._sorting) > ROOM or self._client.shut_until is not None or self._ears.all.again > now:
            return None
        if (question := self._next) is not None:
            self._next = None
            return question
        if (mention := self._calls.next(now)) is not None:
            return mention
        if self._round is None and now >= self._round_due and (due := self._ears.due(now)):
            self._sorting.round_begins()
            self._round = Round(self._plan(due), self._ours, self._budget, self._latest)
        if self._rounds and (self._client.usage.percent or 0.0) < BUSY:
            # Rounds may follow each other without a pause, and what is gone must be found out all the same.
            self._looked = not self._looked
            if (self._looked or self._round is None) and (question := self._held.next(now)) is not None:
                return question
        return None if self._round is None else self._round.next()

    def _plan(self, due: tuple[Part, ...]) -> Plan:
        parts = self._ears.parts
        heard = {part: at for part in due if (at := parts[part].at or self._since) is not None}
        return Plan(
            account=self._wishes.account,
            media=self._wishes.media,
            tags=self._wishes.hashtags,
            tagged=self._wishes.tagged,
            parts=due,
            heard=heard,
            back=self._sorting.back,
            missing=self._missing,
        )

    def _take(self, question: Question, of: Round | None, answer: Answer) -> None:
        """`of`: the round that asked; what one asked that is given up is not wanted any more."""
        if answer.asked:
            self._contact = self._clock.now() if answer.status else self._contact
        now = self._clock.monotonic()
        match question.kind:
            case Kind.MENTION:
                self._mention(question, answer, now)
            case Kind.ALIVE | Kind.MEDIUM:
                self._still(question, answer, now)
            case _ if of is not None and of is self._round:
                found = self._round.take(question, answer)
                if found is not None:
                    self._sorting.put(found, self._round.at)
                if self._round.over:
                    self._end_round(self._round, now)

    def _mention(self, question: Question, answer: Answer, now: float) -> None:
        self._calls.take(question, answer, self._ours, self._latest(answer.date), now)
        if answer.outcome in (Outcome.RATE_LIMITED, Outcome.UNAUTHORIZED):
            self._fault(answer, now)

    def _still(self, question: Question, answer: Answer, now: float) -> None:
        gone = self._held.take(question, answer, now)
        if isinstance(gone, Question):
            self._next = gone
        elif gone is not None:
            self._deleted.append(gone)
        if answer.outcome in (Outcome.RATE_LIMITED, Outcome.UNAUTHORIZED):
            self._fault(answer, now)

    # --- how it is heard ----------------------------------------------------------------------------------------------

    def _end_round(self, ended: Round, now: float) -> None:
        self._round, self._missing = None, frozenset(ended.missing)
        self._ours, self._sorting.ours = ended.ours, ended.ours
        self._sorting.media = ended.media or self._sorting.media
        if ended.ended is not None or ended.at is None:
            self._fault(ended.ended or Answer(outcome=Outcome.UNAVAILABLE, wait=self._every), now)
            return
        due = ended.done()
        for part, answer in ended.failed.items():
            self._ears.parts[part].fail(answer, now)
        for cut in ended.cuts:
            self._ears.cut(cut)
        self._round_due = now + self._every
        if not due:
            # Nothing of it is heard, whatever the account says.
            self._fault(next(iter(ended.failed.values()), Answer(outcome=Outcome.UNAVAILABLE)), now, all_=False)
            return
        whole = not ended.cuts and not ended.failed
        start = self._ears.all.book.lasting.start if self._ears.all.book.lasting is not None else None
        self._ears.all.well(ended.at, self._now())
        self._ears.found_again(whole)
        for part in due:
            self._ears.parts[part].well(ended.at, self._now())
        for part, answer in ended.failed.items():
            its = self._ears.parts[part]
            if start is not None:
                # What was missed of all is filled; of this part it is not.
                its.deaf(min(start, its.at or start), answer.cause)
        self._rounds += 1
        self._cause, self._late = Cause.SILENCE, ()
        self._sorting.round_is_over(ended.at, self._ears.told())

    def _fault(self, answer: Answer, now: float, *, all_: bool = True) -> None:
        """Nothing is heard of anything."""
        self._round = None
        self._cause = answer.cause
        if all_:
            self._ears.all.fail(answer, now)
        if answer.outcome is not Outcome.UNAVAILABLE:
            self._ears.all.deaf(self._start(self._ears.all.at), answer.cause)

    def _start(self, heard: datetime | None) -> datetime:
        """Where a gap begins: up to where it was heard, and not before anybody wished to hear."""
        return heard or self._since or self._now()

    def _mind(self) -> None:
        """Whether what is not heard has become a gap, and what ops must know of it."""
        now, ears = self._now(), self._ears
        # Where a fault was answered nobody hopes for a round that is only slow: others must not wait for it.
        rounds = 2 if ears.all.fault is None else 1
        patience = timedelta(seconds=rounds * self._every + PATIENCE)
        if ears.all.book.lasting is None and now - self._known_until(ears.all.ours) > patience:
            ears.all.deaf(self._start(ears.all.at), self._cause)
        for part in ears.wanted:
            its = ears.parts[part]
            late = now - self._known_until(its.ours) > patience
            refused = its.fault is not None and its.fault.needs_person
            whole = ears.all.book.lasting is not None or its.book.lasting is not None
            if its.fault is not None and not whole and (late or refused):
                its.deaf(self._start(its.at), its.fault.cause)
        lasting = ears.all.book.lasting
        refused_ = next(ears.faults(), None)
        if refused_ is not None:
            self._notices.begin(REFUSED, now)
        elif lasting is None:
            self._notices.over(REFUSED)
        if lasting is None:
            self._notices.over(SILENT)
        elif refused_ is None and now - lasting.start > (SILENT_AFTER if self._incidents else SILENT_IN_CALM):
            self._notices.begin(SILENT, lasting.start)

    def _known_until(self, heard: datetime | None) -> datetime:
        """Up to when nothing is missed, as far as anybody waits for it."""
        return max((at for at in (heard, self._since) if at is not None), default=self._now())

    # --- batches ------------------------------------------------------------------------------------------------------

    def _turn(self) -> Batch | None:
        self._mind()
        sorted_ = self._sorting.take()
        if sorted_ is not None and sorted_.fetched is not None:
            self._calls.done(sorted_.fetched)
        if sorted_ is None and self.webhook is not None and (self._memory.given is not None or not self._incidents):
            sorted_ = self._calls.call(self.webhook.mailbox, crisis=bool(self._incidents), now=self._now())
        until = self._until()
        gaps = {gap.id: gap for gap in (*self._gaps, *self._ears.take())}
        self._gaps.clear()
        fills = None
        if sorted_ is not None and sorted_.fills is not None and (gap := self._ears.gap(sorted_.fills)) is not None:
            fills = gap.id
            gaps.setdefault(fills, gap)
        notices, deleted, self._deleted = self._notices.take(), tuple(self._deleted), []
        told_wait = self._client.take_told_wait()
        if sorted_ is None and not (until or gaps or notices or deleted or told_wait):
            return None
        self._memory.shut = self._client.shut_until
        if until is not None:
            self._memory.given, self._ticked = until, self._clock.monotonic()
        if self.webhook is not None:
            self._memory.up = self._now()
        return Batch(
            posts=sorted_.posts if sorted_ else (),
            bad=sorted_.bad if sorted_ else (),
            duplicates=sorted_.doubles if sorted_ else 0,
            until=until,
            cursor=str(self._memory),
            origin=sorted_.origin if sorted_ and sorted_.posts else None,
            incident=sorted_.incident if sorted_ else None,
            fills=fills,
            gaps=tuple(gaps.values()),
            notices=notices,
            deleted=deleted,
        )

    def _until(self) -> datetime | None:
        """Up to when all is heard; None where the bus knows that already, or what was found is yet to be taken."""
        heard = self._memory.heard.get("")
        if heard is None or not self._rounds or self._ears.all.book.lasting is not None:
            return None
        until = heard - self._sorting.settle
        return until if self._memory.given is None or until > self._memory.given else None
