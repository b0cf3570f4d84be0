"""`lyttepost register gap`: what people ask that nothing published answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerts.annotate.themes import load_themes, theme_names, themes_file
from alerts.commands.register_text import Names, number, people_of, ranked_by, trend
from alerts.commands.register_view import open_view
from alerts.notify.channels.text import one_line
from alerts.register.decisions import Decisions, label
from alerts.register.gap import Answer, Gap, compare, rank_asked, showable, understood
from alerts.register.overview import end_of_hour
from alerts.register.ranking import Selection, newest_of
from listener.bus.scan import scan
from listener.clock import SystemClock
from listener.commands.shared import (
    Data,
    Json,
    duration,
    local,
    open_live_topics,
    out,
    out_json,
    say,
    say_who_runs,
)
from listener.errors import ConfigError, LyttepostError, UsageError
from listener.model.decisions import DECISIONS, Status
from listener.model.decisions import Answer as Decided
from listener.model.entered import require_known
from listener.runtime.control import Control
from listener.settings.feeds import feed_problem
from listener.settings.files import config_dir, data_dir, raw_settings
from listener.settings.schema import load_settings
from listener.units import format_duration

if TYPE_CHECKING:
    from alerts.register.ranking import ThemeRow
    from listener.model.incidents import State
    from listener.sources.common.feeds import Entry, Feed

TITLES = {
    Answer.NONE: "ASKED, AND NOTHING PUBLISHED SINCE IS ABOUT IT",
    Answer.PERHAPS: "ASKED, AND PERHAPS ANSWERED",
    Answer.NOT_COMPARED: "ASKED, AND NOT COMPARED WITH WHAT IS PUBLISHED",
    Answer.GIVEN: "ASKED, AND ANSWERED BY A PERSON",
}
INDENT = " " * 11


def gap(
    feed: Annotated[
        list[str] | None,
        typer.Option(
            "--feed",
            metavar="URL|FILE",
            help="RSS, Atom or a page; may be repeated. Else published.feeds of the settings.",
        ),
    ] = None,
    incident: Annotated[
        str, typer.Option("--incident", metavar="ID", help="Only this incident, also a closed one.")
    ] = "",
    since: Annotated[str, typer.Option("--since", metavar="24h", help="Only what was asked in so long.")] = "",
    json: Json = False,
    data: Data = None,
) -> None:
    """What people ask in the open incidents that nothing published answers: how many, since when.

    A theme of which something was published since is perhaps answered: it is shown after the others, with what that is.
    One that a person answered (`register answer --theme`) is shown last, with who and when.
    Exit codes: 1 a feed could not be read (the others are shown), 2 an option is wrong, 4 no feed is named.
    """
    settings = load_settings()
    feeds = _feeds(feed, settings.published.feeds)
    span = duration(since, "--since") if since else None
    clock = SystemClock()
    asked, decisions, state, as_of = _asked(incident, span, clock.now(), data)
    names = Names(
        theme_names(load_themes(themes_file(raw_settings().folder)), settings.language),
        {each.id: each.name for each in state.incidents.values()},
    )
    if not asked and not json:
        say(_nobody(incident, since, state))
        return

    # The model needs numpy, and feeds their parser: no other command of the register is to wait for these.
    from alerts.annotate.understanding import Understander
    from listener.sources.common.feeds import read_feeds

    read = read_feeds(feeds, clock)
    readable = [each for each in read if each.error is None]
    entries = [entry for each in readable for entry in each.entries]
    published = understood(entries, Understander.load(config_dir())) if readable else None
    gaps = compare(
        asked,
        published,
        {each.id: each.opened_at for each in state.incidents.values()},
        lambda row: decisions.of_theme(row.theme, row.incidents),
    )
    now = clock.now()
    if json:
        out_json(_as_json(gaps, read, names, as_of, now))
    else:
        for line in _lines(gaps, read, names, as_of, now):
            out(line)
    if len(readable) < len(read):
        failed = [f"{each.feed}: {each.error}" for each in read if each.error is not None]
        left = "what is asked may be answered there" if readable else "nothing could be compared"
        raise LyttepostError("\n".join([*failed, f"{len(failed)} of {number(len(read), 'feed')} not read: {left}"]))


def _feeds(asked: Sequence[str] | None, settings: Sequence[str]) -> Sequence[str]:
    """Those of the command, else those of the settings."""
    for feed in asked or ():
        if why := feed_problem(feed):
            raise UsageError(f"--feed: {one_line(feed, 80)!r} {why}")
    if not (feeds := asked or settings):
        raise ConfigError(
            "no feed is named: set published.feeds in settings.yaml to where you publish, or give --feed URL"
        )
    return feeds


def _asked(
    incident: str, span: timedelta | None, now: datetime, data: str | None
) -> tuple[list[ThemeRow], Decisions, State, datetime]:
    """The themes asked about, with samples that may be shown; what was decided; the incidents; when the hour ends."""
    with closing(open_live_topics(data)) as bus, open_view(bus, data_dir(data) / "register.sqlite") as view:
        say_who_runs(bus)
        state = Control(bus).refresh()
        closed = frozenset() if incident else frozenset(i.id for i in state.incidents.values() if not i.open)
        rows = view.registered(Selection(incident=incident, closed=closed))
        if incident and not rows:
            require_known(incident, state, "--incident")
        as_of = end_of_hour(now, newest_of(rows))
        if span is not None:
            recent = Selection(since=as_of - span)
            rows = [row for row in rows if recent.holds(row)]
        asked = [replace(theme, samples=showable(map(view.told, theme.samples))) for theme in rank_asked(rows, as_of)]
        decisions = Decisions(scan(bus, DECISIONS), view.together())
    return asked, decisions, state, as_of


def _nobody(incident: str, since: str, state: State) -> str:
    when = f" in the last {since}" if since else ""
    if incident or any(each.open for each in state.incidents.values()) or not state.incidents:
        return f"Nobody asks anything{f' in {incident}' if incident else ''}{when}; no feed was read."
    return f"Nobody asks anything{when}: no incident is open. --incident ID looks at a closed one."


def _lines(gaps: Sequence[Gap], read: Sequence[Feed], names: Names, as_of: datetime, now: datetime) -> Iterator[str]:
    where = {each for found in gaps for each in found.asked.incidents}
    several = len(where) > 1
    about = f" · {names.of(where)}" if len(where) == 1 else ""
    for answer, group in groupby(gaps, key=lambda found: found.answer):
        those = list(group)
        by = ranked_by([found.asked for found in those])
        yield f"{TITLES[answer]} (ranked by {by}){about} · as of {local(as_of)}"
        for found in those:
            yield from _gap_lines(found, names, now, several=several)
    for each in read:
        if each.error is None:
            newest = next((f", the newest {local(entry.at)}" for entry in each.entries if entry.at), "")
            broken = "; it is broken XML, and something may be missing" if each.broken else ""
            yield f"read: {one_line(each.feed)}: {len(each.entries)} published{newest}{broken}"


def _gap_lines(found: Gap, names: Names, now: datetime, *, several: bool) -> Iterator[str]:
    row = found.asked
    mark = "ØVELSE " if row.exercise else ""
    where = f" · in {names.of(row.incidents)}" if several else ""
    since = f"since {local(row.first_at)}"
    yield f"{people_of(row):>11}  {mark}{names.theme(row.theme)}  {since}  {trend(row.trend)}{where}"
    for sample in row.samples:
        yield f"{INDENT}  {f'{sample.people}×':>4} «{names.shown(sample)}»"
    if found.answer is Answer.GIVEN and (last := found.stands.last) is not None:
        yield f"{INDENT}  {one_line(label(found.stands))}, {local(last.at)}{_said(last)}"
    if found.newest is not None:
        yield f"{INDENT}  {_published(found, found.newest, now)}"


def _said(word: Status | Decided) -> str:
    """In the team's own words."""
    said = word.words if isinstance(word, Decided) else word.why
    return f": «{one_line(said, 100)}»" if said else ""


def _published(found: Gap, entry: Entry, now: datetime) -> str:
    """What may answer it, or what is older than the question and cannot."""
    title = f"«{one_line(entry.title or entry.text, 100)}»"
    link = f" {one_line(entry.link)}" if entry.link else ""
    if entry.at is None:
        return f"perhaps {title}, which does not say when it was published{link}"
    age = f" ({_age(entry.at, now)} ago)" if entry.at <= now else ""
    which = "perhaps answered by" if found.answer is Answer.PERHAPS else "the newest about it is older than this:"
    return f"{which} {title} {local(entry.at)}{age}{link}"


def _age(at: datetime, now: datetime) -> str:
    """To the minute, and to the hour where it is days."""
    step = timedelta(hours=1) if now - at >= timedelta(days=1) else timedelta(minutes=1)
    return format_duration((now - at) // step * step) if now - at >= step else "less than 1m"


def _as_json(gaps: Sequence[Gap], read: Sequence[Feed], names: Names, as_of: datetime, now: datetime) -> dict[str, Any]:
    return {
        "as_of": as_of,
        "feeds": [
            {"feed": each.feed, "entries": len(each.entries), "error": each.error, "broken": each.broken}
            for each in read
        ],
        "themes": [_gap_json(found, names, now) for found in gaps],
    }


def _gap_json(found: Gap, names: Names, now: datetime) -> dict[str, Any]:
    row, entry = found.asked, found.newest
    return {
        "theme": row.theme,
        "name": names.theme(row.theme),
        "answer": found.answer.value,
        "status": found.stands.status.value,
        "given": None if found.stands.last is None else _word(found.stands.last),
        "people": row.people,
        "authors_known": row.authors_known,
        "posts": row.posts,
        "since": row.first_at,
        "last_at": row.last_at,
        "last_hour": row.trend.last_hour,
        "hour_before": row.trend.hour_before,
        "incidents": row.incidents,
        "exercise": row.exercise,
        "samples": [{"text": sample.text, "people": sample.people} for sample in row.samples],
        "newest": entry
        and {
            "feed": entry.feed,
            "title": entry.title,
            "link": entry.link,
            "at": entry.at,
            "age_seconds": entry.at and max(0, round((now - entry.at).total_seconds())),
        },
    }


def _word(word: Status | Decided) -> dict[str, Any]:
    """What a person decided, for programs."""
    return word.model_dump(mode="json", include={"at", "by", "verdict", "words", "why", "link"}, exclude_none=True)
