"""The situation report: what it tells, what it never does, and that whatever a person wrote is only text in it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from alerts.annotate.story import story
from alerts.notify.messages import load_all_messages
from alerts.register.denials import DenialWords
from alerts.register.view import Register
from alerts.report.html import as_html
from alerts.report.markdown import as_markdown, plain
from alerts.report.period import Period, look_back
from alerts.report.report import Report, Section, make_report, web_link
from alerts.situation.followed import Followed
from alerts.situation.situation import Situation, describe
from alerts.situation.words import load_words
from listener.bus import hashchain
from listener.bus.messages import message
from listener.bus.protocol import Bus, Message, open_bus
from listener.clock import ManualClock
from listener.model.answers import Verdict
from listener.model.decisions import DECISIONS, Answer, Note
from listener.model.incidents import Action, Command, encode_command
from listener.model.records import ALERTS, Cue, Decision, DecisionKind, Finding, Gap, Heard, Kind, encode
from listener.model.topics import topic_specs
from listener.privacy.purge import purge_posts
from listener.settings.files import packaged_config
from tests.unit.telling_support import alert

NOW = datetime(2031, 1, 11, 21, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRE = "brann-nordvik-0"
WORDS = {
    language: load_words(packaged_config(), messages)
    for language, messages in load_all_messages(packaged_config()).items()
}
DENY = DenialWords.load(packaged_config())
WATER = "Kan noen komme med vann til skolen i Nordvik"
WAITING = "Hvor lenge må vi vente på legevakta i kveld"
DEAD = "Naboen sier at tre pasienter er døde på Nordvik"
HANDLE = "@olanordmann"
WRITTEN = (WATER, WAITING, DEAD, HANDLE, "Naboen", "skolen", "legevakta i", "hemmelig", "x:p1", "a1", "szpital")


@dataclass
class World:
    """A fire two hours ago, on a bus of its own."""

    bus: Bus
    folder: Path
    number: int = 0

    def open(self, name: str = "Brann, Nordvik", *, exercise: bool = False, at: datetime = NOW - 2 * HOUR) -> None:
        said = Command(action=Action.OPEN, at=at, by="Kari", why="melding fra AMK", name=name, exercise=exercise)
        self.bus.publish([Message("control", "incident", encode_command(said))])

    def says(self, text: str, kind: Kind, theme: str, people: int, ago: timedelta, **more: Any) -> None:
        at = NOW - ago
        for _ in range(people):
            self.number += 1
            finding = Finding(
                source="x", id=f"p{self.number}", at=at, captured_at=at, text=text, author=f"a{self.number}",
                incident=more.get("incident", FIRE), story=story(text, None), cues=(Cue(kind=kind),), themes=(theme,),
                language=more.get("language", "nb"), lang=more.get("lang", "nb"), theme_sure=True,
                exercise=more.get("exercise", False),
            )  # fmt: skip
            self.bus.publish([Message("findings", finding.key, encode(finding))])

    def decides(self, word: Any) -> None:
        hashchain.append(self.bus, DECISIONS.name, word)

    def look(self, since: timedelta = HOUR, incident: str = "") -> tuple[Situation, Period]:
        clock = ManualClock(NOW)
        register = Register(self.bus, self.folder / "register.sqlite")
        with closing(Followed(self.bus, clock, register, UTC, DENY, lambda word: None)) as followed:
            followed.read()
            situation = describe(followed, None, lambda channel: False, NOW, incident=incident)
            return situation, look_back(followed, NOW - since, NOW, incident)

    def report(self, language: str = "nb", **asked: Any) -> Report:
        return make_report(*self.look(**asked), WORDS[language])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(open_bus("embedded:", tmp_path, ManualClock(NOW), durable=False)) as bus:
        bus.ensure(topic_specs(1, {}))
        yield World(bus, tmp_path)


def section(report: Report, id_: str) -> Section:
    (found,) = [each for each in report.sections if each.id == id_]
    return found


def said(report: Report, id_: str) -> list[str]:
    """The lines of a section, as one reads them."""
    return [
        " ".join(filter(None, [group.title, str(item.people or ""), item.mark, item.text, *item.more]))
        for group in section(report, id_).groups
        for item in group.items
    ]


def a_crisis(world: World) -> None:
    world.open()
    world.says(WATER, Kind.WISH, "supplies_help", 8, timedelta(minutes=90))
    world.says(WATER, Kind.WISH, "supplies_help", 2, timedelta(minutes=10))
    world.says(WAITING, Kind.QUESTION, "waiting", 5, timedelta(minutes=20))
    world.says(f"{DEAD}, skriver {HANDLE}", Kind.RUMOUR, "death_claims", 12, timedelta(minutes=30))
    world.says("Czy szpital jest bezpieczny", Kind.OTHER, "none_of_these", 3, HOUR / 2, language="und", lang="pl")
    answer = {"story": story(f"{DEAD}, skriver {HANDLE}", None), "incidents": (FIRE,), "people": 12, "posts": 12}
    its = {"by": "Kari", "verdict": Verdict.FALSE, "words": "Ingen er døde.", "link": "https://hus.example/nytt"}
    world.decides(Answer(at=NOW - HOUR / 4, **its, **answer))
    world.decides(Note(at=NOW - HOUR / 4, by="Ola", story=answer["story"], incidents=(FIRE,), words="hemmelig notat"))
    world.bus.publish([message(ALERTS, alert(incident=FIRE, at=NOW - HOUR / 3, key="waiting", key_fields=("theme",)))])
    gap = Gap(id="g", source="x", start=NOW - HOUR / 2, end=NOW - HOUR / 3, cause="reset")
    world.bus.publish([Message("gaps", "x", encode(gap))])


def test_it_tells_what_people_say_by_theme_with_people_and_trend(world: World) -> None:
    a_crisis(world)
    report = world.report()
    assert report.where == "Brann, Nordvik"
    assert any("ventetid" in line and "5" in line and "ikke besvart" in line for line in said(report, "voices"))
    assert any("utstyr" in line and "2 siste time, 8 timen før" in line for line in said(report, "voices"))


def test_a_rumour_is_told_by_theme_people_reposts_and_verdict(world: World) -> None:
    a_crisis(world)
    (line,) = said(world.report(), "rumours")
    assert line.startswith("12 påstander om døde eller skadde: 1 rykte")
    assert "12 innlegg, 0 av dem delinger" in line
    assert line.endswith("1 stemmer ikke")


def test_what_is_new_rose_or_fell_stands_apart(world: World) -> None:
    a_crisis(world)
    groups = {group.title: [item.text for item in group.items] for group in section(world.report(), "changes").groups}
    assert groups["Nye temaer"] == ["ventetid og køer"]
    assert groups["Avtar mest"] == ["utstyr og hjelpende hender"]
    assert groups["Øker mest"] == []
    assert "Svar gitt: 1" in groups["Det vi har gjort"]


def test_an_incident_opened_in_the_stretch_is_new_as_a_whole(world: World) -> None:
    a_crisis(world)
    assert said(world.report(since=timedelta(hours=3)), "changes")[0].startswith("Hendelsen ble åpnet i dette")


def test_answers_are_in_the_teams_own_words_with_who_and_a_link(world: World) -> None:
    a_crisis(world)
    report = world.report()
    (item,) = section(report, "answers").groups[0].items
    assert item.text == "Rykte om påstander om døde eller skadde: usant. Ingen er døde."
    assert item.more[0].startswith("Kari, ")
    assert item.link == "https://hus.example/nytt"
    assert 'href="https://hus.example/nytt"' in as_html(report, WORDS["nb"])


def test_open_alerts_say_that_nobody_has_them_and_then_who_does(world: World) -> None:
    a_crisis(world)
    groups = section(world.report(), "alerts").groups
    assert [group.title for group in groups] == ["Ingen har tatt"]
    world.decides(Decision(kind=DecisionKind.ACKNOWLEDGE, id="a1", at=NOW, by="Ola"))
    free, had = section(world.report(), "alerts").groups
    assert free.items == ()
    assert "kvittert av Ola" in " ".join(had.items[0].more)


def test_what_we_could_not_hear_and_cannot_read_is_told(world: World) -> None:
    a_crisis(world)
    lines = " ".join(said(world.report(), "unknown"))
    assert "forbindelsen brøt" in lines
    assert "Ikke funnet etterpå" in lines
    assert "polsk 3" in lines


def test_the_graph_shows_a_gap_as_unknown_in_both_forms(world: World) -> None:
    a_crisis(world)
    report = world.report()
    assert report.graph is not None
    assert None in report.graph.counts
    assert "░" in as_markdown(report, WORDS["nb"])
    assert "url(#hatch)" in as_html(report, WORDS["nb"])


def test_an_exercise_is_marked_before_everything(world: World) -> None:
    world.open(exercise=True)
    for language, mark in (("nb", "ØVELSE"), ("en", "EXERCISE")):
        report = world.report(language)
        assert as_markdown(report, WORDS[language]).startswith(f"**{mark}**\n")
        html = as_html(report, WORDS[language])
        assert html.index(mark, html.index("<body>")) < html.index("<h1>")
        assert f"<title>{mark}" in html


def test_an_exercise_beside_a_real_incident_marks_its_own_lines_alone(world: World) -> None:
    a_crisis(world)
    world.open("Øvelse vann", exercise=True)
    world.says(WATER, Kind.WISH, "supplies_help", 1, HOUR / 6, incident="ovelse-vann-1", exercise=True)
    report = world.report()
    assert report.mark == ""
    marks = [
        item.mark for group in section(report, "voices").groups for item in group.items if item.text[:6] == "utstyr"
    ]
    assert sorted(marks) == ["", "ØVELSE"]


def test_in_calm_it_says_so_and_makes_no_people_up(world: World) -> None:
    report = world.report()
    assert report.graph is None
    assert [each.id for each in report.sections] == ["incidents", "loud", "alerts", "unknown"]
    assert "Normaldrift" in as_markdown(report, WORDS["nb"])


def test_a_closed_incident_is_told_of_when_it_is_asked_for(world: World) -> None:
    a_crisis(world)
    close = Command(action=Action.CLOSE, at=NOW, by="Kari", why="slukket", incident=FIRE)
    world.bus.publish([Message("control", "incident", encode_command(close))])
    assert world.report().where == "Normaldrift"
    report = world.report(incident=FIRE)
    assert report.where == "Brann, Nordvik"
    assert "Avsluttet" in " ".join(said(report, "incidents"))
    assert said(report, "rumours")


@pytest.mark.parametrize("language", WORDS)
def test_nothing_that_anybody_wrote_is_in_it_nor_a_handle_an_id_or_a_note(world: World, language: str) -> None:
    a_crisis(world)
    world.says(WATER.upper(), Kind.QUESTION, "none_of_these", 30, HOUR / 5)
    heard = Heard(source="x", start=NOW - HOUR, end=NOW, incidents={FIRE: (HANDLE, "nordvik")})
    world.bus.publish([Message("volumes", "x:heard", encode(heard))])
    world.bus.publish([message(ALERTS, alert("a2", incident=FIRE, at=NOW, key=HANDLE, key_fields=("hashtags",)))])
    report = world.report(language)
    for form in (as_html(report, WORDS[language]), as_markdown(report, WORDS[language]), json.dumps(report.as_json())):
        for text in WRITTEN:
            assert text.casefold() not in form.casefold(), text


def test_what_was_purged_is_in_no_later_report_for_no_report_holds_it(world: World) -> None:
    a_crisis(world)
    purge_posts(world.bus, [f"x:p{number}" for number in range(1, world.number + 1)], ManualClock(NOW))
    for path in world.folder.glob("register.sqlite*"):
        path.unlink()
    text = as_markdown(world.report(), WORDS["nb"])
    assert DEAD not in text
    assert "Naboen" not in text


def test_the_same_facts_make_the_same_report(world: World) -> None:
    a_crisis(world)
    facts = world.look()
    assert make_report(*facts, WORDS["nb"]) == make_report(*facts, WORDS["nb"])


def test_it_is_read_in_two_minutes(world: World) -> None:
    a_crisis(world)
    themes = list(WORDS["nb"].messages.themes)
    for number, theme in enumerate(themes):
        for kind in (Kind.WISH, Kind.QUESTION, Kind.RUMOUR, Kind.VIEWPOINT):
            world.says(f"{kind} nummer {number} om {theme}", kind, theme, 1, HOUR / 7)
    for number in range(40):
        world.bus.publish([message(ALERTS, alert(f"b{number}", incident=FIRE, at=NOW))])
    assert len(re.findall(r"\w+", as_markdown(world.report(), WORDS["nb"]))) < 900


# --- as files --------------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_file_needs_nothing_but_itself_and_says_its_language(world: World) -> None:
    a_crisis(world)
    for language in WORDS:
        html = as_html(world.report(language), WORDS[language])
        read = Reader(html)
        assert html.startswith("<!DOCTYPE html>")
        assert ("html", {"lang": language}) in read.tags
        names = [tag for tag, _ in read.tags]
        assert not {"script", "link", "img", "iframe", "object"} & set(names)
        assert names.count("h1") == 1
        assert not [each for _, its in read.tags for each in its if each.startswith("on") or each in ("src", "style")]
        assert "@page" in html
        assert "prefers-color-scheme: dark" in html
        ids = [its["id"] for _, its in read.tags if "id" in its]
        assert len(ids) == len(set(ids))
        labels = [its["aria-labelledby"] for _, its in read.tags if "aria-labelledby" in its]
        assert set(labels) <= set(ids)


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "ftp://x", "", "http://[", "https://a\nb"]
)
def test_only_a_web_address_is_a_link(link: str) -> None:
    assert web_link(link) == ""


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("*ØVELSE*", r"\*ØVELSE\*"),
        ("[klikk](https://evil.example)", r"\[klikk\](https:\//evil.example)"),
        ("<!channel> @everyone", r"\<\!channel\> \@everyone"),
        ("# Overskrift\n- punkt", r"\# Overskrift - punkt"),
        ("- punkt", r"\- punkt"),
        ("1. punkt", r"1\. punkt"),
        ("www.evil.example", r"www\.evil.example"),
        ("`kode` | rad | ~~bort~~", r"\`kode\` \| rad \| \~\~bort\~\~"),
        ("kl. 12.30, 4 personer", "kl. 12.30, 4 personer"),
    ],
)
def test_what_markdown_would_take_for_more_is_escaped(written: str, shown: str) -> None:
    assert plain(written) == shown


def hostile() -> list[dict[str, Any]]:
    folder = os.environ.get("LYTTEPOST_EVALUATION_DATA")
    if not folder:
        pytest.skip("LYTTEPOST_EVALUATION_DATA names no folder; the hostile strings are not part of the project")
    rows: list[dict[str, Any]] = json.loads((Path(folder) / "duty" / "hostile.json").read_text(encoding="utf-8"))
    return rows


TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "section", "div", "h1", "h2", "h3", "p", "ul",
    "li", "span", "bdi", "strong", "a", "figure", "figcaption", "svg", "defs", "pattern", "path", "rect", "polygon",
    "text", "details", "summary", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
"""What the file is made of."""


def test_hostile_strings_in_names_notes_and_answers_are_only_text(world: World) -> None:
    for number, row in enumerate(hostile()):
        world.open(f"{row['text']} {number}")
        incident = list(_incidents(world))[-1]
        its = {"incidents": (incident,), "theme": "waiting", "words": row["text"], "link": row["text"]}
        world.decides(Answer(at=NOW - HOUR / 4, by=row["text"], verdict=Verdict.FALSE, **its))
        world.decides(Note(at=NOW, by=row["text"], theme="waiting", incidents=(incident,), words=row["text"]))
        more = {"incident": incident, "incident_name": row["text"], "headline": {"nb": row["text"]}}
        world.bus.publish([message(ALERTS, alert(f"h{number}", at=NOW, **more))])
    for incident in ["", *_incidents(world)]:
        report = world.report(incident=incident)
        html, markdown = as_html(report, WORDS["nb"]), as_markdown(report, WORDS["nb"])
        read = Reader(html)
        assert {tag for tag, _ in read.tags} <= TAGS
        assert not [name for _, its in read.tags for name in its if name.startswith("on")]
        assert not [its["href"] for tag, its in read.tags if tag == "a" and not str(its["href"]).startswith("http")]
        assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u200b-\u200d\x00-\x08\x1b]", html + markdown)
        assert not re.search(r"(?<!\\)<(?!https?://)", markdown)
        assert "https://evil" not in re.sub(r"<https?://[^<>\s]*>", "", markdown)
        assert not re.search(r"(?<!\\)@everyone|(?<!\\)\[klikk", markdown)


def _incidents(world: World) -> list[str]:
    from listener.runtime.control import Control

    return list(Control(world.bus).refresh().incidents)
