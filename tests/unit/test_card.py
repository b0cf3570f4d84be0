"""The card: understood in ten seconds inside, and holding nothing of anybody's post outside."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from alerts.notify.card import bare, build
from alerts.notify.channels.card import Card
from alerts.notify.channels.text import one_line
from alerts.notify.messages import BRACES, fill, load_all_messages, load_messages, sparkline
from alerts.notify.recipients import People
from alerts.notify.state import AlertState
from listener.errors import ConfigError
from listener.model.deliveries import Outcome
from listener.model.records import DecisionKind, Event, Gap, Kind, Sample
from listener.settings.files import packaged_config
from tests.unit.telling_support import T0, Log, after, alert, due, people

NB = load_messages(packaged_config(), "nb")
EN = load_messages(packaged_config(), "en")
TEXT = "Noen som vet hvor de har kjørt bestemor Oddny fra sykehjemmet?"
SECRETS = ("Oddny", "bestemor", "x:1788", "sykehjem", "#savnetoddny")


def state(**more: Any) -> AlertState:
    log = Log()
    log.fired(**more)
    return log.book.all()[0]


def card(about: AlertState, *, words=NB, who: People | None = None, in_house: bool = False, **more: Any) -> Card:
    return build(about, who or people(), words, now=after(minutes=1), in_house=in_house, **more)


def seen(html: str) -> str:
    """The words of a page as a person sees them."""
    body = re.sub(r"(?s).*<body[^>]*>", "", html)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_the_first_three_lines_say_it_all() -> None:
    about = state(key="question", key_fields=("kinds",), severity="critical")
    assert card(about).lines[:4] == (
        "[Brann, Nordvik sykehus] Mange spør om spørsmål",
        "KRITISK · 27 treff på 5 min, grensen er 10 · først sett kl. 02.48",
        "Brann, Nordvik sykehus (krise) · Kvitter: lyttepost alerts ack a1 --by NAVN",
        "",
    )
    assert card(about, words=EN).lines[:3] == (
        "[Brann, Nordvik sykehus] Many ask about questions",
        "CRITICAL · 27 hits in 5 min, the limit is 10 · first seen at 02:48",
        "Brann, Nordvik sykehus (crisis) · Acknowledge: lyttepost alerts ack a1 --by NAME",
    )


def test_until_it_is_settled_its_numbers_are_the_least_that_there_are() -> None:
    heading = {"nb": "{at_least} 27 personer spør", "en": "{at_least} 27 people ask"}
    numbers: dict[str, Any] = {"authors": 27, "posts": 28, "reposts": 1}
    about = state(headline=heading, settled=False, nth=1, **numbers)
    assert card(about).lines[:2] == (
        "[Brann, Nordvik sykehus] minst 27 personer spør",
        "ADVARSEL · minst 27 treff på 5 min, grensen er 10 · først sett kl. 02.48",
    )
    assert "Omfang: minst 27 avsendere, 28 innlegg, 1 deling" in card(about).text
    assert "minst 27 personer spør" in card(about).short
    assert "at least 27 people ask" in card(about, words=EN).subject
    assert card(about).fields["settled"] is False
    assert card(about).problems == ()
    settled = state(headline={"nb": "31 personer spør"}, settled=True, nth=1, **numbers)
    assert "minst" not in card(settled).text
    assert card(settled).fields["settled"] is True


def test_the_whole_card_as_an_officer_reads_it() -> None:
    about = state(
        key="question",
        key_fields=("kinds",),
        authors=21,
        posts=27,
        reposts=6,
        kinds={Kind.QUESTION: 24, Kind.WISH: 3},
        spark=(0, 1, 2, 9, 15),
        heard_late=True,
        posted_at=T0,
        found_at=after(minutes=8),
        gaps=(Gap(id="g", source="x", start=T0, end=after(minutes=8), cause="silence"),),
        tiltakskort="https://intranett.sykehus.example/kort/7",
    )
    assert card(about).text.split("\n\n")[1:] == [
        "Tiltakskort: https://intranett.sykehus.example/kort/7",
        "Utvikling kl. 02.55–03.00: ▁▁▁▅█ (høyest 15 på 1 min)\n"
        "Omfang: 21 avsendere, 27 innlegg, 6 delinger\n"
        "Hva: 24 spørsmål, 3 ønsker (tolket av maskin, ikke kontrollert)",
        "Ikke hørt: X kl. 03.00–03.08\nOppdaget sent: publisert kl. 03.00, funnet kl. 03.08",
        "Ingen er varslet tidligere\nIkke kvittert av noen ennå",
        "Regel many_questions · varsel a1\nKlokkeslett: Europe/Oslo (CET)",
    ]


@pytest.mark.parametrize(("words", "mark"), [(NB, "ØVELSE"), (EN, "EXERCISE")])
def test_an_exercise_says_so_first_on_text_and_subject(words, mark: str) -> None:
    log = Log()
    log.fired(exercise=True)
    log.resolved()
    made = card(log.book.all()[0], words=words, step=3, may_repeat=True)
    for text in (made.subject, made.text, made.short, made.fields["subject"], made.fields["text"]):
        assert text.startswith(mark)
    assert seen(made.html).startswith(mark)
    assert bare(log.book.all()[0], step=0, may_repeat=False).text.startswith("ØVELSE / EXERCISE")


GIVEN = {"at": after(minutes=-2), "by": "Kari", "verdict": "false", "words": "Ring 0123 for svar", "people": 9}


@pytest.mark.parametrize(
    ("given", "nb", "en"),
    [
        (GIVEN, "Besvart kl. 02.58 av Kari: usant", "Answered at 02:58 by Kari: false"),
        (
            {**GIVEN, "verdict": "unknown"},
            "Besvart kl. 02.58 av Kari: ikke kjent",
            "Answered at 02:58 by Kari: not known",
        ),
        ({**GIVEN, "verdict": None}, "Besvart kl. 02.58 av Kari", "Answered at 02:58 by Kari"),
        (
            {**GIVEN, "verdict": None, "standing": "dismissed"},
            "Lagt til side kl. 02.58 av Kari",
            "Set aside at 02:58 by Kari",
        ),
    ],
)
def test_an_alert_of_what_was_answered_says_so_and_the_words_stay_inside(given: Any, nb: str, en: str) -> None:
    about = state(answer=given)
    for words, said in ((NB, nb), (EN, en)):
        assert f"{said} – Ring 0123 for svar" in card(about, words=words, in_house=True).lines
        outside = card(about, words=words)
        assert said in outside.lines
        assert "0123" not in json.dumps(outside.fields)
    assert card(about).fields["answer"]["by"] == "Kari"
    assert card(state()).fields["answer"] is None


def test_a_card_of_what_has_passed_tells_of_the_answer_that_ended_it() -> None:
    log = Log()
    log.fired()
    log.add("alerts", alert(event=Event.RESOLVED, answer=GIVEN, reason="answered_over"))
    assert "Besvart kl. 02.58 av Kari: usant" in card(log.book.all()[0]).lines


def test_marks_say_passed_repeat_and_unanswered() -> None:
    log = Log()
    log.fired()
    log.resolved(at=after(minutes=30))
    made = card(log.book.all()[0], step=2, may_repeat=True)
    assert made.subject == "OVER · GJENTATT? · [Brann, Nordvik sykehus] Mange spør om ett tema"
    assert made.lines[1].startswith("ADVARSEL · UBESVART · ")
    assert "Over kl. 03.30, men ingen har kvittert for varselet" in made.lines


def test_who_was_notified_and_who_answered() -> None:
    log = Log()
    log.fired()
    for one in due(log.book, people(), T0):
        log.delivery(one, after(seconds=4), Outcome.SENT)
    log.decided(DecisionKind.ACKNOWLEDGE, "Kari Eksempel", after(minutes=1))
    made = card(log.book.all()[0])
    assert "Varslet: Kari (e-post) kl. 03.00; Ola (webhook) kl. 03.00" in made.lines
    assert made.lines[2] == "Brann, Nordvik sykehus (krise) · kvittert av Kari Eksempel kl. 03.01"
    assert "kari@sykehus.example" not in made.text


def unsafe() -> AlertState:
    return state(
        key="#savnetOddny",
        key_fields=("hashtags",),
        headline={"nb": "Mange skriver om {key}", "en": "x"},
        reason="new term #savnetOddny in x:1788",
        samples=(Sample(key="x:1788", digest="d"),),
        first_seen=datetime(2031, 3, 2, 1, 48, 31, 123000, UTC),
        gaps=(Gap(id="x:1788", source="x", start=T0, end=None, cause="Oddny"),),
    )


def texts(keys):
    return {"x:1788": TEXT}


def test_nothing_of_a_post_leaves_the_house() -> None:
    made = card(unsafe(), texts=texts)
    everything = made.subject + made.text + made.short + made.html + json.dumps(made.fields, ensure_ascii=False)
    for secret in SECRETS:
        assert secret.casefold() not in everything.casefold()
    assert "Mange skriver om ett tema" in made.subject
    assert made.fields["first_seen"] == "2031-03-02T01:48:00Z"


def test_a_headline_that_spells_the_key_out_is_replaced_outside() -> None:
    about = state(key="#savnetoddny", key_fields=("hashtags",), headline={"nb": "Mange deler #SavnetOddny nå"})
    assert "oddny" not in card(about).text.casefold()
    assert "Regelen «many_questions» har slått ut" in card(about).subject
    assert "#SavnetOddny" in card(about, in_house=True).subject


def test_letters_that_cannot_be_seen_let_no_key_out() -> None:
    about = state(
        key="savnet\u200bOdd\u00adny", key_fields=("hashtags",), headline={"nb": "Mange deler savnet\u200bOdd\u00adny"}
    )
    made = card(about)
    assert "oddny" not in (made.subject + made.text + made.short + made.html).casefold()
    assert "savnetOddny" in card(about, in_house=True).subject


def test_a_headline_that_ends_with_its_key_goes_out_without_it() -> None:
    about = state(
        key="savnetoddny", key_fields=("hashtags",), headline={"nb": "3 bruker en ny emneknagg: #SavnetOddny"}
    )
    assert card(about).subject == "[Brann, Nordvik sykehus] 3 bruker en ny emneknagg"
    assert card(about, in_house=True).subject.endswith(": #SavnetOddny")


def test_an_incident_is_called_as_it_is_written_whatever_it_looks_like() -> None:
    made = card(state(incident_name="{key} {0}", headline={"nb": "{incident}: 3 spør"}))
    assert made.subject == "[{key} {0}] {key} {0}: 3 spør"
    assert made.problems == ()


@pytest.mark.parametrize(
    ("fields", "shown"),
    [(("track",), True), (("source", "lang"), True), ((), False), (("track", "story"), False), (("text",), False)],
)
def test_only_keys_that_nobody_wrote_leave_the_house(fields: tuple[str, ...], shown: bool) -> None:
    about = state(key="nordvik", key_fields=fields, incident_name="Brann")
    assert ("nordvik" in card(about).text) is shown
    assert (card(about).fields["key"] == "nordvik") is shown


def test_inside_the_house_the_posts_are_shown() -> None:
    made = card(unsafe(), in_house=True, texts=texts)
    assert f"«{TEXT}» (x:1788)" in made.lines
    assert "Hvorfor: new term #savnetOddny in x:1788" in made.lines


def test_a_post_that_is_gone_is_said_to_be_gone_and_a_failing_lookup_loses_no_card() -> None:
    def fails(keys):
        raise OSError

    for lookup in (lambda keys: {}, fails):
        made = card(unsafe(), in_house=True, texts=lookup)
        assert "(teksten er ikke lenger lagret) (x:1788)" in made.lines
        assert not made.problems


def test_a_posts_terminal_commands_are_taken_out() -> None:
    made = card(unsafe(), in_house=True, texts=lambda keys: {"x:1788": "før\x1b[2J\n\u202eetter\x07"})
    assert "«før[2J etter» (x:1788)" in made.lines


@pytest.mark.parametrize(
    ("more", "missing"),
    [
        ({"headline": {}}, "headline.nb"),
        ({"headline": {"en": "Many ask"}}, "headline.nb"),
        ({"incident_name": " "}, "incident_name"),
        ({"rule": ""}, "rule"),
        ({"headline": {"nb": "Mange om {topic}"}}, "headline: an unknown name in braces"),
    ],
)
def test_a_card_that_lacks_a_field_is_sent_and_says_what(more: dict[str, Any], missing: str) -> None:
    made = card(state(**more))
    assert made.problems == (missing,)
    assert f"Varselet er ufullstendig ({missing}). Se: lyttepost alerts show a1" in made.lines
    assert made.lines[1].startswith("ADVARSEL · ")
    assert "ack a1" in made.lines[2]
    assert "{" not in made.text


def test_a_full_card_has_no_problems() -> None:
    assert card(state()).problems == ()


def test_a_headline_looks_at_no_attributes() -> None:
    assert fill("{count.__class__} {count!r} {count}", {"count": "7"}) == "{count.__class__} {count!r} 7"


def test_times_are_the_hospitals_own_with_the_date_when_it_is_another_day() -> None:
    assert NB.time(datetime(2031, 7, 1, 22, 30, tzinfo=UTC), datetime(2031, 7, 1, 23, 0, tzinfo=UTC)) == "kl. 00.30"
    assert NB.time(T0, datetime(2031, 3, 3, 0, 0, tzinfo=UTC)) == "02.03. kl. 03.00"


def test_the_night_when_clocks_are_changed_names_its_zone() -> None:
    for hour, shown in ((0, "02.30 CEST"), (1, "02.30 CET"), (2, "03.30 CET"), (18, "19.30")):
        at = datetime(2031, 10, 26, hour, 30, tzinfo=UTC)
        assert NB.time(at, at) == f"kl. {shown}"


def test_a_span_says_the_date_and_the_zone_where_they_could_be_mistaken() -> None:
    assert NB.span(T0, after(minutes=8), after(minutes=9)) == "kl. 03.00–03.08"
    assert EN.span(T0, after(minutes=8), after(minutes=9)) == "03:00–03:08"
    assert NB.span(T0, after(minutes=8), after(days=1)) == "02.03. kl. 03.00–03.08"
    assert EN.span(T0, after(minutes=8), after(days=1)) == "on 2031-03-02 at 03:00–03:08"
    assert NB.span(after(hours=-5), T0, T0) == "01.03. kl. 22.00 – kl. 03.00"
    at = datetime(2031, 10, 26, 0, 45, tzinfo=UTC)
    assert NB.span(at, at + timedelta(minutes=30), at) == "kl. 02.45 CEST – kl. 02.15 CET"


def test_small_graphs_and_numbers() -> None:
    assert sparkline((0, 5, 10)) == "▁▄█"
    assert sparkline((0, 0)) == "▁▁"
    assert len(sparkline(tuple(range(100)))) == 30
    assert (NB.number(2.5), NB.number(10.0), EN.number(2.5)) == ("2,5", "10", "2.5")
    assert one_line("a" * 9, 5) == "aaaa…"


def test_both_languages_have_the_same_words_and_a_misspelt_one_is_found_at_start(tmp_path) -> None:
    (tmp_path / "messages").mkdir()
    good = (packaged_config() / "messages" / "nb.yaml").read_text(encoding="utf-8")
    (tmp_path / "messages" / "nb.yaml").write_text(
        good.replace("normalt {baseline}", "normalt {base}"), encoding="utf-8"
    )
    with pytest.raises(ConfigError, match=r"baseline_usual must name \{baseline\}"):
        load_messages(tmp_path, "nb")
    (tmp_path / "messages" / "nb.yaml").write_text(good.replace("exercise:", "exercice:"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"nb\.yaml:\d+: exercise"):
        load_messages(tmp_path, "nb")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ((r"  flatline: ",), "no text for reasons.flatline$"),
        (
            (r"  info: ", r"  wish: ", r"  flatline_over: "),
            "no text for severity.info, kind.wish, reasons.flatline_over$",
        ),
    ],
)
def test_words_that_are_missing_are_named(tmp_path: Path, lines: tuple[str, ...], told: str) -> None:
    (tmp_path / "messages").mkdir()
    good = (packaged_config() / "messages" / "nb.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    left = [line for line in good if not line.startswith(lines)]
    assert len(left) == len(good) - len(lines)
    (tmp_path / "messages" / "nb.yaml").write_text("".join(left), encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        load_messages(tmp_path, "nb")


def test_every_text_with_braces_is_in_the_table() -> None:
    for words in (NB, EN):
        braced = {name for name, text in words.model_dump().items() if isinstance(text, str) and re.search(r"\{", text)}
        assert braced == set(BRACES)


def test_one_clear_place_holds_the_words_of_each_notice_and_a_misspelt_one_is_found(tmp_path: Path) -> None:
    (tmp_path / "messages").mkdir()
    good = (packaged_config() / "messages" / "nb.yaml").read_text(encoding="utf-8")
    for old, new, told in (
        ("  has_it:", "  has_itt:", "no text for notices.has_it"),
        ("  silence_ends_how:", "  extra: x\n  silence_ends_how:", "notices.extra: there is no such text"),
        ("unsilence {id}", "unsilence {ids}", r"notices.silence_ends_how must name \{id\}"),
        ("disse {count}", "disse {n}", r"why.digest must name \{count\}"),
    ):
        assert old in good
        (tmp_path / "messages" / "nb.yaml").write_text(good.replace(old, new), encoding="utf-8")
        with pytest.raises(ConfigError, match=told):
            load_messages(tmp_path, "nb")


def test_the_messages_of_every_language_are_loaded_together() -> None:
    assert {language: words.language for language, words in load_all_messages(packaged_config()).items()} == {
        "nb": "nb",
        "en": "en",
    }
