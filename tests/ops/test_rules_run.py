"""`lyttepost rules run` and its neighbours: rules on data of one's own, and on what lies on the bus."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_support import ROOT, Machine, crisis, post, wait_for

from alerts.judge.backtest import exported, night_of
from alerts.judge.jsonl import write_finding, write_gap, write_tick
from alerts.replay import replaying
from alerts.rules.report import nth_id
from listener.bus.protocol import TopicPartition
from listener.clock import SystemClock
from listener.model.records import ALERTS, Finding, Gap, decode
from listener.settings.files import raw_settings
from listener.settings.schema import load_settings
from listener.settings.zone import find_zone
from listener.units import format_instant

START = datetime(2031, 1, 31, 19, 0, tzinfo=UTC)
KEYS = ["at", "event", "rule", "key", "count", "baseline", "reason", "alert_id"]
RULES = """\
- {name: mange, type: frequency, why: mange sier noe samtidig, timeframe: 1m, num_events: 3, realert: 0s}
- {name: hver, type: any, why: hver og en fra en by, realert: 0s, query_key: by}
- {name: stille, type: flatline, why: det ble stille her, timeframe: 5m, threshold: 1, realert: 1h}
"""


def at(seconds: float) -> str:
    return format_instant(START + timedelta(seconds=seconds))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    (tmp_path / "work" / "regler.yaml").write_text(RULES, encoding="utf-8")
    return made


def run(machine: Machine, *lines: Any, code: int = 0, more: tuple[str, ...] = ()) -> list[Any]:
    file = machine.write("funn.jsonl", lines)
    done = machine.run("rules", "run", "--rules", "regler.yaml", "--findings", file, "--json", *more)
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def said(happened: list[Any], *rules: str) -> list[tuple[str, str, str]]:
    return [(each["rule"], each["event"], each["at"]) for each in happened if not rules or each["rule"] in rules]


def test_each_thing_that_happens_is_one_line_with_every_key_in_order_of_time(machine: Machine) -> None:
    lines: list[dict[str, Any]] = [
        {"id": n, "at": at(10 * n), "fields": {"by": "Fjordby"} if n == 1 else {}} for n in range(4)
    ]
    happened = run(machine, *lines, {"tick": at(600)})
    assert all(list(each) == KEYS for each in happened)
    assert said(happened) == [
        ("hver", "fired", at(10)),
        ("mange", "fired", at(20)),
        ("mange", "resolved", at(70)),
        ("stille", "fired", at(330)),
    ]
    assert happened[0]["key"] == "Fjordby"
    assert happened[0]["baseline"] is None
    assert happened[1]["alert_id"] == nth_id("calm", "mange", "", 1)
    assert happened[2]["alert_id"] == happened[1]["alert_id"]


def test_lines_without_ticks_may_come_in_any_order(machine: Machine) -> None:
    lines = [{"id": str(n), "at": at(7 * n), "count": 1 + n % 3} for n in range(40)]
    ordered = run(machine, *lines)
    assert ordered
    random.Random(4).shuffle(lines)
    assert run(machine, *lines) == ordered


def test_behind_a_tick_a_line_is_a_post_that_was_found_late(machine: Machine) -> None:
    lines = [{"id": "1", "at": at(0), "count": 2}, {"tick": at(120)}, {"id": "2", "at": at(5)}]
    happened = run(machine, *lines)
    assert said(happened, "mange") == [("mange", "fired", at(5)), ("mange", "resolved", at(60))]
    assert happened[0]["reason"] == "heard_late"


def test_a_count_is_as_many_posts(machine: Machine) -> None:
    assert [each["count"] for each in run(machine, {"id": "1", "at": at(0), "count": 40})] == [40]


def test_over_a_gap_nothing_is_silent(machine: Machine) -> None:
    post = {"id": "1", "at": at(0), "source": "x"}
    gap = {"gap": [at(60), at(200)], "source": "x"}
    heard = run(machine, post, gap, {"tick": at(450)})
    assert said(heard, "stille") == [("stille", "suppressed", at(300))]
    assert heard[-1]["reason"] == "gap"
    still = run(machine, post, gap, {"tick": at(600)})
    assert said(still, "stille")[-1] == ("stille", "fired", at(500))
    lasting = run(machine, post, {"gap": [at(60), None], "source": "x"}, {"tick": at(3000)})
    assert [each["event"] for each in lasting] == ["suppressed"]


def test_a_lookback_never_fires_by_itself(machine: Machine) -> None:
    happened = run(machine, {"id": "1", "at": at(0), "count": 5, "origin": "lookback"})
    assert [(each["event"], each["reason"]) for each in happened] == [("suppressed", "lookback_only")]


def test_what_is_null_is_as_if_it_were_left_out(machine: Machine) -> None:
    bare = {"id": "1", "at": at(0), "count": 3}
    nulls = dict.fromkeys(("author", "text", "source", "lang", "kinds", "fields", "origin", "story", "place", "reach"))
    assert run(machine, {**bare, **nulls}) == run(machine, bare) != []


def test_the_incident_is_part_of_the_alerts_id(machine: Machine) -> None:
    line = {"id": "1", "at": at(0), "count": 3}
    (ours,) = run(machine, line, more=("--incident", "brann-1"))
    assert ours["alert_id"] == nth_id("brann-1", "mange", "", 1)


def test_a_line_that_cannot_be_used_is_named_and_the_others_are_judged(machine: Machine) -> None:
    line = {"id": "1", "at": at(0), "autor": "hemmelig"}
    file = machine.write("funn.jsonl", [{"id": "0", "at": at(0), "count": 3}, "", line, {"tick": at(20)}])
    done = machine.run("rules", "run", "--rules", "regler.yaml", "--findings", file, "--json")
    assert done.returncode == 1
    assert "funn.jsonl:3: autor: no such key; remove it or put it into `fields`" in done.stderr
    assert "1 of 4 lines could not be used" in done.stderr
    assert "hemmelig" not in done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_of_many_bad_lines_the_first_are_named_and_all_are_counted(machine: Machine) -> None:
    file = machine.write("funn.jsonl", ["ikke json"] * 300)
    done = machine.run("rules", "run", "--rules", "regler.yaml", "--findings", file)
    assert done.returncode == 1
    assert done.stderr.count("is no JSON") == 5
    assert "300 of 300 lines" in done.stderr


@pytest.mark.parametrize(
    ("rules", "findings", "names"), [("borte.yaml", "-", "borte.yaml"), ("regler.yaml", "nei", "nei")]
)
def test_files_that_are_not_there_are_named(machine: Machine, rules: str, findings: str, names: str) -> None:
    done = machine.run("rules", "run", "--rules", rules, "--findings", findings)
    assert done.returncode == 4
    assert names in done.stderr
    assert "Traceback" not in done.stderr


def test_without_json_it_is_a_table(machine: Machine) -> None:
    line = json.dumps({"id": "1", "at": at(0), "count": 3}).encode()
    done = machine.run("rules", "run", "--rules", "regler.yaml", "--findings", "-", stdin=line)
    head, row = done.stdout.splitlines()
    assert head.split() == ["AT", "EVENT", "RULE", "COUNT", "BASELINE", "REASON", "ALERT", "KEY"]
    assert row.split()[:5] == [at(0), "fired", "mange", "3", "num_events"]


def test_nothing_in_is_nothing_out(machine: Machine) -> None:
    done = machine.run("rules", "run", "--rules", "regler.yaml", "--findings", "-", "--json")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Nothing was read" in done.stderr


def test_through_a_pipe_each_thing_is_told_once_a_tick_has_passed_it(machine: Machine) -> None:
    process = machine.start(
        "rules", "run", "--rules", "regler.yaml", "--findings", "-", "--json",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    try:
        for line in ({"id": "1", "at": at(0), "count": 3}, {"tick": at(30)}):
            process.stdin.write(json.dumps(line).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["event"] == "fired"
        assert process.poll() is None, "it waits for more"
        process.stdin.close()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


# --- the same as live ------------------------------------------------------------------------------------------------


def test_what_a_live_run_said_is_what_rules_run_says_of_its_findings(machine: Machine, tmp_path: Path) -> None:
    """The whole flow on a recording, from the source to the bus; then its findings as lines, through the command."""
    posts = crisis()
    again = [post(25 + 0.1 * n, n, f"Nordvik sykehus igjen, sier gate {n}") for n in range(12)]
    posts = sorted([*posts, *again], key=lambda raw: str(raw["created_at"]))
    for moved, late in ((posts[3], 4), (posts[12], 9)):
        posts.remove(moved)
        posts.insert(posts.index(next(p for p in posts if p["id"] > moved["id"])) + late, moved)
    file = machine.folder / "work" / machine.write("opptak.jsonl", posts)
    raw = raw_settings()
    live: list[dict[str, Any]] = []
    with replaying(
        raw, load_settings(raw), str(file), name="Brann", tracks=["nordvik sykehus"], speed=None, pace=SystemClock()
    ) as playing:
        playing.play(lambda told: None)
        bus, incident = playing.app.bus, playing.incident.id
        records = bus.read(TopicPartition("alerts", 0), 0, 10_000)
        for record in records:
            alert = decode(ALERTS, record.value or b"")
            live.append({**{name: getattr(alert, name) for name in KEYS[1:-1]}, "at": alert.at, "alert_id": alert.id})
        lines = [_line(record) for record in exported(bus, incident)]
    (machine.folder / "work" / "funn.jsonl").write_bytes(b"\n".join(lines))
    done = machine.run(
        "rules", "run", "--rules", str(ROOT / "config" / "rules"), "--findings", "funn.jsonl",
        "--incident", incident, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    live = [{**each, "at": format_instant(each["at"])} for each in sorted(live, key=lambda each: each["at"])]
    ran = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({each["rule"] for each in ran}) >= 5
    assert {each["event"] for each in ran} == {"fired", "resolved", "suppressed"}
    assert ran == live


def _line(record: Any) -> bytes:
    if isinstance(record, Finding):
        return write_finding(record)
    return write_gap(record) if isinstance(record, Gap) else write_tick(record.until)


# --- what lies on the bus --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A deployment that has heard a crisis, late in the evening."""
    machine = Machine(tmp_path_factory.mktemp("heard"))
    (machine.folder / "work" / "regler.yaml").write_text(RULES, encoding="utf-8")
    file = machine.write("opptak.jsonl", [_later(post, hours=3) for post in crisis()])
    more = {
        "LYTTEPOST_SOURCES__RECORDING__PATH": str(machine.folder / "work" / file),
        "LYTTEPOST_SOURCES__RECORDING__SPEED": "max",
    }
    heard = Machine(machine.folder, more)
    opened = heard.run(
        "mode", "crisis", "--name", "Brann", "--track", "nordvik sykehus", "--why", "prøve", "--exercise", "--no-wait"
    )
    assert opened.returncode == 0, opened.stderr
    process = heard.start("run", "--port", "0", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len([a for a in heard.json("alerts", "--all") if a["rule"] == "volume"]) >= 1)
        wait_for(lambda: _settled(heard))
    finally:
        process.terminate()
        process.wait(15)
    return heard


def _later(post: dict[str, Any], hours: int) -> dict[str, Any]:
    moved = datetime.fromisoformat(post["created_at"]) + timedelta(hours=hours)
    return {**post, "created_at": format_instant(moved)}


def _settled(machine: Machine) -> bool:
    sources = machine.json("mode")["sources"]
    return any(source.get("state") == "finished" for source in sources.values())


def test_a_backtest_says_what_would_have_fired_and_writes_nothing(heard: Machine) -> None:
    before = _bus(heard)
    tried = heard.json("rules", "backtest", "--rules", str(ROOT / "config" / "rules"), "--since", "1d")
    assert _bus(heard) == before
    alerts = heard.json("alerts", "--all")
    fired = {rule["rule"]: rule["fired"] for rule in tried["rules"] if rule["fired"]}
    assert fired == {name: sum(a["rule"] == name for a in alerts) for name in {a["rule"] for a in alerts}}
    assert tried["findings"] > 20
    assert tried["incidents"] == ["brann-0"]
    assert tried["nights"] == 1
    volume = next(rule for rule in tried["rules"] if rule["rule"] == "volume")
    assert volume["per_night"] == {"max": volume["fired"], "mean": volume["fired"]}


def test_a_backtest_is_a_table_for_people_and_says_when_there_is_nothing(heard: Machine, machine: Machine) -> None:
    done = heard.run("rules", "backtest", "--rules", "regler.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split()[:4] == ["RULE", "FIRED", "RESOLVED", "HELD"]
    assert "findings of 1 incidents" in done.stderr
    empty = machine.run("rules", "backtest", "--rules", "regler.yaml", "--data", "tomt")
    assert "nothing to judge" in empty.stderr
    assert machine.run("rules", "backtest", "--rules", "regler.yaml", "--since", "i fjor").returncode == 2


def test_an_export_can_be_run_again(heard: Machine) -> None:
    out = heard.run("rules", "export")
    assert out.returncode == 0, out.stderr
    assert "it holds posts" in out.stderr
    done = heard.run(
        "rules", "run", "--rules", str(ROOT / "config" / "rules"), "--findings", "-", "--incident", "brann-0", "--json",
        stdin=out.stdout.encode(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ran = {line["alert_id"] for line in map(json.loads, done.stdout.splitlines()) if line["event"] == "fired"}
    assert ran == {alert["id"] for alert in heard.json("alerts", "--all")}
    unknown = heard.run("rules", "export", "--incident", "brann-9")
    assert unknown.returncode == 2
    assert "known: brann-0" in unknown.stderr


def _bus(machine: Machine) -> list[Any]:
    return [(t["topic"], t["records"]) for t in machine.json("bus", "topics") if t["topic"] != "presence"]


@pytest.mark.parametrize(
    ("instant", "night"),
    [
        ("2031-01-31T20:59:59Z", None),
        ("2031-01-31T21:00:00Z", "2031-01-31"),
        ("2031-02-01T05:59:59Z", "2031-01-31"),
        ("2031-02-01T06:00:00Z", None),
        ("2031-07-01T20:00:00Z", "2031-07-01"),
        ("2031-07-02T05:00:00Z", None),
    ],
)
def test_a_night_is_22_to_7_on_the_wall_clock_in_norway(instant: str, night: str | None) -> None:
    named = night_of(datetime.fromisoformat(instant), find_zone("Europe/Oslo"))
    assert (named and named.isoformat()) == night


# --- check -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("to: vaktt", "kulde: to: "),
        ("tiltakskort: perm 3", "kulde: tiltakskort: must be an address"),
        ("query_key: hastag", "egen.yaml:1: query_key: "),
        ("filter: {kind: onske}", "egen.yaml:1: filter.kind: can never be 'onske'"),
    ],
)
def test_check_sees_that_what_a_rule_refers_to_is_there(machine: Machine, extra: str, says: str) -> None:
    rule = f"{{name: kulde, type: any, why: folk som fryser må inn, {extra}}}"
    (machine.folder / "work" / "egen.yaml").write_text(rule, encoding="utf-8")
    done = machine.run("rules", "check", "--rules", "egen.yaml")
    assert done.returncode == 4
    assert says in done.stderr


def test_check_knows_the_routes_of_the_deployment(machine: Machine, tmp_path: Path) -> None:
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config)
    people = config / "people.yaml"
    people.write_text(people.read_text(encoding="utf-8").replace("  ops: [", "  kulde: [console]\n  ops: ["), "utf-8")
    rule = "{name: kulde, type: any, why: folk som fryser må inn, to: kulde, tiltakskort: 'https://kort.example/7'}"
    (machine.folder / "work" / "egen.yaml").write_text(rule, encoding="utf-8")
    own = Machine(tmp_path, {"LYTTEPOST_CONFIG": str(config)})
    assert own.run("rules", "check", "--rules", "egen.yaml").returncode == 0
    assert machine.run("rules", "check", "--rules", "egen.yaml").returncode == 4


CALM_RULE = "{name: ro, type: any, modes: [calm], why: bare når det er rolig, realert: 0s}"


def test_rules_for_calm_are_tried_too_and_say_nothing_in_an_incident(machine: Machine) -> None:
    (machine.folder / "work" / "regler.yaml").write_text(CALM_RULE, encoding="utf-8")
    line = {"id": "1", "at": at(0)}
    assert said(run(machine, line)) == [("ro", "fired", at(0))]
    assert run(machine, line, more=("--incident", "brann-1")) == []
