"""Rule files: what is wrong is reported with file, line and fix, all of it at once; examples are run."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.judge.examples import judge_examples
from alerts.rules.load import load_rules
from alerts.rules.table import TYPES
from listener.errors import ConfigError
from listener.settings.files import packaged_config

HEAD = "name: a\ntype: frequency\nwhy: because a test wants it\n"
GOOD = HEAD + "timeframe: 5m\nnum_events: 3\n"
PLAIN = "  - name: a\n    findings: [{}]\n    alerts: []\n"
BLACK = HEAD.replace("frequency", "blacklist") + "compare_key: place\nrealert: 0s\n"
WHITE = HEAD.replace("frequency", "whitelist") + "compare_key: place\nignore_null: true\n"
SHARE = HEAD.replace("frequency", "percentage_match") + "timeframe: 5m\nmax_percentage: 50\n"
EXAMPLE = "examples:\n  - name: one\n    findings: [{{{}}}]\n    alerts: []\n"


OPTIONS = {
    "any": {},
    "blacklist": {"compare_key": "place", "blacklist": "a"},
    "whitelist": {"compare_key": "place", "whitelist": "a", "ignore_null": "true"},
    "change": {"compare_key": "place", "ignore_null": "false", "timeframe": "5m"},
    "frequency": {"timeframe": "5m", "num_events": "2"},
    "spike": {"timeframe": "5m", "spike_height": "2", "spike_type": "both"},
    "flatline": {"timeframe": "5m", "threshold": "1"},
    "new_term": {"fields": "place", "timeframe": "5m", "terms_window_size": "36500d", "learn": "5m"},
    "cardinality": {"timeframe": "5m", "cardinality_field": "author", "max_cardinality": "1"},
    "percentage_match": {"timeframe": "5m", "max_percentage": "50", "match_bucket_filter": "{place: a}"},
    "metric_aggregation": {
        "timeframe": "5m", "metric_agg_key": "lang", "metric_agg_type": "sum", "max_threshold": "1"
    },
}  # fmt: skip


def load(folder: Path, text: str, **more: object) -> object:
    path = folder / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return load_rules(path, **more)  # type: ignore[arg-type]


def test_a_file_holds_one_rule_or_a_list(tmp_path: Path) -> None:
    (one,) = load_rules_of(tmp_path, GOOD)
    assert (one.name, one.realert) == ("a", timedelta(minutes=1))
    indented = "- " + GOOD.strip().replace("\n", "\n  ")
    two = load_rules_of(tmp_path, f"{indented}\n{indented.replace('name: a', 'name: b')}\n")
    assert [spec.name for spec in two] == ["a", "b"]


def load_rules_of(folder: Path, text: str) -> tuple:  # type: ignore[type-arg]
    return load(folder, text)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (GOOD + "num_event: 4\n", 6, "num_event: no such setting"),
        (HEAD + "timeframe: 5\nnum_events: 3\n", 4, "timeframe: is no duration; write it like"),
        (HEAD + "timeframe: 0s\nnum_events: 3\n", 4, "timeframe: must be longer than nothing"),
        (HEAD + "timeframe: {minutes: 5}\nnum_events: 3\n", 1, "not as a mapping"),
        (HEAD + "timeframe: 5m\nnum_events: 0\n", 5, "num_events:"),
        (HEAD + "timeframe: 5m\nnum_events: '3'\n", 5, "num_events:"),
        (HEAD + "timeframe: 5m\n", 1, "num_events: must be set"),
        (GOOD + "filter: {knid: wish}\n", 6, "no finding has a field 'knid'; did you mean 'kind'?"),
        (GOOD + "filter:\n  source: x\n  kind: whish\n", 8, "can never be 'whish'; it is one of viewpoint, wish"),
        (GOOD + "filter: {kind: {a: b}}\n", 6, "must be a value or a list of values"),
        (GOOD + "filter:\n  source: x\n  place: 0450\n", 8, "filter.place: must be text; put it in quotes"),
        (GOOD + "filter: {place: [Nes, 1.50]}\n", 6, "filter.place: must be text; put it in quotes"),
        (GOOD + "filter: {place: 1e5}\n", 6, "filter.place: must be text; put it in quotes"),
        (BLACK + "blacklist: [a, +4793186211]\n", 6, "blacklist: must be text; put it in quotes"),
        (WHITE + "whitelist: 0450\n", 6, "whitelist: must be text; put it in quotes"),
        (
            SHARE + "match_bucket_filter: {place: 0450}\n",
            6,
            "match_bucket_filter.place: must be text; put it in quotes",
        ),
        (GOOD + "query_key: 0450\n", 6, "query_key.0: must be text; put it in quotes"),
        (GOOD + "realert: 99999999d\n", 6, "realert: '99999999d' is too long a duration"),
        (GOOD + EXAMPLE.format("repeat: 1000000000"), 8, "findings.0.repeat: Input should be less than or equal to"),
        (GOOD + EXAMPLE.format("count: 1" + "0" * 400), 8, "findings.0.count: Input should be less than or equal to"),
        (GOOD + EXAMPLE.format("at: 36500d, repeat: 2, every: 1s"), 7, "findings: the last repeat comes later than"),
        (GOOD + EXAMPLE.format("repeat: 10000}, {repeat: 1"), 7, "findings: more than 10,000 in all"),
        (GOOD + EXAMPLE.format("") + "    until: 99999999d\n", 10, "until: '99999999d' is too long a duration"),
        (GOOD + "query_key: text\n", 6, "'text' may not be used by a rule"),
        (GOOD + "query_key: url\n", 6, "leads to a person"),
        (GOOD + "query_key: [story, avdeling]\n", 6, "no finding has a field 'avdeling'"),
        (GOOD + "texts: {nb: '{antall} innlegg'}\n", 6, "no such placeholder; known: {count}"),
        (GOOD + "texts: {nb: '{count.__class__}'}\n", 6, "no such placeholder"),
        (GOOD + "texts: {nb: '{count:personer}'}\n", 6, "write the word for one and for many"),
        (GOOD + "texts: {nb: '{key:en|to}'}\n", 6, "no such placeholder"),
        (GOOD + "texts: {nb: '{count'}\n", 6, "a brace is not closed"),
        (GOOD + "texts: {no: 'x'}\n", 6, "nb"),
        (GOOD + "count_by: people\n", 6, "count_by:"),
        (GOOD + "modes: []\n", 6, "modes:"),
        (GOOD.replace("name: a", "name: -b"), 1, "name:"),
        (GOOD.replace("frequency", "freqency"), 2, "no such type; did you mean 'frequency'?; known: any"),
        ("name: a\nwhy: because a test wants it\n", 1, "type: must be set; known:"),
        ("name: a\ntype: any\nwhy: because a test wants it\nnum_events: 3\n", 4, "num_events: no such setting"),
        ("name: a\ntype: new_term\nwhy: because a test wants it\n", 1, "fields: must be set"),
        (GOOD.replace("name: a", "name: " + "a" * 61), 1, "name: String should have at most 60 characters"),
        (HEAD.replace("because", "x" * 1_001), 3, "why: String should have at most 1000 characters"),
        (GOOD + "examples:\n" + PLAIN * 51, 6, "examples: Tuple should have at most 50 items"),
        (GOOD + f"examples:\n  - name: a\n    alerts: []\n    findings: [{'{}, ' * 201}]\n", 9, "at most 200 items"),
        (GOOD + "examples:\n" + PLAIN.replace("name: a", "name: " + "a" * 101), 7, "at most 100 characters"),
        (GOOD + "texts: {nb: '" + "x" * 301 + "'}\n", 6, "texts.nb: String should have at most 300 characters"),
        ("- 7\n", 1, "must be a rule: a mapping"),
        ("", 1, "must be a rule or a list of rules"),
        ("a: [\n", 2, "not valid YAML"),
    ],
)
def test_what_is_wrong_is_reported_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'r.yaml'}:{line}:"), str(caught.value)
    assert words in str(caught.value)


def test_so_many_findings_in_the_examples_of_a_file_that_judging_them_takes_long_are_refused(tmp_path: Path) -> None:
    full = "  - name: e\n    findings: [{repeat: 10000}]\n    alerts: []\n"
    load(tmp_path, GOOD + "examples:\n" + full * 5)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD + "examples:\n" + full * 50)
    assert str(caught.value).startswith(f"{tmp_path / 'r.yaml'}:22: examples.5: up to here the file's examples hold")
    assert "more than 50,000 findings" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "rules").mkdir()
    make(tmp_path / "rules" / "a.yaml")
    with pytest.raises(ConfigError, match=r"a\.yaml: cannot be read: (Is a directory|it is no regular file)"):
        load_rules(tmp_path / "rules")


def test_a_device_is_no_rule_file() -> None:
    with pytest.raises(ConfigError, match="cannot be read: it is no regular file but a pipe, device"):
        load_rules(Path("/dev/zero"))


def test_all_files_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD + "x: 1\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("name: b\ntype: nix\n", encoding="utf-8")
    (tmp_path / "c.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "d.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_rules(tmp_path)
    lines = str(caught.value).splitlines()
    assert [line.removeprefix(f"{tmp_path}/")[:6] for line in lines] == ["a.yaml", "b.yaml", "d.yaml"]
    assert "'a' is used at" in lines[2]


def test_an_empty_folder_is_no_rule_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no rules"):
        load_rules(tmp_path)


def test_a_field_of_its_own_is_known_when_an_example_shows_it(tmp_path: Path) -> None:
    example = "examples: [{name: e, findings: [{fields: {avdeling: A}}], alerts: []}]\n"
    assert load(tmp_path, GOOD + "query_key: avdeling\n" + example)
    assert load(tmp_path, GOOD + "query_key: avdeling\n", fields={"avdeling"})
    assert load(tmp_path, GOOD + "query_key: avdeling.post\n", fields={"avdeling"})
    assert load(tmp_path, GOOD + "query_key: avdeling\n", fields=None)


def test_an_example_that_does_not_hold_says_what_came_instead(tmp_path: Path) -> None:
    text = GOOD + (
        "examples:\n"
        "  - {name: never, findings: [{repeat: 3, every: 1s}], alerts: []}\n"
        "  - {name: later, findings: [{repeat: 3, every: 1s}], alerts: [{at: 1m, count: 4}]}\n"
    )
    (spec,) = load_rules_of(tmp_path, text)
    assert judge_examples(spec) == [
        "a: example 'never': wants 0 alerts, gives 1: fired at 2s",
        "a: example 'later': alert 1: wants at 1m, gives 2s",
        "a: example 'later': alert 1: wants count 4, gives 3",
    ]


@pytest.mark.parametrize(("realert", "second"), [("6h", "suppressed"), ("1h", "fired")])
def test_an_example_of_a_burst_holds_the_second_one_as_it_is_held_live(
    tmp_path: Path, realert: str, second: str
) -> None:
    text = f"name: a\ntype: burst\nrealert: {realert}\n" + (
        "examples:\n"
        "  - name: twice\n"
        "    findings:\n"
        "      - {repeat: 180, every: 2m}\n"
        "      - {at: 6h, repeat: 60, every: 10s}\n"
        "      - {at: 6h12m, repeat: 150, every: 2m}\n"
        "      - {at: 11h12m, repeat: 60, every: 10s}\n"
        "    until: 12h\n"
        "    alerts: []\n"
    )
    (spec,) = load_rules_of(tmp_path, text)
    assert judge_examples(spec) == [f"a: example 'twice': wants 0 alerts, gives 2: fired at 6h2m, {second} at 11h16m"]


@pytest.mark.parametrize("kind", sorted(OPTIONS))
def test_the_longest_of_all_times_is_still_judged(tmp_path: Path, kind: str) -> None:
    """A century of quiet after an example, and windows of one: nothing leaves the calendar, and nothing takes long."""
    century = "36500d"
    longest = "".join(f"{name}: {value}\n" for name, value in OPTIONS[kind].items()).replace("5m", century)
    for options in ("".join(f"{name}: {value}\n" for name, value in OPTIONS[kind].items()), longest):
        text = HEAD.replace("frequency", kind) + options + "query_key: place\nrealert: 36500d\n"
        example = "examples:\n  - name: one\n    until: 36500d\n    findings: [{place: a}, {place: b, at: 36500d}]\n"
        (spec,) = load_rules_of(tmp_path, text + example + "    alerts: []\n")
        assert not [problem for problem in judge_examples(spec) if "raised" in problem]


STARTER = load_rules(packaged_config() / "rules")


@pytest.mark.parametrize("spec", STARTER, ids=lambda spec: spec.name)
def test_a_ready_rule_holds_its_own_examples_and_speaks_both_languages(spec) -> None:  # type: ignore[no-untyped-def]
    assert judge_examples(spec) == []
    assert set(spec.texts) == {"nb", "en"}
    assert any(not example.alerts for example in spec.examples) or any(
        alert.event == "suppressed" for example in spec.examples for alert in example.alerts
    )
    assert spec.realert >= timedelta(minutes=30)


def test_every_type_of_the_table_can_be_loaded() -> None:
    from listener.plugins import load as plugin

    for path in TYPES.values():
        assert plugin(path).spec
