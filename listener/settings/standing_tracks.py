"""Standing tracks, read from `config/tracks.yaml`: counted in calm, and part of every incident.

It imports no pydantic: a mode switch reads them too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from listener.model.codec import MAX_TRACKS
from listener.model.tracks import account_track, hashtag_track, phrase_track, place_track

if TYPE_CHECKING:
    from listener.settings.files import Loc, YamlFile

_GROUPS: dict[str, Callable[[str], str]] = {
    "phrases": phrase_track,
    "hashtags": hashtag_track,
    "accounts": account_track,
    "places": place_track,
}
"""The lists of config/tracks.yaml: apart, because YAML reads a bare `#tag` as a comment and refuses a bare `@name`."""


def load_standing(file: YamlFile) -> tuple[str, ...]:
    """config/tracks.yaml → canonical tracks in the file's order. Raises ConfigError that names file and line."""
    if file.data is None:
        return ()
    if not isinstance(file.data, dict):
        raise file.error((), f"must be a mapping of {', '.join(_GROUPS)}")
    tracks: list[str] = []
    lines: dict[str, int] = {}
    for group, entries in file.data.items():
        if group not in _GROUPS:
            raise file.error((group,), f"no such list; known: {', '.join(_GROUPS)}")
        if entries is not None and not isinstance(entries, list):
            raise file.error((group,), "must be a list, one track a line, each after a dash")
        for index, entry in enumerate(entries or ()):
            loc: Loc = (group, index)
            track = _entry(file, loc, _GROUPS[group], entry)
            known = lines.setdefault(track.casefold(), file.line(loc))
            if tracks and known != file.line(loc):
                raise file.error(loc, f"{track} is there twice; it is on line {known} already")
            tracks.append(track)
            if len(tracks) > MAX_TRACKS:
                raise file.error(
                    loc, f"there are more than {MAX_TRACKS:,} standing tracks; choose what people would write"
                )
    return tuple(tracks)


def _entry(file: YamlFile, loc: Loc, make: Callable[[str], str], entry: Any) -> str:
    if entry is None:
        raise file.error(loc, "is empty; what begins with # must be in quotes, else it is a comment")
    if not isinstance(entry, str):
        raise file.error(loc, "must be text; put it in quotes")
    try:
        return make(entry)
    except ValueError as error:
        raise file.error(loc, str(error)) from None
