"""Recordings: posts of other platforms, or of none, played as they were heard."""

from __future__ import annotations

from listener.clock import Clock
from listener.sources.common.recorded_source import RecordedSource
from listener.sources.recording.parser import posts_in


class RecordingSource(RecordedSource):
    """`path` at `speed`, as `RecordedSource` says."""

    def __init__(self, path: str, speed: float | None, clock: Clock) -> None:
        super().__init__("recording", posts_in, path, speed, clock)
