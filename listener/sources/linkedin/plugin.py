"""LinkedIn as an entry of SOURCES: made, checked and examined without importing a client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from listener.errors import ConfigError
from listener.runtime.checks import Check, warning, well
from listener.settings.hosts import is_in_the_clear
from listener.sources.contract import Examination, PostIds, Source, SourceType

if TYPE_CHECKING:
    from listener.clock import Clock
    from listener.settings.files import Loc
    from listener.settings.schema import Settings

KEPT: Final = timedelta(hours=48)
"""So long do LinkedIn's terms let what members wrote lie."""
_ID: Final = re.compile(r"urn:li:(?:comment:\(urn:li:\w+:\d+,\d+\)|\w+:[\w-]+)")
_LINK: Final = re.compile(r"(?i)(?:https?:)?(?://)?(?:[\w-]+\.)*linkedin\.com/feed/update/(urn:li:\w+:\d+)")
_COMMENT: Final = re.compile(r"commentUrn=urn:li:comment:\((?:urn:li:)?(\w+):(\d+),(\d+)\)")


def _make(settings: Settings, clock: Clock) -> Source | None:
    from listener.sources.linkedin.access import linkedin_access

    access, its = linkedin_access(settings.linkedin), settings.linkedin
    if access is None:
        return None
    from listener.sources.linkedin.source import LinkedInSource

    return LinkedInSource(access, clock, every=its.every, in_calm=its.in_calm, calls=its.calls)


def _check(settings: Settings) -> None:
    from listener.sources.linkedin.access import linkedin_access

    linkedin_access(settings.linkedin)


def _doubts(settings: Settings) -> Iterator[tuple[Loc, str]]:
    its = settings.linkedin
    if is_in_the_clear(its.base_url):
        yield ("linkedin", "base_url"), "sends the token in the clear; write https://"
    if its.enabled and its.token_expires is None:
        yield (
            ("linkedin", "token_expires"),
            "is not set: a token lives 60 days, and nobody is told before it ends; write the day that LinkedIn names",
        )


def _examine(its: Examination) -> Iterator[Check]:
    from listener.sources.linkedin.access import linkedin_access

    try:
        access = linkedin_access(its.settings.linkedin)
    except ConfigError:
        return  # told among the settings
    if access is None and its.running:
        yield warning(
            "linkedin.enabled",
            "the running listener may hear LinkedIn, but linkedin.enabled is false here: LinkedIn cannot be asked",
            "run this with the listener's settings, if it does",
        )
        return
    if access is None:
        yield well(
            "linkedin.enabled",
            "LinkedIn is off, as it should be until a lawyer has read its terms: they let the Page's own people see "
            "comments, for 48 hours, and may forbid this use",
        )
        return
    from listener.sources.linkedin.doctor import examine_linkedin

    yield from examine_linkedin(access, its.clock, its.seconds)


def _parse(typed: str) -> str:
    if not _ID.fullmatch(typed):
        raise ValueError("is no post id")
    return typed


def _in_link(link: str) -> str | None:
    written = unquote(link) if "%" in link else link
    found = _LINK.match(written)
    if found is None:
        return None
    if comment := _COMMENT.search(written):
        return f"urn:li:comment:(urn:li:{comment[1]}:{comment[2]},{comment[3]})"
    return found[1]


TYPE: Final = SourceType(
    make=_make,
    setting=("linkedin", "enabled"),
    check=_check,
    doubts=_doubts,
    examine=_examine,
    post_ids=PostIds(parse=_parse, in_link=_in_link, looks="the urn (urn:li:comment:(urn:li:activity:…,…))"),
    content_limit=KEPT,
)
