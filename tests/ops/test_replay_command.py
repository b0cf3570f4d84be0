"""`lyttepost replay`, the contract that other programs and people rely on."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import signal
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from command_support import COMMAND, Machine, crisis, post, wait_for, without_authors

TRACK = ("--track", "nordvik*")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def alerts(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_alert_is_a_line_of_json_in_order_of_event_time(machine: Machine) -> None:
    told = alerts(machine.run("replay", machine.write("brann.jsonl", crisis()), *TRACK, "--json"))
    assert {"volume", "wishes-gathering", "eyewitness", "large-account"} <= {alert["rule"] for alert in told}
    times = [datetime.fromisoformat(alert["at"]) for alert in told]
    assert times == sorted(times)
    for alert in told:
        assert alert["event"] in ("fired", "resolved")
        assert alert["fired_at"] == alert["at"]
        assert alert["at"].startswith("2031-01-11T")
        assert {"key", "baseline", "reason", "severity"} <= alert.keys()
        assert isinstance(alert["count"], int)
        assert isinstance(alert["authors"], int)
        assert alert["headline"].startswith("ØVELSE")
    first = next(alert for alert in told if alert["rule"] == "eyewitness")
    seen = [post for post in crisis() if post["id"] in ("0005000040", "0005500044", "0005700045")]
    assert first["samples"] == [{"id": f"recording:{post['id']}", "text": post["text"]} for post in seen]
    assert len({alert["alert_id"] for alert in told if alert["event"] == "fired"}) == len(
        [alert for alert in told if alert["event"] == "fired"]
    )


def test_a_recording_may_say_of_each_post_which_platform_it_is_of(machine: Machine) -> None:
    several = [raw | {"platform": ("x", "facebook")[n % 2]} for n, raw in enumerate(crisis())]
    done = machine.run("replay", machine.write("brann.jsonl", several), *TRACK, "--json")
    of_x = sum(raw["platform"] == "x" for raw in several)
    assert done.stderr.splitlines()[2] == f"sources   {of_x} x, {len(several) - of_x} facebook"
    samples = [sample["id"].partition(":")[0] for alert in alerts(done) for sample in alert["samples"]]
    assert set(samples) == {"x", "facebook"}


def test_the_summary_accounts_for_all_that_was_read(machine: Machine) -> None:
    done = machine.run("replay", machine.write("brann.jsonl", crisis()), *TRACK, "--json")
    summary = done.stderr.splitlines()
    assert summary[0].startswith(f"read      {len(crisis())} in ")
    assert summary[0].endswith(" posts/s)")
    assert summary[1] == f"matched   {len(crisis()) - 1}"
    assert summary[2] == "dropped   1 no_match"
    assert summary[3] == "bad       none"
    assert "wish" in summary[4]
    assert "volume" in summary[5]
    first = datetime.fromisoformat(json.loads(done.stdout.splitlines()[0])["at"])
    assert f"first alert at {first.astimezone(ZoneInfo('Europe/Oslo')):%Y-%m-%d %H:%M:%S} CET" in summary


def test_the_same_recording_gives_the_same_bytes_zipped_or_not_and_at_any_speed(machine: Machine) -> None:
    plain = machine.write("brann.jsonl", crisis())
    (machine.folder / "work" / "brann.jsonl.gz").write_bytes(
        gzip.compress((machine.folder / "work" / plain).read_bytes())
    )
    first = machine.run("replay", plain, *TRACK, "--json")
    assert "large-account" in {alert["rule"] for alert in alerts(first)}
    assert first.stdout == machine.run("replay", plain, *TRACK, "--json").stdout
    assert first.stdout == machine.run("replay", "brann.jsonl.gz", *TRACK, "--json").stdout
    assert first.stdout == machine.run("replay", plain, *TRACK, "--json", "--speed", "6000").stdout
    cards = machine.run("replay", plain, *TRACK)
    assert cards.stdout == machine.run("replay", plain, *TRACK, "--speed", "6000").stdout


def test_no_alert_bears_an_author(machine: Machine) -> None:
    done = machine.run("replay", machine.write("brann.jsonl", crisis()), *TRACK, "--json")
    assert alerts(done)
    assert "p_" not in done.stdout
    assert "konto" not in "".join(alert["key"] for alert in alerts(done))


def test_standard_input_will_do_zipped_too(machine: Machine) -> None:
    whole = (machine.folder / "work" / machine.write("brann.jsonl", crisis())).read_bytes()
    said = [(a["at"], a["rule"]) for a in alerts(machine.run("replay", "brann.jsonl", *TRACK, "--json"))]
    for content in (whole, gzip.compress(whole)):
        done = machine.run("replay", "-", *TRACK, "--json", stdin=content)
        assert [(alert["at"], alert["rule"]) for alert in alerts(done)] == said


def test_without_authors_it_says_so_and_counts_none(machine: Machine) -> None:
    done = machine.run("replay", machine.write("brann.jsonl", without_authors(crisis())), *TRACK, "--json")
    told = alerts(done)
    assert told
    assert all(alert["authors"] is None for alert in told)
    assert "names no authors" in done.stderr
    assert "no reposts" in done.stderr


def test_bad_lines_are_counted_and_named_and_never_fatal(machine: Machine) -> None:
    good = crisis()
    lines = [
        *good,
        good[0],
        "{no json",
        {"id": "x1", "text": "Nordvik"},
        {"id": "x2", "created_at": "i går", "text": "Nordvik"},
        *["{" for _ in range(5)],
        '{"id": "x3", "created_at": "2031-01',
    ]
    done = machine.run("replay", machine.write("brann.jsonl", lines), *TRACK, "--json")
    clean = machine.run("replay", machine.write("brann.jsonl", good), *TRACK, "--json")
    assert [a["alert_id"] for a in alerts(done) if not a["key"]] == [
        a["alert_id"] for a in alerts(clean) if not a["key"]
    ]
    said = done.stderr.splitlines()
    assert "bad       6 bad_json, 1 missing_field, 1 bad_date, 1 truncated_line" in said
    assert "1 duplicate" in done.stderr
    at = len(good)
    assert f"          bad_json: brann.jsonl:{at + 2}, brann.jsonl:{at + 5}, brann.jsonl:{at + 6}, …" in said
    assert f"          missing_field: brann.jsonl:{at + 3}" in said
    assert f"          truncated_line: brann.jsonl:{at + 10}" in said


@pytest.mark.parametrize("file", ["nowhere.jsonl", ".", "picture.png", "list.json"])
def test_what_is_no_recording_is_refused_in_one_line(machine: Machine, file: str) -> None:
    (machine.folder / "work" / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 200)
    (machine.folder / "work" / "list.json").write_text(json.dumps([post(0, 1, "Nordvik")]), encoding="utf-8")
    done = machine.run("replay", file, *TRACK, "--json")
    assert done.returncode == 4
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"lyttepost: {file}:")


def test_what_is_no_recording_is_refused_from_a_pipe_too(machine: Machine) -> None:
    done = machine.run("replay", "-", *TRACK, stdin=b"\n".join(b"no post %d" % n for n in range(30)))
    assert done.returncode == 4
    assert "is no recording" in done.stderr
    assert "read " not in done.stderr


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "NOTHING WAS READ"),
        ([{"type": "notice"}, {"type": "notice"}], "NO POST WAS READ"),
        ([post(0, 1, "noe annet")], "NO POST MATCHED"),
    ],
)
def test_hearing_nothing_is_told_from_nothing_being_said(machine: Machine, lines: list[Any], says: str) -> None:
    done = machine.run("replay", machine.write("tom.jsonl", lines), *TRACK, "--json")
    assert done.returncode == 1
    assert f"lyttepost: {says}" in done.stderr


def test_the_live_data_is_not_touched_and_nothing_is_left_behind(machine: Machine) -> None:
    machine.run("replay", machine.write("brann.jsonl", crisis()), *TRACK)
    assert not machine.data.exists()
    assert list((machine.folder / "home").iterdir()) == []
    assert machine.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_told_to_stop_it_stops_at_once_and_takes_its_bus_away(machine: Machine, number: int) -> None:
    process = machine.start(
        "replay", "-", *TRACK, "--json", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    for raw in (*crisis()[:22], post(30, 90, "Nordvik sykehus lever")):
        process.stdin.write(json.dumps(raw).encode() + b"\n")
    process.stdin.flush()
    first = json.loads(process.stdout.readline())
    assert first["event"] == "fired", "a pipe is judged while it is open"
    assert machine.leftovers() != []
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 128 + number
    assert err == b""
    assert machine.leftovers() == []


def test_a_pipe_that_waits_costs_no_processor(machine: Machine) -> None:
    process = machine.start(
        "replay", "-", *TRACK, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for(machine.leftovers)

    def used() -> float:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc to measure by")
    before = used()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    spent = used() - before
    process.communicate(timeout=10)
    assert spent < 0.7


def test_a_reader_that_has_enough_is_no_error_to_complain_of(machine: Machine) -> None:
    file = machine.write("brann.jsonl", crisis())
    process = machine.start("replay", file, *TRACK, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(10)
    assert machine.leftovers() == []


def test_the_bar_is_drawn_on_a_terminal_and_gives_way_to_alerts(machine: Machine) -> None:
    ours, theirs = pty.openpty()
    process = machine.start(
        "replay", machine.write("brann.jsonl", crisis()), *TRACK, "--speed", "3600", stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:
            break
    os.close(ours)
    assert process.wait(10) == 0
    text = shown.decode()
    shares = [int(share) for share in re.findall(r"playing [█░]{30} +(\d+)%, \d+ read", text)]
    assert shares == sorted(shares)
    assert shares[0] < 40 < 60 < shares[-1]
    assert "playing" not in text.rsplit("\x1b[K", 1)[1], "the bar is taken away at the end"
    for line in text.splitlines():
        assert "ØVELSE" not in line or line.rsplit("\x1b[K", 1)[-1].find("playing") < 0


def test_no_bar_elsewhere(machine: Machine) -> None:
    done = machine.run("replay", machine.write("brann.jsonl", crisis()), *TRACK)
    assert "playing" not in done.stderr + done.stdout
    assert "\x1b" not in done.stderr + done.stdout


def test_a_person_reads_the_card_that_an_officer_gets(machine: Machine) -> None:
    done = machine.run("replay", machine.write("brann.jsonl", crisis()), *TRACK, "--name", "Brann, Nordvik sykehus")
    assert "ØVELSE · [Brann, Nordvik…] 3 øyenvitner skriver fra stedet, ↑ øker\nKRITISK · 3 treff" in done.stdout
    assert "«Jeg står utenfor Nordvik sykehus og ser flammer fra taket»" in done.stdout
    assert "Brann, Nordvik sykehus (krise)" in done.stdout
    assert "── 2031-01-11 20:05:42 CET · 24 posts heard ──" in done.stdout
    assert "nothing to acknowledge" in done.stderr


def test_what_has_passed_is_one_line_because_nobody_is_woken_for_it(machine: Machine) -> None:
    done = machine.run("replay", machine.write("brann.jsonl", crisis()), *TRACK)
    blocks = [block for block in done.stdout.split("\n\n") if " · OVER · " in block]
    assert blocks
    assert all(len(block.strip().splitlines()) == 1 for block in blocks)


def test_other_rules_are_tried_with_one_option(machine: Machine) -> None:
    rule = "name: alt\ntype: any\nwhy: everything\nseverity: info\ntexts: {nb: Alt, en: All}\n"
    (machine.folder / "work" / "alt.yaml").write_text(rule, encoding="utf-8")
    file = machine.write("brann.jsonl", crisis())
    told = alerts(machine.run("replay", file, *TRACK, "--rules", "alt.yaml", "--json"))
    assert {alert["rule"] for alert in told} == {"alt"}


def test_broken_rules_are_named_by_file_and_line(machine: Machine) -> None:
    (machine.folder / "work" / "feil.yaml").write_text("name: feil\ntype: frequenzy\nwhy: a slip\n", encoding="utf-8")
    file = machine.write("brann.jsonl", crisis())
    done = machine.run("replay", file, *TRACK, "--rules", "feil.yaml")
    assert done.returncode == 4
    assert "feil.yaml:2: type: no such type; did you mean 'frequency'?" in done.stderr


@pytest.mark.parametrize("words", [(), ("--track", ""), ("--track", "nordvik", "--speed", "fast")])
def test_words_that_are_off_are_a_matter_of_usage(machine: Machine, words: tuple[str, ...]) -> None:
    done = machine.run("replay", machine.write("brann.jsonl", crisis()), *words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_where_its_bus_finds_no_room_it_says_so_and_ends(machine: Machine) -> None:
    file = machine.write("brann.jsonl", [post(n / 100, n % 900, f"Nordvik sykehus {n} " * 20) for n in range(1500)])
    limited = ["bash", "-c", 'ulimit -f 400; exec "$@"', "-", *COMMAND, "replay", file, *TRACK]
    done = subprocess.run(
        limited, cwd=machine.folder / "work", env=machine.environ, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1].startswith("lyttepost: ")
    assert b"disk is full" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"fault of ours" not in done.stderr
