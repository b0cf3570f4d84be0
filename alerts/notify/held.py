"""What holds an alert back at an instant: a silence, or another alert that inhibits it. Derived, never stored.

An alert inhibits another while it fires, is not closed, is itself not held, and is at least as severe. What fits both
sides of an inhibition is held by nothing that does so too, so no alert holds back itself or its like.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from alerts.duty.policy import Inhibition, fits
from alerts.notify.silences import Silences
from alerts.notify.state import AlertState, Handling
from alerts.rules.keys import read_key
from listener.model.records import DecisionKind

ALWAYS = ("alert", "rule", "severity", "incident", "key")
"""Fields that every alert has."""


def fields_of(state: AlertState) -> dict[str, str]:
    """What grouping, silences and inhibitions may name of an alert."""
    alert = state.alert
    found = dict(zip(alert.key_fields, read_key(alert.key, alert.key_fields), strict=False)) if alert.key_fields else {}
    return found | {
        "alert": alert.id,
        "rule": alert.rule,
        "severity": alert.severity.value,
        "incident": alert.incident,
        "key": alert.key,
    }


class Holding:
    """Asked for single alerts; `states` are all alerts that may still fire."""

    def __init__(self, inhibitions: Sequence[Inhibition], silences: Silences, states: Iterable[AlertState]) -> None:
        self._inhibitions = inhibitions
        self._silences = silences
        self._fields: dict[str, Mapping[str, str]] = {}
        self._sources: list[list[AlertState]] = [[] for _ in inhibitions]
        self._nothing = not inhibitions and not any(True for _ in silences.all())
        """There is nothing that could hold any alert back."""
        if inhibitions:
            for state in states:
                fields = self.fields(state)
                for sources, inhibition in zip(self._sources, inhibitions, strict=True):
                    if fits(inhibition.source, fields):
                        sources.append(state)

    def fields(self, state: AlertState) -> Mapping[str, str]:
        found = self._fields.get(state.id)
        if found is None:
            found = self._fields[state.id] = fields_of(state)
        return found

    def silenced(self, state: AlertState, at: datetime) -> bool:
        if state.alert.synthetic:
            return False
        return any(silence.at(at) for silence in self._silences.about(self.fields(state)))

    def inhibitors(self, state: AlertState, at: datetime) -> list[AlertState]:
        """The alerts that hold this one back at that instant."""
        return [] if state.alert.synthetic else list(self._inhibitors(state, at))

    def held(self, state: AlertState, at: datetime) -> bool:
        if state.alert.synthetic:
            return False
        return self.silenced(state, at) or any(True for _ in self._inhibitors(state, at))

    def free_since(self, state: AlertState, now: datetime) -> datetime | None:
        """Since when nothing holds it back without a break; None while something does."""
        if self._nothing:
            return state.fired_at
        if self.held(state, now):
            return None
        changes = {each for each in self._changes(state) if state.fired_at < each <= now}
        ends = (each for each in sorted(changes, reverse=True) if self.held(state, each - datetime.resolution))
        return next(ends, state.fired_at)

    def _inhibitors(self, state: AlertState, at: datetime) -> Iterator[AlertState]:
        for source in self._sources_of(state, at):
            # In a circle the first one holds the others back, so that never all of it is silent.
            circle = _order(source) > _order(state) and self._leads_to(state, source, at, {state.id})
            if not circle and not self.held(source, at):
                yield source

    def _sources_of(self, state: AlertState, at: datetime) -> Iterator[AlertState]:
        """The firing alerts that inhibit this one if nothing holds them back themselves."""
        fields = self.fields(state)
        for inhibition, sources in zip(self._inhibitions, self._sources, strict=True):
            if not sources or not fits(inhibition.target, fields):
                continue
            both = fits(inhibition.source, fields)
            for source in sources:
                its = self.fields(source)
                if (
                    source.id != state.id
                    and _fires(source, at)
                    and source.alert.severity.rank <= state.alert.severity.rank
                    and source.alert.exercise == state.alert.exercise
                    and all(its.get(name, "") == fields.get(name, "") for name in inhibition.equal)
                    and not (both and fits(inhibition.target, its))
                ):
                    yield source

    def _leads_to(self, first: AlertState, last: AlertState, at: datetime, seen: set[str]) -> bool:
        """Whether `first` inhibits `last`, by itself or through others."""
        for source in self._sources_of(last, at):
            if source.id == first.id:
                return True
            if source.id not in seen:
                seen.add(source.id)
                if self._leads_to(first, source, at, seen):
                    return True
        return False

    def _changes(self, state: AlertState) -> Iterator[datetime]:
        """The instants at which what holds it back may have ended."""
        for silence in self._silences.about(self.fields(state)):
            yield silence.end
        for inhibition, sources in zip(self._inhibitions, self._sources, strict=True):
            if fits(inhibition.target, self.fields(state)):
                for source in sources:
                    yield from _ends(source)
                    for silence in self._silences.about(self.fields(source)):
                        yield silence.start


def _order(state: AlertState) -> tuple[int, datetime, str]:
    return state.alert.severity.rank, state.fired_at, state.id


def _fires(source: AlertState, at: datetime) -> bool:
    closed = source.handling is Handling.CLOSED and source.handled is not None and source.handled.at <= at
    passed = source.resolved_at is not None and source.resolved_at <= at
    return source.fired_at <= at and not passed and not closed


def _ends(source: AlertState) -> Iterator[datetime]:
    if source.resolved_at is not None:
        yield source.resolved_at
    yield from (word.at for word in source.words if word.kind is DecisionKind.CLOSE)
