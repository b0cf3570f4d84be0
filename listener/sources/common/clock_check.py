"""Do our clock and a platform's agree? One check of `lyttepost doctor`, the same for every source."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from listener.runtime.checks import Check, failed, warning, well

SKEW: Final = timedelta(seconds=5)
"""A `Date` has whole seconds and the answer takes one; more than this is a clock that is wrong."""
SKEW_FAILS: Final = timedelta(seconds=60)
_FIX: Final = "set this machine's clock by NTP (`timedatectl set-ntp true`)"


def check_clock(
    id_: str,
    skew: timedelta,
    whose: str,
    *,
    nearest: str | None = None,
    warns: timedelta = SKEW,
    fails: timedelta = SKEW_FAILS,
) -> Check:
    """`skew`: so far is our clock ahead. `whose` the other is, as in `YouTube's`. `nearest`: several were asked, each
    such a one (`server`), and the skew is that to the nearest. More than `warns` is told, and more than `fails` is
    a failure."""
    off = f"{abs(skew).total_seconds():.0f} s"
    if abs(skew) <= warns:
        return well(id_, f"our clock and {whose} differ by {off}")
    theirs = whose if nearest is None else f"that of the nearest {nearest}"
    says = f"our clock is {off} {'ahead of' if skew > timedelta() else 'behind'} {theirs}"
    fix = _FIX if nearest is None else f"{_FIX}; if it is right, the {nearest} is behind"
    return failed(id_, says, fix) if abs(skew) > fails else warning(id_, says, fix)
