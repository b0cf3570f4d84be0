"""X as an entry of SOURCES: made, and its settings checked, without importing a client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from listener.clock import Clock
from listener.settings.files import Loc
from listener.settings.hosts import is_loopback
from listener.settings.schema import Settings
from listener.sources.contract import Source, SourceType
from listener.sources.x.access import x_access


def _make(settings: Settings, clock: Clock) -> Source | None:
    access, its = x_access(settings), settings.x
    if access is None:
        return None
    # tweepy takes a third of a second to import.
    from listener.sources.x.source import XSource

    return XSource(access, clock, reposts=its.reposts, tariff=its.tariff, count_every=its.counts.every)


def _doubts(settings: Settings) -> Iterator[tuple[Loc, str]]:
    parts = urlsplit(settings.x.base_url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield ("x", "base_url"), "sends the token in the clear; write https://"


TYPE: Final = SourceType(make=_make, setting=("x", "bearer_token"), check=x_access, doubts=_doubts)
