"""People as they are in force now, for commands that tell who is called."""

from __future__ import annotations

import functools
from collections.abc import Callable

from alerts.notify.recipients import People, load_people
from listener.commands.shared import say
from listener.errors import ConfigError
from listener.settings.files import raw_settings


def people_in_force(data: str | None) -> People | None:
    """With swaps and the copies of calendars; None, which is told, where people.yaml is wrong."""
    try:
        return _people(data)
    except ConfigError as error:
        say(f"What people.yaml holds back, and who is called next, is not known: {error}")
        return None


def waking(people: People | None) -> Callable[[str], bool]:
    """Which channels wake a sleeper; of one that is set up wrongly nothing is known."""
    from alerts.notify.channels.contract import open_usable, wakes_by

    return functools.partial(wakes_by, open_usable(people.channels() if people else (), raw_settings()))


def _people(data: str | None) -> People:
    from alerts.commands.duty_book import open_book
    from listener.settings.zone import DEFAULT_ZONE, zone_or_default

    raw = raw_settings()
    people = load_people(raw.folder / "people.yaml").in_zone(zone_or_default(raw.get("timezone", DEFAULT_ZONE)))
    return people.with_rosters(open_book(None, data, online=False).rosters)
