"""The register opened for one command: brought up to date, its rows as people have corrected them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alerts.annotate.themes import load_themes, theme_names, themes_file
from alerts.register.corrected import Corrected
from alerts.register.decisions import Decisions
from alerts.register.subjects import OpenRegister
from alerts.register.view import Register
from listener.bus.scan import scan
from listener.commands.shared import open_live_topics
from listener.errors import ConfigError
from listener.model.decisions import DECISIONS
from listener.runtime.control import Control
from listener.settings.files import data_dir, raw_settings
from listener.settings.schema import load_settings

if TYPE_CHECKING:
    from listener.bus.protocol import Bus


@contextmanager
def open_view(bus: Bus, path: Path) -> Iterator[Register]:
    """The view, brought up to date. Raises ConfigError that says what to do when its file is damaged."""
    try:
        with closing(Register(bus, path)) as view:
            view.catch_up()
            view.amend_with(Corrected(Decisions(scan(bus, DECISIONS)).corrections, view.finding))
            yield view
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise ConfigError(f"{path}: cannot be used now: {error}") from None
        raise ConfigError(f"{path}: is damaged; remove it, it is rebuilt from the bus") from None


@contextmanager
def open_register(data: str | None) -> Iterator[OpenRegister]:
    """Raises ConfigError for a file that is wrong, BusError when the bus is away."""
    raw = raw_settings()
    settings = load_settings(raw)
    themes = theme_names(load_themes(themes_file(raw.folder)), settings.language)
    with closing(open_live_topics(data)) as bus, open_view(bus, data_dir(data) / "register.sqlite") as view:
        decisions = Decisions(scan(bus, DECISIONS), view.together())
        yield OpenRegister(bus, view, decisions, Control(bus).refresh(), settings, themes)
