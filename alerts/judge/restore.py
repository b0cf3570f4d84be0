"""What judging reads again of what was said before.

A commit holds the lowest offset that its rules still needed. Rules with longer windows, edited in since, need what was
said before: their engine begins at an earlier offset, so that it knows of it without having been sent it. And an engine
that begins with its incident's first finding may begin behind the last words of a source that has ended.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from alerts.rules.conditions.window import KEEP
from alerts.rules.engine.engine import MIN_KEPT
from alerts.rules.engine.watermark import instant
from alerts.rules.spec import RuleSpec
from listener.bus.protocol import Bus, TopicPartition
from listener.bus.scan import scan_placed
from listener.model import keys
from listener.model.answers import Answered
from listener.model.decisions import DECISIONS, answered
from listener.model.records import FINDINGS, BadRecord, Finding, Origin, Tick, decode
from listener.units import parse_instant

log = logging.getLogger(__name__)

KEPT = "k"
"""In a commit's state: how much of the past the rules kept, in whole seconds."""
CHUNK = 5000
FURTHEST = 1_000_000
"""Records: some seconds of reading, and more than three days of ticks."""
MARGIN = timedelta(minutes=1)
"""A post may be on the bus so long before the tick of its time."""


def kept_by(rules: Iterable[RuleSpec]) -> int:
    """How much of the past these rules keep, in whole seconds."""
    longest = max((rule.span for rule in rules if rule.span), default=timedelta())
    return int(max((KEEP + 1) * longest, MIN_KEPT).total_seconds())


def reach_back(bus: Bus, tp: TopicPartition, state: Mapping[str, Any], rules: Iterable[RuleSpec]) -> Mapping[str, Any]:
    """The state that an engine of these rules goes on from: the commit's own, or one at an earlier offset.

    A state that is none of ours comes back as it is: the engine refuses it.
    """
    try:
        more = kept_by(rules) - int(state[KEPT])
        if more <= 0 or state["w"] is None:
            return state
        since = instant(state["w"]) - timedelta(seconds=more) - MARGIN
        # Whoever held the watermark at the commit has ticked after `since`, so those ticks are read again; the gaps
        # that began before it are not.
        gaps = [gap for gap in state["g"] if parse_instant(gap["from"]) < since]
        needed = int(state["n"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return state
    offset = _offset_before(bus, tp, needed, since)
    return {**state, "n": offset, "w": None, "u": 0, "t": {}, "g": gaps}


def answers_of(bus: Bus, *, until_ms: int | None = None) -> Mapping[str, Sequence[Answered]]:
    """Incident → what people answered there, in order. `until_ms`: only what the bus had before that time."""
    found: dict[str, list[Answered]] = {}
    for record, word in scan_placed(bus, DECISIONS):
        if until_ms is None or record.time_ms < until_ms:
            for each in answered(word, record.offset):
                found.setdefault(each.incident, []).append(each)
    return found


def last_words(bus: Bus, tp: TopicPartition, offset: int, first: Finding) -> list[tuple[int, Tick]]:
    """Of the source of `first`, which stands at `offset`: the final ticks that stand before it and reach beyond it.

    A source that ends says so once, through each partition of `mentions`, and those that had nothing to say of the
    incident may be done before the one that had. All other ticks come again.
    """
    if first.origin is not Origin.LIVE:
        return []
    newest: dict[int | None, tuple[int, Tick]] = {}
    start = max(bus.begin_offset(tp), offset - CHUNK)
    for record in bus.read(tp, start, offset - start):
        if record.offset < offset and record.value is not None and record.key == keys.tick_of(first.source):
            tick = _tick(record.value)
            if tick is not None:
                newest[tick.partition] = record.offset, tick
    final = (word for word in newest.values() if word[1].final and word[1].until >= first.at)
    return sorted(final, key=itemgetter(0))


def _offset_before(bus: Bus, tp: TopicPartition, offset: int, since: datetime) -> int:
    """Before all that was heard after `since`: where each tick of a whole chunk is older."""
    begin, furthest = bus.begin_offset(tp), offset - FURTHEST
    while offset > begin:
        if offset <= furthest:
            log.warning("the rules look further back than %d records; what is older is not known to them", FURTHEST)
            break
        start = max(begin, offset - CHUNK)
        ticks = [
            _until(record.value)
            for record in bus.read(tp, start, offset - start)
            if record.offset < offset and record.value is not None and keys.is_tick(record.key)
        ]
        offset = start
        known = [until for until in ticks if until is not None]
        if known and max(known) <= since:
            break
    return offset


def _until(value: bytes) -> datetime | None:
    tick = _tick(value)
    return None if tick is None else tick.until


def _tick(value: bytes) -> Tick | None:
    try:
        found = decode(FINDINGS, value)
    except BadRecord:
        return None
    return found if isinstance(found, Tick) else None
