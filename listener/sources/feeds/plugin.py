"""Feeds as an entry of SOURCES: made, checked and examined without importing a parser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from listener.runtime.checks import Check, warning
from listener.sources.contract import Examination, Source, SourceType

if TYPE_CHECKING:
    from listener.clock import Clock
    from listener.settings.files import Loc
    from listener.settings.schema import Settings


def _make(settings: Settings, clock: Clock) -> Source | None:
    if not settings.feeds.read:
        return None
    from listener.sources.feeds.source import FeedsSource

    return FeedsSource(settings.feeds, clock)


def _check(settings: Settings) -> None:
    """Everything that can be wrong is wrong with one value: the settings' own types say so."""


def _doubts(settings: Settings) -> Iterator[tuple[Loc, str]]:
    named = settings.privacy.named_accounts.classes()
    for place, feed in enumerate(settings.feeds.read):
        where: Loc = ("feeds", "read", place)
        if feed.url.startswith("http://") and not feed.inside:
            yield (*where, "url"), "is read in the clear, and anybody between may write into it; use https://"
        if feed.account is not None and feed.account not in named:
            yield (*where, "account"), "is not under privacy.named_accounts: the house is counted twice, here and there"
    ours = {*settings.published.feeds, *settings.highlights.all_feeds}
    for place, feed in enumerate(settings.feeds.read):
        if feed.url in ours and feed.by != "own":
            yield (
                ("feeds", "read", place, "by"),
                "is a feed of the hospital's own (published, highlights): write by: own",
            )


def _examine(its: Examination) -> Iterator[Check]:
    if not its.settings.feeds.read:
        if its.running:
            yield warning(
                "feeds.read",
                "the running listener may read feeds, but feeds.read is empty here: none can be asked",
                "run this with the listener's settings, if it has any",
            )
        return
    from listener.sources.feeds.doctor import examine_feeds

    yield from examine_feeds(its.settings.feeds.read, its.clock, its.seconds)


TYPE: Final = SourceType(
    make=_make,
    setting=("feeds", "read"),
    check=_check,
    doubts=_doubts,
    examine=_examine,
)
