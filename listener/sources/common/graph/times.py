"""Times in what Meta calls us with, of every platform of Meta's. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from listener.sources.common.fields import EARLIEST, LATEST, Raw, Unusable
from listener.sources.contract import DropReason


def unix_time_of(raw: Raw, name: str) -> datetime:
    """A time that must be there: seconds since 1970, or thousandths of them, which some calls tell. Raises Unusable."""
    value = raw.get(name)
    if value is None:
        raise Unusable(DropReason.MISSING_FIELD, name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Unusable(DropReason.WRONG_TYPE, name)
    # A whole number can be too large to be divided.
    seconds = value / 1000 if 1e11 < value < 1e14 else value
    if not EARLIEST.timestamp() <= seconds < LATEST.timestamp():
        raise Unusable(DropReason.BAD_DATE, name)
    return datetime.fromtimestamp(seconds, UTC)
