"""`lyttepost register gap`: what people ask, held against what a real server on loopback publishes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_support import ROOT, Machine, live_bus

from alerts.annotate.story import story
from listener.bus.protocol import Message
from listener.model.records import Cue, Finding, Kind, encode
from tests.fakes.publisher import Publisher, atom, publisher, rss

NOW = datetime.now(UTC).replace(microsecond=0)
VISITS = "Er det lov å besøke noen på Nordvik sykehus i kveld?"
NUMBER = "Hvilket nummer skal vi ringe for å få vite noe?"
PATIENT = "Hvordan går det med Kari Nordmann på rom 4, kan vi besøke henne?"
CLOSED = ("Ingen besøk i kveld", "Alle besøk til sengepostene er avlyst. Hovedinngangen er stengt.")
JOB = ("Ledig stilling", "Vi søker vikarer til sommeren, søknadsfrist 1. mars")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the time at which the tests were collected: of a run that takes long that is a quarter of an hour ago."""
    monkeypatch.setitem(globals(), "NOW", datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def web() -> Iterator[Publisher]:
    with publisher() as fake:
        yield fake


def finding(number: int, text: str, theme: str, *, minutes_ago: float = 30, **more: Any) -> Finding:
    at = NOW - timedelta(minutes=minutes_ago)
    usual: dict[str, Any] = {
        "source": "x", "id": f"p{number}", "incident": "brann-0", "at": at, "captured_at": at, "text": text,
        "author": f"p_{number}", "cues": (Cue(kind=Kind.QUESTION),), "themes": (theme,), "theme_sure": True,
        "language": "nb", "story": story(text),
    }  # fmt: skip
    return Finding(**usual | more)


def publish(machine: Machine, findings: Sequence[Finding]) -> None:
    with live_bus(machine) as bus:
        bus.publish([Message("findings", each.key, encode(each)) for each in findings])


def some(machine: Machine) -> None:
    publish(
        machine,
        [
            *(
                finding(n, VISITS, "access_visiting", minutes_ago=minutes)
                for n, minutes in enumerate((110, 90, 30, 20))
            ),
            finding(10, PATIENT, "access_visiting", patient_exposed=0.9),
            *(finding(20 + n, NUMBER, "relatives_contact", cues=(Cue(kind=Kind.WISH),)) for n in range(2)),
            finding(30, "Jeg synes maten er god", "food", cues=(Cue(kind=Kind.VIEWPOINT),)),
            finding(31, "Jeg ønsker meg bedre mat", "food", cues=(Cue(kind=Kind.WISH),)),
        ],
    )


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def test_unanswered_themes_come_first_and_what_may_answer_stands_beside_the_others(
    machine: Machine, web: Publisher
) -> None:
    some(machine)
    feed = web.put("/rss", rss((*CLOSED, ago(30)), (*JOB, ago(5))))
    done = machine.run("register", "gap", "--feed", feed)
    assert done.returncode == 0, done.stderr
    unanswered, answered = done.stdout.split("ASKED, AND PERHAPS ANSWERED (ranked by people)")
    assert unanswered.startswith("ASKED, AND NOTHING PUBLISHED SINCE IS ABOUT IT (ranked by people) · brann-0 · as of ")
    assert "\n   2 people  kontakt for pårørende  since " in unanswered
    assert f"2× «{NUMBER}»" in unanswered
    assert "\n   5 people  besøk og adgang  since " in answered
    assert "3 in the last hour, 2 before" in answered
    assert f"4× «{VISITS}»" in answered
    assert "perhaps answered by «Ingen besøk i kveld» " in answered
    assert "m ago) https://nordvik.example/0" in answered
    assert f"read: {feed}: 2 published, the newest " in answered
    assert "mat" not in done.stdout, "what nobody asks"


def test_no_sample_shows_who_a_patient_is(machine: Machine, web: Publisher) -> None:
    some(machine)
    feed = web.put("/rss", rss())
    for words in ((), ("--json",)):
        shown = machine.run("register", "gap", "--feed", feed, *words).stdout
        assert VISITS in shown
        assert "Nordmann" not in shown


def test_a_theme_that_a_person_answered_is_shown_as_such_with_who_and_when(machine: Machine, web: Publisher) -> None:
    some(machine)
    feed = web.put("/rss", rss())
    said = ("--verdict", "unknown", "--words", "Ring 22 00; vi svarer pårørende", "--by", "Kari")
    done = machine.run("register", "answer", "--theme", "access_visiting", *said, "--incident", "brann-0")
    assert done.returncode == 0, done.stderr
    shown = machine.run("register", "gap", "--feed", feed).stdout
    unanswered, answered = shown.split("ASKED, AND ANSWERED BY A PERSON")
    assert ("kontakt for pårørende" in unanswered, "besøk og adgang" in unanswered) == (True, False)
    assert "answered by Kari: unknown, " in answered
    assert "«Ring 22 00; vi svarer pårørende»" in answered
    found = {each["theme"]: each for each in machine.json("register", "gap", "--feed", feed)["themes"]}
    assert (found["access_visiting"]["answer"], found["access_visiting"]["given"]["by"]) == ("answered", "Kari")
    assert (found["relatives_contact"]["answer"], found["relatives_contact"]["given"]) == ("unanswered", None)


def test_json_holds_the_same_for_programs(machine: Machine, web: Publisher) -> None:
    some(machine)
    feed = web.put("/atom", atom((*CLOSED, ago(30))))
    said = machine.json("register", "gap", "--feed", feed)
    assert said["feeds"] == [{"feed": feed, "entries": 1, "error": None, "broken": False}]
    number, visits = said["themes"]
    assert (number["theme"], number["answer"], number["people"]) == ("relatives_contact", "unanswered", 2)
    assert number["newest"] is None
    assert (visits["name"], visits["answer"], visits["people"]) == ("besøk og adgang", "perhaps_answered", 5)
    assert (visits["last_hour"], visits["hour_before"]) == (3, 2)
    assert datetime.fromisoformat(visits["since"]) == ago(110)
    assert visits["samples"] == [{"text": VISITS, "people": 4}]
    assert (visits["newest"]["title"], visits["newest"]["link"]) == (CLOSED[0], web.at("/0"))
    assert 1800 <= visits["newest"]["age_seconds"] < 3600


def test_what_is_older_than_the_question_answers_nothing_and_is_shown(machine: Machine, web: Publisher) -> None:
    some(machine)
    done = machine.run("register", "gap", "--feed", web.put("/rss", rss((*CLOSED, ago(3 * 24 * 60)))))
    assert "PERHAPS ANSWERED" not in done.stdout
    assert "the newest about it is older than this: «Ingen besøk i kveld» " in done.stdout
    assert "(3d ago)" in done.stdout


def test_a_feed_that_fails_hides_nothing_of_the_others_and_the_code_says_so(machine: Machine, web: Publisher) -> None:
    some(machine)
    good = web.put("/rss", rss((*CLOSED, ago(30))))
    done = machine.run("register", "gap", "--feed", web.at("/gone"), "--feed", good, "--feed", web.at("/loop"))
    assert done.returncode == 1
    assert "perhaps answered by «Ingen besøk i kveld»" in done.stdout
    assert f"{web.at('/gone')}: is not there (404); look whether the address is right\n" in done.stderr
    assert f"{web.at('/loop')}: redirects more than 5 times in a row" in done.stderr
    assert "2 of 3 feeds not read: what is asked may be answered there" in done.stderr
    assert "Traceback" not in done.stderr


def test_where_no_feed_can_be_read_nothing_is_called_unanswered(machine: Machine, web: Publisher) -> None:
    some(machine)
    done = machine.run("register", "gap", "--feed", web.at("/cut"))
    assert done.returncode == 1
    assert done.stdout.startswith("ASKED, AND NOT COMPARED WITH WHAT IS PUBLISHED (ranked by people)")
    assert "1 of 1 feed not read: nothing could be compared" in done.stderr
    said = machine.run("register", "gap", "--feed", web.at("/cut"), "--json")
    assert said.returncode == 1
    assert '"answer": "not_compared"' in said.stdout


def test_an_empty_feed_answers_nothing(machine: Machine, web: Publisher) -> None:
    some(machine)
    feed = web.put("/rss", rss())
    done = machine.run("register", "gap", "--feed", feed)
    assert (done.returncode, f"read: {feed}: 0 published\n" in done.stdout) == (0, True)
    assert "PERHAPS" not in done.stdout


def test_a_feed_that_is_broken_in_the_middle_says_that_something_may_be_missing(
    machine: Machine, web: Publisher
) -> None:
    some(machine)
    done = machine.run("register", "gap", "--feed", web.put("/rss", rss((*CLOSED, ago(5)), (*JOB, ago(30)))[:-60]))
    assert done.returncode == 0
    assert "perhaps answered by «Ingen besøk i kveld»" in done.stdout
    assert "it is broken XML, and something may be missing" in done.stdout


def test_where_nobody_asks_it_says_so_and_reads_no_feed(machine: Machine, web: Publisher) -> None:
    feed = web.put("/rss", rss())
    publish(machine, [finding(30, "Jeg synes maten er god", "food", cues=(Cue(kind=Kind.VIEWPOINT),))])
    done = machine.run("register", "gap", "--feed", feed)
    assert (done.returncode, done.stdout) == (0, "")
    assert "Nobody asks anything; no feed was read." in done.stderr
    assert web.asked == []


def test_since_and_incident_narrow_what_is_asked(machine: Machine, web: Publisher) -> None:
    some(machine)
    publish(machine, [finding(40, "Når kommer bussen?", "transport_parking", incident="flom-7")])
    feed = ("--feed", web.put("/rss", rss()))
    recent = machine.json("register", "gap", *feed, "--since", "65m", "--incident", "brann-0")["themes"]
    assert [(each["theme"], each["people"]) for each in recent] == [("access_visiting", 3), ("relatives_contact", 2)]
    other = machine.json("register", "gap", *feed, "--incident", "flom-7")["themes"]
    assert [(each["theme"], each["incidents"]) for each in other] == [("transport_parking", ["flom-7"])]
    nowhere = machine.run("register", "gap", *feed, "--incident", "nowhere-1")
    assert (nowhere.returncode, "no incident has the id 'nowhere-1'" in nowhere.stderr) == (2, True)


def test_a_closed_incident_is_looked_at_only_by_its_name(machine: Machine, web: Publisher) -> None:
    feed = ("--feed", web.put("/rss", rss((*CLOSED, ago(30)))))
    crisis = ("mode", "crisis", "--name", "Brann", "--track", "nordvik*", "--why", "prøve", "--no-wait", "--json")
    assert machine.run(*crisis).returncode in (0, 5)
    (incident,) = machine.json("mode")["incidents"]
    publish(machine, [finding(1, VISITS, "access_visiting", incident=incident["id"])])
    shown = machine.run("register", "gap", *feed).stdout
    assert "(ranked by people) · Brann · as of " in shown
    assert "perhaps answered by" in shown
    machine.run("mode", "calm", "--why", "prøve", "--no-wait")
    done = machine.run("register", "gap", *feed)
    assert (done.returncode, done.stdout) == (0, "")
    assert "no incident is open. --incident ID looks at a closed one." in done.stderr
    assert "besøk og adgang" in machine.run("register", "gap", *feed, "--incident", incident["id"]).stdout


def test_the_settings_name_the_feeds_where_the_command_does_not(tmp_path: Path, web: Publisher) -> None:
    path = tmp_path / "feed.xml"
    path.write_text(rss((*CLOSED, ago(30))), encoding="utf-8")
    machine = Machine(tmp_path, {"LYTTEPOST_PUBLISHED__FEEDS": f"['{path}', '{web.put('/rss', rss())}']"})
    some(machine)
    said = machine.json("register", "gap")
    assert [(each["feed"], each["entries"]) for each in said["feeds"]] == [(str(path), 1), (web.at("/rss"), 0)]
    assert [each["answer"] for each in said["themes"]] == ["unanswered", "perhaps_answered"]
    assert len(machine.json("register", "gap", "--feed", web.at("/rss"))["feeds"]) == 1


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ((), 4, "no feed is named: set published.feeds in settings.yaml"),
        (("--feed", "ftp://a.no/feed"), 2, "--feed: 'ftp://a.no/feed' must begin with https://"),
        (("--feed", ""), 2, "--feed: '' is empty; write an address such as"),
        (("--feed", "x.xml", "--since", "soon"), 2, "is no duration"),
    ],
)
def test_what_cannot_be_asked_says_what_to_write(machine: Machine, words: tuple[str, ...], code: int, why: str) -> None:
    done = machine.run("register", "gap", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert why in done.stderr


def test_a_title_cannot_command_the_terminal(machine: Machine, web: Publisher) -> None:
    some(machine)
    path = machine.folder / "work" / "page.html"
    path.write_text(f"<html><title>Ingen \x1b[2J besøk</title><p>{CLOSED[1]}</p></html>", encoding="utf-8")
    shown = machine.run("register", "gap", "--feed", "page.html").stdout
    assert "perhaps «Ingen [2J besøk», which does not say when it was published" in shown
    assert "\x1b" not in shown


def test_only_this_command_imports_the_parser_of_feeds() -> None:
    modules = [*(ROOT / "alerts").rglob("*.py"), *(ROOT / "listener").rglob("*.py")]
    users = [path.name for path in modules if "import feedparser" in path.read_text("utf-8")]
    assert users == ["feeds.py"]
    importers = [
        path.name
        for path in modules
        if path.parent.name != "feeds"  # the source, which is made where it is set up alone
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("from listener.sources.common.feeds")
    ]
    assert importers == [], "at the top of a module: every command of the register would import it"
