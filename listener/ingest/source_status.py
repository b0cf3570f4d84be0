"""How a source is, for whoever looks: the metrics, `presence`, and its part of /readyz."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from listener.model.records import Gap
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics, SourceState
from listener.runtime.presence import PresenceReporter
from listener.sources.contract import Follows, Source
from listener.units import parse_instant


class SourceStatus:
    """Of one source."""

    def __init__(self, source: Source, reporter: PresenceReporter, metrics: Metrics, part: Part) -> None:
        self._source = source
        self._is_live = isinstance(source, Follows)
        self._reporter = reporter
        self._metrics = metrics
        self._part = part
        self._shown: SourceState | None = None

    def show(self, state: SourceState, gap: Gap | None, *, wanted: bool) -> None:
        """`gap`: why we do not take in what it says; `wanted`: somebody listens for something."""
        told = dict(self._source.state())
        if self._is_live:
            state = self._show_live(told, state, gap)
        if state is not self._shown:
            self._metrics.set_source_state(self._source.name, state)
            self._shown = state
        told["state"] = state
        if gap is not None:
            told["gap"] = gap.cause
        if self._source.only_exercise and not wanted:
            told["why"] = "played only under an exercise"
        self._reporter.source(self._source.name, told)

    def _show_live(self, told: Mapping[str, Any], state: SourceState, gap: Gap | None) -> SourceState:
        """What a source of today says of itself: it knows better than we whether it is heard."""
        name = self._source.name
        self._metrics.source_queue.labels(name).set(told.get("queue", 0))
        if told.get("heard"):
            self._metrics.source_heard.labels(name).set(parse_instant(told["heard"]).timestamp())
        # Whoever does not ask must not hide that nothing is heard by whoever does.
        every = told.get("every", 0) if state is SourceState.LISTENING else 0
        self._metrics.source_interval.labels(name).set(every)
        self._metrics.set_instant(self._metrics.source_counted, name, told.get("counted"))
        for what, its in told.get("allowances", {}).items():
            self._metrics.allowance_used.labels(name, what).set(its["used"])
            self._metrics.allowance.labels(name, what).set(its["of"])
        self._metrics.set_instant(self._metrics.deletions_checked, name, told.get("deletions_checked"))
        if state is not SourceState.LISTENING:
            return state
        if gap is None:
            self._part.problem(told.get("problem"))
        return SourceState(told["state"])
