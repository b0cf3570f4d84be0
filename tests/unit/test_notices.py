"""What is not an alert: it says who, what and when in its first line, wakes nobody, and holds nothing of a post."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from alerts.notify import notices
from alerts.notify.channels.card import Card
from alerts.notify.messages import Messages, load_all_messages
from alerts.notify.reports import ReportText
from alerts.notify.state import NOTICE, AlertState
from alerts.notify.subject import fits
from listener.settings.files import packaged_config
from tests.unit.telling_support import T0, Log, after, alert

MESSAGES = load_all_messages(packaged_config())
NB, EN = MESSAGES["nb"], MESSAGES["en"]
LINK = "https://lyttepost.sykehus.example/a/x7"


def some(count: int = 3, **more: object) -> list[AlertState]:
    log = Log()
    for number in range(count):
        said = {"nb": f"{14 + number} spør etter pårørendetelefon", "en": f"{14 + number} ask"}
        log.fired(f"a{number}", incident_name="Brann Ullevål", headline=said, at=after(minutes=number), **more)
    return log.book.all()


REPORT = alert(
    "r1", incident_name="Brann Ullevål", rule="lyttepost.situation_report", rule_type=NOTICE, reason="situation_report",
    severity="info", to="crisis_team",
)  # fmt: skip

Make = Callable[[Messages], Card]

ALL: Mapping[str, Make] = {
    "has_it": lambda words: notices.has_it(some(), "Kari Eksempel", after(minutes=7), words, now=after(minutes=8)),
    "incident_opened": lambda words: notices.incident_opened("Brann Ullevål", "Nina", T0, words, now=T0),
    "incident_closed": lambda words: notices.incident_closed("Brann Ullevål", "Nina", T0, words, now=T0, closed=3),
    "situation_report": lambda words: notices.situation_report(REPORT, words, now=after(minutes=1), failed=True),
    "silence_ends": lambda words: notices.silence_ends(
        "s1", "volume", after(minutes=62), words, now=after(minutes=47), open_=some(1)
    ),
    "test": lambda words: notices.reach_test(
        "Kari Eksempel", "kari", "sms", "4711", words, now=T0, replies=True
    ),
}  # fmt: skip

FIRST = {
    "has_it": (
        "Kari Eksempel tar den: 14 spør etter pårørendetelefon, og 2 til",
        "[Brann Ullevål] Kari Eksempel has it: 14 ask, and 2 more",
    ),
    "incident_opened": (
        "[Brann Ullevål] Hendelsen er åpnet av Nina kl. 03.00",
        "[Brann Ullevål] Incident opened by Nina at 03:00",
    ),
    "incident_closed": (
        "[Brann Ullevål] Hendelsen er avsluttet av Nina kl. 03.00",
        "[Brann Ullevål] Incident closed by Nina at 03:00",
    ),
    "situation_report": (
        "[Brann Ullevål] Situasjonsrapport kl. 03.00",
        "[Brann Ullevål] Situation report at 03:00",
    ),
    "silence_ends": (
        "[Lyttepost] Dempingen slutter kl. 04.02: volume",
        "[Lyttepost] The silence ends at 04:02: volume",
    ),
    "test": ("PRØVE fra Lyttepost: kode 4711", "TEST from Lyttepost: code 4711"),
}


@pytest.mark.parametrize("what", list(ALL))
def test_the_first_line_says_it_all_in_both_languages(what: str) -> None:
    made = [ALL[what](words) for words in (NB, EN)]
    assert tuple(card.subject for card in made) == FIRST[what]
    for card in made:
        assert card.lines[0] == card.subject
        assert len(card.subject) <= 70
        assert fits(card.short)
        assert card.urgent == (what == "test"), "a test rings as an alert does"
        assert card.fields["notice"] == what
        assert "{" not in card.text + card.short
        assert json.dumps(card.fields)


def test_who_has_it_is_told_with_what_it_was() -> None:
    assert ALL["has_it"](NB).text == (
        "Kari Eksempel tar den: 14 spør etter pårørendetelefon, og 2 til\n"
        "Brann Ullevål\n"
        "Kari Eksempel kvitterte kl. 03.07. Du trenger ikke gjøre noe.\n"
        "\n"
        "ADVARSEL: 14 spør etter pårørendetelefon · kl. 03.00\n"
        "ADVARSEL: 15 spør etter pårørendetelefon · kl. 03.01\n"
        "ADVARSEL: 16 spør etter pårørendetelefon · kl. 03.02\n"
        "\n"
        "Klokkeslett: Europe/Oslo (CET)"
    )
    assert ALL["has_it"](NB).short == (
        "[Brann Ullevål] Kari Eksempel tar den: 14 spør etter pårørendetelefon, og 2 til. "
        "Kari Eksempel kvitterte kl. 03.07. Du trenger ikke gjøre noe."
    )


def test_of_one_alert_it_is_not_said_twice_what_it_is() -> None:
    assert notices.has_it(some(1), "Kari", after(minutes=7), NB, now=after(minutes=8)).lines == (
        "[Brann Ullevål] Kari tar den: 14 spør etter pårørendetelefon",
        "Brann Ullevål",
        "Kari kvitterte kl. 03.07. Du trenger ikke gjøre noe.",
        "",
        "Klokkeslett: Europe/Oslo (CET)",
    )


def test_a_test_says_that_nothing_has_happened_and_how_to_answer() -> None:
    card = ALL["test"](NB)
    assert card.short == (
        "PRØVE fra Lyttepost: kode 4711. Hei, Kari Eksempel. Ingenting har hendt: dette er en prøve på at varsler når "
        "deg med SMS. Svar 4711, så vet vi at det virker."
    )
    unheard = notices.reach_test("Kari", "kari", "console", "4711", NB, now=T0, replies=False)
    assert "Si koden 4711 til den som ba om prøven" in unheard.text
    assert "Eller skriv: lyttepost duty confirm 4711 --by kari" in unheard.lines


@pytest.mark.parametrize("language", ["nb", "en"])
def test_a_notice_of_an_exercise_says_so_first(language: str) -> None:
    words = MESSAGES[language]
    for card in (
        notices.has_it(some(exercise=True), "Kari", T0, words, now=T0),
        notices.incident_opened("Brann", "Nina", T0, words, now=T0, exercise=True),
        notices.incident_closed("Brann", "Nina", T0, words, now=T0, exercise=True),
    ):
        assert card.subject.startswith(f"{words.exercise} · ")
        assert card.short.startswith(f"{words.exercise} - ")
        assert card.fields["exercise"] is True


def test_a_notice_that_may_be_a_repeat_says_so_whatever_it_is_about() -> None:
    """A process that died amid a send leaves nobody who knows whether it arrived."""
    repeated = (
        notices.has_it(some(), "Kari", T0, NB, now=T0, may_repeat=True),
        notices.incident_opened("Brann", "Nina", T0, NB, now=T0, may_repeat=True),
        notices.incident_closed("Brann", "Nina", T0, NB, now=T0, may_repeat=True),
        notices.silence_ends("s1", "volume", T0, NB, now=T0, may_repeat=True),
    )
    for card in repeated:
        assert card.subject.startswith(NB.may_repeat)
        assert card.fields["may_repeat"] is True


BOARD = "https://tavle.sykehus.example"


@pytest.mark.parametrize(
    ("board", "where"), [(None, "It is found here: lyttepost report"), (BOARD, f"It is found here: {BOARD}")]
)
def test_a_situation_report_that_cannot_be_made_says_so_and_where_it_is_found(board: str | None, where: str) -> None:
    card = notices.situation_report(REPORT, EN, now=T0, board_url=board, failed=True)
    assert "The report could not be made just now." in card.lines
    assert where in card.lines
    assert (f'href="{BOARD}"' in card.html) == (board is not None)


def test_a_situation_report_is_the_whole_message_behind_its_subject() -> None:
    exercise = REPORT.model_copy(update={"exercise": True})
    its = ReportText("**ØVELSE**\n\n# Situasjonsrapport\n", "<!DOCTYPE html>\n<p>ØVELSE</p>")
    card = notices.situation_report(exercise, NB, now=T0, report=its, may_repeat=True)
    assert card.subject == "ØVELSE · GJENTATT? · [Brann Ullevål] Situasjonsrapport kl. 03.00"
    assert card.lines == (card.subject, "", "**ØVELSE**", "", "# Situasjonsrapport")
    assert card.html == its.html
    assert "lyttepost report" not in card.text
    assert card.fields["text"] == card.text
