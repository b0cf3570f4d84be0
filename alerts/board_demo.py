"""The demo's crisis on the board: the whole service on a folder that is thrown away, at a speed that one can follow.

Everything runs as it does at night, with two differences: the clock runs so many times as fast as the wall's, and
begins where the recording does; and nobody logs in, on this machine alone.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from alerts.board.access.demo import DemoAccess
from alerts.board.worker import Board, Patient
from alerts.highlights.compose import composed
from alerts.highlights.text import BY
from alerts.pipeline import flow
from alerts.wiring import make_alerts, make_app, make_board_parts, make_listener, passing_key
from listener.bus import hashchain
from listener.bus.messages import message
from listener.bus.protocol import Message, open_bus
from listener.clock import Clock
from listener.errors import ConfigError
from listener.model.decisions import DECISIONS
from listener.model.highlights import Highlight, HighlightRecord, HighlightWord, Word
from listener.model.incidents import Action, Command
from listener.model.records import VOLUMES, AuthorClass, Volume
from listener.model.roles import BOARD, RUN
from listener.model.tracks import canonical
from listener.runtime.control import Control
from listener.runtime.service import Service, settle_memory
from listener.settings.board import BoardSettings
from listener.settings.files import RawSettings, packaged_config
from listener.settings.schema import RecordingSettings, Settings, SourcesSettings
from listener.sources.common.recorded_source import RecordedSource
from listener.sources.recording.parser import of_platforms
from listener.sources.recording.plugin import NAME

BEFORE = timedelta(minutes=1)
"""The incident is opened so long before the first post."""
ME = "demo"
DAYS = 3
COUNTED = 5
"""Tracks."""
FEED = "https://fjordby-sykehus.example/feed.xml"
HIGHLIGHTS = (
    ("Ny MR-maskin gir kortere ventetid for barn", True),
    ("Kurs for pårørende ved demens: påmeldingen er åpnet", True),
    ("Slik forbereder du deg til dagkirurgi", False),
)
"""Title, and whether it was approved before the crisis."""


class FastClock:
    """Runs `speed` times as fast as the wall's, from `start` to `end`, and then as fast as that. What is measured in
    seconds is always the wall's."""

    def __init__(self, start: datetime, end: datetime, speed: float, wall: Clock) -> None:
        self._start = start
        self._speed = speed
        self._fast = (end - start).total_seconds() / speed
        self._wall = wall
        self._began = wall.monotonic()

    def now(self) -> datetime:
        passed = self._wall.monotonic() - self._began
        return self._start + timedelta(seconds=min(passed, self._fast) * self._speed + max(passed - self._fast, 0.0))

    def monotonic(self) -> float:
        return self._wall.monotonic()

    def thread_time(self) -> float:
        return self._wall.thread_time()

    def wait(self, seconds: float, until: threading.Event) -> bool:
        return self._wall.wait(seconds, until)


@dataclass(frozen=True)
class BoardDemo:
    """A demo that is set up: `address` is the board's; `run` plays until it is stopped."""

    address: str
    service: Service

    def run(self) -> None:
        """Until SIGTERM, SIGINT, or `service.stop`."""
        self.service.obey_signals()
        settle_memory()
        self.service.run()


@contextmanager
def board_demo(
    raw: RawSettings,
    settings: Settings,
    *,
    name: str,
    tracks: Sequence[str],
    named: Mapping[str, AuthorClass],
    platform: str,
    first: datetime,
    last: datetime,
    speed: float,
    port: int,
    wall: Clock,
) -> Iterator[BoardDemo]:
    """`platform`: of the recording's posts that name none. `first`, `last`: when the first and the last of them were
    written.

    Raises ConfigError where the port cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="lyttepost-board-", ignore_cleanup_errors=True) as folder:
        config, data = Path(folder) / "config", Path(folder) / "data"
        shutil.copytree(packaged_config(), config)
        shutil.copy(config / "demo" / "people.yaml", config / "people.yaml")
        data.mkdir()
        clock = FastClock(first - BEFORE, last, speed, wall)
        ours = replace(raw, folder=config)
        recording = RecordingSettings(path=config / "demo" / "crisis.jsonl", speed=f"{speed:g}")
        of_the_demo = {
            "sources": SourcesSettings(recording=recording),
            "board": BoardSettings(port=port),
            "receiver": None,
        }
        settings = settings.model_copy(update=of_the_demo)
        with closing(open_bus("embedded:", data, clock, durable=False)) as bus:
            app = make_app(settings, data, bus, clock, "demo")
            bus.publish(list(_weeks_before(first, tracks)))
            hashchain.append_all(bus, DECISIONS.name, list(_highlights(clock.now())))
            Control(bus).append(_opening(name, tracks, clock))
            # On a bus of its own: what the recording says of its posts' platforms counts, as in a replay.
            source = RecordedSource(NAME, of_platforms(platform), str(recording.path), speed, wall)
            listener = make_listener(app, ours, [source], passing_key(), named)
            alerts = make_alerts(ours, settings, None, tell=True, learned=data)
            board = replace(make_board_parts(ours, settings, data), access=DemoAccess(ME))
            workers = flow(app, RUN, listener, alerts, board)
            served = next(worker for worker, _ in workers if isinstance(worker, Board | Patient))
            up = served.board if isinstance(served, Patient) else served
            if up is None:
                raise ConfigError(f"{app.health.ready()[1][BOARD]}; or choose another --port")
            yield BoardDemo(up.address, Service(workers, wall))


def _weeks_before(first: datetime, tracks: Sequence[str]) -> Iterator[Message]:
    """Made-up counts of quiet days, so that the graphs know what is usual: more by day than by night."""
    chance = random.Random(BEFORE.total_seconds())  # noqa: S311 -- a demo
    for track in tracks[:COUNTED]:
        name = canonical(track)
        for number in range(DAYS * 24 * 60):
            minute = (first - BEFORE).replace(second=0, microsecond=0) - timedelta(minutes=DAYS * 24 * 60 - number)
            usual = 0.12 if 7 <= minute.hour <= 21 else 0.03
            yield message(VOLUMES, Volume(source=NAME, track=name, minute=minute, count=chance.random() < usual))


def _highlights(now: datetime) -> Iterator[HighlightRecord]:
    """What the hospital was about to say of its own that evening: the crisis holds what was approved."""
    for number, (title, approved) in enumerate(HIGHLIGHTS):
        id_, link = f"demo{number}", f"https://fjordby-sykehus.example/nytt/{number}"
        at = now - timedelta(hours=3, minutes=number)
        text = composed(title, "", link)
        yield Highlight(
            id=id_, at=at, by=BY, revision=0, feed=FEED, guid=link, link=link, title=title, text=text
        )  # fmt: skip
        if approved:
            yield HighlightWord(
                id=id_, at=at + timedelta(hours=1), by=ME, revision=1, word=Word.APPROVE, when=now + timedelta(hours=1)
            )


def _opening(name: str, tracks: Sequence[str], clock: Clock) -> Command:
    return Command(
        action=Action.OPEN,
        at=clock.now(),
        by=ME,
        why="røyk over nordbygget, meldt av vakten",
        name=name,
        add=tuple(tracks),
        review_after=timedelta(hours=1).total_seconds(),
        exercise=True,
    )
