"""`lyttepost register show|note|status|answer|correct`: what a crisis team decides, on a bus with findings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_support import Machine, live_bus

from alerts.annotate.corrections import Corrections
from alerts.annotate.story import story
from listener.bus import hashchain
from listener.bus.messages import message
from listener.bus.protocol import Message
from listener.bus.scan import scan, scan_records
from listener.model.decisions import DECISIONS, Answer, Correction, Note, Status, answered
from listener.model.incidents import Action, Command, encode_command
from listener.model.records import ALERTS, FINDINGS, MENTIONS, AuthorClass, Captured, Cue, Finding, Kind, Mention
from tests.unit.telling_support import alert

START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
DRILL = "ovelse-1"
RUMOUR = "Visstnok er drikkevannet på Nordvik forurenset av diesel"
QUESTION = "Er vannet trygt å drikke på Nordvik i kveld?"
ASKED = "Må vi koke vannet før barna får det i natt?"
WISH = "Kan noen kjøre tepper til gymsalen på Nordvik"
DENIAL = "Det er feil at vannet er forurenset, vi har målt det"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def finding(number: int, text: str, kind: Kind, *themes: str, minute: float = 0, **more: Any) -> Finding:
    at = START + timedelta(minutes=minute or number)
    its = {"incident": "brann-0", "story": story(text), "author": f"p_{number}", "themes": themes, **more}
    cues = (Cue(kind=kind, words=("visstnok",) if kind is Kind.RUMOUR else ()),)
    return Finding(source="x", id=f"10{number:02}", at=at, captured_at=at, text=text, cues=cues, **its)


def fill(machine: Machine, more: Sequence[Finding] = ()) -> None:
    findings = [
        *(finding(n, RUMOUR, Kind.RUMOUR, "infection") for n in range(1, 5)),
        finding(5, f"RT @p_1: {RUMOUR}", Kind.RUMOUR, "infection", repost_of="1001"),
        finding(6, QUESTION, Kind.QUESTION, "infection"),
        finding(7, ASKED, Kind.QUESTION, "infection"),
        finding(8, WISH, Kind.WISH, "supplies_help"),
        finding(9, DENIAL, Kind.VIEWPOINT, "infection"),
        finding(10, f"Nordvik kommune: {DENIAL}", Kind.MEDIA, "infection", author_class=AuthorClass.PUBLIC_BODY),
        *more,
    ]
    with live_bus(machine) as bus:
        for name, exercise in (("Brann", False), ("Øvelse", True)):
            opened = Command(action=Action.OPEN, at=START, by="K", why="røyk", name=name, exercise=exercise)
            bus.publish([Message("control", name, encode_command(opened))])
        for each in findings:
            captured = {name: getattr(each, name) for name in Captured.model_fields}
            bus.publish(
                [message(MENTIONS, Mention(**captured, incidents={each.incident: ()})), message(FINDINGS, each)]
            )


def decided(machine: Machine) -> list[Any]:
    with live_bus(machine) as bus:
        hashchain.verify(scan_records(bus, ["decisions"]))
        return list(scan(bus, DECISIONS))


def done(machine: Machine, *words: str) -> str:
    """The message of a command that succeeds."""
    result = machine.run("register", *words)
    assert result.returncode == 0, result.stderr
    return result.stderr


def refused(machine: Machine, *words: str, code: int = 2) -> str:
    result = machine.run("register", *words)
    assert result.returncode == code, (result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    return result.stderr


BY = ("--by", "Kari")
FALSE = ("--verdict", "false", "--words", "Prøvene er rene; drikk som vanlig.")


def test_a_story_is_answered_once_and_show_tells_all_of_it(machine: Machine) -> None:
    fill(machine)
    name = story(RUMOUR)
    done(machine, "note", name[:6], "Ringte vannverket, de måler nå", "--by", "Ola")
    said = done(machine, "answer", name[:6], *FALSE, "--link", "https://nordvik.example/vann", *BY)
    assert "is answered in Brann (brann-0): false. 5 people had said it" in said
    note, answer = decided(machine)
    assert isinstance(note, Note)
    assert isinstance(answer, Answer)
    assert (answer.story, answer.incidents, answer.people, answer.posts, answer.by) == (
        name,
        ("brann-0",),
        5,
        5,
        "Kari",
    )

    shown = machine.run("register", "show", "1002").stdout
    assert shown.startswith(RUMOUR)
    assert "5 people, 5 posts, 1 reposts, in Brann (brann-0)" in shown
    assert "rumour: 5 people, by the words «visstnok»" in shown
    assert "status: answered, Kari, " in shown
    assert "Ola: note: Ringte vannverket, de måler nå" in shown
    assert "Kari: answered, false: Prøvene er rene; drikk som vanlig. (https://nordvik.example/vann)" in shown
    assert "posts per 10 minutes since " in shown

    told = machine.json("register", "show", name)
    assert (told["status"], told["answer"]["verdict"], told["people"]) == ("answered", "false", 5)
    assert [each["words"] for each in told["notes"]] == ["Ringte vannverket, de måler nå"]
    assert told["ids"] == [f"x:10{n:02}" for n in range(1, 6)]
    assert told["words"] == {"rumour": ["visstnok"]}


def test_the_register_shows_what_was_decided_beside_its_rows(machine: Machine) -> None:
    fill(machine)
    done(machine, "answer", "1006", "--theme", "infection", "--verdict", "unknown", "--words", "Vi undersøker.", *BY)
    done(machine, "status", "1008", "passed-on", *BY)
    questions = machine.json("register", "--kind", "question")
    assert [(each["status"], each["answer"]["verdict"]) for each in questions] == [("answered", "unknown")] * 2
    (wish,) = machine.json("register", "--kind", "wish")
    assert (wish["status"], wish["answer"]) == ("passed_on", None)
    (rumour,) = machine.json("register", "--kind", "rumour")
    assert (rumour["status"], rumour["answer"]) == ("new", None)
    assert machine.run("register", "--kind", "question").stdout.count(" · answered by Kari: unknown\n") == 2
    told = machine.run("register", "--kind", "wish").stdout
    assert f" story {story(WISH)[:8]} · passed on by Kari\n" in told


def test_what_denies_it_stands_beside_it_officials_first(machine: Machine) -> None:
    fill(machine)
    told = machine.json("register", "show", story(RUMOUR))
    assert [(each["post"], each["official"]) for each in told["perhaps_denials"]] == [("x:1010", True)]
    assert "Perhaps a denial:\n  official, " in machine.run("register", "show", story(RUMOUR)).stdout
    assert machine.json("register", "show", story(WISH))["perhaps_denials"] == []


def test_a_whole_id_is_that_post_though_others_begin_so_too(machine: Machine) -> None:
    fill(machine, [finding(30, "Noe annet om Nordvik", Kind.VIEWPOINT).model_copy(update={"id": "10081"})])
    assert machine.json("register", "show", "1008")["story"] == story(WISH)
    assert machine.json("register", "show", "x:1008")["ids"] == ["x:1008"]


def test_a_status_says_what_was_done_with_it_and_the_last_one_counts(machine: Machine) -> None:
    fill(machine)
    done(machine, "status", "1008", "passed-on", *BY, "--why", "til kommunen")
    done(machine, "status", "1008", "dismissed", *BY)
    first, second = decided(machine)
    assert isinstance(first, Status)
    assert (first.status.value, first.why, first.people, second.status.value) == (
        "passed_on",
        "til kommunen",
        1,
        "dismissed",
    )
    shown = machine.run("register", "show", "1008").stdout
    assert "status: dismissed, Kari" in shown
    assert "Kari: passed-on: til kommunen; 1 people had said it" in shown


def test_what_is_decided_about_one_of_two_near_copies_is_decided_about_both(machine: Machine) -> None:
    copy = f"Har dere hørt dette? {RUMOUR}"
    other = RUMOUR.replace("Nordvik", "Sørvik")
    fill(machine, [finding(30, copy, Kind.RUMOUR, "infection"), finding(31, other, Kind.RUMOUR, "infection")])
    assert story(copy) != story(RUMOUR)
    done(machine, "answer", story(copy), *FALSE, *BY)
    (its,) = decided(machine)
    assert isinstance(its, Answer)
    assert (its.story, its.alike, its.people) == (story(RUMOUR), (story(copy),), 6)
    for about in (story(RUMOUR), story(copy), "1030"):
        told = machine.json("register", "show", about)
        assert (told["story"], told["status"], told["people"]) == (story(RUMOUR), "answered", 6)
    rumours = {each["story"]: each["status"] for each in machine.json("register", "--kind", "rumour")}
    assert rumours == {story(RUMOUR): "answered", story(other): "new"}, "another place is another claim"
    assert [each.story for each in answered(its, 0)] == [story(RUMOUR), story(copy)], "the rules are told of each"


def test_an_answer_to_a_theme_answers_every_question_about_it(machine: Machine) -> None:
    fill(machine)
    done(machine, "answer", "1006", "--theme", "infection", "--verdict", "true", "--words", "Ja, det er trygt.", *BY)
    assert machine.json("register", "show", "1007")["status"] == "answered"
    assert machine.json("register", "show", "1001")["status"] == "new", "a rumour about water is no question"
    assert machine.json("register", "show", "theme:infection")["posts"] == 2
    done(machine, "status", "theme:infection", "new", *BY)
    assert machine.json("register", "show", "1007")["status"] == "new"


def test_a_correction_is_in_the_register_at_once_for_the_post_and_its_copies(machine: Machine) -> None:
    fill(
        machine, [finding(11, WISH, Kind.WISH, "supplies_help"), finding(12, f"{WISH} nå", Kind.WISH, "supplies_help")]
    )
    said = done(machine, "correct", "1008", "--kinds", "question,wish", "--themes", "infection", *BY, "--why", "spør")
    assert "x:1008 voices wish, question, about infection" in said
    (its,) = decided(machine)
    assert isinstance(its, Correction)
    assert (its.post, its.kinds, its.themes) == ("x:1008", (Kind.WISH, Kind.QUESTION), ("infection",))
    assert ", about infection: spør" in machine.run("register", "show", "1008").stdout
    kinds = {each["story"]: each["people"] for each in machine.json("register", "--kind", "question")}
    assert kinds[story(WISH)] == 2, "the post and its copy, not the third that only begins so"
    done(machine, "correct", "1008", "--kinds", "other", *BY)
    assert story(WISH) not in {each["story"] for each in machine.json("register", "--kind", "question")}


def test_what_a_person_writes_is_masked_and_may_quote_no_post(machine: Machine) -> None:
    fill(machine)
    said = done(machine, "note", "1008", "Ring mor på 412 34 567", *BY)
    assert "were masked" in said
    assert "412" not in decided(machine)[0].words
    for words in (
        ("note", "1008", f"De skriver: {RUMOUR}"),
        ("status", "1008", "new", "--why", RUMOUR),
        ("answer", "1001", "--verdict", "false", "--words", f"Usant: {RUMOUR.upper()}"),
        ("correct", "1001", "--kinds", "wish", "--why", RUMOUR),
    ):
        assert "quotes a post" in refused(machine, *words, *BY)
    assert len(decided(machine)) == 1


def test_a_note_of_an_alert_may_quote_no_post_either_and_an_acknowledgement_looks_for_none(machine: Machine) -> None:
    fill(machine)
    with live_bus(machine) as bus:
        bus.publish([message(ALERTS, alert("a1"))])
    quoting = machine.run("alerts", "note", "a1", "--text", f"De skriver: {RUMOUR}", *BY)
    assert (quoting.returncode, "--text: quotes a post" in quoting.stderr) == (2, True)
    assert machine.run("alerts", "note", "a1", "--text", "Vi spør politiet", *BY).returncode == 0
    assert [note["text"] for note in machine.json("alerts", "show", "a1")["notes"]] == ["Vi spør politiet"]
    assert machine.run("alerts", "ack", "a1", "--why", RUMOUR, *BY).returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "zzz"), "no story and no post begins with 'zzz'; `lyttepost register` lists them"),
        (("show", "100"), "fits"),
        (("show", ""), "no story"),
        (("show", "theme:gold"), "no theme has the id 'gold'; known: "),
        (("show", "1001", "--incident", "flom-9"), "'flom-9' is none of those that heard it: brann-0"),
        (("note", "1001", " "), "WORDS: says nothing"),
        (("note", "1001", "x" * 1001), "1,001 characters"),
        (("status", "1001", "done"), "it is one of new, answered, passed-on, dismissed"),
        (("answer", "1001", "--words", "ja"), "--verdict: is missing; it is one of true, false, unknown"),
        (("answer", "1001", "--verdict", "true"), "--words: says nothing"),
        (
            ("answer", "1001", "--verdict", "true", "--words", "ja", "--link", "ftp://x"),
            "--link: must begin with https",
        ),
        (("answer", "--verdict", "true", "--words", "ja"), "Name a story, or a theme with --theme"),
        (("correct", "1001", "--kinds", "gossip"), "--kinds: there is no kind 'gossip'"),
        (("correct", "1001", "--kinds", "other,wish"), "--kinds: other stands alone"),
        (("correct", "1001", "--kinds", "wish", "--themes", "gold"), "no theme has the id 'gold'"),
        (("correct", "zzz", "--kinds", "wish"), "no post begins with 'zzz'"),
    ],
)
def test_what_cannot_be_is_a_usage_error_that_says_what_to_do(
    machine: Machine, words: tuple[str, ...], message: str
) -> None:
    fill(machine)
    assert message in " ".join(refused(machine, *words).replace("│", " ").split())
    assert decided(machine) == []


def test_an_exercise_and_a_real_incident_are_never_decided_on_together(machine: Machine) -> None:
    fill(machine, [finding(20, RUMOUR, Kind.RUMOUR, "infection", incident=DRILL, exercise=True)])
    assert f"name one with --incident: brann-0, {DRILL}" in refused(machine, "note", "1001", "sett", *BY)
    done(machine, "note", "1001", "sett", *BY, "--incident", DRILL)
    assert decided(machine)[0].incidents == (DRILL,)
    assert machine.json("register", "show", "1001", "--incident", "brann-0")["notes"] == []


def test_the_chain_of_decisions_holds_with_words_of_all_sorts(machine: Machine) -> None:
    fill(machine)
    done(machine, "note", "1001", "sett", *BY)
    done(machine, "correct", "1001", "--kinds", "question", *BY)
    assert "decisions: 2 records, chain unbroken" in machine.run("alerts", "verify").stdout
    assert json.loads(machine.run("alerts", "--json").stdout) == []


def files_with(folder: Path, needles: Sequence[str]) -> list[tuple[str, str]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [(path.name, needle) for path in files for needle in needles if needle.encode() in path.read_bytes()]


def test_a_purge_reaches_what_was_learned_from_a_post_and_no_file_holds_a_word_of_it(machine: Machine) -> None:
    word = "gymsalen"
    edited = finding(11, f"{WISH} i kveld", Kind.WISH, "supplies_help", edits=("1008",))
    fill(machine, [edited, finding(12, "Tepper trengs på skolen også", Kind.WISH, "supplies_help")])
    done(machine, "note", "1011", "Kommunen har tepper; de kjører i kveld", *BY)
    done(machine, "answer", "1011", "--verdict", "true", "--words", "Tepper er på vei.", *BY)
    done(machine, "correct", "1011", "--kinds", "question", *BY)
    assert machine.run("register", "--kind", "question", "--json").stdout.count(word) == 1
    assert files_with(machine.data, [word])

    purged = machine.run("privacy", "purge", "x:1008", "--why", "krav", "--by", "Personvernombud")
    assert purged.returncode == 0, purged.stderr
    assert files_with(machine.data, [word, "p_11", 'p_8"']) == []
    assert word not in machine.run("register", "--kind", "question", "--json").stdout
    assert "no story and no post begins with '1011'" in refused(machine, "show", "1011")
    corrections = Corrections()
    for each in decided(machine):
        corrections.take(each)
    assert list(corrections.all()) == [], "the version that was corrected was named by nobody"
    assert "chain unbroken" in machine.run("alerts", "verify").stdout
