"""How long a rule holds its tongue after an alarm: `realert`, and `exponential_realert` as ElastAlert doubles it.

Pure, on event time, from the times at which a key fired; so it is the same after a restart, which reads them in the
published alerts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alerts.rules.spec import RuleSpec


def memory(spec: RuleSpec) -> timedelta:
    """How long an alarm matters to those after it.

    A doubled wait is at most `exponential_realert`, and all that it was doubled by is forgotten within twice that.
    """
    return spec.realert if spec.exponential_realert is None else 3 * spec.exponential_realert


def quiet_until(fired: Sequence[datetime], at: datetime, realert: timedelta, most: timedelta | None) -> datetime | None:
    """Until when no second alarm may come, seen from `at`; None when one may. `fired` is in order.

    An alarm soon after `at` holds as well: it was told already, and `at` is found late.
    """
    place = bisect_right(fired, at)
    if place:
        until = fired[place - 1] + realert if most is None else _doubled_until(fired[:place], realert, most)
        if at < until:
            return until
    if place < len(fired) and fired[place] - at < realert:
        return fired[place] + realert
    return None


def _doubled_until(fired: Sequence[datetime], realert: timedelta, most: timedelta) -> datetime:
    until, exponent = fired[0] + realert, 0
    for at in fired[1:]:
        until, exponent = doubled(until, exponent, at, realert, most)
    return until


def doubled(until: datetime, exponent: int, at: datetime, realert: timedelta, most: timedelta) -> tuple[datetime, int]:
    """An alarm at `at`, when the one before held until `until`: until when this one holds, and its exponent.

    Soon after the last wait the exponent grows; else it shrinks once for each wait of its own length that went by.
    """
    past = at - until
    if past < realert * 2**exponent:
        exponent += 1
    else:
        while exponent > 0 and past > realert * 2**exponent:
            past -= realert * 2**exponent
            exponent -= 1
    wait = realert * 2**exponent
    if wait >= most:
        return at + most, max(exponent - 1, 0)
    return at + wait, exponent
