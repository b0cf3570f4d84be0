"""One alert in words: what is spoken of, how much, and how it develops; screened for where it will be read.

`in_house=False` gives words that may leave the site: no key that was taken from a post (`SAFE_KEYS` are not), and times
of posts in whole minutes, because X's ids are times.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from alerts.notify.channels.text import one_line
from alerts.notify.layout import Graph
from alerts.notify.messages import ARROWS, PLACE, Direction, Messages, fill
from alerts.notify.state import AlertState, Condition, Handling
from alerts.rules.fields import THEMES
from alerts.rules.keys import shown
from alerts.rules.texts import AT_LEAST
from listener.model.records import Alert, Gap, Kind
from listener.runtime.ops_alerts import OPS

SAFE_KEYS = frozenset(
    {"kind", "kinds", "stance", "source", "lang", "language", "track", "tracks", "reach", "author_class", "origin"}
    | {"incident", *THEMES}
)
"""What a group key may be made of and still leave the site: nothing that anybody wrote."""

HEADLINE_LENGTH = 160
SHORTEST_GAP = timedelta(seconds=10)
"""What we did not hear for less than this, nobody misses."""
THEMES_SHOWN = 3
FRESH = timedelta(minutes=3)
"""So long after an alert "the last 15 min" are still those before it."""
NEWEST = (6, 4, 3)
"""Parts of a graph (of twelve) that may be "the last … min": the first that is whole minutes, and not too few."""
SHORTEST_SPAN = timedelta(minutes=5)
CHANGED = 1.2
"""So many times as much is more, and not about as much."""


class Trend(NamedTuple):
    """`direction` alone where the newest stretch is no round number of minutes, or counts more than the alert."""

    direction: Direction
    number: int | None = None
    span: timedelta | None = None


@dataclass(frozen=True)
class Wording:
    state: AlertState
    messages: Messages
    now: datetime
    in_house: bool

    @property
    def alert(self) -> Alert:
        return self.state.alert

    @property
    def passed(self) -> bool:
        return self.state.condition is Condition.RESOLVED

    def time(self, at: datetime) -> str:
        return self.messages.time(at, self.now)

    def posted(self, at: datetime) -> datetime:
        """The time of a post, as exact as it may be shown."""
        return at if self.in_house else at.replace(second=0, microsecond=0)

    # --- what ---------------------------------------------------------------------------------------------------

    @cached_property
    def headline(self) -> tuple[str, tuple[str, ...]]:
        """The rule's headline in our language, and what the card lacks."""
        alert = self.alert
        problems = [name for name in ("rule", "incident_name") if not getattr(alert, name).strip()]
        template = alert.headline.get(self.messages.language, "")
        if not template.strip():
            problems.append(f"headline.{self.messages.language}")
            template = next((text for text in alert.headline.values() if text.strip()), "")
        longest = 2 * HEADLINE_LENGTH if alert.rule_type == OPS else HEADLINE_LENGTH
        if self.theme is None:
            template = template.removesuffix(": {theme}")
        known = self._known()
        unknown = any(name not in known for name in PLACE.findall(template))
        text = one_line(fill(template, known), longest)
        if unknown:
            problems.append("headline: an unknown name in braces")
        if not self.may_show_key:
            text = _without_key(text, alert)
        if not text or unknown or (not self.may_show_key and _names_key(text, alert)):
            text = self.messages.say("headline_missing", rule=alert.rule or "?")
        return text, tuple(problems)

    def _known(self) -> Mapping[str, str]:
        """What a headline's braces may ask for."""
        alert = self.alert
        values: dict[str, object | None] = {
            "key": self.key,
            "theme": self.theme,
            "count": alert.count,
            "baseline": None if alert.baseline is None else self.messages.number(alert.baseline),
            "timeframe": self.timeframe,
            "incident": alert.incident_name,
            "rule": alert.rule,
            "authors": alert.authors,
            "posts": alert.posts,
            "reposts": alert.reposts,
            AT_LEAST: self.messages.at_least,
        }
        return {name: "?" if value is None else one_line(str(value)) for name, value in values.items()}

    @property
    def may_show_key(self) -> bool:
        alert = self.alert
        return self.in_house or not alert.key or (bool(alert.key_fields) and SAFE_KEYS.issuperset(alert.key_fields))

    @property
    def key(self) -> str:
        """The group key in words that may be shown here."""
        alert = self.alert
        if not self.may_show_key:
            return self.messages.one_topic
        if alert.key in set(Kind) and set(alert.key_fields) <= {"kind", "kinds"}:
            return self.messages.kind[Kind(alert.key)][1]
        if alert.key_fields and THEMES.issuperset(alert.key_fields):
            return self.messages.themes.get(alert.key, alert.key)
        return one_line(shown(alert.key, alert.key_fields)) or self.messages.one_topic

    @property
    def theme(self) -> str | None:
        """What most of its posts are about."""
        return next((self.messages.themes.get(theme, theme) for theme in self.alert.themes), None)

    def themes_counted(self) -> Iterable[str]:
        """`hva som skjer, og om det er trygt (12)`: the themes of most posts."""
        for theme, count in list(self.alert.themes.items())[:THEMES_SHOWN]:
            yield f"{self.messages.themes.get(theme, theme)} ({count})"

    # --- how much -----------------------------------------------------------------------------------------------

    @property
    def timeframe(self) -> str | None:
        seconds = self.alert.timeframe_seconds
        return None if seconds is None else self.messages.duration(timedelta(seconds=seconds))

    @property
    def baseline(self) -> str:
        """What the number is held against, and what that is: the usual, the time before, or a limit."""
        alert = self.alert
        if alert.baseline is None:
            return ""
        name = {"burst": "baseline_usual", "spike": "baseline_before"}.get(alert.rule_type, "baseline_limit")
        return self.messages.say(name, baseline=self.messages.number(alert.baseline))

    def amount(self) -> str:
        """`27 treff på 5 min, normalt 10 · først sett kl. 02.48`; of one post or ourselves only since when."""
        alert, messages = self.alert, self.messages
        first = messages.say("first_seen", time=self.time(self.posted(alert.first_seen)))
        if alert.rule_type == OPS:
            return first
        hits = self.least(messages.number_of("hit", alert.count))
        if self.timeframe is not None:
            hits = messages.say("in_timeframe", hits=hits, timeframe=self.timeframe)
        elif alert.count == 1:
            return first
        return f"{', '.join(filter(None, (hits, self.baseline)))} · {first}"

    def least(self, counted: str) -> str:
        """A count in words; while late posts are waited for, with the word that there may be more."""
        return f"{self.messages.at_least} {counted}" if self.alert.settled is False else counted

    def trends(self, *, arrows: bool = True) -> tuple[str, ...]:
        """How it develops, in few words, the fullest first: `↑ 9 siste 15 min`, `↑ øker`; without `arrows` `9 siste
        15 min, øker`, `øker`. Nothing of what has passed."""
        alert, messages = self.alert, self.messages
        if self.passed:
            return ()
        if alert.rule_type in ("burst", "spike"):
            return (self.baseline,) if self.baseline else ()
        found = trend_of(alert)
        if found is None:
            return ()
        arrow, direction = ARROWS[found.direction] if arrows else "", messages.direction[found.direction]
        only = messages.say("trend_only", arrow=arrow, direction=direction).strip()
        if found.number is None or found.span is None:
            return (only,)
        same_unit = alert.posts == alert.count
        count = str(found.number) if same_unit else messages.number_of("post", found.number)
        span = messages.say("minutes", n=round(found.span / timedelta(minutes=1)))
        name = "trend" if self.now - alert.at <= FRESH else "trend_at"
        text = messages.say(name, arrow=arrow, count=count, span=span).strip()
        return text if arrows else f"{text}, {direction}", only

    def graph(self) -> Graph | None:
        """How it developed; None where nothing was counted."""
        alert = self.alert
        if len(alert.spark) < 2 or not any(alert.spark):
            return None
        length = graph_length(alert)
        span = self.messages.span(self.posted(alert.at - length), self.posted(alert.at), self.now)
        return Graph(alert.spark, span, self.messages.duration(length / len(alert.spark)))

    # --- where --------------------------------------------------------------------------------------------------

    def handled(self) -> str:
        """Who answered and when; empty while nobody has."""
        said, handling = self.state.handled, self.state.handling
        if said is None or handling is Handling.OPEN:
            return ""
        return self.messages.say(handling.value, name=said.by, time=self.time(said.at))

    def gaps(self) -> str:
        return "; ".join(
            self._gap(gap) for gap in self.alert.gaps if gap.end is None or gap.end - gap.start >= SHORTEST_GAP
        )

    def _gap(self, gap: Gap) -> str:
        source = gap.source[:1].upper() + gap.source[1:]
        if gap.part is not None:
            source = f"{source} ({gap.part})"
        if gap.end is None:
            return self.messages.say("gap_lasts", source=source, start=self.time(gap.start))
        return self.messages.say("gap", source=source, span=self.messages.span(gap.start, gap.end, self.now))

    def member(self, *, marked: bool = True) -> str:
        """The alert as one line among others; `marked` where they are not all of an exercise or all real."""
        messages = self.messages
        marks = [messages.exercise] if self.alert.exercise and marked else []
        marks += [messages.passed] if self.passed else []
        text = messages.say(
            "member",
            severity=messages.severity[self.alert.severity],
            headline=self.headline[0],
            time=self.time(self.alert.at),
        )
        return " · ".join([*marks, text, *filter(None, [self.handled()])])


def graph_length(alert: Alert) -> timedelta:
    """A rule's graph shows its timeframe; that of a burst, which counts single minutes, the hour before."""
    hour = alert.rule_type == "burst" or alert.timeframe_seconds is None
    return timedelta(hours=1) if hour else timedelta(seconds=alert.timeframe_seconds or 0)


def trend_of(alert: Alert) -> Trend | None:
    """The newest stretch of the graph against the one before it; None where there is no graph."""
    spark = alert.spark
    if len(spark) < 2 * NEWEST[0] or not any(spark):
        return None
    length = graph_length(alert)
    for parts in NEWEST:
        span = length * parts / len(spark)
        if span >= SHORTEST_SPAN and not span % timedelta(minutes=1):
            newest = sum(spark[-parts:])
            direction = _direction(newest, sum(spark[-2 * parts : -parts]))
            return Trend(direction, newest, span) if newest <= alert.count else Trend(direction)
    half = len(spark) // 2
    return Trend(_direction(sum(spark[-half:]), sum(spark[:half])))


def _direction(newest: int, before: int) -> Direction:
    if newest > before * CHANGED:
        return Direction.RISING
    return Direction.FALLING if newest * CHANGED < before else Direction.STEADY


def _without_key(text: str, alert: Alert) -> str:
    """A headline that ends with its key, without it: `3 personer bruker en ny emneknagg: #…`."""
    key = re.escape(one_line(shown(alert.key, alert.key_fields)))
    return re.sub(rf"(:\s*#?{key}|\s*\(#?{key}\))$", "", text, flags=re.IGNORECASE) if key else text


def _names_key(text: str, alert: Alert) -> bool:
    """Whether a headline that was written without braces says the key after all."""
    parts = map(_folded, [alert.key, *re.split(r"[,;|=\"\x1f]+", alert.key)])
    folded = _folded(text)
    return any(part and part in folded for part in parts)


def _folded(text: str) -> str:
    """As it looks to a person: what cannot be seen, and how its letters are put together, makes no other word of it."""
    return unicodedata.normalize("NFKC", one_line(text)).casefold().strip()
