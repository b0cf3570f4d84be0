"""The loudest tracks as metrics, each beside what is usual for it: at most `MOST` of a source, however many there are.

Which those are changes as the night goes on; a track that is not among them any more has no series, and its past stays
where it was scraped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from alerts.rules.conditions.series import Series
from listener.runtime.metrics import Metrics

MOST = 50
SECONDS = 5.0
FRESH = timedelta(hours=1)
"""A track that is so much older than its source's newest is not counted any more, as of an incident that was closed."""
STILL_SECONDS = 900.0
"""Of a source that nobody counted for so long nothing is shown: three times as long as X is asked."""


class TrackMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._due = float("-inf")
        self._newest: dict[str, tuple[datetime, float]] = {}
        """Source → the newest minute that was judged, and when that was seen first (monotonic seconds)."""
        self._shown: set[tuple[str, str]] = set()

    def show(self, series: Iterable[tuple[str, str, Series]], monotonic: float) -> None:
        """`series`: source, track and its counts. To be called at every turn; looks every `SECONDS`."""
        if monotonic < self._due:
            return
        self._due = monotonic + SECONDS
        by_source: dict[str, dict[str, Series]] = defaultdict(dict)
        for source, track, its in series:
            if its.judged is not None:
                by_source[source][track] = its
        shown: set[tuple[str, str]] = set()
        for source in by_source.keys() | self._newest.keys():
            counted = self._counted(source, by_source[source], monotonic)
            self._metrics.tracks_counted.labels(source).set(len(counted))
            found = [(*newest, track) for track, its in counted.items() if (newest := its.newest()) is not None]
            for posts, usual, track in sorted(found, key=lambda each: (-each[0], each[2]))[:MOST]:
                shown.add((source, track))
                self._show(source, track, posts, usual)
        for source, track in self._shown - shown:
            self._metrics.track_posts.remove(source, track)
            for bound in ("least", "most"):
                self._metrics.track_usual.remove(source, track, bound)
        self._shown = shown

    def _counted(self, source: str, tracks: dict[str, Series], monotonic: float) -> dict[str, Series]:
        newest = max((its.judged for its in tracks.values() if its.judged is not None), default=None)
        if newest is None:
            return {}
        before, seen = self._newest.get(source, (None, monotonic))
        seen = seen if newest == before else monotonic
        self._newest[source] = newest, seen
        if monotonic - seen > STILL_SECONDS:
            return {}
        return {track: its for track, its in tracks.items() if its.judged and newest - its.judged <= FRESH}

    def _show(self, source: str, track: str, posts: float, usual: tuple[float, float] | None) -> None:
        self._metrics.track_posts.labels(source, track).set(posts)
        for bound, value in zip(("least", "most"), usual or (float("nan"),) * 2, strict=True):
            self._metrics.track_usual.labels(source, track, bound).set(value)
