"""Recordings as an entry of SOURCES. Nothing heavy is imported before one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from listener.errors import ConfigError
from listener.sources.contract import Source, SourceType

if TYPE_CHECKING:
    from listener.clock import Clock
    from listener.settings.schema import Settings


def _make(settings: Settings, clock: Clock) -> Source | None:
    from listener.settings.schema import parse_speed
    from listener.sources.recording.source import RecordingSource

    its = settings.sources.recording
    return None if its.path is None else RecordingSource(str(its.path.expanduser()), parse_speed(its.speed), clock)


def _check(settings: Settings) -> None:
    from listener.sources.common.reader import LineReader

    path = settings.sources.recording.path
    if path is None:
        return
    reader = LineReader(str(path.expanduser()), pipes=True)
    try:
        if not path.expanduser().is_fifo():
            reader.open()
    except ConfigError as error:
        raise ConfigError(f"sources.recording.path: {error}") from None
    finally:
        reader.close()


TYPE: Final = SourceType(make=_make, setting=("sources", "recording", "path"), check=_check, replays=True)
