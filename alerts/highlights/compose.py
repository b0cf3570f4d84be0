"""From what the hospital published to what is proposed for X: title, course dates, link, as long as X takes. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from alerts.highlights.dates import CourseDates, dates_in, dates_of
from alerts.highlights.length import LONGEST, cut, weighted
from alerts.highlights.text import BY, holds_identity, one_line
from listener.model.highlights import Highlight
from listener.settings.feeds import feed_problem, is_web

if TYPE_CHECKING:
    from listener.sources.common.feeds import Entry, Feed

CONSIDERED = 20
"""Entries of a feed, the newest: one that is read for the first time must not propose a year of news."""
LONGEST_LINK = 2_000
"""Letters. X takes twice as many for an address; no page of a hospital's needs them."""
_AS_IT_IS = "%:/?#[]@!$&'()*+,;=~ "
"""Of an address: what has a meaning there, and a blank, with which it is none."""
_TRACKING = re.compile(r"utm_\w+|fbclid|gclid|mc_[ce]id", re.IGNORECASE)


@dataclass(frozen=True)
class Composing:
    """`newest`: what was published longer ago is proposed no more. `language`: of dates."""

    newest: timedelta
    language: str
    zone: tzinfo


def proposals(
    feeds: Iterable[Feed], courses: Collection[str], known: Collection[str], how: Composing, now: datetime
) -> list[Highlight]:
    """What is new in these feeds, oldest first. `courses`: those that announce courses. `known`: guids and links
    of what was proposed before."""
    made: list[Highlight] = []
    seen = set(known)
    for feed in feeds:
        for entry in feed.entries[:CONSIDERED]:
            for found in _proposal(entry, feed.feed in courses, how, now):
                if not seen.isdisjoint({found.guid, found.link}):
                    continue
                seen |= {found.guid, found.link}
                made.append(found)
    return made[::-1]


def _proposal(entry: Entry, course: bool, how: Composing, now: datetime) -> Iterator[Highlight]:
    """None for what has no title or link, is old, is over, or would publish somebody's identity number."""
    title, link = one_line(entry.title), plain_link(entry.link)
    if not title or not link or (entry.at is not None and now - entry.at > how.newest):
        return
    dates = course_dates(entry, how.zone, now) if course else None
    starts = dates.starts(how.zone) if dates else None
    if (starts is not None and starts <= now) or holds_identity(title):
        return
    # A name that is no address is the feed's own: another feed may count from 1 too.
    guid = (entry.guid if ":" in entry.guid else f"{entry.feed} {entry.guid}") if entry.guid else link
    yield Highlight(
        id=hashlib.sha256(f"{guid}".encode()).hexdigest()[:12],
        at=now,
        by=BY,
        revision=0,
        feed=entry.feed,
        guid=guid,
        link=link,
        title=title,
        text=composed(title, dates.shown(how.language) if dates else "", link),
        starts=starts,
    )


def composed(title: str, dates: str, link: str) -> str:
    """Title, dates and link; the title is cut where X would not take all of it."""
    end = f"\n{link}"
    if dates:
        end = f" ({dates}){end}"
    return cut(title, LONGEST - weighted(f"x{end}") + 1) + end


def course_dates(entry: Entry, zone: tzinfo, now: datetime) -> CourseDates | None:
    """By the feed's own fields, else a time to come that stands as its time of publishing, else by its words."""
    if entry.starts and (found := dates_of(entry.starts, entry.ends, zone)) is not None:
        return found
    if entry.ahead is not None:
        day = entry.ahead.astimezone(zone).date()
        return CourseDates(day, day)
    published = (entry.at or now).astimezone(zone).date()
    return dates_in(entry.title, published) or dates_in(entry.text, published)


def plain_link(link: str) -> str:
    """A web address without what only counts clicks; "" where it is none that anybody could open."""
    # Many a feed writes letters as they are.
    link = quote(link.strip(), safe=_AS_IT_IS)
    if len(link) > LONGEST_LINK or not is_web(link) or feed_problem(link):
        return ""
    parts = urlsplit(link)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.fullmatch(pair[0])]
    kept = urlencode(query) if len(query) != len(parse_qsl(parts.query, keep_blank_values=True)) else parts.query
    return urlunsplit((parts.scheme, parts.netloc, parts.path, kept, ""))
