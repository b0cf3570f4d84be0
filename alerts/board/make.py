"""The board from its parts: see `alerts.wiring`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request

from alerts.board import alert_pages, highlight_pages, report_pages, said_pages, switch_pages
from alerts.board.access.contract import Access
from alerts.board.access.make import make_access
from alerts.board.application import Site, application, words_for
from alerts.board.live import Live
from alerts.board.worker import Board, Inside
from alerts.notify.channels.contract import open_usable, wakes_by
from alerts.notify.duty import DutyFollower
from alerts.register.denials import DenialWords
from alerts.register.view import Register
from alerts.situation.followed import Followed
from alerts.situation.words import Words
from listener.bus.protocol import Bus
from listener.clock import Clock
from listener.runtime.health import Part
from listener.settings.board import BoardSettings
from listener.settings.files import RawSettings
from listener.settings.schema import Settings
from listener.settings.zone import find_zone
from listener.webserver.jobs import Jobs
from listener.webserver.server import WebServer


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
    raw, words = parts.raw, parts.words

    def words_of(request: Request) -> Words:
        return words_for(request, words, settings.language)

    access = parts.access or make_access(settings, folder, clock, words, words_of)

    def inside() -> Inside:
        register, duty = Register(bus, folder / "register.sqlite"), parts.duty(clock.now())
        deny = DenialWords.load(raw.folder)
        followed = Followed(bus, clock, register, find_zone(settings.timezone), deny, duty.take, part.beat)
        return Inside(
            followed,
            duty,
            lambda people: functools.partial(wakes_by, open_usable(people.channels(), raw)),
            settings,
            raw,
            parts.words[settings.language].messages.themes,
        )

    def make(jobs: Jobs, live: Live, its: Callable[[], Inside], server: WebServer) -> Any:
        site = Site(access, live, jobs.hand_over, parts.words, settings.language, clock)
        pages = [
            *alert_pages.pages(site, its),
            *said_pages.pages(site, its),
            *switch_pages.pages(site, its),
            *report_pages.pages(site, its),
            *highlight_pages.pages(site, its),
        ]
        return application(site, server, pages)

    place = settings.board or BoardSettings()
    certificate = place.certificate
    return Board(
        inside, make, host=place.host, port=place.port,
        certificate=(certificate.file, certificate.key_file) if certificate else None, clock=clock, part=part,
    )  # fmt: skip
