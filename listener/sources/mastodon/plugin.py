"""Mastodon as an entry of SOURCES: made, checked and examined without importing a client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from listener.errors import ConfigError
from listener.runtime.checks import Check, warning
from listener.settings.hosts import is_in_the_clear
from listener.sources.contract import Examination, Source, SourceType
from listener.sources.mastodon.post_ids import POST_IDS

if TYPE_CHECKING:
    from listener.clock import Clock
    from listener.settings.files import Loc
    from listener.settings.schema import Settings


def _make(settings: Settings, clock: Clock) -> Source | None:
    from listener.sources.mastodon.access import accesses

    its = settings.mastodon
    if not its.servers:
        return None
    from listener.sources.mastodon.source import MastodonSource

    return MastodonSource(
        accesses(settings), clock, silence=its.silence.total_seconds(), probe=its.probe.total_seconds()
    )


def _check(settings: Settings) -> None:
    from listener.sources.mastodon.access import accesses

    accesses(settings)


def _doubts(settings: Settings) -> Iterator[tuple[Loc, str]]:
    for place, server in enumerate(settings.mastodon.servers):
        if is_in_the_clear(server.url):
            yield ("mastodon", "servers", place, "url"), "sends the token in the clear; write https://"
    if len(settings.mastodon.servers) == 1:
        yield (
            ("mastodon", "servers"),
            "names one server: it shows only what it knows, and nobody else is heard when it is away; name another",
        )


def _examine(its: Examination) -> Iterator[Check]:
    if not its.settings.mastodon.servers:
        if its.running:
            yield warning(
                "mastodon.servers",
                "the running listener hears Mastodon, but mastodon.servers is empty here: no server can be asked",
                "run this with the listener's settings",
            )
        return
    from listener.sources.mastodon.access import accesses

    try:
        found = accesses(its.settings)
    except ConfigError:
        return  # told among the settings
    from listener.sources.mastodon.doctor import examine_mastodon

    yield from examine_mastodon(found, its.incidents, its.standing, its.clock, its.seconds)


TYPE: Final = SourceType(
    make=_make,
    setting=("mastodon", "servers"),
    check=_check,
    doubts=_doubts,
    examine=_examine,
    post_ids=POST_IDS,
)
