"""The page behind the link of a message: opening it changes nothing, and pressing its button says who has it."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from answer_page_support import HOSTILE, NOW, PEOPLE, Phone, Seen, post
from command_support import Machine, live_bus, wait_for

from alerts.notify.plan import digest
from alerts.notify.receiver.html import dial
from listener.bus import hashchain
from listener.bus.protocol import Message, TopicPartition
from listener.bus.scan import scan
from listener.clock import SystemClock
from listener.model.decisions import DECISIONS, Silence
from listener.model.deliveries import Delivery, Outcome, Page, PageWhy
from listener.model.records import Decision, DecisionKind, encode
from listener.settings.files import packaged_config
from listener.webserver import jobs
from tests.fakes.webhook import webhook_server
from tests.ops.test_prometheus import free_port
from tests.unit.telling_support import alert


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Phone]:
    made = Phone(tmp_path)
    yield made
    made.close()


def test_the_page_says_what_who_was_called_and_how_to_answer(phone: Phone) -> None:
    seen = phone.get()
    assert seen.status == 200
    for said in ("Varsel a1", "Brann Ullevål", "Hvem er du?", "Kari Vakt", "Jeg tar den", "55 00 00 00", "(SMS)"):
        assert said in seen.text
    assert "Varsel a3" in seen.text.partition("lenken gjelder ikke disse")[2]
    assert '<html lang="nb">' in seen.text
    assert "Who are you?" in phone.get(phone.tokens["ola"]).text
    assert len(seen.text) < 50_000


def test_it_says_what_to_do_and_of_posts_when_and_what_kind_they_are_and_no_word(phone: Phone) -> None:
    seen = phone.get()
    assert 'href="https://sykehus.example/kort/7"' in seen.text
    assert "Hva folk skriver" in seen.text
    assert "Ordene vises ikke her" in seen.text
    assert seen.text.count("kl. 03.04 · spørsmål") == 2, "the third was removed, and nobody knows when it was"
    english = phone.get(phone.tokens["ola"]).text
    assert "The words are not shown here" in english
    assert "at 03:04 · question" in english
    for text in (seen.text, english):
        assert not any(word in text for word in ("pårørendetelefonen", "Oddny", "x:1", "forfatter-"))


def test_where_the_settings_say_so_words_are_shown_but_for_those_that_may_show_a_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with closing(Phone(tmp_path, texts=True)) as phone:
        seen = phone.get()
        for said in ("&lt;b&gt;pårørendetelefonen&lt;/b&gt;", "kan vise hvem en pasient er", "Teksten er fjernet"):
            assert said in seen.text
        assert "Oddny" not in seen.text
        assert f"the link of the page {digest('kari')} (kari) read posts" in caplog.text
        assert "pårørendetelefonen" not in caplog.text
        copy = post("7", "mamma O Granli ligger på sal fire", story=f"{1:>016}", patient_exposed=0.9)
        phone.bus.publish([copy])
        phone.register.catch_up()
        again = phone.get().text
        assert "pårørendetelefonen" not in again, "something that says the same may show a patient"
        phone.bus.purge([(TopicPartition("findings", 0), "brann-4:x:2")])
        phone.register.catch_up()
        assert phone.get().text.count("Teksten er fjernet") == 2


def test_posts_that_cannot_be_read_are_no_reason_to_show_no_page(tmp_path: Path) -> None:
    with closing(Phone(tmp_path, texts=True)) as phone:
        (tmp_path / "register.sqlite").unlink()
        seen = phone.get()
        assert (seen.status, "Jeg tar den" in seen.text) == (200, True)
        assert "Hva folk skriver" not in seen.text
        assert not (tmp_path / "register.sqlite").exists(), "whoever owns it makes it anew"


def test_it_says_who_else_was_called_and_what_was_said_without_anybody_s_words(phone: Phone) -> None:
    failed = Delivery(
        intent="per", page=digest("per"), alert="a1", alerts=("a1",), at=NOW + timedelta(minutes=5), step=1,
        channel="sms", target="+4740612347", outcome=Outcome.PERMANENT, reason="no such number",
    )  # fmt: skip
    called = Page(
        id=digest("per"), at=failed.at, why=PageWhy.STEP, person="per", alerts={"a1": "firing"}, step=1, code="4712"
    )
    hashchain.append(phone.bus, "deliveries", called)
    hashchain.append(phone.bus, "deliveries", failed)
    for minute, (kind, more) in enumerate(
        [(DecisionKind.NOTE, {"why": "ringte Oddny"}), (DecisionKind.ASSIGN, {"to": "per", "why": "kan du?"}),
         (DecisionKind.RESOLVE, {"why": "slukket"})]
    ):  # fmt: skip
        word = Decision(kind=kind, id="a1", at=NOW + timedelta(minutes=minute), by="Turid", **more)
        hashchain.append(phone.bus, DECISIONS.name, word)
    text = phone.get().text
    for said in (
        "Kari Vakt (SMS) kl. 03.14",
        "Per Uvedkommende (SMS) kl. 03.19: kom ikke fram",
        "Turid skrev en merknad kl. 03.14",
        "Turid ba Per Uvedkommende ta den kl. 03.15",
        "Turid meldte kl. 03.16 at det er over",
    ):
        assert said in text
    assert not any(word in text for word in ("Oddny", "kan du?", "slukket", "no such number", "40612347"))
    assert "Per Uvedkommende (SMS) at 03:19: did not get through" in phone.get(phone.tokens["ola"]).text


def test_it_says_what_a_silence_holds_back_and_what_one_had_held_back(phone: Phone) -> None:
    silence = Silence(
        id="5a", at=NOW, by="Turid", why="øvelse i kjelleren", match={"alert": "a1"}, start=NOW,
        end=NOW + timedelta(hours=1),
    )  # fmt: skip
    hashchain.append(phone.bus, DECISIONS.name, silence)
    also = Silence(id="5b", at=NOW, by="Turid", why="x", match={"alert": "a3"}, start=NOW, end=NOW + timedelta(hours=2))
    hashchain.append(phone.bus, DECISIONS.name, also)
    ended = alert("a9", at=NOW, rule="lyttepost.silence_ended", rule_type="ops", covers=("a2", "a3"), key="")
    phone.bus.publish([Message("alerts", "a9", encode(ended))])
    page = Page(id=digest("late"), at=NOW, why=PageWhy.STEP, person="kari", alerts={"a9": "firing"}, code="4713")
    hashchain.append(phone.bus, "deliveries", page)
    text = phone.get().text
    assert "Dempet til kl. 04.14 av Turid" in text
    assert re.search(r"Varsel a3 · kl\. 03\.14 · dempet til kl\. 05\.14 av Turid", text), "one of the others"
    assert "kjelleren" not in text
    late = phone.get((phone.links.to(page) or "").rpartition("/")[2]).text
    assert "Varsel a2" in late.partition("Holdt tilbake")[2]
    assert "Varsel a3" in late.partition("Holdt tilbake")[2]


def test_opening_it_changes_nothing_and_chooses_nobody(phone: Phone) -> None:
    for method in ("GET", "HEAD", "GET"):
        assert phone.get(method=method).status == 200
    assert "checked" not in phone.get().text
    assert phone.said() == []
    assert phone.counted("shown") == 4
    assert phone.get(method="PUT").status == 405


def test_who_presses_has_exactly_what_the_page_named(phone: Phone) -> None:
    pressed = phone.press(who="kari", name="")
    assert pressed.status == 303
    assert pressed.headers["Location"] == phone.tokens["kari"]
    assert phone.said() == [("acknowledge", "a1", "Kari Vakt"), ("acknowledge", "a2", "Kari Vakt")]
    after = phone.get()
    assert "kvittert av Kari Vakt" in after.text
    assert "Besvart" in after.text
    assert "<form" not in after.text
    assert "Varsel a3" in after.text
    assert phone.counted("answered") == 1


def test_a_second_press_says_who_had_it_first(phone: Phone) -> None:
    phone.press(who="kari")
    assert phone.press(phone.tokens["ola"], who="ola").status == 303
    assert [by for _, _, by in phone.said()] == ["Kari Vakt", "Kari Vakt"]
    assert "acknowledged by Kari Vakt" in phone.get(phone.tokens["ola"]).text


def test_a_link_that_was_passed_on_is_pressed_under_a_name_of_ones_own(phone: Phone) -> None:
    assert phone.press(who="", name="  Turid\nReserve ").status == 303
    assert {by for _, _, by in phone.said()} == {"Turid Reserve"}


@pytest.mark.parametrize(
    "fields", [{}, {"name": ""}, {"who": ""}, {"who": "", "name": " "}, {"who": "per"}, {"who": "x", "name": "Turid"}]
)
def test_nobody_chosen_is_nobody(phone: Phone, fields: dict[str, str]) -> None:
    pressed = phone.press(more="1", **fields)
    assert pressed.status == 422
    assert "velg hvem du er" in pressed.text
    assert phone.said() == []


@pytest.mark.parametrize(
    ("call", "number"),
    [("ring vakten, +47 55 00 00 00.", "+4755000000"), ("ring 02800", "02800"), ("ring den som leder vakten", "")],
)
def test_the_number_to_call_can_be_pressed(call: str, number: str) -> None:
    found = dial(call)
    assert found.number == number
    assert "".join((found.before, found.written, found.after)) == call


def test_a_link_that_is_made_up_or_changed_shows_nothing(phone: Phone) -> None:
    token = phone.tokens["kari"]
    for other in (
        "x",
        token[:-1],
        token + "A",
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        "%2e%2e",
        "A" * 24,
        f"{token}/",
    ):
        for seen in (phone.get(other), phone.press(other, who="kari")):
            assert seen.status == 404
            assert "Varsel" not in seen.text
            assert 'href="tel:55000000"' in seen.text or other.endswith("/")
    assert phone.said() == []
    assert phone.counted("refused") == 12, "the last is no address of ours at all"


def test_an_old_link_and_one_whose_person_is_gone_say_so_and_whom_to_call(phone: Phone) -> None:
    del phone.people["kari"]
    gone = phone.press(who="ola")
    assert gone.status == 410
    assert "trukket tilbake" in gone.text
    phone.people["kari"] = PEOPLE["kari"]
    phone.clock.advance(timedelta(days=1, seconds=1))
    old = phone.press(who="kari")
    assert old.status == 410
    assert "utløpt" in old.text
    assert "55 00 00 00" in old.text
    assert phone.said() == []


def test_what_could_not_be_written_is_told_to_who_pressed(phone: Phone) -> None:
    phone.bus.away = True
    pressed = phone.press(who="kari")
    assert pressed.status == 503
    assert "Vi vet ikke om du er registrert" in pressed.text
    phone.bus.away = False
    assert phone.press(who="kari").status == 303


def test_who_was_told_that_nothing_was_recorded_is_not_recorded_later_and_who_may_be_is_told_so(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SECONDS", 0.5)
    phone.bus.goes.clear()
    seen: dict[str, Seen] = {}
    names = ("Turid", "Per")
    threads = [threading.Thread(target=lambda n=n: seen.update({n: phone.press(who="", name=n)})) for n in names]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    assert "Vi vet ikke om du er registrert" in seen["Turid"].text, "the bus had it"
    assert "Du er ikke registrert" in seen["Per"].text, "it waited behind the other"
    phone.bus.goes.set()
    assert "Turid" in phone.get().text
    assert {by for _, _, by in phone.said()} == {"Turid"}


def test_what_one_press_says_of_several_alerts_is_one_write(phone: Phone) -> None:
    """Between two of them the dispatcher would page somebody about what is left."""
    before = phone.bus.writes
    phone.press(who="kari")
    assert phone.bus.writes - before == 1
    words = [each for each in scan(phone.bus, DECISIONS) if isinstance(each, Decision)]
    assert [each.page for each in words] == [digest("kari")] * 2


def test_an_alert_that_was_opened_again_can_be_answered_again(phone: Phone) -> None:
    phone.press(who="kari")
    for id_ in ("a1", "a2"):
        again = Decision(kind=DecisionKind.REOPEN, id=id_, at=NOW + timedelta(hours=1), by="dispatch", why="")
        hashchain.append(phone.bus, DECISIONS.name, again)
    seen = phone.get()
    assert "åpnet igjen" in seen.text
    assert "<form" in seen.text
    phone.press(who="ola")
    assert phone.said()[-1] == ("acknowledge", "a2", HOSTILE)


def test_it_fetches_nothing_and_is_framed_and_remembered_by_nobody(phone: Phone) -> None:
    seen = phone.get()
    policy = seen.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert seen.headers["Referrer-Policy"] == "no-referrer"
    assert seen.headers["Cache-Control"] == "no-store"
    assert seen.headers["Set-Cookie"] is None
    links = re.findall(r'(?:src|href|action)="([^"]*)"', seen.text)
    assert links == ["style.css", "https://sykehus.example/kort/7", "tel:55000000"]
    assert not re.search(r"<script|<style|style=| on\w+=", seen.text)
    style = phone.get("style.css")
    assert style.status == 200
    assert "url(" not in style.text
    assert len(seen.text) + len(style.text) < 50_000


def test_hostile_words_are_shown_as_text(tmp_path: Path) -> None:
    (tmp_path / "bus").mkdir()
    phone = Phone(tmp_path / "bus", incident='"><img src=x onerror=alert(1)>')
    with closing(phone):
        phone.press(who="", name="</li><b>")
        for token in phone.tokens.values():
            seen = phone.get(token)
            assert "<img" not in seen.text
            assert "<script" not in seen.text
            assert "</li><b>" not in seen.text
            assert "&lt;/li&gt;&lt;b&gt;" in seen.text


def test_no_log_holds_a_token_or_a_name(phone: Phone, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    phone.get()
    phone.press(who="kari")
    phone.get("A" * 24)
    phone.bus.away = True
    phone.press(phone.tokens["ola"], who="", name="Turid")
    assert "2 alerts acknowledged by a link" in caplog.text
    assert not any(word in caplog.text for word in (*phone.tokens.values(), "Kari", "Turid"))


def test_a_form_that_is_too_large_or_is_none_is_refused(phone: Phone) -> None:
    assert phone.press(name="x" * 70_000).status == 413
    assert phone.press(**{f"f{n}": "1" for n in range(300)}).status == 400
    assert phone.said() == []


def test_a_running_service_sends_the_link_and_whoever_presses_has_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"LYTTEPOST_CONFIG": str(tmp_path / "config")})
    config, port = machine.folder / "config", free_port()
    shutil.copytree(packaged_config(), config)
    (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef\n", encoding="utf-8")
    with webhook_server() as hook:
        links = {"url": f"http://127.0.0.1:{port}", "key_file": str(tmp_path / "key")}
        settings = (config / "settings.yaml").read_text("utf-8")
        settings = settings.replace("\nchannels: {}", f"\nchannels: {json.dumps({'webhook': {'url': hook.url}})}")
        settings = settings.replace("receiver: null", f"receiver: {json.dumps({'port': port, 'links': links})}")
        (config / "settings.yaml").write_text(settings, "utf-8")
        people = (config / "people.yaml").read_text("utf-8")
        (config / "people.yaml").write_text(
            people.replace("- {channel: console}", "- {channel: webhook, target: duty}"), "utf-8"
        )
        process = machine.start("run", "--role", "alerts", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            assert process.stdout is not None
            assert "runs on" in process.stdout.readline()
            with live_bus(machine) as bus:
                bus.publish([Message("alerts", "a1", encode(alert("a1", at=SystemClock().now())))])
            link = wait_for(lambda: [call.json["reply_link"] for call in hook.seen])[0]
            with urlopen(link) as shown:  # noqa: S310
                assert "Jeg tar den" in shown.read().decode()
            with urlopen(link, data=urlencode({"who": "", "name": "Turid Vakt"}).encode()) as pressed:  # noqa: S310
                assert "kvittert av Turid Vakt" in pressed.read().decode()
            (found,) = [each for each in machine.json("alerts", "--all") if each["id"] == "a1"]
            assert (found["handling"], found["handled_by"]) == ("acknowledged", "Turid Vakt")
        finally:
            process.terminate()
            said, _ = process.communicate(timeout=20)
    assert link.rpartition("/")[2] not in said
