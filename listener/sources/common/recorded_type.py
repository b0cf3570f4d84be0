"""The entry in `SOURCES` of a platform that is read from a file. Nothing heavy is imported before one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listener.errors import ConfigError
from listener.plugins import load
from listener.sources.contract import Source, SourceType

if TYPE_CHECKING:
    from listener.clock import Clock
    from listener.settings.schema import RecordingSettings, Settings


def recorded_type(name: str, parse: str, *, replays: bool = False) -> SourceType:
    """The source `name`, with its settings `sources.NAME` (`RecordingSettings`).

    `parse`: where its parser stands, `package.module:function` (see `Parse` in `recorded_lines`). `replays`: as in
    `SourceType`.
    """

    def make(settings: Settings, clock: Clock) -> Source | None:
        from listener.settings.schema import parse_speed
        from listener.sources.common.recorded_source import RecordedSource

        its = _settings_of(settings, name)
        if its.path is None:
            return None
        return RecordedSource(name, load(parse), str(its.path.expanduser()), parse_speed(its.speed), clock)

    def check(settings: Settings) -> None:
        from listener.sources.common.reader import LineReader

        path = _settings_of(settings, name).path
        if path is None:
            return
        reader = LineReader(str(path.expanduser()), pipes=True)
        try:
            if not path.expanduser().is_fifo():
                reader.open()
        except ConfigError as error:
            raise ConfigError(f"sources.{name}.path: {error}") from None
        finally:
            reader.close()

    return SourceType(make=make, setting=("sources", name, "path"), check=check, replays=replays)


def _settings_of(settings: Settings, name: str) -> RecordingSettings:
    its: RecordingSettings = getattr(settings.sources, name)
    return its
