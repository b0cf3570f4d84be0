"""The situation report that the crisis team is mailed: by the dispatcher, on a real bus, to a real mail server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alerts.annotate.story import story
from alerts.notify.card import build
from alerts.notify.dispatcher import LEASE_SECONDS, Dispatcher
from alerts.notify.messages import load_all_messages
from alerts.notify.recipients import People
from alerts.notify.reports import Reports, ReportText
from alerts.notify.state import read_book
from alerts.register.denials import DenialWords
from alerts.report.scheduled import ScheduledReport
from alerts.situation.words import load_words
from listener.bus import hashchain
from listener.bus.messages import message
from listener.bus.protocol import Message
from listener.errors import BusError, LyttepostError
from listener.model.answers import Verdict
from listener.model.decisions import Answer, Note
from listener.model.incidents import Action
from listener.model.records import ALERTS, Alert, Cue, Finding, Gap, Kind, encode
from listener.settings.files import packaged_config
from tests.ops.dispatch_support import DispatchDeployment, idle, to
from tests.ops.test_incident_alerts import say
from tests.unit.telling_support import T0, after, alert

EVERY = timedelta(hours=4)
MESSAGES = load_all_messages(packaged_config())
WORDS = {language: load_words(packaged_config(), messages) for language, messages in MESSAGES.items()}
DENY = DenialWords.load(packaged_config())
BOARD = "https://tavle.sykehus.example"


def mailed(person: str) -> dict[str, str]:
    return {"channel": "email", "target": f"{person}@sykehus.example"}


def team(**more: object) -> People:
    """Kari reads bokmål and has a webhook too, John reads English, Ola has no mail, Per is on another route."""
    return People.model_validate(
        {
            "people": {
                "kari": {"name": "Kari", "ways": [{"channel": "webhook", "target": "kari"}, mailed("kari")]},
                "john": {"name": "John", "language": "en", "ways": [mailed("john")]},
                "ola": {"name": "Ola", "ways": [{"channel": "webhook", "target": "ola"}, {"channel": "console"}]},
                "per": {"name": "Per", "ways": [mailed("per")]},
            },
            "routes": {"crisis_team": ["kari", "john", "ola"], "duty": ["per"], "fallback": ["per"]},
            "repeat_every": {"critical": "7d", "warning": "7d", "info": "7d"},
            **more,
        }
    )


def made(alert: Alert, people: People, wakes: Callable[[str], bool], now: datetime) -> Mapping[str, ReportText]:
    """A report that says which stretch it was asked for."""
    span = f"{alert.first_seen:%H.%M}-{now:%H.%M}"
    return {each: ReportText(f"{each} {span}", f"<p>{each} {span}</p>") for each in ("nb", "en")}


def broken(alert: Alert, people: People, wakes: Callable[[str], bool], now: datetime) -> Mapping[str, ReportText]:
    raise LyttepostError("the bus is away")


def sending(deployment: DispatchDeployment, who: People | None = None, holder: str = "one", make=made) -> Dispatcher:
    return deployment.dispatcher(who or team(), holder, languages=MESSAGES, reports=Reports(EVERY, make))


def arrived(deployment: DispatchDeployment, *dispatchers: Dispatcher) -> list[tuple[str, str]]:
    """Turn until nothing is under way: to whom each report was mailed, and the last line of its text."""
    deployment.clock.advance(timedelta(seconds=1))
    for dispatcher in dispatchers:
        idle(dispatcher, 6)
        while dispatcher._senders.busy:
            idle(dispatcher, 1)
        idle(dispatcher, 6)
    found = [(each.to.partition("@")[0], each.text.strip().splitlines()[-1]) for each in reports(deployment)]
    return sorted(found, key=lambda each: (each[1][-11:], each))


def reports(deployment: DispatchDeployment) -> list:
    return [each for each in deployment.smtp.seen if "ituas" in subject(each) or "ituation report" in subject(each)]


def subject(mail) -> str:
    return str(mail.message["Subject"])


FIRST = [("john", "en 02.00-06.00"), ("kari", "nb 02.00-06.00")]
SECOND = [("john", "en 06.00-10.00"), ("kari", "nb 06.00-10.00")]


def test_everybody_on_the_crisis_team_who_has_mail_gets_it_at_each_slot_in_their_language(
    deployment: DispatchDeployment,
) -> None:
    dispatcher = sending(deployment)
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=3.9)
    assert arrived(deployment, dispatcher) == []
    to(deployment, hours=4)
    assert arrived(deployment, dispatcher) == FIRST
    to(deployment, hours=8)
    assert arrived(deployment, dispatcher) == FIRST + SECOND
    assert {subject(each) for each in reports(deployment)} == {
        "[Brann] Situasjonsrapport kl. 07.00", "[Brann] Situation report at 07:00",
        "[Brann] Situasjonsrapport kl. 11.00", "[Brann] Situation report at 11:00",
    }  # fmt: skip
    assert all(each.html.strip() == f"<p>{each.text.strip().splitlines()[-1]}</p>" for each in reports(deployment))


def test_nothing_of_it_goes_another_way_and_it_is_no_alert(deployment: DispatchDeployment) -> None:
    dispatcher = sending(deployment)
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=4)
    assert arrived(deployment, dispatcher) == FIRST
    told = {str(call.json["rule"]) for call in deployment.hook.seen}
    assert told <= {"lyttepost.incident_opened", "lyttepost.review_due"}
    assert "ituasjonsrapport" not in deployment.console.getvalue()
    book = read_book(deployment.bus)
    assert [state.alert.rule for state in book.all()] == ["lyttepost.review_due"]
    assert all(each.message["X-Priority"] is None for each in reports(deployment))


def test_it_is_said_once_whoever_sends_and_however_often_it_restarts(deployment: DispatchDeployment) -> None:
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=4)
    for restart in range(3):
        dispatcher = sending(deployment, holder=f"process {restart}")
        assert len(arrived(deployment, dispatcher)) == 2
        if restart == 1:
            deployment.clock.advance(timedelta(seconds=LEASE_SECONDS + 1))  # killed: it lets nothing go
        else:
            dispatcher.close()
    fired = [record for record in deployment.records("alerts") if b"situation_report" in (record.value or b"")]
    assert len(fired) == 1


def test_of_two_dispatchers_one_sends_and_the_other_goes_on_when_it_is_gone(deployment: DispatchDeployment) -> None:
    one, two = sending(deployment, holder="one"), sending(deployment, holder="two")
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=4)
    assert arrived(deployment, one, two) == FIRST
    one.close()
    deployment.clock.advance(timedelta(seconds=LEASE_SECONDS + 1))
    assert arrived(deployment, two) == FIRST
    to(deployment, hours=8)
    assert arrived(deployment, two) == FIRST + SECOND


def test_after_a_downtime_the_newest_slot_alone_is_sent_and_tells_of_all_since_the_last(
    deployment: DispatchDeployment,
) -> None:
    dispatcher = sending(deployment)
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=4)
    assert arrived(deployment, dispatcher) == FIRST
    dispatcher.close()
    to(deployment, hours=17)
    late = [("john", "en 06.00-19.00"), ("kari", "nb 06.00-19.00")]
    assert arrived(deployment, sending(deployment)) == FIRST + late


def test_what_a_mail_server_did_not_take_is_tried_again_and_not_sent_beside_the_next(
    deployment: DispatchDeployment,
) -> None:
    dispatcher = sending(deployment)
    say(deployment, Action.OPEN, "Brann")
    arrived(deployment, dispatcher)
    deployment.smtp.always = "421"
    to(deployment, hours=7.9)
    arrived(deployment, dispatcher)
    to(deployment, hours=8)
    arrived(deployment, dispatcher)
    deployment.smtp.always = None
    to(deployment, hours=8.2)
    found = arrived(deployment, dispatcher)
    assert [person for person, _ in found] == ["john", "kari"]
    assert {subject(each) for each in reports(deployment)} == {
        "[Brann] Situasjonsrapport kl. 11.00", "[Brann] Situation report at 11:00"
    }  # fmt: skip


def test_after_the_incident_is_closed_nothing_more_comes(deployment: DispatchDeployment) -> None:
    dispatcher = sending(deployment)
    say(deployment, Action.OPEN, "Brann")
    arrived(deployment, dispatcher)
    deployment.smtp.always = "421"
    to(deployment, hours=4)
    assert arrived(deployment, dispatcher) == []
    say(deployment, Action.CLOSE)
    deployment.smtp.always = None
    to(deployment, hours=4.1)
    assert arrived(deployment, dispatcher) == []
    assert [subject(each) for each in deployment.smtp.seen if "avsluttet" in subject(each)] != []
    to(deployment, hours=20)
    assert arrived(deployment, dispatcher) == []


def test_of_an_exercise_it_says_so_first_and_of_several_incidents_each_has_its_own(
    deployment: DispatchDeployment,
) -> None:
    dispatcher = sending(deployment)
    say(deployment, Action.OPEN, "Prøve", exercise=True)
    to(deployment, hours=1)
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=4)
    arrived(deployment, dispatcher)
    assert sorted(map(subject, reports(deployment))) == [
        "EXERCISE · [Prøve] Situation report at 07:00", "ØVELSE · [Prøve] Situasjonsrapport kl. 07.00"
    ]  # fmt: skip
    assert all(each.text.startswith(subject(each)) for each in reports(deployment))
    to(deployment, hours=5)
    arrived(deployment, dispatcher)
    assert sum("[Brann]" in subject(each) for each in reports(deployment)) == 2
    marked = [each.exercise for each in deployment.deliveries() if each.outcome and each.channel == "email"]
    assert marked.count(True) == 4  # John and Kari, of its opening and of its report


@pytest.mark.parametrize("board", [None, BOARD])
def test_where_it_cannot_be_made_the_notice_says_where_it_is_found(
    deployment: DispatchDeployment, board: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher = sending(deployment, team(board_url=board), make=broken)
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=4)
    arrived(deployment, dispatcher)
    texts = {each.to.partition("@")[0]: each.text for each in reports(deployment)}
    assert f"It is found here: {board or 'lyttepost report'}" in texts["john"]
    assert "Rapporten kunne ikke lages nå." in texts["kari"]
    assert "the bus is away" in caplog.text
    assert {each.outcome.value for each in deployment.deliveries() if each.outcome} == {"sent"}


def test_without_the_setting_none_comes(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher(team(), languages=MESSAGES)
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=9)
    assert arrived(deployment, dispatcher) == []


# --- with the report itself -----------------------------------------------------------------------------------------

WATER = "Kan noen komme med vann til skolen i Nordvik"
DEAD = "Naboen @olanordmann sier at tre pasienter er døde"
WRITTEN = (WATER, DEAD, "skolen", "Naboen", "@olanordmann", "tre pasienter", "x:p1", "hemmelig", "røyk", "forfatter")


def a_crisis(deployment: DispatchDeployment, incident: str, at: datetime) -> None:
    for number in range(9):
        text, kind, theme = (WATER, Kind.WISH, "supplies_help") if number < 5 else (DEAD, Kind.RUMOUR, "death_claims")
        finding = Finding(
            source="x", id=f"p1{number}", at=at, captured_at=at, text=text, author=f"forfatter{number}",
            incident=incident, story=story(text, None), cues=(Cue(kind=kind),), themes=(theme,), language="nb",
            theme_sure=True, exercise=True,
        )  # fmt: skip
        deployment.bus.publish([Message("findings", finding.key, encode(finding))])
    about = {"story": story(DEAD, None), "incidents": (incident,)}
    words = {"by": "Kari", "verdict": Verdict.FALSE, "words": "Ingen er døde.", "people": 4, "posts": 4}
    hashchain.append(deployment.bus, "decisions", Answer(at=at, **words, **about))
    hashchain.append(deployment.bus, "decisions", Note(at=at, by="Ola", words="hemmelig notat", **about))
    fired = alert("a9", incident=incident, at=at, to="duty", key="waiting", key_fields=("theme",), exercise=True)
    gap = Gap(id="g", source="x", start=at, end=at + timedelta(minutes=9), cause="reset")
    deployment.bus.publish([message(ALERTS, fired), Message("gaps", "x", encode(gap))])


def scheduled(deployment: DispatchDeployment, path: Path | None = None) -> ScheduledReport:
    view = path or deployment.folder / "register.sqlite"
    return ScheduledReport(deployment.bus, view, WORDS, DENY, UTC, deployment.clock)


def test_from_posts_to_a_mail_that_holds_the_whole_report_and_no_word_of_them(deployment: DispatchDeployment) -> None:
    dispatcher = sending(deployment, make=scheduled(deployment))
    incident = say(deployment, Action.OPEN, "Prøve *Nordvik*", exercise=True)
    to(deployment, hours=3.7)
    a_crisis(deployment, incident, deployment.clock.now())
    to(deployment, hours=4)
    arrived(deployment, dispatcher)
    kari, john = sorted(reports(deployment), key=lambda each: each.to, reverse=True)
    assert [part.get_content_type() for part in kari.message.walk()] == [
        "multipart/alternative", "text/plain", "text/html"
    ]  # fmt: skip
    first, _, mark, _, title = kari.text.splitlines()[:5]
    assert first == subject(kari) == "ØVELSE · [Prøve *Nordvik*] Situasjonsrapport kl. 07.00"
    assert (mark, title) == ("**ØVELSE**", "# Situasjonsrapport: Prøve \\*Nordvik\\*")
    for text in (kari.text, kari.html):
        assert "utstyr og hjelpende hender" in text
        assert "påstander om døde eller skadde" in text
        assert "Ingen er døde" in text  # what the team answered
        assert "fra 03.00 (4 t)" in text
    assert '<html lang="nb">' in kari.html
    assert kari.html.index("ØVELSE") < kari.html.index("Situasjonsrapport")
    assert "<svg" in kari.html
    assert '<html lang="en">' in john.html
    assert john.text.splitlines()[0] == "EXERCISE · [Prøve *Nordvik*] Situation report at 07:00"
    assert "supplies and helping hands" in john.text
    for mail in (kari, john):
        for said in (mail.text, mail.html, *map(str, mail.message.values())):
            assert [each for each in WRITTEN if each in said] == []
    ledger = deployment.records("deliveries")
    hashchain.verify(ledger)
    assert [each for each in WRITTEN if any(each.encode() in (record.value or b"") for record in ledger)] == []
    its = [each for each in deployment.deliveries() if each.alert == _id(deployment)]
    assert [each.outcome and each.outcome.value for each in its] == [None, None, "sent", "sent"]
    assert {(each.channel, each.exercise) for each in its} == {("email", True)}


def _id(deployment: DispatchDeployment) -> str:
    (its,) = [each for each in read_book(deployment.bus).notices() if each.alert.reason == "situation_report"]
    return its.id


def test_a_register_that_cannot_be_written_keeps_no_notice_back(
    deployment: DispatchDeployment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    dispatcher = sending(deployment, make=scheduled(deployment, tmp_path / "file" / "register.sqlite"))
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=4)
    arrived(deployment, dispatcher)
    assert "Rapporten kunne ikke lages nå." in "".join(each.text for each in reports(deployment))
    assert "the register cannot be written" in caplog.text


def test_a_register_that_is_damaged_is_built_anew_for_it(deployment: DispatchDeployment) -> None:
    (deployment.folder / "register.sqlite").write_bytes(b"no database at all" * 400)
    incident = say(deployment, Action.OPEN, "Brann")
    a_crisis(deployment, incident, T0)
    its = scheduled(deployment)(_notice(incident), team(), bool, after(minutes=30))
    assert "utstyr og hjelpende hender" in its["nb"].text


def _notice(incident: str, **more: object) -> Alert:
    return alert("r1", incident=incident, at=after(hours=4), first_seen=T0, reason="situation_report", **more)


def test_one_report_is_made_for_all_who_are_sent_it_and_a_new_one_for_the_next(deployment: DispatchDeployment) -> None:
    incident = say(deployment, Action.OPEN, "Brann")
    its = scheduled(deployment)
    found: list[Mapping[str, ReportText]] = []
    threads = [
        threading.Thread(target=lambda: found.append(its(_notice(incident), team(), bool, T0))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(each is found[0] for each in found)
    deployment.clock.advance(timedelta(minutes=2))
    assert its(_notice(incident), team(), bool, T0) is not found[0]


def test_a_bus_that_is_away_is_said_to_all_and_asked_again_later(
    deployment: DispatchDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = say(deployment, Action.OPEN, "Brann")
    its, asked = scheduled(deployment), []
    reader = deployment.bus.reader

    def away(*topics: object, **more: object) -> None:
        asked.append(topics)
        raise BusError("the log is away")

    monkeypatch.setattr(deployment.bus, "reader", away)
    for _ in range(3):
        with pytest.raises(LyttepostError, match="the log is away"):
            its(_notice(incident), team(), bool, T0)
    assert len(asked) == 1
    monkeypatch.setattr(deployment.bus, "reader", reader)
    deployment.clock.advance(timedelta(minutes=2))
    assert "Situasjonsrapport" in its(_notice(incident), team(), bool, T0)["nb"].text


def test_reading_that_takes_too_long_is_given_up(
    deployment: DispatchDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = say(deployment, Action.OPEN, "Brann")
    a_crisis(deployment, incident, T0)
    monkeypatch.setattr("alerts.report.scheduled.GIVE_UP_SECONDS", -1.0)
    with pytest.raises(LyttepostError, match="takes too long"):
        scheduled(deployment)._made(_notice(incident), team(), bool, T0)


def test_what_is_shown_of_it_afterwards_says_where_it_is_found(deployment: DispatchDeployment) -> None:
    dispatcher = sending(deployment)
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=4)
    arrived(deployment, dispatcher)
    (state,) = [each for each in read_book(deployment.bus).notices() if each.alert.reason == "situation_report"]
    card = build(state, team(), MESSAGES["en"], now=after(hours=30), in_house=True)
    assert card.subject == "[Brann] Situation report on 2031-03-02 at 07:00"
    assert "It is found here: lyttepost report" in card.lines
    assert "could not be made" not in card.text
