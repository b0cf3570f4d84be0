"""YouTube as an entry of SOURCES: made, checked and examined without importing a client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from listener.errors import ConfigError
from listener.runtime.checks import Check, warning
from listener.settings.hosts import is_in_the_clear
from listener.sources.contract import Examination, Source, SourceType
from listener.sources.youtube.post_ids import POST_IDS

if TYPE_CHECKING:
    from listener.clock import Clock
    from listener.settings.files import Loc
    from listener.settings.schema import Settings


def _make(settings: Settings, clock: Clock) -> Source | None:
    from listener.sources.youtube.access import youtube_access

    access, its = youtube_access(settings), settings.youtube
    if access is None:
        return None
    from listener.sources.youtube.source import YoutubeSource

    return YoutubeSource(
        access, its.channels, clock, crisis=its.every.crisis, calm=its.every.calm, units=its.units,
        replies=its.replies, deletions=its.deletions,
    )  # fmt: skip


def _checks_deletions(cursor: str | None) -> datetime | None:
    from listener.sources.youtube.cursor import Memory

    return None if cursor is None else Memory.parse(cursor).checked


def _check(settings: Settings) -> None:
    from listener.sources.youtube.access import youtube_access

    youtube_access(settings)


def _doubts(settings: Settings) -> Iterator[tuple[Loc, str]]:
    its = settings.youtube
    addresses = [("base_url", its.base_url)]
    if its.owner is not None:
        addresses.append(("owner", its.owner.token_url))
    for name, address in addresses:
        if is_in_the_clear(address):
            yield ("youtube", name), "sends the key in the clear; write https://"
    if its.channels and its.api_key is None and its.api_key_file is None:
        yield ("youtube", "channels"), "are not listened to without youtube.api_key_file"


def _examine(its: Examination) -> Iterator[Check]:
    from listener.sources.youtube.access import youtube_access

    try:
        access = youtube_access(its.settings)
    except ConfigError:
        return  # told among the settings
    if access is None:
        if its.running:
            yield warning(
                "youtube.key",
                "the running listener hears YouTube, but youtube.api_key is not set here: YouTube cannot be asked",
                "run this with the listener's settings",
            )
        return
    from listener.sources.youtube.doctor import examine_youtube

    yield from examine_youtube(access, its.settings.youtube, its.clock, its.seconds)


TYPE: Final = SourceType(
    make=_make,
    setting=("youtube", "api_key"),
    check=_check,
    doubts=_doubts,
    examine=_examine,
    post_ids=POST_IDS,
    checks_deletions=_checks_deletions,
    # What is stored is to be asked for again or deleted within 30 days; we do both.
    content_limit=timedelta(days=30),
)
