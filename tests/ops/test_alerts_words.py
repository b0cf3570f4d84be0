"""What people say of alerts on the command line: acknowledge, resolve, close, note, assign, silence; and the ledger."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_support import Machine, live_bus
from typer.testing import CliRunner, Result

from listener.bus import hashchain
from listener.bus.protocol import Message
from listener.bus.scan import scan, scan_records
from listener.model.decisions import DECISIONS, Silence
from listener.model.deliveries import Delivery, Outcome, Page, PageWhy
from listener.model.receipts import Receipt, Received
from listener.model.records import Decision, encode
from lyttepost import app
from tests.unit.telling_support import alert

PEOPLE = """
people:
  kari: {name: Kari, roles: [duty], ways: [{channel: email, target: kari@granvik-sykehus.no}]}
  ola: {name: Ola, ways: [{channel: email, target: ola@granvik-sykehus.no}]}
policies: {crisis: {steps: [{to: [duty]}, {after: 5m, to: [ola]}], repeat_every: 15m}}
routes: {duty: [{policy: crisis}]}
inhibit: [{source: {rule: big}, target: {rule: small}}]
"""
NUMBER = "+4740000001"


@dataclass(frozen=True)
class Site:
    """Three open alerts: `a1` (rule big) holds back `a2` (rule small); `b1` is critical. Kari had a page on a1 and b1,
    by SMS, with the code 4711; it was delivered."""

    machine: Machine
    now: datetime

    def run(self, *words: str, code: int = 0) -> Result:
        done = CliRunner().invoke(app, list(words))
        failed = getattr(done.exception, "exit_code", done.exit_code)
        assert failed == code, done.output + repr(done.exception)
        return done

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    def words(self) -> list[tuple[str, str, str]]:
        """Kind, id and author of every decision."""
        with live_bus(self.machine) as bus:
            hashchain.verify(scan_records(bus, [DECISIONS.name]))
            return [(w.kind.value, w.id, w.by) for w in scan(bus, DECISIONS) if isinstance(w, Decision)]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    machine, now = Machine(tmp_path), datetime.now(UTC)
    for name, value in machine.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path / "work")
    assert CliRunner().invoke(app, ["config", "init", "mine"]).exit_code == 0
    (tmp_path / "work" / "mine" / "people.yaml").write_text(PEOPLE, "utf-8")
    monkeypatch.setenv("LYTTEPOST_CONFIG", str(tmp_path / "work" / "mine"))
    with live_bus(machine) as bus:
        fired = [("a1", {"rule": "big"}), ("a2", {"rule": "small"}), ("b1", {"rule": "r", "severity": "critical"})]
        bus.publish([Message("alerts", id_, encode(alert(id_, at=now, **more))) for id_, more in fired])
        named = {"a1": "firing", "b1": "firing"}
        page = Page(id="p1", at=now, why=PageWhy.STEP, person="kari", policy="crisis", alerts=named, code="4711")
        send = {"intent": "i", "page": "p1", "alert": "a1", "alerts": ("a1", "b1"), "at": now, "step": 0}
        way = {"channel": "sms", "target": NUMBER}
        for record in (
            page,
            Delivery(**send, **way),
            Delivery(**send, **way, outcome=Outcome.SENT, provider_ids=("x1",)),
            Receipt(channel="sms", provider_id="x1", outcome=Received.DELIVERED, at=now),
        ):
            hashchain.append(bus, "deliveries", record)
    return Site(machine, now)


def test_a_pages_code_acknowledges_exactly_what_the_page_named(site: Site) -> None:
    done = site.run("alerts", "ack", "4711", "--by", "Kari")
    assert "a1 is acknowledged: Kari" in done.stderr
    assert site.words() == [("acknowledge", "a1", "Kari"), ("acknowledge", "b1", "Kari")]
    assert [each["id"] for each in site.json("alerts")] == ["a2"]


def test_a_code_that_begins_an_id_too_is_refused_and_answers_nothing(site: Site) -> None:
    with live_bus(site.machine) as bus:
        bus.publish([Message("alerts", "4711ab", encode(alert("4711ab", at=site.now)))])
    site.run("alerts", "ack", "4711", "--by", "Kari", code=2)
    assert site.words() == []
    site.run("alerts", "ack", "4711a", "--by", "Kari")
    assert site.words() == [("acknowledge", "4711ab", "Kari")]


def test_several_ids_are_acknowledged_at_once_and_an_unknown_one_stops_all(site: Site) -> None:
    site.run("alerts", "ack", "a1", "nonesuch", "--by", "Kari", code=2)
    assert site.words() == []
    site.run("alerts", "ack", "a1", "a2", "--by", "Kari")
    assert site.json("alerts", "show", "a2")["handled_by"] == "Kari"


@pytest.mark.parametrize(("word", "state"), [("ack", "acknowledged"), ("resolve", "resolved"), ("close", "closed")])
def test_a_second_word_says_who_was_first_and_writes_nothing(site: Site, word: str, state: str) -> None:
    assert f"a1 is {state}: Kari" in site.run("alerts", word, "a1", "--by", "Kari").stderr
    assert f"a1 was {state} already: Kari" in site.run("alerts", word, "a1", "--by", "Ola").stderr
    assert len(site.words()) == 1


def test_resolved_by_a_person_it_still_waits_for_an_answer_and_closed_it_does_not(site: Site) -> None:
    site.run("alerts", "resolve", "b1", "--by", "Kari")
    (b1,) = (each for each in site.json("alerts") if each["id"] == "b1")
    assert (b1["condition"], b1["handling"]) == ("resolved", "open")
    site.run("alerts", "close", "b1", "--by", "Kari", "--why", "øvelse")
    assert site.json("alerts", "show", "b1")["handled_why"] == "øvelse"
    assert "b1" not in [each["id"] for each in site.json("alerts")]


def test_a_note_is_kept_with_numbers_masked_and_an_empty_one_is_not(site: Site) -> None:
    site.run("alerts", "note", "a1", "--text", "Ring 40612345", "--by", "Kari")
    assert [note["text"] for note in site.json("alerts", "show", "a1")["notes"]] == ["Ring ‹tlf›"]
    site.run("alerts", "note", "a1", "--text", " ", "--by", "Kari", code=2)
    assert len(site.words()) == 1


def test_an_alert_is_assigned_to_somebody_who_exists_while_it_is_open(site: Site) -> None:
    site.run("alerts", "assign", "a1", "--to", "per", "--by", "Kari", code=2)
    site.run("alerts", "assign", "a1", "--to", "Ola", "--by", "Kari")
    site.run("alerts", "ack", "a1", "--by", "Ola")
    site.run("alerts", "assign", "a1", "--to", "ola", "--by", "Kari", code=3)
    assert [kind for kind, _, _ in site.words()] == ["assign", "acknowledge"]
    with live_bus(site.machine) as bus:
        assert next(w for w in scan(bus, DECISIONS) if isinstance(w, Decision)).to == "ola"


def test_the_list_says_what_is_held_back_and_who_is_called_next(site: Site) -> None:
    listed = {each["id"]: each for each in site.json("alerts")}
    assert listed["a2"]["held"]["inhibited_by"] == ["a1"]
    assert (listed["a2"]["next"], listed["b1"]["next"]["person"]) == (None, "kari")
    rows = site.run("alerts").stdout
    assert "open, held back by a1" in rows
    assert "Kari now" in rows
    site.run("alerts", "silence", "--match", "rule=r", "--for", "1h", "--why", "prøve", "--by", "Kari")
    assert "open, silenced until " in site.run("alerts").stdout


def test_an_alert_is_shown_with_who_was_paged_and_what_became_of_it(site: Site) -> None:
    (page,) = site.json("alerts", "show", "b1")["pages"]
    (way,) = page["ways"]
    assert (page["person"], page["why"], page["until"], way["channel"], way["outcome"]) == (
        "kari", "step", None, "sms", "sent",
    )  # fmt: skip
    assert [receipt["outcome"] for receipt in way["receipts"]] == ["delivered"]
    assert "; delivered " in site.run("alerts", "show", "b1").stdout


def test_a_page_that_is_kept_says_until_when_and_an_empty_step_says_nobody(site: Site) -> None:
    later = site.now + timedelta(hours=5)
    with live_bus(site.machine) as bus:
        for page in (
            Page(id="p2", at=site.now, why=PageWhy.STEP, person="ola", alerts={"a1": "firing"}, until=later,
                 deferred="quiet_hours"),
            Page(id="p3", at=site.now, why=PageWhy.STEP, alerts={"a1": "firing"}, step=1),
        ):  # fmt: skip
            hashchain.append(bus, "deliveries", page)
    shown = site.run("alerts", "show", "a1").stdout
    assert "kept until " in shown
    assert ": quiet_hours" in shown
    assert "NOBODY  step 2" in shown


def silenced(site: Site, *words: str, code: int = 0) -> Result:
    return site.run("alerts", "silence", *words, "--why", "vedlikehold", "--by", "Kari", code=code)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--for", "1h"), 2),
        (("--match", "rule", "--for", "1h"), 2),
        (("--match", "=x", "--for", "1h"), 2),
        (("--match", "severity=critcal", "--for", "1h"), 2),
        (("--match", "rule=a", "--match", "rule=b", "--for", "1h"), 2),
        (("--match", "rule=r"), 2),
        (("--match", "rule=r", "--for", "1h", "--until", "2099-01-01T00:00"), 2),
        (("--match", "rule=r", "--for", "169h"), 2),
        (("--match", "rule=r", "--until", "2020-01-01T00:00"), 3),
        (("--match", "alert=nonesuch", "--for", "1h"), 2),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused_and_not_written(
    site: Site, words: tuple[str, ...], code: int
) -> None:
    silenced(site, *words, code=code)
    assert site.json("alerts", "silences", "--all") == []


def test_a_silence_prints_its_id_is_listed_and_ended_once(site: Site) -> None:
    id_ = silenced(site, "--match", "rule=r", "--for", "168h").stdout.strip()
    (listed,) = site.json("alerts", "silences")
    assert (listed["id"], listed["match"], listed["holds"], listed["active"]) == (id_, {"rule": "r"}, ["b1"], True)
    site.run("alerts", "unsilence", id_[:5], "--why", "ferdig", "--by", "Ola")
    assert site.json("alerts", "silences") == []
    again = site.run("alerts", "unsilence", id_, "--why", "ferdig", "--by", "Per")
    assert "was ended already by Ola" in again.stderr
    assert site.words() == [("unsilence", id_, "Ola")]
    with live_bus(site.machine) as bus:
        assert [w.id for w in scan(bus, DECISIONS) if isinstance(w, Silence)] == [id_]


def test_it_says_plainly_that_what_is_critical_is_not_held_by_a_matcher_that_does_not_name_it(site: Site) -> None:
    said = silenced(site, "--match", "incident=brann-4", "--for", "1h").stderr
    assert "What is critical is paged all the same" in said
    assert "severity=critical: b1." in said
    assert "It holds back 2 open alerts now: a1, a2" in said
    assert "critical" not in silenced(site, "--match", "rule=r", "--for", "1h").stderr
    assert "No alert so far has a field 'rul'" in silenced(site, "--match", "rul=r", "--for", "1h").stderr


def test_whoever_is_not_in_people_yaml_is_told_what_that_means(site: Site) -> None:
    assert "is nobody in people.yaml" not in site.run("alerts", "ack", "a1", "--by", "KARI ").stderr
    assert "vakt is nobody in people.yaml" in site.run("alerts", "ack", "a2", "--by", "vakt").stderr
    silence = ("alerts", "silence", "--match", "rule=r", "--for", "1h", "--why", "vedlikehold", "--by")
    stranger = site.run(*silence, "vakt").stderr
    assert "Nobody is told before it ends: vakt is nobody in people.yaml" in stranger
    assert "Nobody is told" not in site.run(*silence, "kari").stderr


def test_a_folder_without_a_log_is_refused_and_none_is_made(site: Site, tmp_path: Path) -> None:
    nowhere = tmp_path / "typo"
    ledger, alerts = [("ledger", "verify"), ("ledger", "export")], [("alerts",), ("alerts", "silences")]
    for words in (*ledger, *alerts, ("alerts", "show", "a")):
        done = site.run(*words, "--data", str(nowhere), code=2)
        assert "holds no log" in done.output + str(done.exception)
    assert not nowhere.exists()


def test_the_ledger_says_how_far_it_was_followed_and_what_that_does_not_prove(site: Site) -> None:
    with live_bus(site.machine) as bus:
        *_, newest = scan_records(bus, ["deliveries"])
    done = site.run("ledger", "verify")
    assert f"deliveries: 4 records, chain unbroken up to {json.loads(newest.value)['digest'][:16]}" in done.stdout
    assert "Whether the last are missing" in done.stderr


def test_the_ledger_is_proven_under_its_new_name_and_its_old_one(site: Site) -> None:
    site.run("alerts", "ack", "a1", "--by", "Kari")
    for words in (("ledger", "verify"), ("alerts", "verify")):
        said = site.run(*words).stdout
        assert "decisions: 1 records, chain unbroken" in said
        assert "deliveries: 4 records, chain unbroken" in said


def test_the_ledger_is_exported_one_line_for_each_alert_and_no_cell_is_a_formula(site: Site) -> None:
    site.run("alerts", "ack", "a1", "--by", "Kari", "--why", "=HYPERLINK(1)")
    text = site.run("ledger", "export", "--csv").stdout.removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["what"], row["alert"]) for row in rows] == [
        *((what, id_) for what in ("page", "send", "outcome", "receipt") for id_ in ("a1", "b1")),
        ("acknowledge", "a1"),
    ]
    assert {row["person"] for row in rows[:-1]} == {"kari"}
    assert (rows[2]["target"], rows[-1]["why"]) == (f"'{NUMBER}", "'=HYPERLINK(1)")
    assert all(not cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())


def test_the_ledger_is_exported_for_programs_into_a_file_that_is_its_owners(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "ledger.json"
    site.run("ledger", "export", "--json", "--since", "1h", "--out", str(file))
    assert [line["what"] for line in json.loads(file.read_text("utf-8"))][:2] == ["page", "page"]
    assert file.stat().st_mode & 0o077 == 0
    site.run("ledger", "export", "--json", "--csv", code=2)
    site.run("ledger", "export", "--since", "yesterday", code=2)
