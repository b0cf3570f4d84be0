"""Recordings: posts of other platforms, or of none, played as they were heard."""

from __future__ import annotations

from listener.clock import Clock
from listener.sources.common.recorded_source import RecordedSource
from listener.sources.recording.parser import posts_in

NAME = "recording"
"""The source's own. Its posts are under this name where they are of no platform that counts."""


class RecordingSource(RecordedSource):
    """`path` at `speed`, as `RecordedSource` says."""

    def __init__(self, path: str, speed: float | None, clock: Clock) -> None:
        super().__init__(NAME, posts_in, path, speed, clock)
