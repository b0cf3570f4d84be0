"""Everything on the bus that says what is going on, kept up with by one thread: for who looks often and must not read
all of it each time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Generic, TypeVar

from alerts.highlights.state import Highlights
from alerts.notify.followed import FollowedBook
from alerts.notify.state import AlertBook
from alerts.register.corrected import Corrected
from alerts.register.decisions import Decisions
from alerts.register.denials import DenialWords
from alerts.register.overview import Suggested
from alerts.register.view import Register
from alerts.situation.loudness import REMEMBERED, Crises, Loudness
from listener.bus.protocol import Bus
from listener.bus.scan import drain
from listener.clock import Clock
from listener.model.decisions import DECISIONS, DecisionsRecord, Note, Silence
from listener.model.highlights import AboutHighlight
from listener.model.incidents import Presence, State
from listener.model.records import (
    GAPS,
    SPENDING,
    VOLUMES,
    BadRecord,
    Decision,
    DecisionKind,
    Gap,
    decode,
)
from listener.model.spending import Spending
from listener.model.topics import Topic
from listener.runtime.control import Control, Presences

T = TypeVar("T")

WORDS_KEPT = timedelta(days=8)
"""So far back what people decided is at hand, word by word."""


def _nothing() -> None:
    pass


class _Reader(Generic[T]):
    """What is new on a topic; what cannot be read is passed over, as whoever owns it reports it."""

    def __init__(self, bus: Bus, topic: Topic[T], beat: Callable[[], None], since: datetime | int = 0) -> None:
        self._topic = topic
        self._beat = beat
        self._reader = bus.reader([topic.name], start=since)

    def new(self) -> Iterator[T]:
        for record in drain(self._reader, self._beat):
            if record.value is None:
                continue
            try:
                yield decode(self._topic, record.value)
            except BadRecord:
                continue

    def close(self) -> None:
        self._reader.close()


@dataclass
class Followed:
    """`read` brings all of it up to date. Used by one thread, as long as its bus is open."""

    bus: Bus
    clock: Clock
    register: Register
    zone: tzinfo
    deny: DenialWords
    also: Callable[[DecisionsRecord], None]
    """Told every decision, each once and in order."""
    beat: Callable[[], None] = _nothing
    """Called now and then while much is read."""
    control: State = field(default_factory=State)
    presences: list[Presence] = field(default_factory=list)
    book: AlertBook = field(default_factory=AlertBook)
    decisions: Decisions = field(default_factory=Decisions)
    highlights: Highlights = field(default_factory=Highlights)
    gaps: dict[str, Gap] = field(default_factory=dict)
    spending: dict[str, Spending] = field(default_factory=dict)
    raised: dict[str, Decision] = field(default_factory=dict)
    """Source → the newest decision to let it cost more."""
    words: deque[DecisionsRecord] = field(default_factory=deque)
    """What people decided of late, in the order of the log."""
    changes: int = 0
    """Grows with whatever is new, but for who is there and how loud it is."""
    alerted: int = 0
    """Grows with what is new of alerts, pages, deliveries and what people said."""
    findings: int = 0
    """Grows with what is new in the register."""
    suggested: tuple[float, Sequence[Suggested]] | None = None
    """When it was last looked for themes of their own, on the monotonic clock, and what was found."""
    counted: int = 0
    """Grows with what is new of how loud it is."""

    def __post_init__(self) -> None:
        self._control = Control(self.bus)
        self._presences = Presences(self.bus, self.clock)
        self._book = FollowedBook(self.bus, self.clock, self.beat)
        self._decisions = _Reader(self.bus, DECISIONS, self.beat)
        self._gaps = _Reader(self.bus, GAPS, self.beat)
        self._spending = _Reader(self.bus, SPENDING, self.beat)
        self._volumes = _Reader(self.bus, VOLUMES, self.beat, self.clock.now() - REMEMBERED)
        self._crises = Crises()
        self.loudness = Loudness(self.zone, self._crises)
        self._together: Mapping[str, str] = {}
        self._read_once = False
        self._to_amend = True

    @property
    def version(self) -> tuple[int, int, int]:
        """Another one when anything is new, but for who is there."""
        return self.changes, self.findings, self.counted

    def read(self) -> None:
        """Bring it up to date. Raises BusError, and ConfigError for a view that cannot be written."""
        before = self.control.epoch
        self.control = self._control.refresh()
        if self.control.epoch != before:
            incidents = [each for each in self.control.incidents.values() if not each.synthetic]
            self._crises.set([(each.opened_at, each.closed_at) for each in incidents])
            self.changes += 1
        self.presences = self._presences.refresh()
        self._read_alerts()
        for gap in self._gaps.new():
            self.gaps[gap.id] = gap
            self.changes += 1
        for spent in self._spending.new():
            if isinstance(spent, Spending):
                self.spending[spent.source] = spent
                self.changes += 1
        for volume in self._volumes.new():
            self.loudness.take(volume)
            self.counted += 1
        self._read_register()

    def alerts(self) -> AlertBook:
        """With all that lies on the bus now. Raises BusError."""
        self._read_alerts()
        return self.book

    def _read_alerts(self) -> None:
        before = self._book.taken
        self.book = self._book.read()
        self.alerted += self._book.taken - before
        self.changes += self._book.taken != before

    def _read_register(self) -> None:
        decided = False
        for word in self._decisions.new():
            self.decisions.take(word)
            self.highlights.take(word)
            self.also(word)
            self.words.append(word)
            if isinstance(word, Decision) and word.kind is DecisionKind.BUDGET:
                self.raised[word.id] = word
            self.changes += 1
            # A note changes nothing of what people say or of how it stands; what we say ourselves neither.
            decided = self._to_amend = decided or not isinstance(word, Note | Silence | AboutHighlight)
        while self.words and self.words[0].at < self.clock.now() - WORDS_KEPT:
            self.words.popleft()
        moved = False
        while self.register.step(0.0):
            self.beat()
            moved = True
        together = self._together if not moved and self._read_once else self.register.together()
        if together != self._together:
            self._together = together
            self.decisions.stand_together(together)
        if self._to_amend:
            self.register.amend_with(Corrected(self.decisions.corrections, self.register.finding))
            self._to_amend = False
        self.findings += moved or decided
        self._read_once = True

    def close(self) -> None:
        with closing(self.register):
            for reader in (self._decisions, self._gaps, self._spending, self._volumes):
                reader.close()
