"""What is not an alert: it says who, what and when in its first line, wakes nobody, and holds nothing of a post."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from alerts.notify import notices
from alerts.notify.channels.card import Card
from alerts.notify.messages import Messages, load_all_messages
from alerts.notify.state import AlertState
from alerts.notify.subject import fits
from listener.settings.files import packaged_config
from tests.unit.telling_support import T0, Log, after

MESSAGES = load_all_messages(packaged_config())
NB, EN = MESSAGES["nb"], MESSAGES["en"]
LINK = "https://lyttepost.sykehus.example/a/x7"


def some(count: int = 3, **more: object) -> list[AlertState]:
    log = Log()
    for number in range(count):
        said = {"nb": f"{14 + number} spør etter pårørendetelefon", "en": f"{14 + number} ask"}
        log.fired(f"a{number}", incident_name="Brann Ullevål", headline=said, at=after(minutes=number), **more)
    return log.book.all()


Make = Callable[[Messages], Card]

ALL: Mapping[str, Make] = {
    "has_it": lambda words: notices.has_it(some(), "Kari Eksempel", after(minutes=7), words, now=after(minutes=8)),
    "incident_opened": lambda words: notices.incident_opened("Brann Ullevål", "Nina", T0, words, now=T0),
    "incident_closed": lambda words: notices.incident_closed("Brann Ullevål", "Nina", T0, words, now=T0, closed=3),
    "review": lambda words: notices.review_due("Brann Ullevål", "Nina", T0, words, now=after(hours=6, minutes=3)),
    "silence_ends": lambda words: notices.silence_ends(
        "s1", "volume", after(minutes=62), words, now=after(minutes=47), open_=some(1)
    ),
    "silence_ended": lambda words: notices.silence_ended(
        "volume", after(minutes=2), after(minutes=62), words, now=after(minutes=62),
        passed=[notices.Passing(some(1)[0], after(minutes=30))], open_=some(2), code="4711", link=LINK,
    ),
    "test": lambda words: notices.reach_test("Kari Eksempel", "sms", words, now=T0, code="4711", link=LINK),
}  # fmt: skip

FIRST = {
    "has_it": (
        "[Brann Ullevål] Kari Eksempel har det: 14 spør etter…, og 2 til",
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
    "review": (
        "[Brann Ullevål] På tide å vurdere: åpen i 6 timer",
        "[Brann Ullevål] Time to review: open for 6 hours",
    ),
    "silence_ends": (
        "[Lyttepost] Dempingen slutter kl. 04.02: volume",
        "[Lyttepost] The silence ends at 04:02: volume",
    ),
    "silence_ended": ("[Lyttepost] Dempingen er slutt: volume", "[Lyttepost] The silence has ended: volume"),
    "test": ("[Lyttepost] Prøve: svar 4711", "[Lyttepost] Test: reply 4711"),
}


@pytest.mark.parametrize("what", list(ALL))
def test_the_first_line_says_it_all_in_both_languages(what: str) -> None:
    made = [ALL[what](words) for words in (NB, EN)]
    assert tuple(card.subject for card in made) == FIRST[what]
    for card in made:
        assert card.lines[0] == card.subject
        assert len(card.subject) <= 70
        assert fits(card.short)
        assert not card.urgent
        assert card.fields["notice"] == what
        assert "{" not in card.text + card.short
        assert json.dumps(card.fields)


def test_who_has_it_is_told_with_what_it_was() -> None:
    assert ALL["has_it"](NB).text == (
        "[Brann Ullevål] Kari Eksempel har det: 14 spør etter…, og 2 til\n"
        "Brann Ullevål\n"
        "Kari Eksempel har det: 14 spør etter pårørendetelefon\n"
        "Kari Eksempel kvitterte kl. 03.07. Du trenger ikke gjøre noe.\n"
        "\n"
        "ADVARSEL: 14 spør etter pårørendetelefon · kl. 03.00\n"
        "ADVARSEL: 15 spør etter pårørendetelefon · kl. 03.01\n"
        "ADVARSEL: 16 spør etter pårørendetelefon · kl. 03.02\n"
        "\n"
        "Klokkeslett: Europe/Oslo (CET)"
    )
    assert ALL["has_it"](NB).short == (
        "[Brann Ullevål] Kari Eksempel har det: 14 spør etter pårørendetelefon, og 2 til. "
        "Kari Eksempel kvitterte kl. 03.07. Du trenger ikke gjøre noe."
    )


def test_of_one_alert_it_is_not_said_twice_what_it_is() -> None:
    assert notices.has_it(some(1), "Kari", after(minutes=7), NB, now=after(minutes=8)).lines == (
        "[Brann Ullevål] Kari har det: 14 spør etter pårørendetelefon",
        "Brann Ullevål",
        "Kari kvitterte kl. 03.07. Du trenger ikke gjøre noe.",
        "",
        "Klokkeslett: Europe/Oslo (CET)",
    )


def test_a_review_that_is_due_names_both_commands() -> None:
    assert ALL["review"](NB).lines[2:6] == (
        "Hendelsen ble åpnet av Nina kl. 03.00. Skal den fortsatt være åpen?",
        "",
        "Ja: lyttepost mode review --why GRUNN",
        "Nei: lyttepost mode calm --why GRUNN",
    )


@pytest.mark.parametrize(
    ("open_for", "length"),
    [(timedelta(hours=12, minutes=59), "12 timer"), (timedelta(minutes=45, seconds=30), "45 minutter")],
)
def test_how_long_it_has_been_open_is_told_in_whole_hours(open_for: timedelta, length: str) -> None:
    card = notices.review_due("Brann", "Nina", T0, NB, now=T0 + open_for)
    assert card.subject == f"[Brann] På tide å vurdere: åpen i {length}"


def test_after_a_silence_what_came_and_passed_is_told_beside_what_is_open() -> None:
    card = ALL["silence_ended"](NB)
    assert card.text == (
        "[Lyttepost] Dempingen er slutt: volume\n"
        "Lyttepost · Kvitter: svar 4711\n"
        f"  eller {LINK}\n"
        "Kom og var over igjen kl. 03.02–04.02: 1\n"
        "Fortsatt åpne: 2\n"
        "\n"
        "14 spør etter pårørendetelefon · kl. 03.00, over kl. 03.30\n"
        "ADVARSEL: 14 spør etter pårørendetelefon · kl. 03.00\n"
        "ADVARSEL: 15 spør etter pårørendetelefon · kl. 03.01\n"
        "\n"
        "Klokkeslett: Europe/Oslo (CET)"
    )
    assert card.fields["passed"] == ["a0"]
    assert card.fields["open"] == ["a0", "a1"]


def test_a_long_silence_lists_ten_of_each_and_says_how_many_more() -> None:
    passed = [notices.Passing(state, after(hours=1)) for state in some(13)]
    card = notices.silence_ended("volume", T0, after(hours=2), NB, now=after(hours=2), passed=passed, open_=some(12))
    assert "og 5 til" in card.lines
    assert len([line for line in card.lines if "spør etter" in line]) == 20


def test_a_test_says_that_nothing_has_happened_and_how_to_answer() -> None:
    card = ALL["test"](NB)
    assert card.short == (
        "[Lyttepost] Prøve: svar 4711. Hei, Kari Eksempel. Lyttepost prøver om du kan nås med SMS. "
        f"Ingenting har hendt. Svar, så vet vi at det virker. Kvitter: svar 4711 eller {LINK}"
    )
    assert f'href="{LINK}"' in card.html
    assert notices.reach_test("Kari", "console", NB, now=T0).subject == "[Lyttepost] Prøve: dette er ingen hendelse"


@pytest.mark.parametrize("language", ["nb", "en"])
def test_a_notice_of_an_exercise_says_so_first(language: str) -> None:
    words = MESSAGES[language]
    for card in (
        notices.has_it(some(exercise=True), "Kari", T0, words, now=T0),
        notices.incident_opened("Brann", "Nina", T0, words, now=T0, exercise=True),
        notices.incident_closed("Brann", "Nina", T0, words, now=T0, exercise=True),
        notices.review_due("Brann", "Nina", T0, words, now=after(hours=1), exercise=True),
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
