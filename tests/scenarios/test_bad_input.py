"""Whatever is wrong is named, with its place and its fix; nothing else stops."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import ROOT, Deployment, Recording, Running, outcome, until

from listener.bus.protocol import Message

Deploy = Callable[..., Deployment]


def refused(deployment: Deployment, *args: str) -> str:
    """It does not start; what it says."""
    running = deployment.start(*args, wait=False)
    assert running.process.wait(20) == 4, running.said
    assert "Traceback" not in running.said
    return running.said


BROKEN = {
    "tracks": "phrases: [granvik\n",
    "rules/volume": "name: volume\ntype: frequency\nwhy: Mye prat paa en gang.\nnum_events: many\ntimeframe: 5m\n",
    "people": "people: {}\nroutes:\n  duty: [nobody]\nrepeat_every: {critical: 5m, warning: 15m, info: 4h}\n",
    "settings": "language: nb\nprivcy: {}\n",
    "cues/nb": "language: nb\ngroups: [\n",
    "messages/nb": "a: [\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_of_the_configuration_is_named_with_its_line(deploy: Deploy, name: str) -> None:
    deployment = deploy()
    deployment.configure(**{name: BROKEN[name]})
    said = refused(deployment)
    assert re.search(rf"lyttepost: .*config/{name}\.yaml:\d+: ", said), said
    there = deployment.values("presence") if (deployment.data / "bus.sqlite").exists() else []
    assert not there or there[-1]["leaving"], "nobody is waited for"


def test_a_data_folder_that_cannot_be_written_is_named(deploy: Deploy, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no folder")
    said = refused(deploy(data=in_the_way / "data"))
    assert str(in_the_way) in said
    assert "--data" in said
    assert "/proc" in refused(deploy("b", data=Path("/proc/lyttepost")))


def test_a_log_that_is_none_of_ours_is_named(deploy: Deploy) -> None:
    deployment = deploy()
    deployment.data.mkdir()
    (deployment.data / "bus.sqlite").write_bytes(b"something else entirely" * 500)
    assert "bus.sqlite" in refused(deployment)


def test_a_port_in_use_is_named(deploy: Deploy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        deployment = deploy()
        deployment.settings["WEB__PORT"] = str(port)
        running = deployment.start(wait=False)
        running.process.kill()
        running.process.wait()
        done = deployment.command("run", "--port", str(port))
    assert done.returncode == 4
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_speed_that_is_none_is_named_by_its_variable(deploy: Deploy, short: Recording) -> None:
    said = refused(deploy(recording=short.path, speed="fast"))
    assert "LYTTEPOST_SOURCES__RECORDING" in said


@pytest.mark.parametrize("what", ["missing", "folder", "binary", "list"])
def test_a_recording_that_is_none_is_reported_and_played_once_it_is_fixed(
    deploy: Deploy, tmp_path: Path, short: Recording, what: str
) -> None:
    path = tmp_path / "recording.jsonl"
    if what == "folder":
        path.mkdir()
    elif what == "binary":
        path.write_bytes(bytes(range(256)) * 2000)
    elif what == "list":
        path.write_text('[{"id": "1"}]\n')
    deployment = deploy(recording=path, speed="max")
    running = deployment.start()
    until(lambda: running.get("/readyz")[0] == 200, 10, "all parts have begun")
    deployment.exercise()
    until(lambda: running.get("/readyz")[0] == 503, 5, "it is told")
    parts = json.loads(running.get("/readyz")[1])["parts"]
    assert str(path) in parts.pop("listen-recording")
    assert not any(parts.values())
    assert running.get("/healthz")[0] == 200
    until(lambda: deployment.source().get("state") == "stopped", 5, "it says that it is stopped", every=0.3)
    assert "Traceback" not in running.said
    if what == "folder":
        path.rmdir()
    path.write_bytes(short.path.read_bytes())
    deployment.wait_until_settled()
    assert sorted(outcome(deployment).mentions) == short.keys
    until(lambda: running.get("/readyz")[0] == 200, 5, "it is ready")


def test_a_recording_that_turns_bad_in_the_middle_is_played_to_its_end(
    deploy: Deploy, tmp_path: Path, short: Recording
) -> None:
    lines = short.path.read_bytes().splitlines(keepends=True)
    path = tmp_path / "recording.jsonl"
    rubbish = bytes(range(256)) * 300 + b"\n" + b"\xff\xfe\n" + b'{"id": 1}\n' + b"x" * 1_200_000 + b"\n"
    path.write_bytes(b"".join(lines[:300]) + rubbish + b"".join(lines[300:]) + b'{"id": "9", "created_at"')
    deployment = deploy(recording=path, speed="max")
    running = deployment.start()
    deployment.exercise()
    deployment.wait_until_settled()
    found = outcome(deployment)
    assert sorted(found.mentions) == short.keys
    reasons = {letter["reason"] for letter in deployment.values("deadletters")}
    assert {"too_long", "truncated_line", "bad_json"} <= reasons
    assert set(found.deadletters.values()) == {1}
    assert running.get("/readyz")[0] == 200


POISON = {
    "garbage": (b"\x00\xff\xfe no record granvik-poison", "bad_record"),
    "empty": (b"", "bad_record"),
    "newer": (json.dumps({"v": 2, "type": "mention", "text": "granvik-poison"}).encode(), "newer_schema"),
    "newer finding": (json.dumps({"v": 2, "type": "finding", "text": "granvik-poison"}).encode(), "newer_schema"),
    "list": (b'["granvik-poison"]', "bad_record"),
    "number": (b"7", "bad_record"),
    "other type": (json.dumps({"v": 1, "type": "alert", "text": "granvik-poison"}).encode(), "bad_record"),
}


def test_records_that_cannot_be_read_become_dead_letters_once_and_stop_nobody(
    deploy: Deploy, recording: Recording
) -> None:
    deployment = deploy(recording=recording.path, speed="1500")
    running = deployment.start()
    deployment.exercise()
    until(lambda: running.metric("lyttepost_findings_total") > 500, 20, "it plays")
    with deployment.bus() as bus:
        for topic in ("mentions", "findings"):
            bus.publish([Message(topic, f"poison:{name}", value) for name, (value, _) in POISON.items()])

    def letters() -> dict[str, tuple[str, str]]:
        poisoned = [d for d in deployment.values("deadletters") if d["where"].startswith(("mentions/", "findings/"))]
        assert len({d["where"] for d in poisoned}) == len(poisoned)
        return {d["where"]: (d["stage"], d["reason"]) for d in poisoned}

    until(lambda: len(letters()) == 2 * len(POISON), 10, "all are told", every=0.3)
    wanted = sorted(reason for _, reason in POISON.values())
    for stage in ("annotate", "judge"):
        assert sorted(reason for by, reason in letters().values() if by == stage) == wanted
    # Whoever goes back after a restart to fill its windows meets them again, and says nothing.
    for _ in range(2):
        running.kill()
        running = deployment.start()
        wait_until_ready(running)
    deployment.wait_until_settled()
    assert len(letters()) == 2 * len(POISON)
    assert sorted(outcome_of_mentions(deployment)) == recording.keys
    deployment.command("register", "--json")
    assert b"granvik-poison" not in b"".join(r.value or b"" for r in deployment.records("deadletters"))
    assert "granvik-poison" not in running.said


def wait_until_ready(running: Running) -> None:
    until(lambda: running.get("/readyz")[0] == 200, 10, "it is ready")


def outcome_of_mentions(deployment: Deployment) -> list[str]:
    """The mentions that can be read."""
    keys = []
    for record in deployment.records("mentions"):
        if record.key.startswith("recording:1"):
            keys.append(record.key)
    return keys


BRITTLE = """
name: brittle
type: brittle
why: A rule with a defect of ours, for a test.
"""


def test_a_rule_that_raises_keeps_its_neighbours_running_and_tells_ops_once(
    deploy: Deploy, recording: Recording
) -> None:
    whole = deploy("whole", recording=recording.path, speed="max")
    whole.start()
    whole.exercise()
    whole.wait_until_settled()

    added = "from alerts.rules.table import TYPES; TYPES['brittle'] = 'brittle_rule:TYPE'"
    entry = f"{added}; import lyttepost; lyttepost.main()"
    deployment = deploy("brittle", recording=recording.path, speed="2000", key=whole.key)
    deployment.entry = (sys.executable, "-c", entry)
    deployment.configure(**{"rules/brittle": BRITTLE})
    path = {"PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"}
    running = deployment.start(env=path)
    deployment.exercise()
    until(lambda: running.metric("lyttepost_rule_failures_total", rule="brittle") > 100, 20, "it fails")
    running.kill()
    running = deployment.start(env=path)
    deployment.wait_until_settled()
    found, expected = outcome(deployment).alerts, outcome(whole).alerts
    (told,) = found.pop("lyttepost.rule_failed")
    assert json.loads(told)["key"] == "brittle"
    assert json.loads(told)["to"] == "ops"
    assert found == expected
    assert running.get("/readyz")[0] == 200
    assert "særord" not in running.said
