"""A Facebook Page as an entry of SOURCES: made, checked and examined without importing a client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from listener.errors import ConfigError
from listener.runtime.checks import Check, warning
from listener.settings.hosts import is_in_the_clear
from listener.sources.contract import Examination, Source, SourceType
from listener.sources.facebook.post_ids import POST_IDS

if TYPE_CHECKING:
    from listener.clock import Clock
    from listener.settings.files import Loc
    from listener.settings.schema import Settings
    from listener.sources.common.graph.access import GraphAccess


def page_access(settings: Settings) -> GraphAccess | None:
    """With what the Page is asked; None where no Page is set up. Raises ConfigError."""
    its = settings.facebook
    if its.page_id is None:
        if its.access_token is not None or its.access_token_file is not None:
            raise ConfigError("facebook.page_id is not set, and a token is; set the Page's number")
        return None
    from listener.sources.common.graph.access import graph_access

    return graph_access(settings.meta, "facebook.access_token", its.access_token, its.access_token_file)


def _make(settings: Settings, clock: Clock) -> Source | None:
    access, its = page_access(settings), settings.facebook
    if access is None or its.page_id is None:
        return None
    from listener.sources.common.graph.access import webhook_guard
    from listener.sources.common.graph.client import GraphClient
    from listener.sources.facebook.source import FacebookSource

    return FacebookSource(
        its.page_id,
        GraphClient(access, clock),
        clock,
        guard=webhook_guard(settings.meta),
        handle=its.handle,
        lists=its.lists,
        every=its.every,
        calm_every=its.calm_every,
        posts_for=its.posts_for,
    )


def _check(settings: Settings) -> None:
    from listener.sources.common.graph.access import webhook_guard

    if page_access(settings) is not None:
        webhook_guard(settings.meta)


def _doubts(settings: Settings) -> Iterator[tuple[Loc, str]]:
    if settings.facebook.page_id is None:
        return
    if is_in_the_clear(settings.meta.base_url):
        yield ("meta", "base_url"), "sends the token in the clear; write https://"
    if settings.meta.verify_token is None and settings.meta.verify_token_file is None:
        yield (
            ("meta", "verify_token"),
            "is not set: Facebook does not call us, so that nothing tells of what is deleted; set it, and "
            "meta.app_secret, and enter the address in the app's dashboard",
        )
    elif settings.webhooks.url is None:
        yield (
            ("webhooks", "url"),
            "is not set: what Facebook must reach can be neither told nor tried; set it",
        )


def _examine(its: Examination) -> Iterator[Check]:
    try:
        access = page_access(its.settings)
    except ConfigError:
        return  # told among the settings
    if access is None:
        if its.running:
            yield warning(
                "facebook.page",
                "the running listener hears Facebook, but facebook.page_id is not set here: Facebook cannot be asked",
                "run this with the listener's settings",
            )
        return
    from listener.sources.facebook.doctor import examine_facebook

    yield from examine_facebook(access, its)


TYPE: Final = SourceType(
    make=_make,
    setting=("facebook", "page_id"),
    check=_check,
    doubts=_doubts,
    examine=_examine,
    post_ids=POST_IDS,
)
