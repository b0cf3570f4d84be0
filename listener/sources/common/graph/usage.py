"""How much of what Meta allows us is used, as the headers of its answers tell. Pure.

`X-App-Usage` holds percentages of the app's limit; `X-Business-Use-Case-Usage` those of each business and use, with
the minutes after which calls are answered again. Of several the worst counts: to call on makes the wait longer, and
which of the uses is ours is not sure enough to bet on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from listener.sources.common.fields import dicts
from listener.sources.common.json import read_json

APP: Final = "x-app-usage"
BUSINESS: Final = "x-business-use-case-usage"
LONGEST: Final = timedelta(hours=24)
"""Limits are of 24 hours. A longer wait is a slip, and must not silence us."""
_SHARES: Final = ("call_count", "total_time", "total_cputime")
_LARGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """`percent` of the limit that is nearest to its end; None where nothing tells. `regain`: in how long calls are
    answered again; zero: they are."""

    percent: float | None = None
    regain: timedelta = timedelta()

    @property
    def is_used_up(self) -> bool:
        """Calls are refused until there is more."""
        return self.percent is not None and self.percent >= 100.0


def usage_of(headers: Mapping[str, str]) -> Usage:
    """Of an answer's headers, their names in lower case. What cannot be read tells nothing."""
    entries = [*_entries(headers.get(APP), business=False), *_entries(headers.get(BUSINESS), business=True)]
    shares = [share for entry in entries for name in _SHARES if (share := _number(entry.get(name))) is not None]
    minutes = max((_number(entry.get("estimated_time_to_regain_access")) or 0.0 for entry in entries), default=0.0)
    regain = min(timedelta(minutes=min(minutes, 10_000.0)), LONGEST)
    return Usage(max(shares, default=None), regain)


def _entries(written: str | None, *, business: bool) -> Iterator[Mapping[str, Any]]:
    if not written or len(written) > _LARGEST:
        return
    try:
        raw = read_json(written.encode("utf-8", "replace"))
    except ValueError:
        return
    if not isinstance(raw, dict):
        return
    if not business:
        yield raw
        return
    for uses in raw.values():
        yield from dicts(uses)


def _number(raw: Any) -> float | None:
    return float(raw) if isinstance(raw, int | float) and not isinstance(raw, bool) and 0 <= raw < 1e9 else None
