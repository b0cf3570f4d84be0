"""How each part of Instagram is heard, and the gaps of each and of all together. Pure.

What all of Instagram refuses or does not answer is a gap of the source; what one part lacks, a permission of its own or
a page beyond what is given, is a gap of that part, while the others go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Any

from listener.model.gaps import Cause, closed, is_whole
from listener.model.records import Gap
from listener.sources.common.gap_tracker import GapBook
from listener.sources.common.graph.answers import Answer
from listener.sources.instagram.payload import SOURCE
from listener.sources.instagram.questions import Part
from listener.sources.instagram.round import Cut
from listener.units import format_instant


@dataclass(slots=True)
class Heard:
    """One part, or all of them. `at`: up to when all of it is known. `fault`: what was answered last, where it was no
    success; `again`: when, on the monotonic clock, it is asked again."""

    book: GapBook
    at: datetime | None = None
    ours: datetime | None = None
    """The same by our own clock, by which it is told whether that is long ago."""
    fault: Answer | None = None
    again: float = -inf
    cut: bool = False
    """Of the gap that lasts not all will be found."""
    over: Gap | None = None
    """The gap that ended last."""

    def fail(self, answer: Answer, now: float) -> None:
        self.fault = answer
        self.again = inf if answer.wait is None else now + answer.wait

    def deaf(self, start: datetime, cause: Cause) -> None:
        """Nothing was heard since `start`."""
        if self.book.lasting is None:
            self.cut = False
        self.book.begin(start, cause)

    def well(self, at: datetime, ours: datetime) -> None:
        """Everything up to then is known: a gap that lasts is over, and filled unless something of it was cut."""
        self.fault, self.again, self.ours = None, -inf, ours
        self.at = at if self.at is None else max(self.at, at)
        if (over := self.book.end(at)) is not None:
            self.over = over
            if self.cut:
                self.book.forget(over.id)
            else:
                self.over = self.book.filled(over.id, over.end, done=True) or over
        self.cut = False

    def told(self) -> dict[str, Any]:
        """For presence and the board."""
        told: dict[str, Any] = {"heard": None if self.at is None else format_instant(self.at)}
        return told if self.fault is None else {**told, "fault": self.fault.why}

    def lose(self, start: datetime, end: datetime, cause: Cause, *, whole: bool = False) -> Gap | None:
        """A stretch of which not all is to be had; `whole`: it was found after all."""
        if start >= end:
            return None
        if self.book.lasting is not None and start >= self.book.lasting.start:
            self.cut = self.cut or not whole
            return None
        gap = self.book.between(start, end, cause)
        if gap is None:
            return None
        if whole:
            self.book.filled(gap.id, gap.end, done=True)
        else:
            self.book.forget(gap.id)
        return gap


@dataclass(slots=True)
class Ears:
    """All of them. `wanted`: the parts that the settings ask for."""

    wanted: tuple[Part, ...]
    all: Heard = field(default_factory=lambda: Heard(GapBook(SOURCE)))
    parts: dict[Part, Heard] = field(default_factory=dict)
    _gone: list[Gap] = field(default_factory=list)
    _missed: list[Gap] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parts = {part: Heard(GapBook(SOURCE, part)) for part in (*self.wanted, Part.MENTIONS)}

    def recall(self, gaps: Iterable[Gap]) -> None:
        """What the ledger holds from before: gaps that last, and those in which posts were lost for want of room of our
        own, which may be found again."""
        known = [gap for gap in gaps if gap.cause != Cause.DISK_FULL]
        open_ = [gap for gap in known if gap.end is None]
        for part, heard in self.parts.items():
            heard.book.recall(gap for gap in open_ if gap.part == part)
        self._gone = [gap for gap in open_ if gap.part is not None and gap.part not in self.parts]
        lost = [gap for gap in known if gap.cause == Cause.BUS_AWAY and gap.part is None]
        self._missed = [gap for gap in lost if gap.end is not None and not is_whole(gap)]
        self.all.book.recall([*(gap for gap in open_ if gap.part is None), *self._missed])

    def end_the_gone(self, now: datetime) -> tuple[Gap, ...]:
        """Lasting gaps of parts that nobody asks for any more, ended: they stay unfilled."""
        gone, self._gone = self._gone, []
        return tuple(closed(gap, max(now, gap.start), refilled=gap.refilled, refilled_until=None) for gap in gone)

    def learn(self, heard: Mapping[str, datetime]) -> None:
        """From the cursor."""
        earliest = min((gap.start for gap in self._missed), default=None)
        for part, its in (("", self.all), *self.parts.items()):
            at = heard.get(part, heard.get(""))
            its.at = its.ours = at if at is None or earliest is None else min(at, earliest)

    def not_before(self, start: datetime) -> None:
        """Nobody wished to hear what was said before."""
        for its in (self.all, *self.parts.values()):
            its.at = its.ours = None if its.at is None else max(its.at, start)

    def told(self) -> dict[str, datetime]:
        """For the cursor."""
        each = {"": self.all.at, **{str(part): its.at for part, its in self.parts.items()}}
        return {name: at for name, at in each.items() if at is not None}

    def found_again(self, whole: bool) -> None:
        """A round read all that was to be had of the time of lost posts."""
        missed, self._missed = self._missed, []
        for gap in missed:
            if whole:
                self.all.book.filled(gap.id, gap.end, done=True)
            else:
                self.all.book.forget(gap.id)

    def due(self, now: float) -> tuple[Part, ...]:
        """The parts that may be asked now."""
        return tuple(part for part in self.wanted if self.parts[part].again <= now)

    def cut(self, cut: Cut) -> Gap | None:
        """Of a part something is not to be had. While all of Instagram is in a gap, that one is not filled either."""
        if self.all.book.lasting is not None and cut.end > self.all.book.lasting.start:
            self.all.cut = self.all.cut or not cut.whole
        return self.parts[cut.part].lose(cut.start, cut.end, Cause.TOO_MANY, whole=cut.whole)

    def lasting(self, part: Part | None = None) -> Gap | None:
        """The gap that lasts, of all or of the part."""
        mine = self.parts[part].book.lasting if part is not None else None
        return self.all.book.lasting or mine

    def gap(self, id_: str) -> Gap | None:
        """One that lasts or ended last, as it is now: told again, so that what was found of it is counted."""
        found = [gap for heard in self._each() for gap in (heard.book.lasting, heard.over) if gap is not None]
        return next((gap for gap in found if gap.id == id_), None)

    def take(self) -> tuple[Gap, ...]:
        """What has changed since the last call."""
        return tuple(gap for heard in self._each() for gap in heard.book.take())

    def faults(self) -> Iterator[tuple[Part | None, Answer]]:
        """What a person must see to."""
        for part, heard in ((None, self.all), *self.parts.items()):
            if heard.fault is not None and heard.fault.needs_person:
                yield part, heard.fault

    def problems(self) -> Iterator[str]:
        """The same for a person; no word of Meta's."""
        for part, answer in self.faults():
            again = "with another token, or after a restart"
            if answer.wait is not None:
                again = f"{max(1, round(answer.wait / 60))} minutes later"
            what = "Instagram" if part is None else f"Instagram's {part}"
            yield f"{what}: {answer.why}; it is asked again {again}"

    def renewed(self) -> None:
        """There is another token: everything may be asked again."""
        for heard in self._each():
            heard.again = -inf

    def _each(self) -> Iterator[Heard]:
        yield self.all
        yield from self.parts.values()
