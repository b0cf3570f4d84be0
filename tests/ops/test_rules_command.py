"""`lyttepost rules`: the rules that come with the program, and rules of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_support import ROOT, Machine

RULE = """\
name: kulde
type: any
why: Folk som fryser må inn.
severity: warning
filter: {kind: wish}
texts: {nb: Noen fryser, en: Somebody is cold}
examples:
  - name: a wish is told at once
    findings:
      - {kinds: [wish]}
    alerts:
      - {event: fired, at: WHEN}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def write(machine: Machine, text: str) -> str:
    (machine.folder / "work" / "egen.yaml").write_text(text, encoding="utf-8")
    return "egen.yaml"


def test_the_rules_that_come_with_it_do_what_their_examples_say(machine: Machine) -> None:
    done = machine.run("rules", "check")
    assert done.returncode == 0, done.stderr
    files = len(list((ROOT / "config" / "rules").glob("*.yaml")))
    assert done.stdout.startswith(f"{files} rules, ")
    assert done.stderr == "", "each has examples"


def test_the_list_says_what_each_is_for(machine: Machine) -> None:
    listed = machine.json("rules", "list")
    assert {"eyewitness", "volume", "wishes-gathering"} <= {rule["name"] for rule in listed}
    assert all(rule["why"] and rule["type"] and rule["severity"] and rule["to"] for rule in listed)
    table = machine.run("rules", "list").stdout
    assert all(rule["name"] in table for rule in listed)


def test_rules_of_ones_own_are_checked_and_listed(machine: Machine) -> None:
    file = write(machine, RULE.replace("WHEN", "0s"))
    assert machine.run("rules", "check", "--rules", file).stdout == "1 rule, 1 example: all as they say\n"
    assert [rule["name"] for rule in machine.json("rules", "list", "--rules", file)] == ["kulde"]


def test_an_example_that_fails_names_its_rule_and_what_came_instead(machine: Machine) -> None:
    done = machine.run("rules", "check", "--rules", write(machine, RULE.replace("WHEN", "5m")))
    assert done.returncode == 4
    assert done.stdout == ""
    assert "kulde: example 'a wish is told at once': alert 1: wants at 5m, gives 0s" in done.stderr


def test_a_rule_without_examples_is_pointed_out(machine: Machine) -> None:
    done = machine.run("rules", "check", "--rules", write(machine, RULE.split("examples:")[0]))
    assert done.returncode == 0
    assert "kulde has no examples" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("type: any", "type: anny", "egen.yaml:2: type: no such type; did you mean 'any'?"),
        ("severity: warning", "sevrity: warning", "egen.yaml:4: sevrity: no such setting"),
        ("kind: wish", "knid: wish", "egen.yaml:5: filter.knid: "),
        ("texts: {nb", "texts: {{nb", "egen.yaml:7: not valid YAML"),
    ],
)
def test_a_slip_is_named_by_file_and_line(machine: Machine, old: str, new: str, says: str) -> None:
    done = machine.run("rules", "check", "--rules", write(machine, RULE.replace("WHEN", "0s").replace(old, new)))
    assert done.returncode == 4
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_named(machine: Machine) -> None:
    done = machine.run("rules", "check", "--rules", "borte.yaml")
    assert done.returncode == 4
    assert "borte.yaml: no such file" in done.stderr
