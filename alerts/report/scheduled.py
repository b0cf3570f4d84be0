"""The situation report that is mailed on a schedule, made when it is sent: see `alerts.notify.reports`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime, tzinfo
from pathlib import Path

from alerts.notify.recipients import People
from alerts.notify.reports import ReportText
from alerts.register.denials import DenialWords
from alerts.register.view import Register
from alerts.report.html import as_html
from alerts.report.markdown import as_markdown
from alerts.report.period import LONGEST, look_back
from alerts.report.report import make_report
from alerts.situation.followed import Followed
from alerts.situation.situation import describe
from alerts.situation.words import Words
from listener.bus.protocol import Bus
from listener.clock import Clock
from listener.errors import BusError, LyttepostError
from listener.model.records import Alert

GIVE_UP_SECONDS = 20.0
"""To read the bus. A send has 45 seconds, and most of them are the mail server's."""
KEPT_SECONDS = 60.0
"""So long one report is the same for everybody, and one that could not be made is not tried again."""

Texts = Mapping[str, ReportText]


class ScheduledReport:
    """Called by several threads at once. The first that asks for a report makes it for all, in every language, from a
    view of the bus of its own; the others wait for it. Only what was made is kept, which holds no word of a post."""

    def __init__(
        self, bus: Bus, register: Path, words: Mapping[str, Words], deny: DenialWords, zone: tzinfo, clock: Clock
    ) -> None:
        """`register`: the view's file. `words`: of every language that a person may read."""
        self._bus = bus
        self._register = register
        self._words = words
        self._deny = deny
        self._zone = zone
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[str, float, Texts | str] | None = None
        """The notice, when it was tried, and the report, or why there is none."""

    def __call__(self, alert: Alert, people: People, wakes: Callable[[str], bool], now: datetime) -> Texts:
        """Raises LyttepostError that says why it cannot be made: the bus is away, or the register cannot be written."""
        if not self._lock.acquire(timeout=GIVE_UP_SECONDS):
            raise LyttepostError("another thread makes the report and does not come to an end")
        try:
            kept, clock = self._kept, self._clock.monotonic()
            if kept is None or kept[0] != alert.id or clock - kept[1] > KEPT_SECONDS:
                kept = self._kept = (alert.id, clock, self._tried(alert, people, wakes, now))
        finally:
            self._lock.release()
        if isinstance(kept[2], str):
            raise LyttepostError(kept[2])
        return kept[2]

    def _tried(self, alert: Alert, people: People, wakes: Callable[[str], bool], now: datetime) -> Texts | str:
        try:
            return self._made(alert, people, wakes, now)
        except Exception as error:
            return str(error) if isinstance(error, LyttepostError) else type(error).__name__

    def _made(self, alert: Alert, people: People, wakes: Callable[[str], bool], now: datetime) -> Texts:
        end = self._clock.monotonic() + GIVE_UP_SECONDS

        def beat() -> None:
            if self._clock.monotonic() > end:
                raise BusError("reading all that the report is made of takes too long")

        with (
            closing(Register(self._bus, self._register)) as register,
            closing(
                Followed(self._bus, self._clock, register, self._zone, self._deny, lambda word: None, beat)
            ) as followed,
        ):
            followed.read()
            situation = describe(followed, people, wakes, now, incident=alert.incident)
            period = look_back(followed, max(alert.first_seen, now - LONGEST), now, alert.incident)
        found = {}
        for language, words in self._words.items():
            report = make_report(situation, period, words)
            found[language] = ReportText(as_markdown(report, words), as_html(report, words))
        return found
