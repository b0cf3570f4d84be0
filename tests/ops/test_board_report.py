"""The situation report and the handover at the board: real requests to its server."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from alerts.annotate.story import story
from alerts.board.access.demo import DemoAccess
from alerts.board.make import BoardParts, make_board
from alerts.notify.duty import DutyFollower
from alerts.notify.messages import load_all_messages
from alerts.notify.recipients import load_people
from alerts.situation.words import load_words
from listener.bus import hashchain
from listener.bus.protocol import Message, open_bus
from listener.clock import SystemClock
from listener.model.answers import Verdict
from listener.model.decisions import DECISIONS, Answer, Note
from listener.model.incidents import Action, Command, encode_command
from listener.model.records import Cue, Finding, Kind, encode
from listener.model.topics import topic_specs
from listener.runtime.health import Health
from listener.settings.board import BoardSettings
from listener.settings.files import packaged_config, raw_settings
from listener.settings.schema import Settings

TEXT = "Kan noen komme med vann til skolen i Nordvik"
NAME = "Brann <b>Nordvik</b>"
INCIDENT = "brann-b-nordvik-b-0"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, clock = tmp_path_factory.mktemp("board"), SystemClock()
    now = clock.now()
    with closing(open_bus("embedded:", folder, clock, durable=False)) as bus:
        bus.ensure(topic_specs(1, {}))
        opened = Command(action=Action.OPEN, at=now - timedelta(hours=2), by="Kari", why="melding fra AMK", name=NAME)
        bus.publish([Message("control", "incident", encode_command(opened))])
        for number in range(4):
            at = now - timedelta(minutes=5 + number)
            finding = Finding(
                source="x", id=f"p{number}", at=at, captured_at=at, text=TEXT, author=f"a{number}",
                incident=INCIDENT, story=story(TEXT, None), cues=(Cue(kind=Kind.QUESTION),),
                themes=("supplies_help",), language="nb", theme_sure=True,
            )  # fmt: skip
            bus.publish([Message("findings", finding.key, encode(finding))])
        its = {"at": now, "incidents": (INCIDENT,)}
        hashchain.append(bus, DECISIONS.name, Note(by="Ola", theme="food", words="<i>kiosken</i> stenger", **its))
        said = Answer(by="Kari", theme="food", verdict=Verdict.TRUE, words="Den er åpen.", **its)
        hashchain.append(bus, DECISIONS.name, said)
        people = packaged_config() / "people.yaml"
        words = {name: load_words(packaged_config(), its) for name, its in load_all_messages(packaged_config()).items()}
        parts = BoardParts(
            words=words,
            raw=raw_settings(),
            duty=lambda at: DutyFollower(people, folder, lambda: (load_people(people).in_zone(UTC), {}), at),
            access=DemoAccess("demo"),
        )
        settings = Settings(board=BoardSettings(port=0))
        board = make_board(bus, settings, folder, parts, clock=clock, part=Health(clock).part("board"))
        stop = threading.Event()

        def turn() -> None:
            while not stop.is_set():
                board.step(0.05)

        thread = threading.Thread(target=turn)
        thread.start()
        try:
            yield board.address
        finally:
            stop.set()
            thread.join()
            board.close()


def get(address: str, path: str) -> tuple[int, str, dict[str, str]]:
    try:
        with urllib.request.urlopen(address + path, timeout=20) as answer:  # noqa: S310 -- our own server
            return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.headers.items()}
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), {}


@pytest.fixture(scope="module", autouse=True)
def is_there(address: str) -> None:
    until = datetime.now(UTC) + timedelta(seconds=30)
    while get(address, "/")[0] != 200:
        assert datetime.now(UTC) < until


@pytest.mark.parametrize("language", ["nb", "en"])
@pytest.mark.parametrize("path", ["/report?since=1h", f"/report?since=24h&incident={INCIDENT}", "/handover?x=1"])
def test_a_page_is_whole_shows_no_post_and_names_only_as_text(address: str, path: str, language: str) -> None:
    status, html, headers = get(address, f"{path}&lang={language}")
    assert status == 200
    assert "unsafe-inline" not in headers["content-security-policy"]
    assert f'<html lang="{language}">' in html
    assert html.partition("<template")[0].count("<h1") == 1
    assert TEXT not in html
    assert "<b>Nordvik" not in html
    assert "<i>" not in html
    assert "&lt;b&gt;Nordvik" in html
    assert not re.search(r"<style|<script>|\sstyle=|\son\w+=", html)


def test_the_report_is_downloaded_as_a_file(address: str) -> None:
    status, html, headers = get(address, "/report.html?since=1h&lang=nb")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert re.fullmatch(r'attachment; filename="situasjonsrapport-\d{12}\.html"', headers["content-disposition"])
    assert "<style>" in html
    status, text, headers = get(address, "/report.md?since=1h&lang=en")
    assert (status, headers["content-type"]) == (200, "text/markdown; charset=utf-8")
    assert text.startswith("# Situation report: Brann \\<b\\>Nordvik\\</b\\>")


@pytest.mark.parametrize("path", ["/report?incident=flom-9", "/report.pdf"])
def test_what_is_not_there_is_not_found(address: str, path: str) -> None:
    assert get(address, path)[0] == 404


def test_a_stretch_that_nobody_offers_is_the_usual_one(address: str) -> None:
    status, html, _ = get(address, "/report?since=<script>")
    assert status == 200
    assert '<option value="1h" selected>' in html


def test_the_handover_tells_what_was_decided_by_whom_and_what_waits(address: str) -> None:
    _, html, _ = get(address, "/handover?lang=nb")
    assert "utstyr og hjelpende hender" in html
    assert "<b>Kari</b> svarte om mat og kiosk: sant: <bdi>Den er åpen.</bdi>" in html
    assert html.count("kiosken") == 2, "among what was decided, and among the notes"
    assert "åpnet Brann" in html
