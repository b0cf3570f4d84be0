"""Instants and durations as people write them: RFC 3339 and `10s`, `5m`, `6h`, `30d`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_duration(text: str) -> timedelta:
    """`90s`, `5m`, `1h30m`, `30d` → timedelta. Raises ValueError on anything else, a bare number included."""
    compact = text.strip().replace(" ", "")
    parts = _PART.findall(compact)
    if not parts or "".join(n + u for n, u in parts) != compact:
        raise ValueError(f"{text!r} is no duration; write it like 10s, 5m, 1h30m or 30d")
    try:
        return timedelta(seconds=sum(float(n) * _SECONDS[u] for n, u in parts))
    except OverflowError:
        raise ValueError(f"{text!r} is too long a duration; write it like 10s, 5m, 1h30m or 30d") from None


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
    value = datetime.fromisoformat(text.strip())
    if value.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; end it with Z or an offset such as +01:00")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is out of range") from None


def format_instant(value: datetime) -> str:
    """Aware datetime → RFC 3339 in UTC with a `Z`, fractions only where there are any."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_ms(value: int) -> datetime:
    """Milliseconds since the epoch → aware datetime in UTC."""
    return datetime.fromtimestamp(value / 1000, UTC)


def to_ms(value: datetime) -> int:
    """Aware datetime → whole milliseconds since the epoch."""
    return round(value.timestamp() * 1000)
