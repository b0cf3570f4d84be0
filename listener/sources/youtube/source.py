"""YouTube's comments, polled: the lists of all threads under a channel's videos, page by page down to what is known.

    follow ──▶ what is due (`Schedule`) ──▶ `Talks` ──▶ `Dialogue` ──▶ API
                                               └──▶ `Comments` ──▶ batches

A **round** reads each channel's list, the newest first, down to what earlier rounds met, and the replies that came
since. When it went through, all that was said up to its beginning is heard. Nothing is lost by being late: whatever
made us deaf, the next round reads down to where the last one began. So a **gap** is the time in which we are behind,
and it ends, filled, with the next round.

Beside rounds, threads of the last days are asked for again, for a reply lifts no thread for sure; once a day it is
asked which of the comments that we hold are deleted; and where the channel's owner allowed it, comments that wait for
review.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from listener.clock import Clock, SteadyClock
from listener.model.gaps import Cause
from listener.model.incidents import Incident
from listener.model.records import Gap, Origin, Post
from listener.model.spending import QuotaUse
from listener.sources.common.gap_tracker import GapBook, unheard
from listener.sources.common.polling import Ask, Outcome, answer_to
from listener.sources.common.quota import DayQuota
from listener.sources.contract import Batch, CatchUp, OfferedCounts
from listener.sources.youtube.access import Access
from listener.sources.youtube.api import COST, Refused, Trouble
from listener.sources.youtube.comments import Bounds, Comments
from listener.sources.youtube.cursor import Memory
from listener.sources.youtube.deletions import Held
from listener.sources.youtube.dialogue import Dialogue, End
from listener.sources.youtube.outbox import Outbox
from listener.sources.youtube.schedule import CONFIRM_SECONDS, HELD_SECONDS, REFUSED_SECONDS, Due, Schedule
from listener.sources.youtube.status import Status
from listener.sources.youtube.talks import Talks, floors_of

OVERLAP: Final = timedelta(minutes=2)
"""So late may the API give a comment."""
LATE: Final = timedelta(seconds=60)
"""So far behind may we be in a crisis without a gap: longer than a round takes, and shorter than anybody waits for."""
SKEWED: Final = timedelta(seconds=30)
REACH: Final = timedelta(days=6, hours=22)
"""So far back are comments known that are on the bus; what is older is not offered once more."""
KEY_SECONDS: Final = 1.0
ZONE: Final = "America/Los_Angeles"
"""Whose midnight ends a day's quota."""
_OF_THE_QUESTION: Final = frozenset({Trouble.REFUSED, Trouble.GONE, Trouble.DISABLED, Trouble.PAGE})
"""What is no trouble of ours but of what was asked."""
_OWNERS: Final = _OF_THE_QUESTION | {Trouble.UNAUTHORIZED, Trouble.FORBIDDEN}


class YoutubeSource:
    """The comments of some channels. Belongs to one thread; `close` may be called from any."""

    catch_up = CatchUp.RESCAN
    catch_up_deletes = CatchUp.RESCAN
    only_exercise = False

    def __init__(
        self,
        access: Access,
        channels: Mapping[str, str],
        clock: Clock,
        *,
        name: str = "youtube",
        crisis: timedelta = timedelta(seconds=15),
        calm: timedelta | None = timedelta(minutes=15),
        units: int = 10_000,
        replies: timedelta = timedelta(days=3),
        deletions: timedelta = timedelta(hours=22),
        chance: Callable[[], float] = random.random,
        answer: Callable[[Ask], Outcome] = answer_to,
    ) -> None:
        """`channels`: id → handle, empty where it has none. `calm` None: in calm nothing is asked. `replies`: threads
        that began longer ago get no replies that we look for. `answer`: what answers a request, in another thread."""
        self.name = name
        self.hears_in_calm = calm is not None
        self._key = access.key
        self._channels = dict(channels)
        self._clock = clock
        # What caps a comment's time must not run back when our own clock is set back: no window would end for as long.
        self._steady = SteadyClock(clock)
        self._bell = threading.Event()
        self._quota = DayQuota(name, units, ZONE, clock.now())
        self._dialogue = Dialogue(name, access, self._quota, clock, self._bell.set, answer)
        self._schedule = Schedule(clock, chance, crisis=crisis, calm=calm, deletions=deletions, channels=len(channels))
        self._replies = replies
        self._key_seen = clock.monotonic()
        self._leaving = True
        self._reset()

    def _reset(self) -> None:
        self.counts = OfferedCounts()
        self._book = GapBook(self.name)
        self._held = Held()
        self._incidents: dict[str, Incident] = {}
        self._over: tuple[Incident, ...] = ()
        self._tracks: frozenset[str] = frozenset()
        self._followed = self._whole = False
        self._dialogue.reset()
        self._schedule.reset()
        self._comments = Comments(self.name, self._channels, self._clock, self._steady)
        self._talks = Talks(self._comments.take, self._comments.unread)
        self._held_talks = Talks(self._comments.take, self._comments.unread, owner=True)
        self._due = Due.ROUND
        self._began, self._began_at = self._clock.now(), self._clock.monotonic()
        self._well = self._clock.monotonic()
        """When the last round began that went through, on the monotonic clock: ours may be set back, or forth."""
        self._checking: datetime | None = None
        """When the check of what is deleted was begun that is not complete yet."""
        self._skew = timedelta()
        self._deep: datetime | None = None
        """Down to where the next round reads, beyond what is new."""
        self._found: list[Post] = []
        self._prepare(Memory())

    def _prepare(self, memory: Memory) -> None:
        self._memory = memory
        self._status = Status(memory.notices)
        self._out = Outbox(memory, self._book, self._status, self._dialogue, self._quota)
        self._heard = memory.heard
        self._newest, self._held_newest = dict(memory.newest), dict[str, datetime]()
        known = memory.newest.values()
        self._calm_from = max(known) + timedelta(microseconds=1) if known else None
        self._opened = self._clock.now()
        self._schedule.checked = memory.checked

    # --- the contract ------------------------------------------------------------------------------------------------

    def recall(self, gaps: Sequence[Gap]) -> None:
        self._reset()
        self._book.recall(gap for gap in gaps if gap.cause != Cause.DISK_FULL)

    def learn_quota(self, use: QuotaUse | None) -> None:
        self._quota.recall(use, self._clock.now())

    def learn_held(self, ids: Iterable[str]) -> None:
        self._held.learn(ids)

    def open(self, resume: str | None) -> None:
        """Ready to follow. Raises Corrupt when the cursor is none of ours."""
        self._prepare(Memory.parse(resume) if resume else Memory())
        self._leaving = False

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        real = {incident.id: incident for incident in incidents if not incident.synthetic}
        before, first = self._incidents, not self._followed
        tracks = frozenset((*standing, *(track for incident in real.values() for track in incident.tracks)))
        further = [id_ for id_, its in real.items() if id_ in before and its.lookback > before[id_].lookback]
        grew = bool(tracks - self._tracks or further or real.keys() - before.keys())
        self._incidents, self._tracks, self._followed = real, tracks, True
        self._over = tuple(incident for incident in over if not incident.synthetic)
        for id_ in [*(self._memory.back.keys() - real.keys()), *further]:
            self._memory.back.pop(id_, None)
        if first:
            self._begin()
        elif before and not real:
            self._fall_calm()
        elif real and grew:
            self._rise(from_calm=not before)
        if self._status.failure is not None:
            # Somebody acts: perhaps they have just set right what failed.
            self._schedule.retry()

    def tend(self) -> None:
        if self._clock.monotonic() - self._key_seen >= KEY_SECONDS:
            self._key_seen = self._clock.monotonic()
            if self._key.reread():
                self._schedule.retry()

    def read(self, timeout: float) -> Batch | None:
        deadline = self._clock.monotonic() + timeout
        while not self._leaving:
            self.tend()
            if self._followed:
                self._turn()
            if (batch := self._out.take()) is not None:
                self.counts.add(batch)
                return batch
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return None
            if self._clock.wait(min(left, 0.25), self._bell):
                self._bell.clear()
        return None

    def state(self) -> Mapping[str, Any]:
        now = self._clock.now()
        counted = self._heard if self.hears_in_calm and not self._incidents else None
        return {
            "state": self._status.word(
                wanted=self._wants() and not self._leaving, crisis=bool(self._incidents), spent=self._is_spent(),
                heard=self._book.lasting is None and (self._whole or not self._incidents), counts=self.hears_in_calm,
            ),
            "quota": dict(self._quota.shown()),
            "every": self._schedule.every(crisis=bool(self._incidents)),
            "queue": self._out.posts,
            "threads": len(self._talks.threads),
            "unfilled": len(self._book.unfilled),
            **self._status.shown(
                now, heard=self._heard, counted=counted, arrived=self._dialogue.arrived, gap=self._book.lasting,
                fault=self._key.fault, owner=self._dialogue.owner, disabled=self._talks.disabled,
                checked=self._memory.checked if len(self._held) else None,
            ),
            **({"clock_off": round(self._skew.total_seconds())} if abs(self._skew) > SKEWED else {}),
        }  # fmt: skip

    def close(self) -> None:
        """Let go of the thread and of what is under way, at once."""
        self._leaving = True
        self._dialogue.stop()
        self._bell.set()

    # --- what is wanted ----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Go on where the bus has us: what went unheard since is a gap, and read again with those from before."""
        now = self._clock.now()
        for start, end in unheard(self._heard, [*self._incidents.values(), *self._over]):
            if end is None:
                self._book.begin(start, Cause.PROCESS_DOWN if start == self._heard else Cause.RULES_UNCONFIRMED)
            elif self._book.lasting is not None:
                self._book.end(end)
            else:
                self._book.between(start, end, Cause.PROCESS_DOWN)
        if not self._incidents and not self.hears_in_calm:
            self._book.end(now)
        if self._heard is None:
            self._heard = min((i.opened_at for i in self._incidents.values()), default=now)
        self._well = self._clock.monotonic()
        self._dive()

    def _rise(self, *, from_calm: bool) -> None:
        """An incident was opened, or more is listened for: what was met meanwhile is offered once more."""
        opened = min(incident.opened_at for incident in self._incidents.values())
        if from_calm:
            self._found = []
            self._heard, self._well = max(self._heard or opened, opened), self._clock.monotonic()
            self._whole = False
            if self._book.lasting is not None:
                # What was missed in calm are counts; from here on it is a gap of the crisis.
                self._book.end(opened)
                self._book.begin(opened, Cause.RULES_UNCONFIRMED)
        self._comments.forget_since(self._at_platform(opened))
        self._dialogue.drop()
        self._dive()

    def _fall_calm(self) -> None:
        """What was said since the last round is looked for yet: it belongs to the crisis that is over."""
        now = self._clock.now()
        if self._book.lasting is not None:
            self._book.end(now)
        elif self._heard is not None and self._heard < now:
            self._book.between(self._heard, now, Cause.SILENCE)
        # What was not heard until here is in a gap: whoever comes after us need not look for it.
        self._heard = self._memory.heard = now
        self._well = self._clock.monotonic()
        self._dialogue.drop()
        # Threads further down may have answers of the last minute.
        self._deep = min(now - self._replies, self._deep or now)
        self._schedule.at_once()
        self._status.heard_again(now)

    def _dive(self) -> None:
        """The next round reads further down: to the hours before an incident, to gaps, to threads that still live."""
        floors = [gap.start for gap in self._gaps()]
        if self._incidents:
            floors.append(self._clock.now() - self._replies)
        floors += [i.opened_at - timedelta(seconds=i.lookback) for i in self._looking_back()]
        self._deep = min([*floors, *([] if self._deep is None else [self._deep])], default=None)
        if self._deep is not None:
            self._schedule.at_once()

    def _looking_back(self) -> list[Incident]:
        return [i for i in self._incidents.values() if i.lookback and i.id not in self._memory.back]

    def _gaps(self) -> list[Gap]:
        return [*self._book.unfilled, *([self._book.lasting] if self._book.lasting is not None else [])]

    def _wants(self) -> bool:
        """Rounds are wanted at all."""
        return bool(self._incidents) or self.hears_in_calm or bool(self._book.unfilled)

    # --- turns -------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        end = self._dialogue.turn()
        self._give_found()
        if end is None and self._dialogue.is_free:
            end = self._choose()
            self._give_found()
        if end is not None:
            self._ended(end)
        self._mind_gap()
        self._status.mind(
            self._clock.now(),
            self._book.lasting,
            crisis=bool(self._incidents),
            spent=self._is_spent() and self._wants(),
        )
        self._out.tell()

    def _choose(self) -> End | None:
        """Begin what is due, if anything is."""
        now = self._clock.now()
        due = self._schedule.due(
            self._quota, now, crisis=bool(self._incidents), rounds=self._wants(), held=len(self._held),
            threads=len(self._talks.threads), owner=self._dialogue.owner is not None, filling=bool(self._book.unfilled),
        )  # fmt: skip
        if due is None:
            return None
        self._due, self._began, self._began_at = due, now, self._clock.monotonic()
        self._talks.window = self._held_talks.window = self._at_platform(now - self._replies)
        self._comments.bounds = self._bounds(now)
        match due:
            case Due.ROUND:
                return self._dialogue.begin(self._talks.lists(self._floors(self._newest)))
            case Due.HELD:
                return self._dialogue.begin(self._held_talks.lists(self._floors(self._held_newest)))
            case Due.AGAIN:
                return self._dialogue.begin(self._talks.again())
            case Due.STILL:
                self._checking = self._checking or now
                return self._dialogue.begin(self._who_asks().still(self._held.to_ask()))

    def _who_asks(self) -> Talks:
        """Of what is held for review only the owner is told that it is there."""
        owner = self._dialogue.owner
        return self._talks if owner is None or owner.refused else self._held_talks

    def _floors(self, newest: Mapping[str, datetime]) -> dict[str, datetime]:
        """By the platform's clock."""
        now = self._clock.now()
        floors = floors_of(self._channels, newest, self._at_platform(min(self._heard or now, now)), OVERLAP)
        if self._deep is not None:
            floors = {channel: min(floor, self._at_platform(self._deep)) for channel, floor in floors.items()}
        return floors

    def _bounds(self, now: datetime) -> Bounds:
        """Which comments are given, and to whom."""
        if self._due is Due.STILL:
            # What we asked for again is no news but where it was changed since.
            return Bounds(self._at_platform((self._memory.checked or now) - timedelta(hours=1)))
        starts = [gap.start for gap in self._gaps()]
        if not self._incidents:
            calm = self._calm_from if self._calm_from is not None else self._at_platform(self._opened)
            return Bounds(min([calm, *(self._at_platform(max(start, now - REACH)) for start in starts)]))
        back = {
            i.id: (self._at_platform(i.opened_at - timedelta(seconds=i.lookback)), self._at_platform(i.opened_at))
            for i in self._looking_back()
        }
        starts += [incident.opened_at for incident in self._incidents.values()]
        return Bounds(self._at_platform(max(min(starts), now - REACH)), back)

    def _at_platform(self, ours: datetime) -> datetime:
        """An instant of ours by the platform's clock, where that is behind: rather too much is read than too little.
        Its times are whole seconds."""
        return ours.replace(microsecond=0) + min(timedelta(), self._skew if abs(self._skew) > SKEWED else timedelta())

    def _ended(self, end: End) -> None:
        now = self._clock.now()
        for talks in (self._talks, self._held_talks):
            if talks.clock is not None:
                self._skew, talks.clock = talks.clock - now, None
        if end.refused is not None:
            self._failed(end.refused)
            return
        spent, self._dialogue.spent = self._dialogue.spent, 0
        self._schedule.went_well(self._due, spent, self._quota, now, crisis=bool(self._incidents), held=len(self._held))
        self._status.beside.pop(self._due, None)
        match self._due:
            case Due.ROUND:
                self._went_round()
            case Due.HELD:
                self._held_newest = dict(self._held_talks.newest)
                if self._dialogue.owner is not None:
                    self._dialogue.owner.answered()
            case Due.STILL:
                talks = self._who_asks()
                gone = self._held.judge(talks.gone)
                talks.gone.clear()
                for id_ in gone:
                    self._talks.threads.doubt(id_.partition(".")[0])
                self._schedule.suspects = self._held.suspected
                if not self._held.suspected:
                    self._memory.checked = self._schedule.checked = self._checking or self._began
                    self._checking = None
                self._out.put(deleted=gone)

    def _went_round(self) -> None:
        """All that was said before it began is heard."""
        self._give_posts()
        heard = self._heard = max(self._heard or self._began, self._began)
        self._whole, self._deep, self._well = True, None, self._began_at
        self._newest = dict(self._talks.newest)
        self._memory.newest = dict(self._newest)
        for incident in self._looking_back():
            self._memory.back[incident.id] = incident.opened_at - timedelta(seconds=incident.lookback)
        self._book.end(heard)
        for gap in self._book.unfilled:
            if gap.end is not None and gap.end <= heard:
                self._book.filled(gap.id, gap.end, done=True)
        self._status.heard_again(self._clock.now(), self._talks.missing)
        self._talks.threads.forget_before(self._at_platform(self._clock.now() - self._replies))
        counted, self._found = self._found, []
        if self._incidents or self.hears_in_calm:
            self._memory.heard = heard
            self._out.put(counted, until=heard)

    def _failed(self, refused: Refused) -> None:
        now, owner, due = self._clock.now(), self._dialogue.owner, self._due
        by_owner = due is Due.HELD or (due is Due.STILL and self._who_asks() is self._held_talks)
        if by_owner and owner is not None and refused.trouble in _OWNERS:
            # The public ones are heard all the same.
            owner.denied(refused.why)
            self._schedule.put_off(due, HELD_SECONDS if owner.refused is None else REFUSED_SECONDS)
            return
        if due is not Due.ROUND and refused.trouble in _OF_THE_QUESTION:
            self._schedule.put_off(due, CONFIRM_SECONDS)
            self._status.beside[due] = refused.why
            if due is Due.AGAIN:
                # Then by the lists, down to the oldest of them: dearer, and no answer is missed.
                self._deep = min(now - self._replies, self._deep or now)
            return
        if refused.trouble is Trouble.QUOTA and self._quota.is_settled(now):
            self._quota.exhaust(now)
        self._schedule.failed(refused.trouble)
        self._status.failed(refused, now)
        self._out.reconnects.append(refused.cause)

    # --- batches -----------------------------------------------------------------------------------------------------

    def _give_found(self) -> None:
        found = self._comments.take_found()
        for incident, posts in found.back.items():
            self._out.put(posts, origin=Origin.LOOKBACK, incident=incident)
        if found.bad:
            self._out.put(bad=tuple(found.bad))
        self._found += found.posts
        if self._incidents:
            self._give_posts()

    def _give_posts(self) -> None:
        """In a crisis at once. In calm with the end of their round, so that none is counted twice after a crash: of
        what was counted nothing is kept by which it could be known."""
        by_gap: dict[str | None, list[Post]] = {}
        for post in sorted(self._found, key=lambda post: post.at):
            by_gap.setdefault(self._gap_of(post), []).append(post)
        self._found = by_gap.pop(None, []) if not self._incidents else []
        for gap, posts in by_gap.items():
            self._out.put(posts, origin=Origin.GAP_FILL if gap else None, fills=gap)

    def _gap_of(self, post: Post) -> str | None:
        """The gap in whose time it was said, or that lasts: it is heard late."""
        if self._book.lasting is not None:
            return self._book.lasting.id
        for gap in self._book.unfilled:
            if gap.end is not None and gap.start.replace(microsecond=0) <= post.at <= gap.end:
                return gap.id
        return None

    # --- gaps --------------------------------------------------------------------------------------------------------

    def _is_spent(self) -> bool:
        return self._quota.left(self._clock.now()) < COST

    def _mind_gap(self) -> None:
        now, heard = self._clock.now(), self._heard
        if heard is None or self._book.lasting is not None or not (self._incidents or self.hears_in_calm):
            return
        late = LATE if self._incidents else self._schedule.late_in_calm
        spent, failure = self._is_spent(), self._status.failure
        at_once = bool(self._incidents) and (spent or self._status.refusal is not None)
        if self._clock.monotonic() - self._well <= late.total_seconds() and not at_once:
            return
        cause = Cause.RATE_LIMITED if spent or self._schedule.is_stretched else Cause.SILENCE
        self._book.begin(min(heard, now), cause if spent or failure is None else failure.cause)
