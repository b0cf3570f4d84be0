"""The board from its parts: see `alerts.wiring`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from alerts.board import alert_pages, report_pages, said_pages, switch_pages
from alerts.board.access.contract import Access
from alerts.board.access.demo import DemoAccess
from alerts.board.application import Site, application
from alerts.board.live import Live
from alerts.board.worker import Board, Inside
from alerts.notify.channels.contract import open_usable, wakes_by
from alerts.notify.duty import DutyFollower
from alerts.register.denials import DenialWords
from alerts.register.view import Register
from alerts.situation.followed import Followed
from alerts.situation.words import Words
from alerts.web.jobs import Jobs
from alerts.web.server import WebServer
from listener.bus.protocol import Bus
from listener.clock import Clock
from listener.runtime.health import Part
from listener.settings.files import RawSettings
from listener.settings.schema import Settings
from listener.settings.zone import find_zone


@dataclass(frozen=True)
class BoardParts:
    """What the role `board` needs. `raw`: the settings as they were read. `duty`: makes what follows people.yaml."""

    words: Mapping[str, Words]
    raw: RawSettings
    duty: Callable[[datetime], DutyFollower]
    access: Access | None = None
    """How people log in; None: as the settings say."""


def make_board(bus: Bus, settings: Settings, folder: Path, parts: BoardParts, *, clock: Clock, part: Part) -> Board:
    """Raises ConfigError when its port cannot be had."""
    access: Access = parts.access or DemoAccess("demo")
    raw = parts.raw

    def inside() -> Inside:
        register, duty = Register(bus, folder / "register.sqlite"), parts.duty(clock.now())
        followed = Followed(bus, clock, register, find_zone(settings.timezone), duty.take, part.beat)
        return Inside(
            followed,
            duty,
            lambda people: functools.partial(wakes_by, open_usable(people.channels(), raw)),
            settings,
            raw,
            parts.words[settings.language].messages.themes,
            DenialWords.load(raw.folder),
        )

    def make(jobs: Jobs, live: Live, its: Callable[[], Inside], server: WebServer) -> Any:
        site = Site(access, live, jobs.hand_over, parts.words, settings.language, clock)
        pages = [
            *alert_pages.pages(site, its),
            *said_pages.pages(site, its),
            *switch_pages.pages(site, its),
            *report_pages.pages(site, its),
        ]
        return application(site, server, pages)

    certificate = settings.board.certificate
    return Board(
        inside, make, host=settings.board.host, port=settings.board.port,
        certificate=(certificate.file, certificate.key_file) if certificate else None, clock=clock, part=part,
    )  # fmt: skip
