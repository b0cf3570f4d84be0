"""The time that the fake lives in, and X's ids, which tell theirs."""

from __future__ import annotations

from datetime import UTC, datetime

from ..platform.times import Clock, RealClock, ScaledClock, parse_time, real_wait, rfc3339, wait

__all__ = [
    "Clock",
    "RealClock",
    "ScaledClock",
    "parse_time",
    "real_wait",
    "rfc3339",
    "snowflake",
    "snowflake_time",
    "wait",
]

_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
_LEAST_SNOWFLAKE = 10**17
"""Smaller ids are a test's own and tell no time."""


def snowflake(at: datetime, number: int) -> str:
    """An id of X's form: it sorts by time and `number` tells posts of one millisecond apart."""
    return str((int(at.timestamp() * 1000) - _SNOWFLAKE_EPOCH_MS << 22) | (number & 0x3FFFFF))


def snowflake_time(post_id: str) -> datetime | None:
    """When an id of X's form was made; None for a small, made-up one."""
    number = int(post_id)
    if number < _LEAST_SNOWFLAKE:
        return None
    return datetime.fromtimestamp(((number >> 22) + _SNOWFLAKE_EPOCH_MS) / 1000, UTC)
