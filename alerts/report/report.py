"""The situation report: one page of words for a chief of staff, who was not there and has two minutes.

It leaves the house. Nothing that anybody wrote is in it, nobody's handle and nothing that identifies: themes with
numbers of people, and the team's own words. So what was purged cannot be in it either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from alerts.notify.channels.text import one_line
from alerts.notify.state import AlertState
from alerts.notify.wording import SHORTEST_GAP, Wording
from alerts.register.overview import MANY
from alerts.report.period import MOVED, Moved, Period, RumourTheme, Said
from alerts.situation.graph import Graph, added, draw
from alerts.situation.sentences import (
    age,
    called_next,
    cost_words,
    gap_line,
    standing_words,
    theme_name,
    trend_words,
    unread_words,
)
from alerts.situation.situation import Situation, ThemeNow
from alerts.situation.words import Words
from listener.model.answers import Standing, Verdict
from listener.model.decisions import Answer
from listener.model.incidents import Incident, Mode
from listener.model.records import Kind, Severity
from listener.units import format_instant

THEMES = 4
LOUD = 3
RUMOURS = 5
CHANGES = 3
ALERTS = 5
ANSWERS = 5
GAPS = 4
ASKED = (Kind.QUESTION, Kind.WISH, Kind.VIEWPOINT)
"""The order in which what people say is told."""


@dataclass(frozen=True)
class Item:
    """One line. `people`: the number before it. `mark`: what stands before everything (an exercise, how grave).
    `more`: details. `calls`: somebody has to do something."""

    text: str
    people: int | None = None
    mark: str = ""
    more: tuple[str, ...] = ()
    link: str = ""
    calls: bool = False


@dataclass(frozen=True)
class Group:
    title: str
    items: tuple[Item, ...]
    none: str = ""
    """What is said where there are none."""


@dataclass(frozen=True)
class Section:
    id: str
    title: str
    groups: tuple[Group, ...]
    lead: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Report:
    """`mark`: that it is an exercise, before everything. `graph` belongs to the section `loud`."""

    language: str
    title: str
    mark: str
    where: str
    at: str
    stretch: str
    summary: tuple[Item, ...]
    graph: Graph | None
    sections: tuple[Section, ...]
    foot: tuple[str, ...]
    made_at: str
    """In UTC, for programs and names of files."""

    def as_json(self) -> dict[str, Any]:
        """What `lyttepost report --json` prints."""
        return {
            "language": self.language,
            "at": self.made_at,
            "title": self.title,
            "exercise": bool(self.mark),
            "where": self.where,
            "stretch": self.stretch,
            "summary": [each.text for each in self.summary],
            "hours": [] if self.graph is None else [hour._asdict() for hour in self.graph.hours],
            "sections": [
                {
                    "id": section.id,
                    "title": section.title,
                    "lead": list(section.lead),
                    "groups": [
                        {"title": group.title, "items": [_item_json(item) for item in group.items]}
                        for group in section.groups
                    ],
                }
                for section in self.sections
            ],
        }


def _item_json(item: Item) -> dict[str, Any]:
    return {"people": item.people, "mark": item.mark, "text": item.text, "more": list(item.more), "link": item.link}


def make_report(situation: Situation, period: Period, words: Words) -> Report:
    """Pure: the same values make the same report."""
    writer = _Writer(situation, period, words)
    steps = added(situation.tracks, situation.voices.per_step)
    graph = draw(words.say("graph.all"), steps, situation.gaps, words, situation.at) if situation.incidents else None
    sections: list[Section | None] = [writer.incidents(), writer.loud()]
    if situation.incidents:
        sections += [writer.voices(), writer.rumours(), writer.changes(), writer.answers()]
    sections += [writer.alerts(), writer.unknown(), writer.costs()]
    return Report(
        language=words.language,
        title=words.say("report.title"),
        mark=words.messages.exercise if situation.exercise else "",
        where=", ".join(one_line(each.name) for each in situation.incidents) or words.say("frame.calm"),
        at=words.say("report.at", time=_long(situation, words)),
        stretch=words.say("report.stretch", time=writer.since, length=_length(period.span, words)),
        summary=tuple(writer.summary(graph)),
        graph=graph,
        sections=tuple(each for each in sections if each is not None),
        foot=(words.say("report.machine"), words.say("report.no_quotes"), _zone(situation, words)),
        made_at=format_instant(situation.at),
    )


@dataclass(frozen=True)
class _Writer:
    situation: Situation
    period: Period
    words: Words

    def time(self, at: Any) -> str:
        return self.words.messages.time(at, self.situation.at)

    @property
    def since(self) -> str:
        """To follow a "since", which takes no preposition of a time after it."""
        return re.sub(r"^(?:at|on|kl\.) ", "", self.time(self.period.since))

    def mark(self, exercise: bool) -> str:
        """Of a part that is an exercise where not everything is."""
        return self.words.messages.exercise if exercise and not self.situation.exercise else ""

    # --- in short -----------------------------------------------------------------------------------------------

    def summary(self, graph: Graph | None) -> Iterable[Item]:
        situation, period, say = self.situation, self.period, self.words.say
        if situation.incidents:
            yield Item(self._how_many())
            for kind in (Kind.QUESTION, Kind.WISH):
                top = next((each for each in situation.voices.themes.get(kind, ()) if each.has_theme), None)
                if top is not None:
                    theme, people = theme_name(top.theme, self.words), self._people(top.row.people)
                    yield Item(say(f"report.most_{kind.value}", theme=theme, people=people))
            if (rumour := next(iter(period.rumours), None)) is not None:
                name = "rumour_open" if None in rumour.verdicts else "rumour_settled"
                people = self._people(rumour.people)
                theme = theme_name(rumour.theme, self.words)
                yield Item(say(f"report.{name}", theme=theme, people=people), calls=None in rumour.verdicts)
        else:
            yield Item(say("report.calm"))
        free, had = len(situation.open), len(situation.had)
        if free:
            yield Item(self.words.count("report.open_short", free), calls=True)
        elif had:
            yield Item(say("report.all_had"))
        else:
            yield Item(say("now.no_alerts"))
        for gap in situation.deaf[:2]:
            yield Item(gap_line(gap, self.words, situation.at).text, calls=True)

    def _how_many(self) -> str:
        now, before, say = self.period.now, self.period.before, self.words.say
        text = say("report.how_many", people=self._people(now.people), posts=now.posts, time=self.since)
        if self.period.whole or not (now.posts or before.posts):
            return text
        name = "more" if now.posts > 1.2 * before.posts else "fewer" if 1.2 * now.posts < before.posts else "same"
        return f"{text} {say(f'report.{name}', posts=before.posts)}"

    def _people(self, count: int) -> str:
        return self.words.count("now.people", count)

    def _rumours(self, count: int) -> str:
        return self.words.messages.kinds_counted(Kind.RUMOUR, count)

    # --- what ---------------------------------------------------------------------------------------------------

    def incidents(self) -> Section:
        now, say = self.situation.at, self.words.say
        items = [self._incident(each) for each in self.situation.incidents]
        none = say("now.calm_text")
        if self.situation.since is not None and self.situation.mode is Mode.CALM:
            none += " " + say("now.calm_since", time=self.words.messages.time(self.situation.since, now))
        return Section("incidents", say("now.incidents"), (Group("", tuple(items), none),))

    def _incident(self, its: Incident) -> Item:
        say, now = self.words.say, self.situation.at
        more = [
            say(
                "now.opened", time=self.time(its.opened_at), name=its.opened_by, age=age(its.opened_at, now, self.words)
            )
        ]
        overdue = its.open and its.review_after > 0 and now >= its.review_at
        if its.closed_at is not None:
            more.append(say("report.closed", time=self.time(its.closed_at), name=its.closed_by or "?"))
        elif its.review_after:
            more.append(say("now.overdue" if overdue else "now.review", time=self.time(its.review_at)))
        return Item(
            one_line(its.name),
            mark=self.words.messages.exercise if its.exercise else "",
            more=tuple(more),
            calls=overdue,
        )

    def loud(self) -> Section:
        """Its graph is the report's; where there is none, in calm, the tracks in words."""
        say = self.words.say
        lead = []
        if self.situation.incidents:
            voices = self.situation.voices
            lead.append(say("report.in_all", people=self._people(voices.people), posts=voices.posts))
            lead.append(say("report.graph_counts"))
        tracks = [each for each in self.situation.tracks if not each.track.startswith("@")]
        if self.situation.incidents:
            tracks = [each for each in tracks if each.usual_most is not None and each.last_hour > each.usual_most]
        items = []
        for track in tracks[:LOUD]:
            usual = track.usual_most
            known = say("graph.usual_unknown") if usual is None else say("graph.usual", most=f"{usual:.0f}")
            name = say("graph.total") if track.track.startswith("*") else say("graph.track", track=track.track)
            calls = usual is not None and track.last_hour > usual
            items.append(
                Item(name, more=_ended(self.words.count("graph.last_hour", track.last_hour), known), calls=calls)
            )
        return Section(
            "loud", say("now.loud"), (Group("", tuple(items), "" if lead else say("now.no_counts")),), tuple(lead)
        )

    # --- what people say ----------------------------------------------------------------------------------------

    def voices(self) -> Section:
        voices, say = self.situation.voices, self.words.say
        groups = []
        for kind in ASKED:
            its = [each for each in voices.themes.get(kind, ()) if each.has_theme][:THEMES]
            groups.append(
                Group(say(f"report.{kind.value}"), tuple(self._theme(each) for each in its), say("now.nothing_yet"))
            )
        return Section("voices", say("report.voices"), tuple(groups), note=say("report.number"))

    def _theme(self, found: ThemeNow) -> Item:
        arrow, trend = trend_words(found.row.trend, self.words)
        more = [f"{arrow} {trend}"]
        if found.stands is not None and found.stands.status is not Standing.NEW:
            more.append(standing_words(found.stands, self.words))
        elif found.handled:
            more += [
                self.words.say(f"standing.{each.value}_of", n=count, of=found.stories)
                for each, count in found.handled.items()
            ]
        elif found.kind is Kind.QUESTION:
            more.append(self.words.say("now.unanswered"))
        name = theme_name(found.theme, self.words)
        return Item(name, found.row.people, self.mark(found.row.exercise), tuple(more))

    def rumours(self) -> Section:
        items = [self._rumour(each) for each in self.period.rumours[:RUMOURS]]
        groups = (Group("", tuple(items), self.words.say("now.no_rumours")),)
        note = self.words.say("report.rumours_text") if items else ""
        return Section("rumours", self.words.say("report.rumours"), groups, note=note)

    def _rumour(self, its: RumourTheme) -> Item:
        say = self.words.say
        arrow, trend = trend_words(its.trend, self.words)
        spread = say("now.spread", posts=its.posts, reposts=its.reposts, time=self.time(its.first_at))
        verdicts = ", ".join(self._verdict(verdict, count) for verdict, count in its.verdicts.items())
        text = say("report.rumour", theme=theme_name(its.theme, self.words), n=self._rumours(its.stories))
        more = (f"{arrow} {trend}", spread, verdicts)
        return Item(text, its.people, self.mark(its.exercise), more, calls=None in its.verdicts and its.people >= MANY)

    def _verdict(self, verdict: Verdict | Standing | None, count: int) -> str:
        name = "new" if verdict is None else verdict.value
        return self.words.say(f"report.verdict_{name}", n=count)

    # --- what changed -------------------------------------------------------------------------------------------

    def changes(self) -> Section:
        period, say = self.period, self.words.say
        groups = []
        if period.whole:
            groups.append(Group("", (Item(say("report.all_new")),)))
        else:
            new = sorted((each for each in period.moved if each.new and each.people), key=lambda its: -its.people)
            old = [each for each in period.moved if not each.new]
            rose = sorted((each for each in old if each.grown >= MOVED), key=lambda its: -its.grown)
            fell = sorted((each for each in old if each.grown <= -MOVED), key=lambda its: its.grown)
            for name, its in (("new_themes", new), ("rose", rose), ("fell", fell)):
                items = tuple(self._moved(each) for each in its[:CHANGES])
                groups.append(Group(say(f"report.{name}"), items, say("report.nothing")))
        counted = [
            say("report.answers_given", n=sum(isinstance(each.word, Answer) for each in period.said)),
            say("report.alerts_moved", fired=len(period.fired), handled=len(period.handled), passed=period.passed),
        ]
        words = [self._control(its.result.value, its.command, its.incidents) for its in period.control if its.command]
        lines = [*(Item(each) for each in words[-CHANGES:]), *(Item(each) for each in counted)]
        groups.append(Group(say("report.done"), tuple(lines)))
        title = say("report.changes", time=self.since)
        return Section("changes", title, tuple(groups), note="" if period.whole else say("report.compared"))

    def _moved(self, its: Moved) -> Item:
        kind = self.words.say(f"report.{its.kind.value}")
        more = (kind,) if its.new else (kind, self.words.say("report.before", n=its.before))
        return Item(theme_name(its.theme, self.words), its.people, self.mark(its.exercise), more)

    def _control(self, result: str, command: Any, incidents: Sequence[str]) -> str:
        names = {each.id: each.name for each in self.situation.incidents}
        named = ", ".join(names.get(each, "") for each in incidents if each in names) or command.name or "?"
        return self.words.say(f"report.control_{result}", time=self.time(command.at), name=command.by, incident=named)

    # --- what we did --------------------------------------------------------------------------------------------

    def answers(self) -> Section:
        period, say = self.period, self.words.say
        given = [each for each in period.said if isinstance(each.word, Answer)]
        others = len(period.said) - len(given)
        items = [self._answer(each, each.word) for each in given[:ANSWERS] if isinstance(each.word, Answer)]
        if len(given) > ANSWERS:
            items.append(Item(say("report.more_items", n=len(given) - ANSWERS)))
        if others:
            items.append(Item(say("report.set_aside", n=others)))
        lead = (self.words.count("report.stands", period.answers),) if period.answers else ()
        none = say("report.no_answers", time=self.since)
        return Section("answers", say("report.answers"), (Group("", tuple(items), none),), lead)

    def _answer(self, its: Said, word: Answer) -> Item:
        say = self.words.say
        theme = theme_name(its.themes[0], self.words) if its.themes else say("now.no_theme")
        about = say(f"report.about_{'rumour' if its.kind is Kind.RUMOUR else 'other'}", theme=theme)
        verdict = self.words.messages.verdict[word.verdict]
        text = say("report.answer", about=about, verdict=verdict, words=word.words)
        more = [say("report.by", name=word.by, time=self.time(word.at))]
        if word.people:
            more.append(say("report.had_said", people=self._people(word.people)))
        return Item(text, mark=self.mark(its.exercise), more=tuple(more), link=web_link(word.link or ""))

    def alerts(self) -> Section:
        say, situation = self.words.say, self.situation
        groups = [Group(say("report.open"), self._alerts(situation.open), say("now.no_alerts"))]
        if situation.had:
            groups.append(Group(say("now.had"), self._alerts(situation.had)))
        return Section("alerts", say("frame.alerts"), tuple(groups))

    def _alerts(self, states: Sequence[AlertState]) -> tuple[Item, ...]:
        items = [self._alert(each) for each in states[:ALERTS]]
        if len(states) > ALERTS:
            items.append(Item(self.words.count("now.more_alerts", len(states) - ALERTS)))
        return tuple(items)

    def _alert(self, state: AlertState) -> Item:
        messages, alert = self.words.messages, state.alert
        said = Wording(state, messages, self.situation.at, in_house=False)
        several = len(self.situation.incidents) != 1 or self.situation.incidents[0].id != alert.incident
        more = [one_line(alert.incident_name) if several else "", self.time(state.fired_at)]
        more += called_next(state, self.situation, self.words) if state.is_open else [said.handled()]
        passed = self.words.say("now.passed") if said.passed else ""
        marks = [self.mark(alert.exercise), passed, messages.severity[alert.severity]]
        calls = state.is_open and alert.severity is not Severity.INFO
        return Item(said.headline[0], None, " · ".join(filter(None, marks)), tuple(filter(None, more)), calls=calls)

    # --- what we do not know ------------------------------------------------------------------------------------

    def unknown(self) -> Section:
        period, voices, say = self.period, self.situation.voices, self.words.say
        told = [each for each in period.gaps if each.end is None or each.end - each.start >= SHORTEST_GAP]
        gaps = []
        for gap in told[:GAPS]:
            line = gap_line(gap, self.words, self.situation.at)
            gaps.append(Item(line.text, more=_ended(line.filled), calls=line.lasts))
        if len(told) > GAPS:
            gaps.append(Item(say("report.more_items", n=len(told) - GAPS)))
        groups = [Group(say("now.gaps"), tuple(gaps), say("report.no_gaps", time=self.since))]
        if not self.situation.incidents:
            return Section("unknown", say("report.unknown"), tuple(groups))
        lines = []
        if unread := unread_words(voices.apart, self.words):
            lines.append(Item(say("now.unread", languages=unread)))
        if period.unsorted.posts:
            people = self._people(period.unsorted.people)
            lines.append(Item(say("report.unsorted", posts=period.unsorted.posts, people=people)))
        officials = voices.apart.officials.posts + voices.apart.official_words.posts
        if officials:
            lines.append(Item(self.words.count("now.officials", officials)))
        groups.append(Group(say("report.not_understood"), tuple(lines), say("report.nothing")))
        return Section("unknown", say("report.unknown"), tuple(groups))

    def costs(self) -> Section | None:
        items = []
        for each in self.situation.costs:
            source, text, over = cost_words(each, self.words)
            items.append(Item(source, more=(text,), calls=over))
        return Section("costs", self.words.say("now.costs"), (Group("", tuple(items)),)) if items else None


def _ended(*texts: str) -> tuple[str, ...]:
    """Sentences as parts of one line."""
    return tuple(text.removesuffix(".") for text in texts)


def web_link(link: str) -> str:
    """Only a web address is one."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    return link if parts.scheme in ("http", "https") and parts.netloc and link.isprintable() else ""


def _length(span: timedelta, words: Words) -> str:
    if span >= timedelta(days=2):
        return words.say("now.days", n=span.days)
    minute = timedelta(minutes=1)
    # One that was made on a schedule reaches a few seconds beyond its hours.
    return words.messages.duration(span if span < minute else round(span / minute) * minute)


def _long(situation: Situation, words: Words) -> str:
    """With the date, also today: a report is read later, elsewhere."""
    return words.messages.time(situation.at, situation.at - timedelta(days=2))


def _zone(situation: Situation, words: Words) -> str:
    return words.messages.say("times", zone=words.messages.zone_shown(situation.at))
