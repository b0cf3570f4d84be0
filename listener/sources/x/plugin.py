"""X as an entry of SOURCES: made, checked and examined without importing a client, and asked without anything heavy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from listener.errors import ConfigError
from listener.runtime.checks import Check, warning
from listener.settings.hosts import is_in_the_clear
from listener.sources.contract import Examination, Source, SourceType
from listener.sources.x.post_ids import POST_IDS

if TYPE_CHECKING:
    from datetime import datetime

    from listener.clock import Clock
    from listener.settings.files import Loc, RawSettings
    from listener.settings.schema import Settings


def _make(settings: Settings, clock: Clock) -> Source | None:
    from listener.sources.x.access import x_access

    access, its = x_access(settings), settings.x
    if access is None:
        return None
    # tweepy takes a third of a second to import.
    from listener.sources.x.source import XSource

    return XSource(
        access, clock, reposts=its.reposts, tariff=its.tariff, count_every=its.counts.every,
        by_lookup=its.deletions.by == "lookup",
    )  # fmt: skip


def _checks_deletions(cursor: str | None) -> datetime | None:
    from listener.sources.x.cursor import Memory

    return None if cursor is None else Memory.parse(cursor).complied


def _check(settings: Settings) -> None:
    from listener.sources.x.access import x_access

    x_access(settings)


def _doubts(settings: Settings) -> Iterator[tuple[Loc, str]]:
    if is_in_the_clear(settings.x.base_url):
        yield ("x", "base_url"), "sends the token in the clear; write https://"


def _examine(its: Examination) -> Iterator[Check]:
    from listener.sources.x.access import x_access

    try:
        access = x_access(its.settings)
    except ConfigError:
        return  # told among the settings
    if access is None and its.running:
        yield warning(
            "x.token",
            "the running listener hears X, but x.bearer_token is not set here: X cannot be asked",
            "run this with the listener's settings",
        )
        return
    if access is None:
        yield warning(
            "x.token",
            "x.bearer_token is not set: X is not listened to",
            "set x.bearer_token_file to a file with the bearer token, if X is to be heard",
        )
        return
    # tweepy takes a third of a second to import.
    from listener.sources.x.doctor import examine_x

    yield from examine_x(access, its.settings.x, its.incidents, its.standing, its.clock, its.seconds)


def _bills(raw: RawSettings) -> bool:
    return any(raw.get(f"x.{each}") for each in ("bearer_token", "bearer_token_file"))


TYPE: Final = SourceType(
    make=_make,
    setting=("x", "bearer_token"),
    check=_check,
    doubts=_doubts,
    examine=_examine,
    post_ids=POST_IDS,
    bills=_bills,
    checks_deletions=_checks_deletions,
)
