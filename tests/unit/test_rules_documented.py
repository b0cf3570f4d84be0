"""The rules' page tells of every rule type and of its own options, and its example does what it says."""

from __future__ import annotations

import re
from pathlib import Path

from documents_support import RULES, block, rows, section
from rules_support import rules

from alerts.judge.examples import judge_examples
from alerts.rules.fields import PROPERTIES
from alerts.rules.spec import RuleSpec
from alerts.rules.table import TYPES
from listener.plugins import load


def table() -> dict[str, set[str]]:
    """Type → the options that the page names."""
    return {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[-1])) for row in rows(block(RULES, "rule types"))}


def test_every_type_is_documented_and_no_other() -> None:
    assert set(table()) == set(TYPES)


def test_every_option_that_is_documented_is_there() -> None:
    missing = {
        f"{type}: {option}"
        for type, options in table().items()
        for option in options - set(load(TYPES[type]).spec.model_fields)
    }
    assert missing == set()


REFUSED = {"cardinality: count_by", "metric_aggregation: count_by"}
"""What a type inherits and then refuses: it counts no posts."""


def test_every_option_of_a_type_is_documented() -> None:
    """Those of all types are told once, for all."""
    missing = {
        f"{type}: {option}"
        for type, path in TYPES.items()
        for option in set(load(path).spec.model_fields) - set(RuleSpec.model_fields) - table().get(type, set())
    }
    assert missing == REFUSED


def test_the_example_does_what_it_says(tmp_path: Path) -> None:
    (spec,) = rules(tmp_path, section(RULES, "## A rule").partition("```yaml\n")[2].partition("```")[0])
    assert spec.examples
    assert judge_examples(spec) == []


def test_every_field_that_a_rule_may_name_is_described() -> None:
    described = {name for row in rows(block(RULES, "fields")) for name in re.findall(r"`(\w+)`", row[0])}
    also = set(
        re.findall(r"`(\w+)`", RULES.read_text("utf-8").partition("<!-- /fields -->")[2].partition("are other")[0])
    )
    assert described | also == set(PROPERTIES)
