"""One card for several alerts, why it is sent, how it is answered, and how it looks as a mail."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from alerts.notify.card import Called, build
from alerts.notify.channels.card import Card
from alerts.notify.messages import load_all_messages
from alerts.notify.state import AlertState
from alerts.notify.subject import fits
from listener.model.records import Decision, DecisionKind, Kind
from listener.settings.files import packaged_config
from tests.unit.telling_support import T0, Log, after, people

MESSAGES = load_all_messages(packaged_config())
LINK = "https://lyttepost.sykehus.example/a/Zx81kQ"


def states(*several: dict[str, Any]) -> list[AlertState]:
    log = Log()
    for number, more in enumerate(several):
        said = {"nb": f"{number + 3} spør", "en": f"{number + 3} ask"}
        log.fired(f"a{number}", **{"headline": said, "incident_name": "Brann", **more})
    return log.book.all()


def card(about: list[AlertState], language: str = "nb", **more: Any) -> Card:
    options: dict[str, Any] = {"now": after(minutes=5), "in_house": False, **more}
    return build(about, people(), MESSAGES[language], **options)


def test_the_gravest_and_then_the_newest_leads_and_the_others_have_a_line_each() -> None:
    made = card(
        states(
            {"severity": "warning", "at": after(minutes=3)},
            {"severity": "critical", "at": after(minutes=1)},
            {"severity": "critical", "at": after(minutes=2)},
        )
    )
    assert made.subject == "[Brann] 5 spør, og 2 til"
    assert made.lines[3:7] == (
        "Kvitteringen gjelder 3 varsler.",
        "",
        "KRITISK: 4 spør · kl. 03.01",
        "ADVARSEL: 3 spør · kl. 03.03",
    )
    assert [each["alert_id"] for each in made.fields["alerts"]] == ["a2", "a1", "a0"]
    assert made.urgent


def test_ten_others_are_listed_and_the_rest_counted() -> None:
    made = card(states(*({"at": after(seconds=n)} for n in range(14))))
    assert made.subject.endswith(", og 13 til")
    assert len([line for line in made.lines if line.startswith("ADVARSEL: ")]) == 10
    assert "og 3 til" in made.lines


def test_a_digest_of_several_incidents_names_them_all() -> None:
    made = card(
        states({"incident_name": "Brann"}, {"incident_name": "Ras", "at": after(minutes=-1)}),
        marks=("digest",),
        why="digest",
    )
    assert made.subject == "SAMLEVARSEL · [Brann +1] 3 spør, og 1 til"
    assert made.lines[2].startswith("Brann, Ras (krise) · ")
    assert made.lines[3].startswith("Mange varsler på kort tid: disse 2 er samlet")


def test_a_real_alert_leads_before_one_of_an_exercise_and_only_that_one_is_marked() -> None:
    made = card(states({"exercise": True, "severity": "critical"}, {"severity": "info"}))
    assert made.subject == "[Brann] 4 spør, og 1 til"
    assert "ØVELSE · KRITISK: 3 spør · kl. 03.00" in made.lines
    assert made.fields["exercise"] is False
    both = card(states({"exercise": True}, {"exercise": True}))
    assert both.subject.startswith("ØVELSE · ")
    assert both.text.count("ØVELSE") == 1


def test_a_page_has_passed_only_when_all_of_it_has() -> None:
    log = Log()
    for id_ in ("a1", "a2"):
        log.fired(id_, incident_name="Brann", headline={"nb": id_})
    log.resolved("a2", after(minutes=1))
    assert card(log.book.all()).subject == "[Brann] a1, og 1 til"
    assert "OVER · ADVARSEL: a2 · kl. 03.00" in card(log.book.all()).lines
    log.resolved("a1", after(minutes=1))
    assert card(log.book.all()).subject == "OVER · [Brann] a1, og 1 til"


def test_what_came_and_passed_under_a_silence_is_listed_on_the_alert_at_its_end() -> None:
    log = Log()
    log.fired("a1", incident_name="Brann", headline={"nb": "Mange spør"})
    log.resolved("a1", after(minutes=1))
    log.fired("s1", incident_name="Brann", headline={"nb": "Kom og gikk over: {count}"}, count=1, covers=("a1",))
    passed, told = log.book.all()
    made = build([told], people(), MESSAGES["nb"], now=after(minutes=2), in_house=False, covered=[passed])
    assert made.subject.startswith("[Brann] Kom og gikk over: 1")
    assert "OVER · ADVARSEL: Mange spør · kl. 03.00" in made.lines


def test_one_alert_may_be_given_by_itself() -> None:
    (one,) = states({})
    assert build(one, people(), MESSAGES["nb"], now=T0, in_house=False) == card([one], now=T0)


def test_how_to_answer_is_said_by_every_way_there_is() -> None:
    made = card(states({}), code="4711", link=LINK)
    assert made.lines[2:5] == (
        "Brann (krise) · Kvitter: svar 4711",
        f"  eller {LINK}",
        "  eller lyttepost alerts ack a0 --by NAVN",
    )
    assert made.short.endswith(f"Kvitter: svar 4711 eller {LINK}")
    assert (made.fields["reply_code"], made.fields["reply_link"]) == ("4711", LINK)
    assert card(states({})).short.endswith("Kvitter: lyttepost alerts ack a0 --by NAVN")
    assert card(states({}), "en", code="4711").short.endswith("Acknowledge: reply 4711")


def test_who_somebody_already_has_is_not_asked_to_answer() -> None:
    log = Log()
    log.fired(incident_name="Brann")
    log.decided(DecisionKind.ACKNOWLEDGE, "Kari", after(minutes=1))
    made = card(log.book.all(), code="4711", link=LINK)
    assert "4711" not in made.text + made.short + made.html
    assert "kvittert av Kari kl. 03.01" in made.lines[2]


def test_who_was_called_before_is_named_with_the_channel_and_the_time() -> None:
    called = [Called("Kari", "sms", T0), Called("Ola", "voice")]
    assert "Varslet: Kari (SMS) kl. 03.00; Ola (telefon)" in card(states({}), called=called).lines


@pytest.mark.parametrize(
    ("why", "nb", "en"),
    [
        ("last_resort", "Ingen av dem som skulle varsles, kunne nås. Derfor får du dette.", "None of those who should"),
        ("quiet_hours_over", "Dette kom mens du hadde stilletid, og er fortsatt åpent.", "This came during your quiet"),
        ("changed", "Dette er nytt siden forrige melding.", "This is new since the last message."),
        ("unacknowledged", "Ingen har kvittert så langt.", "Nobody has acknowledged so far."),
    ],
)
def test_it_says_why_this_person_gets_it_now(why: str, nb: str, en: str) -> None:
    assert card(states({}), why=why).lines[3] == nb
    assert nb in card(states({}), why=why).short
    assert card(states({}), "en", why=why).lines[3].startswith(en)


def test_an_alert_that_was_taken_and_forgotten_says_who_had_it() -> None:
    log = Log()
    log.fired(incident_name="Brann")
    log.decided(DecisionKind.ACKNOWLEDGE, "Kari", after(minutes=7))
    log.decided(DecisionKind.NOTE, "Kari", after(minutes=20))
    made = card(log.book.all(), now=after(minutes=50, seconds=4), why="unacknowledged")
    assert made.lines[3] == ("Kvittert av Kari kl. 03.20, men ingen har sagt noe på 30 min. Varselet er åpnet igjen.")


def test_a_note_stays_in_the_house() -> None:
    log = Log()
    log.fired()
    log.decided(DecisionKind.NOTE, "Kari", after(minutes=7))
    assert "Merknad fra Kari kl. 03.07: ja" in card(log.book.all(), in_house=True).lines
    assert "Merknad" not in card(log.book.all()).text


def test_a_rumour_is_told_by_its_first_words_inside_and_not_at_all_outside() -> None:
    from listener.model.records import Sample

    about = states({"key": "a65690f596f1f6cd", "key_fields": ("story",), "samples": (Sample(key="x:1", digest="d"),)})
    inside = card(about, in_house=True, texts=lambda keys: {"x:1": "Oksygenet ble stengt " * 9})
    assert f"Gjelder: «{'Oksygenet ble stengt ' * 9}"[:60] in inside.text
    assert "a65690f596f1f6cd" not in inside.text
    assert "Oksygenet" not in card(about).text


def test_a_card_says_what_the_posts_are_about_by_the_names_of_themes() -> None:
    about = states({"themes": {"safety_cause": 12, "information": 5, "waiting": 2, "food": 1}})
    line = "Temaer: hva som skjer, og om det er trygt (12), informasjon (5), ventetid og køer (2)"
    assert line in card(about).lines
    assert card(about).fields["themes"] == {"safety_cause": 12, "information": 5, "waiting": 2, "food": 1}
    said = {"nb": "7 forteller samme rykte: {theme}"}
    told = card(states({"headline": said, "themes": {"infection": 7}}))
    assert told.subject == "[Brann] 7 forteller samme rykte: smitte"
    assert "Temaer" not in told.text
    unknown = card(states({"headline": said}))
    assert unknown.subject == "[Brann] 7 forteller samme rykte"
    assert unknown.problems == ()


def test_a_gap_of_a_few_seconds_is_not_worth_a_word() -> None:
    from listener.model.records import Gap

    def gap(seconds: int) -> Gap:
        return Gap(id="g", source="x", start=T0, end=T0 + timedelta(seconds=seconds), cause="silence")

    assert "Ikke hørt: ingen kjente opphold" in card(states({"gaps": (gap(9),)})).lines
    assert "Ikke hørt: X kl. 03.00–03.02" in card(states({"gaps": (gap(9), gap(120))})).lines
    assert "Vi har ikke hørt alt" in card(states({"gaps": (gap(120),)})).short


def full() -> Card:
    about = states(
        {
            "severity": "critical", "spark": (0, 0, 1, 0, 2, 2, 1, 0, 2, 1, 2, 3), "timeframe_seconds": 1800.0,
            "kinds": {Kind.QUESTION: 3}, "tiltakskort": "https://intranett.sykehus.example/kort/7?a=1&b=2", "posts": 14,
        },
        {},
    )  # fmt: skip
    return card(about, code="4711", link=LINK)


class Reader(HTMLParser):
    """Tags that are open, links, and everything that a page could fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in ("img", "script", "iframe", "link", "object", "embed", "form", "svg", "video", "audio"):
            self.fetched.append(tag)
        self.fetched += [name for name in named if name in ("src", "background", "srcset") or name.startswith("on")]
        if tag == "a":
            self.links.append(str(named["href"]))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_mail_is_a_whole_page_that_fetches_nothing_and_follows_the_phones_darkness() -> None:
    html = full().html
    read = Reader(html)
    assert read.open == []
    assert read.fetched == []
    assert read.links == [LINK, "https://intranett.sykehus.example/kort/7?a=1&b=2"]
    assert "url(" not in html
    assert "@import" not in html
    assert '<meta name="color-scheme" content="light dark">' in html
    assert "prefers-color-scheme: dark" in html
    sizes = [int(size) for size in re.findall(r"font-size:(\d+)px", html)]
    assert sorted(set(sizes))[:3] == [11, 14, 17], "small letters on bars and in the foot only"


def test_the_mail_shows_what_the_text_says_and_draws_the_counts() -> None:
    made = full()
    seen = unescape(" ".join(re.sub(r"<[^>]*>", " ", made.html.split("<body")[1]).split()))
    for words in ("KRITISK", "3 spør", "Kvitter: svar 4711", "Hva du kan gjøre", "ADVARSEL: 4 spør", "Ikke hørt:"):
        assert words in seen
    heights = [int(height) for height in re.findall(r'class="bar" style="height:(\d+)px', made.html)]
    assert heights == [2, 2, 16, 2, 32, 32, 16, 2, 32, 16, 32, 48]
    assert "▁▁▃" in made.text


def test_a_link_that_is_no_web_address_is_only_text() -> None:
    made = card(states({"tiltakskort": "javascript:alert(1)"}), link="data:text/html,x")
    assert Reader(made.html).links == []
    assert "javascript:alert(1)" in made.html


def test_a_card_without_counts_draws_nothing() -> None:
    assert 'class="bar"' not in card(states({})).html
    assert "Utvikling" not in card(states({"spark": (0,) * 12})).text
    assert fits(card(states({})).short)


def test_whoever_is_asked_to_take_it_reads_by_whom_and_inside_why() -> None:
    log = Log()
    log.fired()
    word = Decision(kind=DecisionKind.ASSIGN, id="a1", at=T0, by="Nina", why="du kjenner saken", to="kari", digest="d")
    log.add("decisions", word)
    outside = card(log.book.all(), why="assigned")
    assert "Nina har bedt deg ta dette." in outside.text
    assert "Nina har bedt deg ta dette." in outside.short
    assert "kjenner saken" not in outside.text
    inside = card(log.book.all(), "en", why="assigned", in_house=True)
    assert "Nina asked you to take this. du kjenner saken" in inside.text


def test_what_fell_open_again_within_a_minute_says_after_how_many_seconds() -> None:
    log = Log()
    log.fired()
    log.decided(DecisionKind.ACKNOWLEDGE, by="Kari", at=T0)
    text = card(log.book.all(), now=after(seconds=20), why="unacknowledged").text
    assert "ingen har sagt noe på 20 s" in text


def test_what_is_said_of_ourselves_names_no_mode() -> None:
    log = Log()
    log.fired(rule_type="ops", incident="calm", incident_name="Lyttepost")
    log.fired("a2", incident="calm")
    ours, calm = (card([state]).text for state in log.book.all())
    assert "Normaldrift" not in ours
    assert "Normaldrift" in calm
