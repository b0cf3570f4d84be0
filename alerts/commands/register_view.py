"""The register opened for one command: brought up to date, its rows as people have corrected them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alerts.register.corrected import Corrected
from alerts.register.decisions import Decisions
from alerts.register.view import Register
from listener.bus.scan import scan
from listener.errors import ConfigError
from listener.model.decisions import DECISIONS

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
