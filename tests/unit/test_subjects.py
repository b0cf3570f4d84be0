"""The first line of every rule that comes with the program: what happened, in seventy characters, in good words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alerts.notify.card import build
from alerts.notify.channels.card import Card
from alerts.notify.messages import load_all_messages
from alerts.notify.subject import cut, first_line, fits, plain, short_text, shortened
from alerts.rules.load import load_rules
from alerts.rules.texts import headline
from alerts.rules.verdict import Reason, Verdict
from listener.model.records import Alert, Event, Kind
from listener.runtime.ops_alerts import OPS_ALERTS, OpsAlerts
from listener.settings.files import packaged_config
from tests.unit.telling_support import T0, Log, after, alert, people

MESSAGES = load_all_messages(packaged_config())
RULES = {spec.name: spec for spec in load_rules(packaged_config() / "rules")}
GROWING = (0, 0, 1, 0, 1, 0, 1, 1, 2, 2, 2, 4)

TYPICAL: dict[str, dict[str, Any]] = {
    "authority-speaks": {"count": 1, "key": "public_body", "key_fields": ("author_class",)},
    "burst": {"count": 120, "baseline": 4.2, "key": "x: fjordby*", "key_fields": ("source", "track")},
    "eyewitness": {"count": 3},
    "large-account": {"count": 1, "key": "x", "key_fields": ("source",)},
    "media-on-rumour": {"count": 1},
    "new-hashtag": {"count": 3, "key": "fjellbyhjelp", "key_fields": ("hashtags",)},
    "question-many-ask": {"count": 6, "key": "relatives_contact", "key_fields": ("main_theme",)},
    "questions-take-over": {"count": 35, "baseline": 34.4},
    "relatives-ask": {"count": 14},
    "rumour-lives-on": {
        "count": 5, "key": "a65690f596f1f6cd", "key_fields": ("story",), "themes": {"facilities": 4, "waiting": 1},
    },
    "rumour-of-harm": {"count": 4, "key": "death_claims", "key_fields": ("main_theme",)},
    "rumour-spreads": {
        "count": 7, "key": "a65690f596f1f6cd", "key_fields": ("story",), "themes": {"infection": 7},
    },
    "several-outlets": {"count": 5},
    "story-spreads": {"count": 41, "key": "a65690f596f1f6cd", "key_fields": ("story",)},
    "track-burst": {"count": 60, "baseline": 9.0, "key": "x: fjordby*", "key_fields": ("source", "track")},
    "volume": {"count": 23},
    "wishes-gathering": {"count": 5, "key": "supplies_help", "key_fields": ("main_theme",)},
}  # fmt: skip
"""Of each rule: numbers and a key as it has them on a night."""

SUBJECTS = {
    "authority-speaks": (
        "[Brann Ullevål] En offentlig etat skriver om hendelsen",
        "[Brann Ullevål] A public body is writing about this",
    ),
    "burst": (
        "[Lyttepost] Er det en krise? 120 innlegg om «fjordby*», normalt 4,2",
        "[Lyttepost] Is it a crisis? 120 posts about “fjordby*”, usually 4.2",
    ),
    "eyewitness": (
        "[Brann Ullevål] 3 øyenvitner skriver fra stedet, ↑ øker",
        "[Brann Ullevål] 3 eyewitnesses write from the scene, ↑ rising",
    ),
    "large-account": (
        "[Brann Ullevål] En konto med over 100 000 følgere skriver",
        "[Brann Ullevål] An account with over 100,000 followers writes",
    ),
    "media-on-rumour": (
        "[Brann Ullevål] En redaksjon omtaler rykte om døde eller angrep",
        "[Brann Ullevål] A newsroom reports rumours of deaths or an attack",
    ),
    "new-hashtag": (
        "[Brann Ullevål] 3 personer bruker en ny emneknagg, ↑ øker",
        "[Brann Ullevål] 3 people use a new hashtag, ↑ rising",
    ),
    "question-many-ask": (
        "[Brann Ullevål] 6 spør om kontakt for pårørende, ↑ øker",
        "[Brann Ullevål] 6 ask about contact for relatives, ↑ rising",
    ),
    "questions-take-over": (
        "[Brann Ullevål] Over halvparten spør om noe: 35 personer, ↑ øker",
        "[Brann Ullevål] Over half are asking something: 35 people, ↑ rising",
    ),
    "relatives-ask": (
        "[Brann Ullevål] 14 spør etter pårørendetelefon, ↑ 10 siste 5 min",
        "[Brann Ullevål] 14 ask for a relatives' phone line, ↑ 10 last 5 min",
    ),
    "rumour-lives-on": (
        "[Brann Ullevål] 5 forteller fortsatt samme rykte: bygg og vedlikehold",
        "[Brann Ullev…] 5 still tell the same rumour: buildings and maintenance",
    ),
    "rumour-of-harm": (
        "[Brann Ullevål] Rykter fra 4: påstander om døde eller skadde, ↑ øker",
        "[Brann Ullevål] 4 tell a rumour: claims of deaths or harm, ↑ rising",
    ),
    "rumour-spreads": (
        "[Brann Ullevål] 7 forteller samme rykte: smitte, ↑ øker",
        "[Brann Ullevål] 7 tell the same rumour: infection, ↑ rising",
    ),
    "several-outlets": (
        "[Brann Ullevål] 5 redaksjoner skriver om hendelsen, ↑ øker",
        "[Brann Ullevål] 5 newsrooms write about the incident, ↑ rising",
    ),
    "story-spreads": (
        "[Brann Ullevål] Samme melding i 41 innlegg, ↑ 12 siste 30 min",
        "[Brann Ullevål] The same message in 41 posts, ↑ 12 last 30 min",
    ),
    "track-burst": (
        "[Brann Ullevål] 60 innlegg om «fjordby*», normalt 9",
        "[Brann Ullevål] 60 posts about “fjordby*”, usually 9",
    ),
    "volume": (
        "[Brann Ullevål] 23 innlegg om hendelsen på 3 minutter, ↑ øker",
        "[Brann Ullevål] 23 posts about the incident in 3 minutes, ↑ rising",
    ),
    "wishes-gathering": (
        "[Brann Ullevål] 5 ber om det samme: utstyr og hjelpende hender, ↑ øker",
        "[Brann Ullevål] 5 ask for the same: supplies and helping hands",
    ),
}


def of_rule(name: str, **more: Any) -> Alert:
    """An alert of a rule that comes with the program, as its engine would word it."""
    spec, typical = RULES[name], {**TYPICAL[name], **more}
    burst = spec.type == "burst"
    verdict = Verdict(
        at=T0, event=Event.FIRED, rule=name, key="«fjordby*»" if burst else typical.get("key", ""),
        key_fields=typical.get("key_fields", ()), count=typical["count"], reason=Reason.NUM_EVENTS, alert_id="a1",
        first_seen=T0, authors=typical["count"], posts=typical["count"], reposts=0,
    )  # fmt: skip
    said = headline(verdict, spec)
    if burst:
        said["en"] = said["en"].replace("«fjordby*»", "“fjordby*”")
    calm = name == "burst"
    return alert(
        rule=name, rule_type=spec.type, severity=spec.severity, headline=said, posts=typical["count"],
        incident="calm" if calm else "brann-4", incident_name="Lyttepost" if calm else "Brann Ullevål",
        timeframe_seconds=(spec.window or timedelta(minutes=6)).total_seconds() if spec.window or burst else None,
        spark=GROWING if spec.window else (), **{"baseline": None, **typical},
    )  # fmt: skip


def card_of(about: Alert, language: str = "nb", **more: Any) -> Card:
    log = Log()
    log.add("alerts", about)
    options: dict[str, Any] = {"now": after(minutes=1), "in_house": False, **more}
    return build(log.book.all()[0], people(), MESSAGES[language], **options)


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_has_a_subject_that_says_what_in_both_languages(name: str) -> None:
    subjects = tuple(card_of(of_rule(name), language).subject for language in ("nb", "en"))
    assert subjects == SUBJECTS[name]
    assert max(map(len, subjects)) <= 70


@pytest.mark.parametrize(
    ("name", "nb", "en"),
    [
        ("relatives-ask", "1 spør etter pårørendetelefon", "1 asks for a relatives' phone line"),
        ("eyewitness", "1 øyenvitne skriver fra stedet", "1 eyewitness writes from the scene"),
        ("several-outlets", "1 redaksjon skriver om hendelsen", "1 newsroom writes about the incident"),
        ("story-spreads", "Samme melding i 1 innlegg", "The same message in 1 post"),
        ("new-hashtag", "1 person bruker en ny emneknagg", "1 person uses a new hashtag"),
        ("questions-take-over", "Over halvparten spør om noe: 1 person", "Over half are asking something: 1 person"),
    ],
)
def test_one_is_not_many(name: str, nb: str, en: str) -> None:
    about = of_rule(name, count=1)
    assert (nb in card_of(about).subject, en in card_of(about, "en").subject) == (True, True)


@pytest.mark.parametrize("name", sorted(RULES))
def test_marks_come_first_and_the_subject_still_fits_with_the_longest_names(name: str) -> None:
    about = of_rule(name).model_copy(update={"exercise": True, "incident_name": "Rasulykke " * 9})
    for language, mark in (("nb", "ØVELSE"), ("en", "EXERCISE")):
        made = card_of(about, language, may_repeat=True, marks=("digest", "passed"))
        assert made.subject.startswith(f"{mark} · ")
        assert made.short.startswith(f"{mark} - ")
        assert len(made.subject) <= 70
        assert fits(made.short)


@pytest.mark.parametrize("what", sorted(OPS_ALERTS))
def test_an_alert_about_ourselves_says_what_is_wrong_in_its_subject(what: str) -> None:
    words = dict.fromkeys(OPS_ALERTS[what].braces.split(), "X")
    made = OpsAlerts.load().message(what, "X", T0, T0, words=words)
    log = Log()
    log.add("alerts", made.value)
    for language in ("nb", "en"):
        card = build(log.book.all()[0], people(), MESSAGES[language], now=T0, in_house=False)
        assert len(card.subject) <= 70
        assert card.subject.startswith("[Lyttepost] ")
        assert "{" not in card.text
        assert log.book.all()[0].alert.headline[language].replace("{key}", "X") in card.text
        assert fits(card.short)


def test_an_alert_about_ourselves_is_cut_at_its_first_sentence() -> None:
    log = Log()
    log.add("alerts", OpsAlerts.load().message("x_unauthorized", "x", T0, T0).value)
    card = build(log.book.all()[0], people(), MESSAGES["nb"], now=T0, in_house=False)
    assert card.subject == "[Lyttepost] X hører vi ikke: nøkkelen vår godtas ikke"


def test_the_trend_says_how_many_of_them_are_new_and_in_which_unit() -> None:
    def subject(**more: Any) -> str:
        about = alert(headline={"nb": "14 spør"}, incident_name="Brann", count=14, timeframe_seconds=1800, **more)
        return card_of(about).subject

    assert subject(spark=(0, 0, 1, 0, 2, 2, 1, 0, 2, 1, 2, 3), posts=14) == "[Brann] 14 spør, ↑ 9 siste 15 min"
    assert subject(spark=(3, 2, 1, 2, 0, 1, 2, 2, 0, 1, 0, 0), posts=14) == "[Brann] 14 spør, ↓ 5 siste 15 min"
    assert subject(spark=(1,) * 12, posts=12) == "[Brann] 14 spør, → 6 innlegg siste 15 min"
    assert subject(spark=(0,) * 6 + (5,) * 6, posts=30) == "[Brann] 14 spør, ↑ øker"
    assert subject(spark=(0,) * 12, posts=14) == "[Brann] 14 spør"


def test_an_sms_says_in_a_word_what_the_subject_says_by_an_arrow() -> None:
    def short(**more: Any) -> str:
        about = alert(headline={"nb": "14 spør"}, incident_name="Brann", count=14, timeframe_seconds=1800, **more)
        return card_of(about).short

    assert short(spark=(0, 0, 1, 0, 2, 2, 1, 0, 2, 1, 2, 3), posts=14).startswith(
        "[Brann] 14 spør, 9 siste 15 min, øker. ADVARSEL kl. 03.00. "
    )
    assert short(spark=(5,) * 6 + (0,) * 6, posts=30).startswith("[Brann] 14 spør, 0 innlegg siste 15 min, avtar. ")


def test_of_a_single_post_it_is_not_counted_how_many_there_are() -> None:
    assert card_of(of_rule("large-account")).lines[1] == "ADVARSEL · først sett kl. 02.48"


def test_a_card_sent_later_does_not_call_it_the_last_minutes() -> None:
    about = alert(headline={"nb": "14 spør"}, count=14, timeframe_seconds=1800, posts=14, spark=GROWING)
    assert "↑ 12 siste 15 min" in card_of(about, now=after(minutes=2)).subject
    assert "↑ 12 på 15 min" in card_of(about, now=after(minutes=20)).subject


def test_what_has_passed_has_no_trend() -> None:
    log = Log()
    log.fired(headline={"nb": "14 spør"}, count=14, timeframe_seconds=1800, posts=14, spark=GROWING)
    log.resolved()
    card = build(log.book.all()[0], people(), MESSAGES["nb"], now=T0, in_house=False)
    assert card.subject == "OVER · [Brann, Nordvik sykehus] 14 spør"


def test_the_incident_gives_way_first_then_the_trend_then_the_headline() -> None:
    name, said = "Storbrann i Nordbygget, Fjordby universitetssykehus", "14 spør etter pårørendetelefon"
    trends = ("↑ 9 siste 15 min", "↑ øker")
    assert first_line((), name, said, trends) == f"[Storbrann i…] {said}, ↑ 9 siste 15 min"
    assert first_line(("ØVELSE",), name, said, trends) == f"ØVELSE · [Storbrann i…] {said}, ↑ øker"
    assert first_line((), name, "Svært mange ord " * 6) == f"[Storbrann i…] {'Svært mange ord ' * 3}Svært…"
    assert first_line((), name, said, trends, "og 2 til").endswith("og 2 til")
    assert first_line((), "", said, trends) == f"{said}, ↑ 9 siste 15 min"


@pytest.mark.parametrize(
    ("text", "room", "short"),
    [
        ("Brann, Nordvik sykehus", 30, "Brann, Nordvik sykehus"),
        ("Brann, Nordvik sykehus", 16, "Brann, Nordvik…"),
        ("Brann, Nordvik sykehus", 8, "Brann…"),
        ("Storulykkesberedskapsøvelse", 10, "Storulykk…"),
    ],
)
def test_a_name_is_cut_at_a_word_if_it_can(text: str, room: int, short: str) -> None:
    assert shortened(text, room) == short
    assert len(short) <= room


def test_a_headline_of_two_sentences_keeps_the_first() -> None:
    assert cut("Disken er full. Frigjør plass.", 20) == "Disken er full"
    assert cut("Disken er full. Frigjør plass.", 60) == "Disken er full. Frigjør plass."


def test_an_sms_is_written_in_letters_of_gsm_7() -> None:
    assert plain("«Brann» · 02–03 … ↑ 🔥 Ullevål, Šiŋga, é") == '"Brann" - 02-03 ... Ullevål, Singa, é'
    assert plain("Київ") == "Київ"
    about = alert(kinds={Kind.QUESTION: 3}, incident_name="Brann «Ullevål» – 🔥", spark=GROWING)
    made = card_of(about, code="4711", link="https://l.example/a/x")
    assert made.short.isascii() or set(made.short) <= set(plain(made.short))


def test_an_sms_gives_up_everything_before_the_way_to_answer() -> None:
    tail = "Kvitter: svar 4711 eller https://lyttepost.sykehus.example/a/" + "x" * 180
    made = short_text("ØVELSE - [Brann] " + "ord " * 60, ["KRITISK kl. 03.05", "mer"], tail)
    assert made.startswith("ØVELSE - [Brann]")
    assert made.endswith(tail)
    assert fits(made)
    assert short_text("Hvem?", ["A!", "B"], "C") == "Hvem? A! B. C"
