"""A bus that was lost, as a person meets it: refused by whatever command, with the way out, and given up by one."""

from __future__ import annotations

import fcntl
import http.client
import json
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from command_support import Machine, wait_for

SWITCH = ("mode", "crisis", "--name", "Brann", "--track", "nordvik", "--why", "prøve", "--no-wait")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path, {"LYTTEPOST_PRIVACY__KEY_FILE": str(tmp_path / "home" / "pseudonym.key")})
    assert machine.run(*SWITCH).returncode == 0
    return machine


def lose(machine: Machine) -> None:
    for path in machine.data.glob("bus.sqlite*"):
        path.unlink()


@pytest.mark.parametrize("words", [("alerts", "verify"), SWITCH, ("run",), ("bus", "topics"), ("register",)])
def test_every_command_refuses_a_lost_bus_and_says_the_way_out(machine: Machine, words: tuple[str, ...]) -> None:
    lose(machine)
    done = machine.run(*words)
    assert done.returncode == 3
    assert done.stdout == ""
    assert f"{machine.data}/bus.sqlite: the log is missing, but there was one" in done.stderr
    assert "restore the newest backup" in done.stderr
    assert "lyttepost bus give-up-history --why" in done.stderr
    assert not (machine.data / "bus.sqlite").exists()


def test_doctor_finds_a_lost_bus(machine: Machine) -> None:
    lose(machine)
    done = machine.run("doctor")
    assert done.returncode == 1
    assert "bus.healthy" in done.stdout
    assert "give-up-history" in done.stdout


def test_a_history_that_is_given_up_is_a_decision_that_is_kept(machine: Machine) -> None:
    lose(machine)
    done = machine.run("bus", "give-up-history", "--why", "disken er borte", "--by", "Kari")
    assert done.returncode == 0, done.stderr
    lines = machine.run("bus", "read", "decisions", "--json").stdout.splitlines()
    (decision,) = (json.loads(line)["value"] for line in lines)
    assert (decision["kind"], decision["by"], decision["why"]) == ("history_given_up", "Kari", "disken er borte")
    assert "1 records, chain unbroken" in machine.run("alerts", "verify").stdout
    assert machine.run(*SWITCH).returncode == 0


def test_a_history_that_is_there_is_not_given_up(machine: Machine) -> None:
    done = machine.run("bus", "give-up-history", "--why", "prøve")
    assert done.returncode == 3
    assert "nothing to give up" in done.stderr
    assert len(machine.run("bus", "read", "control").stdout.splitlines()) == 1


def test_nothing_is_given_up_while_a_process_may_hold_what_is_lost(machine: Machine) -> None:
    lose(machine)
    with (machine.data / "alerts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = machine.run("bus", "give-up-history", "--why", "prøve")
    assert done.returncode == 3
    assert "a process with the role alerts runs" in done.stderr
    assert not (machine.data / "bus.sqlite").exists()


@pytest.mark.parametrize("words", [("--why", " "), ()])
def test_giving_up_needs_a_reason(machine: Machine, words: tuple[str, ...]) -> None:
    lose(machine)
    assert machine.run("bus", "give-up-history", *words).returncode == 2


def test_a_bus_that_is_removed_under_a_running_process_is_named_by_readyz(machine: Machine) -> None:
    process = machine.start("run", stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        said = ""
        while "health at" not in said:
            said = process.stderr.readline()
            assert said
        port = int(said.partition("health at http://")[2].split()[0].rpartition(":")[2])

        def readyz() -> tuple[int, str]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            with closing(connection):
                connection.request("GET", "/readyz")
                answer = connection.getresponse()
                return answer.status, answer.read().decode()

        wait_for(lambda: readyz()[0] == 200)
        (machine.data / "bus.sqlite").unlink()
        wait_for(lambda: "was removed or replaced while it is in use" in readyz()[1])
        assert readyz()[0] == 503
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_a_data_folder_that_others_may_read_is_named_in_the_log(machine: Machine) -> None:
    machine.data.chmod(0o755)
    process = machine.start("run", stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        said = ""
        while "health at" not in said:
            line = process.stderr.readline()
            assert line
            said += line
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert f"WARNING {machine.data}: others may read it (drwxr-xr-x); `chmod 700 {machine.data}`" in said


@pytest.mark.parametrize("words", [("mode",), ("bus", "topics")])
def test_a_command_on_a_cluster_that_is_away_says_one_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    away = Machine(tmp_path, {"LYTTEPOST_BUS__URL": "kafka://127.0.0.1:9"})
    done = away.run(*words)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("lyttepost: kafka 127.0.0.1:9: cannot connect: no answer")
