"""Whose account may be followed: named public bodies and media, and nobody else without a written basis.

A track that follows an account is about who says something, and not about what is said. Of a person that is watching
one, so it is refused, unless the settings give the reason why it may be: `privacy.followed_persons`. Imports no
pydantic: a mode switch asks it too. What is wrong with the settings is told elsewhere, and allows nobody here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from listener.errors import ConfigError
from listener.model.tracks import TrackKind, parse

if TYPE_CHECKING:
    from listener.model.incidents import Incident
    from listener.settings.files import RawSettings, YamlFile

HOW = (
    "name it under privacy.named_accounts if it is a public body's or a newsroom's; for anybody else write under "
    "privacy.followed_persons on what basis it may be followed"
)


def plain(handle: str) -> str:
    """An account as it is compared: without @, in lower case."""
    return handle.strip().lstrip("@＠").casefold()


def allowed_accounts(raw: RawSettings) -> frozenset[str]:
    """The accounts that a track may follow, as the settings name them."""
    try:
        named, persons = raw.get("privacy.named_accounts", {}), raw.get("privacy.followed_persons", {})
    except ConfigError:
        return frozenset()
    lists = named.values() if isinstance(named, dict) else ()
    accounts: list[Any] = [account for each in lists if isinstance(each, list | tuple) for account in each]
    if isinstance(persons, dict):
        accounts += [account for account, basis in persons.items() if isinstance(basis, str) and basis.strip()]
    return frozenset(plain(account) for account in accounts if isinstance(account, str))


def persons_among(tracks: Iterable[str], allowed: Collection[str]) -> list[str]:
    """Those of these canonical tracks that follow an account that nobody may follow."""
    return [track for track in tracks if not may_follow(track, allowed)]


def may_follow(track: str, allowed: Collection[str]) -> bool:
    """Of a canonical track: it follows no account, or one that may be followed."""
    if track[:1] != "@":
        return True
    found = parse(track)
    return found.kind is not TrackKind.ACCOUNT or plain(found.text) in allowed


def refusal(track: str) -> str:
    """Why it is not taken, in words."""
    return f"{track} follows an account of nobody that is named: no person is followed; {HOW}"


def check_standing(file: YamlFile, standing: Iterable[str], allowed: Collection[str]) -> None:
    """Of tracks.yaml. Raises ConfigError with each line at which a person would be followed."""
    wrong = set(persons_among(standing, allowed))
    entries = file.data.get("accounts") if isinstance(file.data, dict) else None
    found = [
        str(file.error(("accounts", place), refusal(f"@{plain(entry)}")))
        for place, entry in enumerate(entries or ())
        if isinstance(entry, str) and f"@{plain(entry)}" in wrong
    ]
    if found:
        raise ConfigError("\n".join(found))


def left_out(incidents: Iterable[Incident], allowed: Collection[str]) -> list[str]:
    """Tracks of these incidents that are not listened for, because they would follow a person."""
    return sorted({track for incident in incidents for track in persons_among(incident.tracks, allowed)})
