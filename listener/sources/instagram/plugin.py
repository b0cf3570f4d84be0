"""Instagram as an entry of SOURCES: made, checked and examined without importing a client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from listener.errors import ConfigError
from listener.runtime.checks import Check, warning
from listener.settings.hosts import is_in_the_clear
from listener.sources.contract import Examination, Source, SourceType
from listener.sources.instagram.post_ids import POST_IDS

if TYPE_CHECKING:
    from listener.clock import Clock
    from listener.settings.files import Loc
    from listener.settings.schema import Settings
    from listener.sources.common.graph.access import GraphAccess


def _access(settings: Settings) -> GraphAccess:
    """Raises ConfigError for what is not set or unfit."""
    from listener.sources.common.graph.access import graph_access, webhook_guard

    its = settings.instagram
    if its.account is None:
        raise ConfigError("instagram.account is not set; write the id of the professional account there, all digits")
    webhook_guard(settings.meta)
    return graph_access(settings.meta, "instagram.access_token", its.access_token, its.access_token_file)


def _make(settings: Settings, clock: Clock) -> Source | None:
    its = settings.instagram
    if not its.enabled:
        return None
    access = _access(settings)
    from listener.sources.common.graph.access import webhook_guard
    from listener.sources.common.graph.client import GraphClient
    from listener.sources.instagram.source import InstagramSource, Wishes

    wishes = Wishes(
        account=its.account or "",
        media=its.media,
        hashtags=its.hashtags,
        tagged=its.tagged,
        every=its.every.total_seconds(),
        calm_every=its.calm_every.total_seconds(),
        recheck=its.recheck.total_seconds(),
    )
    return InstagramSource(wishes, GraphClient(access, clock), clock, guard=webhook_guard(settings.meta))


def _check(settings: Settings) -> None:
    if settings.instagram.enabled:
        _access(settings)


def _doubts(settings: Settings) -> Iterator[tuple[Loc, str]]:
    its = settings.instagram
    if not its.enabled:
        return
    if is_in_the_clear(settings.meta.base_url):
        yield ("meta", "base_url"), "sends the token in the clear; write https://"
    if settings.meta.verify_token is None and settings.meta.verify_token_file is None:
        says = "is not set: Instagram's mentions are not heard at all, and comments minutes later"
        yield ("meta", "verify_token"), f"{says}; set a word, and enter it with the address in the app's dashboard"


def _examine(its: Examination) -> Iterator[Check]:
    if not its.settings.instagram.enabled:
        if its.running:
            yield warning(
                "instagram.enabled",
                "the running listener hears Instagram, but instagram.enabled is false here: it cannot be asked",
                "run this with the listener's settings",
            )
        return
    try:
        access = _access(its.settings)
    except ConfigError:
        return  # told among the settings
    from listener.sources.instagram.doctor import examine_instagram

    yield from examine_instagram(access, its)


TYPE: Final = SourceType(
    make=_make,
    setting=("instagram", "enabled"),
    check=_check,
    doubts=_doubts,
    examine=_examine,
    post_ids=POST_IDS,
)
