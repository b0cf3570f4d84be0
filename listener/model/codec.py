"""A record's fields read by hand: strictly, and without pydantic, whose import a mode switch has no time for.

What is wrong is named by its field, never by its value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from listener.units import parse_instant

SCHEMA_VERSION = 1
LONGEST = 10 * 365 * 86400.0
"""Seconds: how far back a command may look, and how long it may put off its review."""
LONGEST_NAME = 100
"""Characters of an incident's name, and of whoever decides."""
LONGEST_WHY = 1_000
"""Characters of a reason."""
MAX_TRACKS = 1_000
"""Tracks of one incident, and standing ones. What is on `control` already is read whatever its size."""
MAX_LOOKBACK = timedelta(days=7)
"""Of the settings: X's search reaches no further back."""
MIN_REVIEW, MAX_REVIEW = timedelta(minutes=1), timedelta(days=30)
"""Of the settings: when to remind of a review."""


def reader(value: bytes, kind: str) -> Callable[..., Any]:
    """The record's fields: name, how it is read, and what stands for it when it is not there."""
    try:
        raw = json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(raw, dict) or raw.get("type") != kind:
        raise ValueError(f"not a {kind}")
    version = raw.get("v")
    if type(version) is not int or version != SCHEMA_VERSION:
        said = version if type(version) is int and 0 <= version < 1_000_000 else "unknown"
        raise ValueError(f"a {kind} of schema version {said}; this program knows {SCHEMA_VERSION}")

    def read(name: str, how: Callable[[Any], Any], default: Any = None) -> Any:
        if name not in raw and default is not None:
            return default
        try:
            return how(raw[name])
        except (LookupError, TypeError, ValueError, ArithmeticError):
            raise ValueError(f"a {kind} whose {name!r} is missing or wrong") from None

    return read


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # half a character, which JSON can spell, could be printed and stored by nobody
    return value


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(map(text, value))


def instant(value: Any) -> datetime:
    """RFC 3339, in years that a calendar can still add to and take from."""
    found = parse_instant(text(value))
    if not 1970 <= found.year < 9000:
        raise ValueError
    return found


def seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST:
        raise ValueError
    return float(value)


def whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def sources(value: Any) -> Mapping[str, Mapping[str, Any]]:
    """Source → what is said of it."""
    if not isinstance(value, dict) or not all(isinstance(state, dict) for state in value.values()):
        raise TypeError
    return value
