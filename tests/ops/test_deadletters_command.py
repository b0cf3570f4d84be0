"""`lyttepost deadletters` as a person meets it: what is listed, what is re-driven, and what that leaves behind."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from command_support import Machine, post

from listener.bus.deadletters import dead_letter
from listener.bus.protocol import Bus, Message, TopicPartition, open_bus
from listener.clock import SystemClock
from listener.model.records import Mention, encode
from listener.model.topics import topic_specs

NEWER = b'{"v":2,"type":"mention","said":"Noe nytt fra Nordvik"}'


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def opened(machine: Machine) -> Bus:
    machine.data.mkdir(exist_ok=True)
    bus = open_bus("embedded:", machine.data, SystemClock())
    bus.ensure(topic_specs(1, {}))
    return bus


def values(machine: Machine, topic: str) -> list[dict[str, object]]:
    with closing(opened(machine)) as bus:
        records = bus.read(TopicPartition(topic, 0), 0, 5000)
    return [json.loads(record.value or b"null") for record in records]


def bury(machine: Machine) -> None:
    """Two mentions that an older program could not read, and a line of a pipe."""
    at = datetime(2031, 1, 11, 19, tzinfo=UTC)
    fine = Mention(source="x", id="2", at=at, captured_at=at, text="ok", incidents={"brann": ()})
    with closing(opened(machine)) as bus:
        bus.publish([Message("mentions", "x:1", NEWER, 0), Message("mentions", "x:2", encode(fine), 0)])
        clock = SystemClock()
        bus.publish([dead_letter("annotate", "newer_schema", NEWER, "mentions/0:0", clock)])
        bus.publish([dead_letter("annotate", "failed_KeyError", encode(fine), "mentions/0:1", clock)])
        bus.publish([dead_letter("listen-recording", "bad_json", b"{", "-:7", clock)])


def test_letters_are_listed_with_reason_digest_and_place_and_no_content(machine: Machine) -> None:
    bury(machine)
    found = machine.json("deadletters")
    assert [each["where"] for each in found] == ["mentions/0:0", "mentions/0:1", "-:7"]
    assert found[0].keys() == {"at", "stage", "reason", "length", "digest", "where"}
    done = machine.run("deadletters", "--since", "1h")
    assert done.returncode == 0
    assert "newer_schema" in done.stdout
    assert "Nordvik" not in done.stdout
    assert machine.json("deadletters", "--reason", "bad_json")[0]["where"] == "-:7"
    assert machine.run("deadletters", "--since", "soon").returncode == 2


def test_a_redrive_is_done_once_told_and_recorded(machine: Machine) -> None:
    bury(machine)
    words = ("deadletters", "redrive", "--why", "oppdatert", "--by", "Vakt")
    assert machine.run(*words).returncode == 2
    done = machine.run(*words, "mentions/0:0")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 re-driven" in done.stderr
    assert [each["where"] for each in machine.json("deadletters")] == ["mentions/0:1", "-:7"]
    again = machine.run(*words, "mentions/0:0")
    assert again.returncode == 1
    assert "re-driven before" in again.stderr
    with closing(opened(machine)) as bus:
        assert [r.value for r in bus.read(TopicPartition("mentions", 0), 0, 9) if r.key == "x:1"] == [NEWER, NEWER]
    (decision,) = values(machine, "decisions")
    assert {decision[name] for name in ("kind", "by", "why", "id")} == {"redrive", "Vakt", "oppdatert", "mentions/0:0"}
    pipe = machine.run(*words, "--reason", "bad_json")
    assert pipe.returncode == 1
    assert "came through a pipe" in pipe.stderr


def test_a_line_of_a_recording_is_heard_once_more(machine: Machine) -> None:
    """A line that an older program refused, and this one can read."""
    line = json.dumps(post(1, 1, "Hva skjer ved Nordvik sykehus?"), ensure_ascii=False)
    path = machine.folder / "work" / "opptak.jsonl"
    machine.write("opptak.jsonl", [line, "{}", line.replace("0001000001", "0001000002")])
    opened(machine).close()
    crisis = ("mode", "crisis", "--name", "Nordvik", "--track", "nordvik", "--exercise", "--why", "prøve", "--no-wait")
    assert machine.run(*crisis).returncode == 0
    with closing(opened(machine)) as bus:
        clock = SystemClock()
        bus.publish([dead_letter("listen-recording", "wrong_type", line.encode(), f"{path}:1", clock)])
        bus.publish([dead_letter("listen-recording", "not_a_post", b"{}", f"{path}:2", clock)])
        bus.publish([dead_letter("listen-recording", "wrong_type", b"changed", f"{path}:3", clock)])
    done = machine.run("deadletters", "redrive", f"{path}:1", "--why", "oppdatert", "--by", "Vakt")
    assert done.returncode == 0, done.stderr
    (mention,) = values(machine, "mentions")
    assert (mention["id"], mention["origin"], mention["exercise"]) == ("0001000001", "gap_fill", True)
    rest = machine.run("deadletters", "redrive", f"{path}:2", f"{path}:3", "--why", "oppdatert", "--by", "Vakt")
    assert rest.returncode == 1
    assert "still not_a_post" in rest.stderr
    assert "another line is there" in rest.stderr
    assert len(values(machine, "mentions")) == 1


def test_while_a_process_plays_the_recording_its_lines_are_left_to_it(machine: Machine) -> None:
    line = json.dumps(post(1, 1, "Hva skjer ved Nordvik sykehus?"), ensure_ascii=False)
    path = machine.folder / "work" / "opptak.jsonl"
    machine.write("opptak.jsonl", [line])
    with closing(opened(machine)) as bus:
        bus.publish([dead_letter("listen-recording", "wrong_type", line.encode(), f"{path}:1", SystemClock())])
        assert bus.lease("source:recording", "another", 60.0).renew()
        done = machine.run("deadletters", "redrive", f"{path}:1", "--why", "oppdatert", "--by", "Vakt")
    assert done.returncode == 3
    assert "stop it" in done.stderr
    assert "Traceback" not in done.stderr
