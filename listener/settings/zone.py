"""The one time zone in which people read times: `timezone` of the settings. JSON and the bus are in UTC.

Imports no pydantic: `lyttepost mode` shows times too.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import lru_cache

DEFAULT_ZONE = "Europe/Oslo"


@lru_cache(maxsize=8)
def find_zone(name: str) -> tzinfo:
    """The zone of that name. Raises ValueError that says what to write.

    Where the machine has no time zones at all, the default is UTC, and times are marked so.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, UnicodeError):
        if name in (DEFAULT_ZONE, "UTC"):
            return UTC
        raise ValueError(f"no time zone is called {name!r}; write one such as {DEFAULT_ZONE} or UTC") from None


def zone_or_default(name: object) -> tzinfo:
    """The zone, or the default one where the name is none: a wrong setting must not keep a time from being shown."""
    try:
        return find_zone(str(name))
    except ValueError:
        return find_zone(DEFAULT_ZONE)


def shown(at: datetime, zone: tzinfo) -> str:
    """`2031-01-11 20:05:00 CET`: an instant as a person reads it, its zone named."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
