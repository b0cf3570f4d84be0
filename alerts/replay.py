"""Playing a recording through the real flow, on a bus of its own that is thrown away, with the recording's own time.

The workers are those of `run`. Only two things differ: one thread turns them in order, with a clock that stands where
the recording stands; and nothing is sent: each alert is handed to the caller with the card that an officer would get.

The same recording gives the same alerts, word for word, at whatever speed. So the key of its pseudonyms is made of the
recording itself: whoever can make it has the recording, in which the authors stand by name. What comes through a pipe
can be read only once; there the key is thrown away, and pseudonyms differ from one replay to the next.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from alerts.app import AlertsParts, App, WorkerPart
from alerts.notify import card
from alerts.notify.channels.card import Card
from alerts.notify.state import AlertBook
from alerts.pipeline import flow
from alerts.register.overview import Overview, read_stories, read_themes
from alerts.register.ranking import RegisterRow, Selection
from alerts.register.view import Register
from alerts.wiring import make_alerts, make_app, make_listener, passing_key
from listener.bus.protocol import Bus, Record, open_bus
from listener.clock import Clock, ManualClock
from listener.errors import ConfigError, LyttepostError
from listener.ingest.player import Player
from listener.model.incidents import Action, Command, Incident
from listener.model.records import ALERTS as ALERT_RECORDS
from listener.model.records import Alert, AuthorClass, Event, decode
from listener.model.roles import ALERTS, LISTENER
from listener.runtime.control import Control
from listener.settings.files import RawSettings
from listener.settings.schema import Settings
from listener.sources.common.reader import LineReader
from listener.sources.common.recorded_source import Cursor, RecordedSource
from listener.sources.contract import Batch
from listener.sources.recording.parser import of_platforms
from listener.sources.recording.plugin import NAME

BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
"""Where the clock stands until the first post gives the time."""
PACE_SECONDS = 0.1
PLACES = 3
"""Of each reason, so many places in the recording are named."""
MOST_STORIES = 100
"""Of those that most people tell, so many are looked through for the one that is told in most places."""


@dataclass(frozen=True)
class SentCard:
    """One alert that an officer would have been sent. `heard` is how many posts had been heard by then."""

    alert: Alert
    card: Card
    texts: Mapping[str, str]
    heard: int


@dataclass
class Summary:
    """What became of everything that was read."""

    read: int = 0
    posts: int = 0
    matched: int = 0
    mentions: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    """Platform → the posts that were heard from it, as the recording names it."""
    places: dict[str, list[str]] = field(default_factory=dict)
    """Reason → the first places of it, as `file:line`."""
    kinds: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
    authors_known: bool = True
    first_alert: datetime | None = None


class OfferLog:
    """Notes what the source offers, on its way in: the time, how much by when, and where bad lines stand."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._seconds: Counter[datetime] = Counter()
        self._order: list[datetime] = []
        self._heard = 0
        self.lines = 0
        self.sources: Counter[str] = Counter()
        self.places: dict[str, list[str]] = {}

    def __call__(self, batch: Batch) -> None:
        if batch.until is not None:
            self._clock.advance_to(batch.until)
        if batch.cursor is not None:
            self.lines = Cursor.parse(batch.cursor).lines
        for post in batch.posts:
            self.sources[post.source] += 1
            second = post.at.replace(microsecond=0)
            if not self._seconds[second]:
                heappush(self._order, second)
            self._seconds[second] += 1
        for bad in batch.bad:
            places = self.places.setdefault(str(bad.reason), [])
            if len(places) < PLACES:
                places.append(bad.where)

    def heard(self, until: datetime) -> int:
        """Posts of that time and before, their ids seen twice left out. Asked in order of time."""
        while self._order and self._order[0] <= until:
            self._heard += self._seconds.pop(heappop(self._order))
        return self._heard


@dataclass
class Replay:
    """One recording, ready to be played."""

    app: App
    incident: Incident
    source: RecordedSource
    clock: ManualClock
    parts: AlertsParts
    turning: list[WorkerPart]
    player: Player
    register: Register
    offered: OfferLog
    paced: bool
    lines: int | None
    """In the whole recording; None where they are not known."""

    @property
    def progress(self) -> float | None:
        """How much has been played, 0 to 1."""
        return min(1.0, self.offered.lines / self.lines) if self.lines else None

    def play(self, emit: Callable[[SentCard], None], turned: Callable[[], None] = lambda: None) -> Summary:
        """To the end of the recording; `emit` gets what is fired or resolved, `turned` is called often.

        Raises LyttepostError when it cannot go on.
        """
        summary = Summary()
        book, reader = AlertBook(), self.app.bus.reader(["alerts"])
        waiting: list[tuple[datetime, int, Alert, Record]] = []
        busy = True
        while True:
            # At full speed nothing waits, but for a pipe that has no more yet.
            pause = PACE_SECONDS if (self.paced or not busy) and not self.player.ended else 0.0
            busy = False
            for worker, _ in self.turning:
                busy |= worker.step(pause if worker is self.player else 0.0)
            for record in reader.poll(0.0, 5000):
                alert = decode(ALERT_RECORDS, record.value or b"")
                heappush(waiting, (alert.at, record.offset, alert, record))
                busy = True
            # What fires on arrival waits for the windows of the same time, so that all comes as it happened.
            done = self.player.ended and not busy
            heard = self.clock.now() - self.app.settings.rules.allowed_lateness
            while waiting and (done or waiting[0][0] <= heard):
                _, _, alert, record = heappop(waiting)
                self._emit(alert, record, book, emit, summary)
            turned()
            if not busy:
                self._refuse_to_hang()
            if done:
                break
        self._sum_up(summary)
        return summary

    def overview(self, limit: int, samples: int) -> Overview:
        """What people voice by theme, as the register has it where the recording stands."""
        self.register.catch_up()
        return read_themes(
            self.register,
            Selection(incident=self.incident.id),
            self.clock.now(),
            limit=limit,
            samples=samples,
            no_news=self.incident.tracks,
        )

    def widest_story(self) -> RegisterRow | None:
        """The story that is told on most platforms, of several by most people; None where nothing is registered."""
        self.register.catch_up()
        found = read_stories(self.register, Selection(incident=self.incident.id), self.clock.now(), limit=MOST_STORIES)
        return max(found.stories, key=lambda row: (len(row.sources), row.people), default=None)

    def close(self) -> None:
        for worker, _ in self.turning:
            worker.close()

    def _refuse_to_hang(self) -> None:
        """A live service waits until a person has fixed what is wrong; here nobody will."""
        for worker, part in self.turning:
            if part.reason:
                unopened = worker is self.player and not self.source.counts.read
                raise (ConfigError if unopened else LyttepostError)(part.reason)

    def _emit(
        self, alert: Alert, record: Record, book: AlertBook, emit: Callable[[SentCard], None], summary: Summary
    ) -> None:
        if alert.event is Event.SUPPRESSED:
            summary.suppressed[f"{alert.rule}: {alert.reason}"] += 1
            return
        if alert.settled is False:
            return  # it is shown when it is settled
        book.apply(record)
        state = book.get(alert.id)
        if state is None:
            return
        if alert.event is Event.FIRED:
            summary.alerts[alert.rule] += 1
            summary.first_alert = min(summary.first_alert or alert.at, alert.at)
        texts = self.register.texts([sample.key for sample in alert.samples])
        # As it was at that time: the clock may have run on by a whole batch.
        made = card.build(
            state, self.parts.people, self.parts.messages, now=alert.at, in_house=True, texts=self.register.texts
        )
        emit(SentCard(alert, made, texts, self.offered.heard(alert.at)))

    def _sum_up(self, summary: Summary) -> None:
        counts = self.source.counts
        metrics = self.app.metrics
        summary.read, summary.posts = counts.read, counts.posts
        summary.bad = Counter({str(reason): count for reason, count in counts.bad.items()})
        summary.sources = self.offered.sources
        summary.places = self.offered.places
        summary.dropped = _by_label(metrics.posts_dropped, "reason")
        summary.matched = sum(_by_label(metrics.posts_matched, "source").values())
        summary.mentions = sum(_by_label(metrics.mentions, "origin").values())
        summary.kinds = Counter(self.register.counts())
        summary.authors_known = self.register.authors_known()


def _by_label(metric: Any, label: str) -> Counter[str]:
    out: Counter[str] = Counter()
    for family in metric.collect():
        for sample in family.samples:
            if sample.name.endswith("_total") and sample.value:
                out[sample.labels[label]] += int(sample.value)
    return out


@contextmanager
def replaying(
    raw: RawSettings,
    settings: Settings,
    path: str,
    *,
    name: str,
    tracks: Sequence[str],
    speed: float | None,
    pace: Clock,
    rules: Path | None = None,
    named: Mapping[str, AuthorClass] | None = None,
    learned: Path | None = None,
    platform: str | None = None,
) -> Iterator[Replay]:
    """A recording under an incident in a bus of its own. `pace` is the wall's clock.

    `speed` None is as fast as it goes; `named` are accounts that keep their name, beside those of the settings;
    `platform`: that of lines which name none, where it is known; `learned` is the data folder in which the
    model may have learned from corrections.
    Raises ConfigError when a rule or the recording is not what it should be.
    """
    parts = make_alerts(raw, settings, rules, tell=False, learned=learned)
    source = RecordedSource(NAME, of_platforms(platform), path, speed, pace)
    key, lines = passing_key(), None
    if path != "-" and not Path(path).is_fifo():
        source.open(None)  # what is no recording is refused here, before anything is set up
        source.close()
        key, lines = survey(path)
    clock = ManualClock(BEFORE)
    with _passing_folder() as folder, closing(open_bus("embedded:", folder, clock, durable=False)) as bus:
        app = make_app(settings, folder, bus, clock, "replay")
        listener = make_listener(app, raw, [source], key, named or {})
        incident = open_incident(bus, name, tracks, clock)
        offered = OfferLog(clock)
        turning = flow(app, (LISTENER, ALERTS), replace(listener, before=offered), parts)
        replay = Replay(
            app=app,
            incident=incident,
            source=source,
            clock=clock,
            parts=parts,
            turning=turning,
            player=next(w for w, _ in turning if isinstance(w, Player)),
            register=next(w for w, _ in turning if isinstance(w, Register)),
            offered=offered,
            paced=speed is not None,
            lines=lines,
        )
        try:
            yield replay
        finally:
            replay.close()


def survey(path: str) -> tuple[bytes, int | None]:
    """The key of a recording's pseudonyms, which is the digest of its lines, plain or gzip; and how many there are.

    Of a device, which may be read only once, a passing key.
    """
    digest, number = hashlib.sha256(b"lyttepost: pseudonyms of a recording\n"), 0
    with closing(LineReader(path, pipes=True)) as reader:
        reader.open()
        if not reader.seekable:
            return passing_key(), None
        for line in reader.lines():
            if line is not None:
                number, content = line
                digest.update(content.strip() + b"\n" if isinstance(content, bytes) else content.digest.encode())
    return digest.digest(), number


@contextmanager
def _passing_folder() -> Iterator[Path]:
    """A folder that is gone afterwards. Raises ConfigError where there is no room for one."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="lyttepost-", ignore_cleanup_errors=True)
    except OSError as error:
        raise ConfigError(f"a replay needs a folder to work in, and none can be made ({error}); set TMPDIR") from None
    with folder as path:
        yield Path(path)


def open_incident(bus: Bus, name: str, tracks: Sequence[str], clock: Clock) -> Incident:
    """An exercise: what is played is not of today."""
    control = Control(bus)
    command = Command(
        action=Action.OPEN,
        at=clock.now(),
        by="replay",
        why="a recording is played",
        name=name,
        add=tuple(tracks),
        review_after=timedelta(hours=4).total_seconds(),
        exercise=True,
    )
    transition = control.append(command)
    return control.state.incidents[transition.incidents[0]]
