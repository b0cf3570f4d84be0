"""Instants and durations as people write them: RFC 3339 and `10s`, `5m`, `6h`, `30d`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from listener.errors import Refusal, Unfit

LONGEST = timedelta(days=36_500)
"""Of a duration: a century from any instant of ours is still in the calendar."""
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Instants that a calendar can still add to and take from."""

_MAX_CHARACTERS = 64
"""Of a duration or an instant; what is longer is neither, and is not looked at further."""
_LEAP_SECOND = re.compile(r"(\d{4}-?\d\d-?\d\d\D\d\d:?\d\d:?)60((?:[.,]\d+)?(?:Z|[+-]\d\d(?::?\d\d)?)?)", re.IGNORECASE)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_duration(text: str) -> timedelta:
    """`90s`, `5m`, `1h30m`, `30d` → timedelta. Raises Unfit on anything else, a bare number included."""
    compact = text.strip().replace(" ", "")
    parts = _PART.findall(compact) if len(compact) <= _MAX_CHARACTERS else []
    if not parts or "".join(n + u for n, u in parts) != compact:
        problem = f"{_shortened(text)} is no duration; write it like 10s, 5m, 1h30m or 30d"
        raise Unfit(problem, Refusal.NO_DURATION, text=text[:_MAX_CHARACTERS])
    seconds = sum(float(n) * _SECONDS[u] for n, u in parts)
    if seconds > LONGEST.total_seconds():
        problem = (
            f"{_shortened(text)} is too long a duration; write it like 10s, 5m, 1h30m or 30d, up to {LONGEST.days}d"
        )
        raise Unfit(problem, Refusal.DURATION_TOO_LONG, text=text[:_MAX_CHARACTERS])
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """The shortest writing to the millisecond, largest unit first: 5400 s → `1h30m`."""
    rest = round(value / timedelta(milliseconds=1))
    out = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, round(_SECONDS[unit] * 1000))
        if count:
            out.append(f"{count}{unit}")
    return "".join(out) or "0s"


def parse_instant(text: str) -> datetime:
    """RFC 3339 → aware datetime in UTC. Raises ValueError on a time without an offset."""
    value = parse_time(text)
    if value.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; end it with Z or an offset such as +01:00")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is out of range") from None


def parse_time(text: str) -> datetime:
    """The same, where an offset may be missing: then a naive datetime. Every instant from outside is read here.

    A leap second is the second after it, as most clocks have it. Raises ValueError.
    """
    plain = text.strip()
    if len(plain) > _MAX_CHARACTERS:
        raise ValueError(f"{_shortened(text)} is no instant")
    leap = _LEAP_SECOND.fullmatch(plain) if "60" in plain else None
    if leap is not None:
        plain = f"{leap[1]}59{leap[2]}"
    if plain.endswith("z"):
        plain = plain[:-1] + "Z"
    value = datetime.fromisoformat(plain)
    if leap is None:
        return value
    try:
        return value + timedelta(seconds=1)
    except OverflowError:
        raise ValueError(f"{text!r} is out of range") from None


def _shortened(text: str) -> str:
    return repr(text) if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]!r}…"


def format_instant(value: datetime) -> str:
    """Aware datetime → RFC 3339 in UTC with a `Z`, fractions only where there are any."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_ms(value: int) -> datetime:
    """Milliseconds since the epoch → aware datetime in UTC."""
    return datetime.fromtimestamp(value / 1000, UTC)


def to_ms(value: datetime) -> int:
    """Aware datetime → whole milliseconds since the epoch."""
    return round(value.timestamp() * 1000)
