"""Recordings: posts of other platforms, or of none, played as they were heard. An entry of `SOURCES`."""

from __future__ import annotations

from typing import Final

from listener.sources.common.recorded_type import recorded_type

NAME: Final = "recording"
"""The source's own. Its posts are under this name where they are of no platform that counts."""

TYPE: Final = recorded_type(NAME, "listener.sources.recording.parser:posts_in", replays=True)
