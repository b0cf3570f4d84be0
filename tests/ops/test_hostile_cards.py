"""Hostile strings in everything that a card is made of: each ends as it must, in subject, text, HTML and SMS.

They are outside data; `LYTTEPOST_EVALUATION_DATA` names their folder.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from alerts.notify import notices
from alerts.notify.card import Called, build
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import SendNote
from alerts.notify.channels.email import Email, SmtpSettings
from alerts.notify.messages import load_all_messages
from alerts.notify.subject import fits, plain
from listener.model.records import Decision, DecisionKind, Sample
from listener.settings.files import packaged_config
from tests.fakes.smtp import FakeSmtp, smtp_server
from tests.unit.telling_support import T0, Log, after, people

MESSAGES = load_all_messages(packaged_config())
LINK = "https://lyttepost.sykehus.example/a/Zx81kQbTq0"
ELSEWHERE = {"csv_cell_is_text", "gateway_body_wellformed", "no_mention_in_chat", "one_log_line"}
"""What a table, a gateway, a chat and the log must do with the string; not the card's."""
PLACES = ("incident", "name", "headline", "note", "key", "post")


class Hostile(NamedTuple):
    id: str
    where: str
    text: str
    must: frozenset[str]


@pytest.fixture(scope="module")
def strings() -> list[Hostile]:
    folder = os.environ.get("LYTTEPOST_EVALUATION_DATA")
    if not folder:
        pytest.skip("LYTTEPOST_EVALUATION_DATA names no folder; the hostile strings are not part of the project")
    rows = json.loads((Path(folder) / "duty" / "hostile.json").read_text(encoding="utf-8"))
    found = [Hostile(row["id"], row["where"], row["text"], frozenset(row["must"])) for row in rows]
    found = [each for each in found if each.where in PLACES]
    assert len(found) > 15
    return found


@pytest.fixture(scope="module")
def smtp() -> Iterator[FakeSmtp]:
    with smtp_server() as fake:
        yield fake


def card_with(where: str, text: str, *, language: str = "nb", in_house: bool = False) -> Card:
    """A card of an exercise with this text in one place, and tame ones everywhere else."""
    log = Log()
    more: dict[str, Any] = {"incident_name": text if where == "incident" else "Brann", "exercise": True}
    if where == "headline":
        more["headline"] = {"nb": text, "en": text}
    if where == "key":
        said = {"nb": f"Mange deler {text}", "en": f"Many share {text}"}
        more |= {"key": text, "key_fields": ("hashtags",), "headline": said}
    if where == "post":
        more["samples"] = (Sample(key="x:1", digest="d"),)
    log.fired(**more)
    name, note = (text if where == each else "Kari" for each in ("name", "note"))
    log.add("decisions", Decision(kind=DecisionKind.NOTE, id="a1", at=T0, by=name, why=note, digest="n"))
    return build(
        log.book.all(), people(), MESSAGES[language], now=after(minutes=1), in_house=in_house, step=1,
        texts=lambda keys: dict.fromkeys(keys, text), code="4711", link=LINK, called=[Called(name, "sms", T0)],
        why="unacknowledged",
    )  # fmt: skip


def notices_with(where: str, text: str) -> list[Card]:
    incident, name = (text if where == each else "Brann" for each in ("incident", "name"))
    words = MESSAGES["nb"]
    log = Log()
    log.fired(incident_name=incident)
    return [
        notices.has_it(log.book.all(), name, T0, words, now=T0),
        notices.incident_opened(incident, name, T0, words, now=T0),
        notices.incident_closed(incident, name, T0, words, now=T0),
        notices.situation_report(log.book.all()[0].alert, words, now=T0, failed=True),
        notices.silence_ends("s1", text, T0, words, now=T0),
        notices.reply_help(log.book.all(), words, now=T0, code="4711", link=LINK),
        notices.reach_test(name, "kari", "sms", "4711", words, now=T0, replies=True),
    ]


class Reader(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.words += data


def mail_of(smtp: FakeSmtp, card: Card) -> Any:
    settings = {"host": "127.0.0.1", "port": smtp.port, "encryption": "none", "from": "lytte@sykehus.example"}
    note = SendNote("a" * 32, "a1", 0, 1, False, datetime(2031, 3, 2, 2, 0, tzinfo=UTC))
    Email(SmtpSettings.model_validate(settings)).prepare(card, "kari@sykehus.example", note=note)()
    return smtp.seen[-1]


def every_card(each: Hostile) -> list[Card]:
    cards = [
        card_with(each.where, each.text, language=lang, in_house=home) for lang in MESSAGES for home in (True, False)
    ]
    return cards + notices_with(each.where, each.text)


def test_whatever_stands_where_a_line_stays_a_line_and_a_page_the_same_page(strings: list[Hostile]) -> None:
    tags = {(lang, home): None for lang in MESSAGES for home in (True, False)}
    for each in strings:
        for lang, home in tags:
            made, tame = (card_with(each.where, text, language=lang, in_house=home) for text in (each.text, "Tamt"))
            assert Reader(made.html).tags == Reader(tame.html).tags, each.id
            assert len(made.lines) == len(tame.lines), each.id
            assert "<script" not in made.html
        for made in every_card(each):
            for text in (made.subject, made.short, *made.lines):
                assert len(text.splitlines()) <= 1, each.id
                assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text), each.id
            assert set(Reader(made.html).links) <= {LINK}, each.id
            assert len(made.subject) <= 70, each.id


def test_an_exercise_says_so_first_and_the_way_to_answer_is_whole(strings: list[Hostile]) -> None:
    for each in strings:
        for language, mark in (("nb", "ØVELSE"), ("en", "EXERCISE")):
            made = card_with(each.where, each.text, language=language)
            assert made.subject.startswith(f"{mark} · "), each.id
            assert made.text.startswith(f"{mark} · "), each.id
            assert made.short.startswith(f"{mark} - "), each.id
            assert Reader(made.html.split("<body")[1]).words.split(">", 1)[1].split()[0] == mark, each.id
            assert made.short.endswith(LINK), each.id
            assert "4711" in made.short, each.id
            assert fits(made.short), each.id
            assert made.html.count(f'href="{LINK}"') == 1, each.id


def test_nothing_of_a_post_leaves_the_house(strings: list[Hostile]) -> None:
    kept_in = [each for each in strings if "not_outside_the_house" in each.must]
    assert {each.where for each in kept_in} == {"post", "key"}
    for each in kept_in:
        made = card_with(each.where, each.text)
        said = (
            made.subject
            + made.text
            + made.short
            + Reader(made.html).words
            + json.dumps(made.fields, ensure_ascii=False)
        )
        for text in filter(lambda text: len(text) > 2, (each.text, plain(each.text))):
            assert text.casefold() not in said.casefold(), each.id
        inside = card_with(each.where, each.text, in_house=True)
        assert plain(each.text)[:10] in plain(inside.text), each.id


def test_a_mail_has_no_header_but_ours_and_arrives_as_text_and_as_html(strings: list[Hostile], smtp: FakeSmtp) -> None:
    tame = mail_of(smtp, card_with("headline", "Tamt"))
    assert tame.message["Auto-Submitted"] == "auto-generated"
    assert tame.message.get_content_type() == "multipart/alternative"
    for each in strings:
        made = card_with(each.where, each.text)
        mail = mail_of(smtp, made)
        assert mail.message.keys() == tame.message.keys(), each.id
        assert mail.message["Subject"] == made.subject, each.id
        assert mail.to == "kari@sykehus.example"
        assert mail.text.split() == made.text.split(), each.id
        assert mail.html.split() == made.html.split(), each.id


def test_what_looks_like_a_template_is_shown_as_it_is_written(strings: list[Hostile]) -> None:
    (braces,) = (each for each in strings if each.id == "template-braces")
    for made in every_card(braces):
        if "Brann" not in made.subject and "Lyttepost" not in made.subject:
            assert "{key}" in made.subject
            assert braces.text in made.text
            assert braces.text in Reader(made.html).words


def test_every_demand_on_a_card_is_tried_here_and_the_others_are_known(strings: list[Hostile]) -> None:
    tried = {
        "no_new_mail_header", "one_line_in_headers_and_sms", "escaped_in_html", "no_script_runs", "no_link_but_http",
        "not_outside_the_house", "shown_as_written", "marked_or_removed_invisible", "at_most_two_sms_segments",
        "ack_link_whole", "exercise_mark_first", "no_control_character_on_terminal",
    }  # fmt: skip
    assert {must for each in strings for must in each.must} == tried | ELSEWHERE
