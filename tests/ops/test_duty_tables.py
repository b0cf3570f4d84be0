"""Tables of right answers for telling people, through `lyttepost alerts run`: whom it pages, with what, and when.

They are outside data; `LYTTEPOST_EVALUATION_DATA` names their folder. A row's `expect` says of a window of time which
alerts a page or notice to a person names, how many pages there may be, and what else is told.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from listener.bus.protocol import Message, open_bus
from listener.clock import SystemClock
from listener.model.deliveries import DELIVERIES, Page
from listener.model.records import decode, encode
from listener.model.topics import topic_specs
from listener.units import format_instant, parse_instant
from lyttepost import app
from tests.bench.dispatcher_process import start
from tests.fakes.webhook import webhook_server
from tests.unit.telling_support import alert

Row = Mapping[str, Any]
Lines = Sequence[Mapping[str, Any]]

REAL_PROCESSES = 2
"""So many of the ten situations are tried with the command as a process of its own, too."""
WORDS = {"to", "between", "by", "page_lists", "never_lists", "pages_at_most", "delivered_at_least", "marked", "other"}

ROOT = Path(__file__).parents[2]
T = datetime(2031, 3, 2, 3, 0, tzinfo=UTC)


def table(name: str) -> Any:
    folder = os.environ.get("LYTTEPOST_EVALUATION_DATA")
    if not folder:
        pytest.skip("LYTTEPOST_EVALUATION_DATA names no folder; the tables are not part of the project")
    return json.loads((Path(folder) / "duty" / f"{name}.json").read_text(encoding="utf-8"))


def alerts_run(folder: Path, row: Row, *, process: bool = False) -> Lines:
    policy, events = folder / "policy.json", folder / "events.jsonl"
    policy.write_text(json.dumps(row["policy"]), encoding="utf-8")
    events.write_text("".join(json.dumps(event) + "\n" for event in row["events"]), encoding="utf-8")
    words = ["alerts", "run", "--policy", str(policy), "--events", str(events), "--until", row["until"], "--json"]
    if process:
        command = [sys.executable, "-m", "lyttepost", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def unmet(lines: Lines, expect: Sequence[Row]) -> list[Row]:
    """What of the table the lines do not show."""
    assert expect
    assert not {word for each in expect for word in each} - WORDS, "the table asks for what this test does not know"
    return [each for each in expect if not shows(lines, each)]


def shows(lines: Lines, wanted: Row) -> bool:
    start, end = map(parse_instant, wanted["between"])
    within = [line for line in lines if start <= parse_instant(line["at"]) <= end]
    told = [line for line in within if line.get("to") == wanted.get("to") and line["do"] in ("page", "notice")]
    pages = [line for line in told if line["do"] == "page"]
    told = [line for line in told if "by" not in wanted or line.get("by") == wanted["by"]]
    checks = {
        "page_lists": lambda alerts: any(line["alerts"] == alerts for line in told),
        "never_lists": lambda alerts: not any(set(alerts) & set(line["alerts"]) for line in told),
        "pages_at_most": lambda count: len({line["at"] for line in pages}) <= count,
        "delivered_at_least": lambda count: sum(line["outcome"] == "accept" for line in pages) >= count,
        "marked": lambda mark: any(mark in line["marks"] for line in pages),
        "other": lambda fields: any(fields.items() <= line.items() for line in within),
    }
    return all(check(wanted[word]) for word, check in checks.items() if word in wanted)


def test_the_ten_situations_end_as_they_must(tmp_path: Path) -> None:
    rows = table("composed")
    assert len(rows) >= 10
    found = {row["id"]: unmet(alerts_run(tmp_path, row), row["expect"]) for row in rows}
    assert {id_: wrong for id_, wrong in found.items() if wrong} == {}


def test_the_command_as_a_process_of_its_own_says_the_same(tmp_path: Path) -> None:
    for row in table("composed")[:REAL_PROCESSES]:
        assert alerts_run(tmp_path, row, process=True) == alerts_run(tmp_path, row)


def test_timelines_of_grouping_repeat_silence_and_inhibition_end_as_they_must(tmp_path: Path) -> None:
    rows = {row["id"]: row["lyttepost"] for row in table("timelines")}
    rows = {id_: row for id_, row in rows.items() if row.get("kind") != "processes"}
    assert len(rows) >= 6
    found = {id_: unmet(alerts_run(tmp_path, row), row["expect"]) for id_, row in rows.items()}
    assert {id_: wrong for id_, wrong in found.items() if wrong} == {}


def test_a_table_that_is_not_met_is_seen(tmp_path: Path) -> None:
    """The checks above can fail: with each condition turned round, every row does."""
    for row in table("composed"):
        pages = [each for each in row["expect"] if "page_lists" in each]
        wrong = [{**each, "page_lists": {"nobody": "firing"}} for each in pages]
        assert len(unmet(alerts_run(tmp_path, row), wrong)) == len(wrong)


# --- rows of one decision: tell or not, held back or not -------------------------------------------------------------


def test_whether_a_change_is_told_follows_the_rows(tmp_path: Path) -> None:
    rows = table("dedup_and_inhibit_rows")["tell_or_not"]
    assert len(rows) >= 6
    assert {row["id"]: is_told(tmp_path, row) for row in rows} == {row["id"]: row["tell"] for row in rows}


def is_told(folder: Path, row: Row) -> bool:
    """The row as events: it was told at T, and stands anew some minutes later. With us an alert that has passed is told
    again until somebody says that it is known; so where nothing fires any more in the row, somebody has."""
    last, now = row["last_told"] or {"firing": [], "resolved": [], "minutes_ago": None}, row["now"]
    before, after = {*last["firing"], *last["resolved"]}, {*now["firing"], *now["resolved"]}
    start = -90 if last["resolved"] else -30
    at = 60 * (last["minutes_ago"] or 5)
    happens = [event(start, "fire", n) for n in before] + [event(-30, "resolve", n) for n in last["resolved"]]
    if not last["firing"]:
        happens += [event(30, "ack", n, by="A") for n in before]
    happens += [event(at if n in now["firing"] else at - 20, "fire", n) for n in after - before]
    if not now["firing"] and not last["firing"]:
        happens += [event(at - 10, "ack", n, by="A") for n in after - before]
    happens += [event(at, "resolve", n) for n in (before | after) - {*now["firing"], *last["resolved"]}]
    repeat = row["repeat_minutes"] or 24 * 60
    policy = {
        "people": {"A": {"ways": [{"channel": "sms", "target": "A"}]}},
        "policies": {"p": {"steps": [{"to": ["A"]}], "repeat_every": f"{repeat}m"}},
        "grouping": {"by": [], "wait": "30s", "interval": "1m"},
    }
    happens.sort(key=lambda each: each["at"])
    until = T + timedelta(seconds=at + 59)
    lines = alerts_run(folder, {"policy": policy, "events": happens, "until": format_instant(until)})
    told = [line for line in lines if line["do"] in ("page", "notice")]
    assert not before or parse_instant(told[0]["at"]) <= T, "it was not told before"
    return any(parse_instant(line["at"]) >= T + timedelta(seconds=at) for line in told)


def event(seconds: float, do: str, alert: object, **more: Any) -> dict[str, Any]:
    fired = {"rule": "r", "severity": "warning", "policy": "p"} if do == "fire" else {}
    return {"at": format_instant(T + timedelta(seconds=seconds)), "do": do, "alert": f"a{alert}", **fired, **more}


def test_whether_an_alert_is_held_back_follows_the_rows(tmp_path: Path) -> None:
    rows = table("dedup_and_inhibit_rows")["held_back"]
    assert len(rows) >= 3
    assert {row["id"]: is_held(tmp_path, row) for row in rows} == {row["id"]: row["held"] for row in rows}


def test_a_source_that_still_fires_and_agrees_in_all_fields_does_hold_it_back(tmp_path: Path) -> None:
    rows = {row["id"]: row for row in table("dedup_and_inhibit_rows")["held_back"]}
    firing = {id_: [{**s, "firing": True} for s in row["sources"]] for id_, row in rows.items()}
    held = {id_: is_held(tmp_path, {**row, "sources": firing[id_]}) for id_, row in rows.items()}
    agrees = {
        id_: any(all(s["fields"].get(f) == row["alert"].get(f) for f in row["equal"]) for s in row["sources"])
        for id_, row in rows.items()
    }
    assert held == agrees
    assert {True, False} == set(held.values())


def is_held(folder: Path, row: Row) -> bool:
    happens = []
    for number, source in enumerate(row["sources"]):
        happens.append(event(-60, "fire", f"s{number}", rule="source", fields=source["fields"]))
        if not source["firing"]:
            happens.append(event(-30, "resolve", f"s{number}"))
    happens.sort(key=lambda each: each["at"])
    happens.append(event(0, "fire", "t", rule="target", fields=row["alert"]))
    policy = {
        "people": {"A": {"ways": [{"channel": "sms", "target": "A"}]}},
        "policies": {"p": {"steps": [{"to": ["A"]}], "repeat_every": "1h"}},
        "grouping": {"by": ["alert"], "wait": "0s", "interval": "5m"},
        "inhibit": [{"source": {"rule": "source"}, "target": {"rule": "target"}, "equal": row["equal"]}],
    }
    lines = alerts_run(folder, {"policy": policy, "events": happens, "until": format_instant(T)})
    return not any("at" in line["alerts"] for line in lines if line["do"] == "page")


# --- real processes --------------------------------------------------------------------------------------------------


def test_three_dispatchers_on_one_bus_send_one_message(tmp_path: Path) -> None:
    """Real processes and the real clock; a minute of the table is a second here."""
    (row,) = [row["lyttepost"] for row in table("timelines") if row["lyttepost"].get("kind") == "processes"]
    (fired,) = row["events"]
    (person,) = row["policy"]["people"]
    people = {**row["policy"], "grouping": {"by": [], "wait": "1s", "interval": "1s"}}
    bus = open_bus("embedded:", tmp_path / "bus", SystemClock())
    bus.ensure(topic_specs(1, {}))
    with webhook_server() as hook, dispatchers(tmp_path, people, {"webhook": {"url": hook.url}}, row["processes"]):
        began = time.monotonic()
        bus.publish([Message("alerts", fired["alert"], encode(alert(fired["alert"], to=fired["policy"])))])
        while not hook.seen and time.monotonic() < began + 15:
            time.sleep(0.02)
        time.sleep(2.0)
        assert [(call.json["to"], call.json["alert_id"]) for call in hook.seen] == [(person, fired["alert"])]
    told = [decode(DELIVERIES, record.value or b"") for record in bus.reader(["deliveries"]).poll(0.0, 1000)]
    assert len([each for each in told if isinstance(each, Page)]) == 1
    bus.close()


@contextmanager
def dispatchers(folder: Path, people: Row, channels: Row, count: int) -> Iterator[None]:
    settings = folder / "dispatcher.json"
    settings.write_text(json.dumps({"people": people, "channels": channels}), encoding="utf-8")
    running = [start(folder / "bus", settings, f"host-{number}") for number in range(count)]
    try:
        yield
        assert [process.poll() for process in running] == [None] * count, "a dispatcher has ended"
    finally:
        for process in running:
            process.kill()
            process.wait()
