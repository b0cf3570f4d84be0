"""Parts of what is going on in words, as they stand on the board's pages and in the situation report. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from alerts.notify.messages import ARROWS, Direction
from alerts.notify.state import AlertState
from alerts.register.decisions import Stands
from alerts.register.ranking import NONE_OF_THESE, SetApart, Trend
from alerts.situation.situation import CostNow, Situation
from alerts.situation.words import Words
from listener.model.answers import Standing
from listener.model.decisions import Answer
from listener.model.gaps import is_whole
from listener.model.records import Gap

MAX_LANGUAGES = 5


class GapLine(NamedTuple):
    text: str
    lasts: bool
    filled: str


def age(since: datetime, now: datetime, words: Words) -> str:
    """`2 t 10 min`; days from two on."""
    length = max(now - since, timedelta(minutes=1))
    if length >= timedelta(days=2):
        return words.say("now.days", n=length.days)
    return words.messages.duration(timedelta(minutes=length // timedelta(minutes=1)))


def trend_words(trend: Trend, words: Words) -> tuple[str, str]:
    """An arrow and what it means: `9 siste time, 4 timen før`."""
    direction = (
        Direction.RISING if trend.last_hour > trend.hour_before
        else Direction.FALLING if trend.last_hour < trend.hour_before
        else Direction.STEADY
    )  # fmt: skip
    return ARROWS[direction], words.say("now.trend", last=trend.last_hour, before=trend.hour_before)


def standing_words(stands: Stands, words: Words) -> str:
    """`besvart av Kari: stemmer ikke`; empty while it is new."""
    last = stands.last
    if last is None or stands.status is Standing.NEW:
        return ""
    text = words.say(f"standing.{stands.status.value}", name=last.by)
    return f"{text}: {words.messages.verdict[last.verdict]}" if isinstance(last, Answer) else text


def gap_line(gap: Gap, words: Words, now: datetime) -> GapLine:
    messages, source = words.messages, source_name(gap.source)
    if gap.part is not None:
        source = f"{source} ({gap.part})"
    cause = words.cause(gap.cause)
    if gap.end is None:
        text = words.say("gap.lasts", source=source, time=messages.time(gap.start, now), cause=cause)
        return GapLine(text, True, words.say("gap.age", age=age(gap.start, now, words)))
    text = words.say("gap.was", source=source, span=messages.span(gap.start, gap.end, now), cause=cause)
    if is_whole(gap):
        filled = words.count("gap.filled", gap.refilled)
    elif gap.refilled_until is not None:
        filled = words.say("gap.partly", time=messages.time(gap.refilled_until, now), n=gap.refilled)
    else:
        filled = words.say("gap.unfilled")
    return GapLine(text, False, filled)


def called_next(state: AlertState, situation: Situation, words: Words) -> tuple[str, str]:
    """Of an open alert who is told of it next, and what holds it back; in words, either may be empty."""
    its, coming = situation.listing.held(state), situation.listing.coming(state)
    held = "silence" if its.silences else "inhibition" if its.inhibitors else ""
    who = ""
    if coming is not None:
        person = situation.people.name(coming.person) if situation.people else coming.person
        time = words.messages.time(max(coming.until or coming.at, situation.at), situation.at)
        who = words.say("now.next", name=person, time=time)
    elif not held and state.id in situation.listing.foreseen:
        who = words.say("now.nobody_next")
    return who, words.say(f"now.held_{held}") if held else ""


def unread_words(apart: SetApart, words: Words) -> str:
    """`polsk 4, arabisk 2`: posts in languages that are not understood, by the platform's name for these."""
    unread = list(apart.unread.items())[:MAX_LANGUAGES]
    return ", ".join(f"{_language(lang, words)} {counted.posts}" for lang, counted in unread)


def _language(lang: str, words: Words) -> str:
    return words.texts.get(f"language.{lang}", lang) if lang else words.say("now.unnamed")


def cost_words(found: CostNow, words: Words) -> tuple[str, str, bool]:
    """Source, what it has cost, and whether the hard cap is reached."""
    month, cap = found.spending.month, found.budget
    text = words.say("cost.month", usd=words.messages.number(round(month.usd, 1)), posts=month.posts)
    if cap is None:
        return source_name(found.source), text, False
    most = words.messages.number(float(cap.hard))
    return source_name(found.source), f"{text} {words.say('cost.cap', usd=most)}", month.usd >= cap.hard


def source_name(name: str) -> str:
    """`X`, `Recording`: a source as people write it."""
    return name[:1].upper() + name[1:]


def role_name(role: str, words: Words) -> str:
    """A role of people.yaml; one that the hospital made itself as it is called there."""
    return words.texts.get(f"role.{role}", role)


def theme_name(theme: str, words: Words) -> str:
    return words.say("now.no_theme") if theme == NONE_OF_THESE else words.messages.themes.get(theme, theme)
