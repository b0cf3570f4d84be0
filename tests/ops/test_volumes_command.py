"""`lyttepost volumes score`, the contract that other programs rely on."""

from __future__ import annotations

import csv
import gzip
import io
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from command_support import COMMAND, Machine

START = datetime(2031, 1, 13, 21, 42, 53)  # noqa: DTZ001 - as those write it who have no time zones
FIVE = timedelta(minutes=5)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def counts(rows: int = 600, loud: int = 500, every: timedelta = FIVE, zone: str = "") -> list[str]:
    values = [400 if loud <= n < loud + 6 else 10 + n % 7 for n in range(rows)]
    return [f"{START + n * every}{zone},{value}" for n, value in enumerate(values)]


def file_of(machine: Machine, lines: list[str], head: str = "timestamp,value") -> str:
    path = machine.folder / "counts.csv"
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return str(path)


def scored(done: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


@pytest.mark.parametrize("zone", ["", "Z", "+01:00"])
def test_each_row_comes_back_with_a_score_and_the_burst_scores_once(machine: Machine, zone: str) -> None:
    lines = counts(zone=zone)
    rows = scored(machine.run("volumes", "score", file_of(machine, lines), "--interval", "5m"))
    assert list(rows[0]) == ["timestamp", "value", "anomaly_score", "label"]
    assert [f"{row['timestamp']},{row['value']}" for row in rows] == lines
    assert [n for n, row in enumerate(rows) if float(row["anomaly_score"]) >= 0.5] == [500]
    assert all(0 <= float(row["anomaly_score"]) <= 1 for row in rows)


def test_standard_input_gzip_and_an_interval_of_its_own_are_read(machine: Machine) -> None:
    text = "\n".join(["timestamp,value", *counts(every=timedelta(minutes=1))]).encode()
    rows = scored(machine.run("volumes", "score", "-", stdin=text))
    packed = scored(machine.run("volumes", "score", "-", "--interval", "1m", stdin=gzip.compress(text)))
    assert rows == packed
    assert sum(float(row["anomaly_score"]) >= 0.5 for row in rows) == 1


def test_labels_are_passed_on_and_other_columns_left_out(machine: Machine) -> None:
    lines = [f"{line},{int(n == 500)},x" for n, line in enumerate(counts())]
    rows = scored(machine.run("volumes", "score", file_of(machine, lines, "timestamp,value,label,note")))
    assert [n for n, row in enumerate(rows) if row["label"] == "1"] == [500]
    assert "note" not in rows[0]


def test_other_columns_may_hold_line_feeds_quotes_and_long_texts(machine: Machine) -> None:
    note = '"linje ""en"", og\r\nlinje to\n\n"'
    lines = [f"{line},{note if n % 3 else 'x' * (200_000 if n == 300 else 9)}" for n, line in enumerate(counts())]
    rows = scored(machine.run("volumes", "score", file_of(machine, lines, 'timestamp,value,"note\nof all"')))
    assert len(rows) == 600
    assert [n for n, row in enumerate(rows) if float(row["anomaly_score"]) >= 0.5] == [500]


def test_behind_a_text_of_several_lines_a_bad_line_has_its_number(machine: Machine) -> None:
    lines = [
        '2031-01-13 21:40:00z,3,"en\nto\ntre"',
        '2031-01-13 21:45:60Z,3,"en\nto"',
        '2031-01-13 21:50:00Z,many,"\n"',
    ]
    done = machine.run("volumes", "score", file_of(machine, lines, "timestamp,value,note"), "--interval", "5m")
    assert done.returncode == 1
    assert "counts.csv:7: the value is no number" in done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_rows_nearer_than_a_second_are_scored_by_the_second(machine: Machine) -> None:
    near = [f"{START + n * timedelta(microseconds=1)},{n}" for n in range(20)]
    done = machine.run("volumes", "score", file_of(machine, [*near, f"{START + timedelta(hours=9)},1"]))
    assert len(scored(done)) == 21
    assert "--interval 1s: is it right?" in done.stderr


def test_repeated_and_disordered_rows_score_nothing_and_are_told(machine: Machine) -> None:
    lines = counts()
    odd = [*lines[:300], lines[299], lines[10], *lines[300:]]
    done = machine.run("volumes", "score", file_of(machine, odd))
    rows = scored(done)
    assert len(rows) == len(odd)
    kept = [row for n, row in enumerate(rows) if n not in (300, 301)]
    assert kept == scored(machine.run("volumes", "score", file_of(machine, lines)))
    assert "2 rows (line 302, 303)" in done.stderr


def test_what_is_missing_is_told_and_is_no_silence(machine: Machine) -> None:
    lines = counts(loud=10**6)
    holed = [*lines[:300], f"{lines[300].split(',')[0]},", *lines[340:]]
    done = machine.run("volumes", "score", file_of(machine, holed))
    assert sum(float(row["anomaly_score"]) >= 0.5 for row in scored(done)) == 0
    assert "39 rows missing, 1 without a value" in done.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("2031-01-13 21:50:00,many", "the value is no number"),
        ("2031-01-13 21:50:00,-1", "no count of posts"),
        ("2031-01-13 21:50:00,inf", "no count of posts"),
        ("yesterday,3", "the timestamp is none"),
        ("2031-01-13T21:50:00Z,3", "time zone"),
        ("2031-01-13 21:50:00", "1 columns where the first line has 2"),
        ('2031-01-13 21:50:00,"3', "is no CSV"),
        ('2031-01-13 21:50:00,"3"x', "is no CSV"),
        ("0001-01-01 00:00:00,3", "the timestamp must lie between 1970 and 9000"),
    ],
)
def test_a_bad_line_is_named_and_what_came_before_it_is_scored(machine: Machine, line: str, words: str) -> None:
    lines = ["2031-01-13 21:40:00,3", "2031-01-13 21:45:00,4", line, "2031-01-13 21:55:00,4"]
    done = machine.run("volumes", "score", file_of(machine, lines), "--interval", "5m")
    assert done.returncode == 1
    assert "counts.csv:4: " in done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"time,count\n1,2\n", "must name the columns"),
        (b"\xff\xfe\n", "no UTF-8"),
        (b"timestamp,value,value\n", "once each"),
    ],
)
def test_a_file_that_is_none_is_refused(machine: Machine, content: bytes, words: str) -> None:
    done = machine.run("volumes", "score", "-", stdin=content)
    assert done.returncode == 1
    assert words in done.stderr


def test_a_header_alone_is_scored_and_no_file_is_a_configuration_error(machine: Machine) -> None:
    assert scored(machine.run("volumes", "score", "-", stdin=b"timestamp,value\n")) == []
    done = machine.run("volumes", "score", "nowhere.csv")
    assert (done.returncode, done.stdout) == (4, "")
    assert machine.run("volumes", "score", "-", "--interval", "0s", stdin=b"").returncode == 2
    assert machine.run("volumes", "score", "-", "--interval", "often", stdin=b"").returncode == 2


def test_scores_come_as_rows_go_in(machine: Machine) -> None:
    with subprocess.Popen(
        [*COMMAND, "volumes", "score", "-", "--interval", "5m"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=machine.environ,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join(["timestamp,value", *counts(3), ""]).encode())
        process.stdin.flush()
        assert [process.stdout.readline()[:9] for _ in range(4)] == [b"timestamp", *[b"2031-01-1"] * 3]
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_columns_in_any_order_carriage_returns_and_a_byte_order_mark_make_no_difference(machine: Machine) -> None:
    lines = counts(120, loud=100)
    plain = scored(machine.run("volumes", "score", file_of(machine, lines)))
    turned = [f"x,{line.split(',')[1]}.0,{line.split(',')[0]}" for line in lines]
    text = "\r\n".join(["note, Value ,Timestamp", *turned, ""]).encode("utf-8-sig")
    rows = scored(machine.run("volumes", "score", "-", stdin=text))
    assert [row["anomaly_score"] for row in rows] == [row["anomaly_score"] for row in plain]
    assert rows[0]["value"] == f"{plain[0]['value']}.0"
    assert sum(float(row["anomaly_score"]) >= 0.5 for row in rows) == 1
