"""Whether highlights can be read and published, as `lyttepost doctor` finds it. Publishes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from alerts.highlights.account import XAccount
from alerts.highlights.contract import Refused
from alerts.highlights.state import Highlights, Stage
from listener.clock import Clock
from listener.errors import ConfigError
from listener.model.roles import HIGHLIGHTS
from listener.runtime.checks import Check, failed, warning, well
from listener.runtime.download import LIMITS
from listener.settings.schema import Settings

if TYPE_CHECKING:
    from listener.sources.common.feeds import Feed

PORTAL: Final = "look at the app's keys and permissions (read and write) in X's developer portal, and at our clock"


def examine_highlights(
    settings: Settings, clock: Clock, highlights: Highlights, roles: Collection[str], seconds: float
) -> Iterator[Check]:
    """`roles`: those that processes have now. Each feed is given up after `seconds`, as is each question to X."""
    from listener.sources.common.feeds import read_feeds

    its = settings.highlights
    for feed in read_feeds(its.all_feeds, clock, replace(LIMITS, seconds=seconds, step=min(seconds, LIMITS.step))):
        yield _feed(feed)
    if not its.all_feeds:
        yield warning("highlights.feeds", "no feed is named: nothing is proposed", "set highlights.feeds or courses")
    yield _account(settings, seconds)
    if HIGHLIGHTS not in roles:
        says = "no process with the role highlights runs: no feed is read, and nothing published"
        yield warning("highlights.runs", says, "start `lyttepost run`, or one with `--role highlights`")
    unsure = [each.id for each in highlights.states.values() if each.stage is Stage.UNSURE]
    if highlights.stopped:
        yield failed(
            "highlights.stopped",
            "X did not let us publish, so nothing is published by itself",
            f"{PORTAL}; then `lyttepost highlights release ID` of one, and the others follow",
        )
    if unsure:
        yield warning(
            "highlights.unsure",
            f"may or may not have been published: {', '.join(unsure)}",
            "look at X, then `lyttepost highlights release ID` (publish again) or `lyttepost highlights drop ID`",
        )


def _feed(feed: Feed) -> Check:
    if feed.error is not None:
        return failed("highlights.feed", f"{feed.feed}: {feed.error}", "correct highlights.feeds or courses")
    return well("highlights.feed", f"{feed.feed}: {len(feed.entries)} entries")


def _account(settings: Settings, seconds: float) -> Check:
    its, id_ = settings.highlights, "highlights.x"
    try:
        if its.keys() is None:
            return warning(
                id_, "no keys are set: nothing is published", "set highlights.consumer_key_file and the others"
            )
        found = XAccount(its.keys, its.base_url, seconds).profile()
    except ConfigError as error:
        return failed(id_, str(error), "correct the setting")
    except Refused as error:
        return failed(id_, f"X {error}: nothing can be published", PORTAL)
    if found.writes is False:
        return failed(id_, f"@{found.handle} may be read with these keys and not written to", PORTAL)
    known = "" if found.writes else "; whether the keys may publish X does not say"
    return well(id_, f"publishes as @{found.handle}{known}")
