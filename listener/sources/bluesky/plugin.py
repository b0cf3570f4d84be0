"""Bluesky as an entry of SOURCES: made, checked and examined without importing a client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from listener.errors import ConfigError
from listener.runtime.checks import Check, warning
from listener.settings.followed import plain, refusal
from listener.settings.hosts import is_in_the_clear
from listener.sources.bluesky.post_ids import POST_IDS
from listener.sources.contract import Examination, Source, SourceType

if TYPE_CHECKING:
    from listener.clock import Clock
    from listener.settings.files import Loc
    from listener.settings.schema import Settings


def hosts_of(settings: Settings) -> tuple[str, ...]:
    """Those of the settings; where they name none, Bluesky's own of that version."""
    from listener.sources.bluesky.hosts import V1, V2

    return settings.bluesky.hosts or (V2 if settings.bluesky.version == 2 else V1)


def _make(settings: Settings, clock: Clock) -> Source | None:
    its = settings.bluesky
    if not its.enabled:
        return None
    _check(settings)
    from listener.sources.bluesky.source import BlueskySource

    return BlueskySource(
        hosts_of(settings),
        clock,
        version=its.version,
        accounts=its.accounts,
        silence=its.silence.total_seconds(),
    )


def _check(settings: Settings) -> None:
    """Accounts that are heard by name are followed: none of a person."""
    for handle in settings.bluesky.accounts:
        if plain(handle) not in settings.privacy.may_be_followed:
            raise ConfigError(f"bluesky.accounts.{handle}: {refusal(f'@{handle}')}")


def _doubts(settings: Settings) -> Iterator[tuple[Loc, str]]:
    for place, host in enumerate(settings.bluesky.hosts):
        if is_in_the_clear(host):
            yield ("bluesky", "hosts", place), "is read in the clear, and anybody between may write into it; use wss://"
    if len(settings.bluesky.hosts) == 1 and settings.bluesky.enabled:
        yield ("bluesky", "hosts"), "names one host: when it is mute, nobody else is asked; name another"


def _examine(its: Examination) -> Iterator[Check]:
    if not its.settings.bluesky.enabled:
        if its.running:
            yield warning(
                "bluesky.enabled",
                "the running listener hears Bluesky, but bluesky.enabled is false here: Bluesky cannot be asked",
                "run this with the listener's settings",
            )
        return
    from listener.sources.bluesky.doctor import examine_bluesky

    yield from examine_bluesky(
        hosts_of(its.settings), its.settings.bluesky, its.incidents, its.standing, its.clock, its.seconds
    )


TYPE: Final = SourceType(
    make=_make,
    setting=("bluesky", "enabled"),
    check=_check,
    doubts=_doubts,
    examine=_examine,
    post_ids=POST_IDS,
)
