"""A worker that dies and comes back says exactly what it would have said: whatever came, wherever it was cut."""

from __future__ import annotations

import json
from datetime import timedelta
from random import Random

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from rules_streams import LATENESS, Records, later_edits, run, streams
from rules_support import INCIDENT, finding, gap, instant, rule, said, settled, tick

from alerts.rules.engine.engine import Engine
from alerts.rules.report import to_alert
from alerts.rules.spec import RuleSpec
from alerts.rules.verdict import Verdict
from listener.errors import Corrupt
from listener.model.records import ALERTS, Finding, Tick, decode, encode

SPECS = (
    rule("frequency", name="volume", timeframe="60s", num_events=4, realert="90s"),
    rule("frequency", name="people", timeframe="40s", num_events=2, count_by="authors", query_key=["kind"]),
    rule(
        "frequency",
        name="stories",
        timeframe="30s",
        num_events=2,
        count_by="stories",
        query_key="hashtag",
        realert="10s",
    ),
    rule("any", name="every", realert="50s", query_key="author"),
    rule("new_term", name="tags", fields="hashtag", num_events=2, timeframe="50s", realert="20s", learn="15s"),
    rule("new_term", name="short", fields=["hashtag", "place"], timeframe="20s", terms_window_size="60s", realert="0s"),
)


def engine() -> Engine:
    return Engine(SPECS, INCIDENT, allowed_lateness=LATENESS)


@examples(150)
@given(streams(), st.data())
def test_a_restart_at_any_record_changes_no_verdict(records: Records, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(records)))
    undisturbed = engine()
    before = run(undisturbed, records, 0, cut)
    needed, state = undisturbed.needed(), json.loads(json.dumps(undisturbed.watermarks()))
    after = run(undisturbed, records, cut, len(records))

    successor = engine()
    successor.restore_watermarks(state, committed=cut)
    for verdict in before:
        spec = successor.specs[verdict.rule]
        successor.remember(decode(ALERTS, encode(to_alert(verdict, spec, INCIDENT))))
    seek = cut if needed is None else needed
    assert seek <= cut
    assert run(successor, records, seek, cut) == []
    assert run(successor, records, cut, len(records)) == after


@examples(60)
@given(streams(), st.data())
def test_a_second_restart_is_as_good_as_the_first(records: Records, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(records)))
    second = data.draw(st.integers(first, len(records)))
    undisturbed = engine()
    whole = run(undisturbed, records, 0, len(records))

    heard: list[Verdict] = []
    worker = engine()
    position = 0
    for cut in (first, second, len(records)):
        heard += run(worker, records, position, cut)
        needed, state = worker.needed(), worker.watermarks()
        worker = engine()
        worker.restore_watermarks(state, committed=cut)
        for verdict in heard:
            worker.remember(to_alert(verdict, worker.specs[verdict.rule], INCIDENT))
        run(worker, records, cut if needed is None else needed, cut)
        position = cut
    assert heard == whole


@examples(75)
@given(streams(), st.integers(0, 2**32))
def test_a_shuffle_within_the_lateness_changes_no_verdict(records: Records, seed: int) -> None:
    specs = [spec for spec in SPECS if spec.type != "any"]
    findings = {f.post_key: f for f in records if isinstance(f, Finding)}.values()
    ordered = later_edits(findings)
    random = Random(seed)
    shuffled = sorted(ordered, key=lambda f: f.at + timedelta(seconds=random.uniform(0, 9.9)))
    end = max((f.at for f in ordered), default=instant(0)) + timedelta(minutes=10)

    def judged(stream: list[Finding], ticks: bool) -> list[Verdict]:
        made = Engine(specs, INCIDENT, allowed_lateness=LATENESS)
        out: list[Verdict] = []
        for offset, each in enumerate(stream):
            out += made.finding(each, 2 * offset)
            if ticks:
                newest = max(f.at for f in stream[: offset + 1])
                out += made.tick(Tick(source="x", until=newest), 2 * offset + 1)
        return settled(out + made.tick(Tick(source="x", until=end, final=True), 2 * len(stream)))

    assert judged(shuffled, ticks=True) == judged(ordered, ticks=True) == judged(ordered, ticks=False)


def test_the_state_of_many_sources_and_partitions_fits_into_a_commit() -> None:
    made = engine()
    offset = 0
    for source in ("x", "bluesky", "mastodon", "facebook", "instagram", "news", "youtube", "reddit"):
        for partition in range(24):
            made.tick(tick(1000 + partition / 7, source, partition=partition), offset)
            offset += 1
        made.gap(gap(900, None, source, id=f"{source}-gap-0001"), offset)
        offset += 1
    made.finding(finding(1500), offset)
    assert len(json.dumps(made.watermarks())) < 4000


def test_what_no_window_needs_is_not_read_again() -> None:
    made = engine()
    for offset in range(0, 4000, 2):
        made.finding(finding(offset), offset)
        made.tick(tick(offset), offset + 1)
    needed = made.needed()
    assert needed is not None
    assert 4000 - 620 < needed < 4000


def test_records_before_the_state_of_an_incident_are_left_aside() -> None:
    """Another incident of the same worker may need older ones."""
    made = engine()
    made.restore_watermarks({"v": 1, "n": 10, "s": None, "w": None, "u": 0, "t": {}, "g": []}, committed=10)
    made.tick(tick(500, final=True), 9)
    assert made.watermark is None
    assert made.finding(finding(1, author="a"), 9) == []
    assert said(made.finding(finding(1, author="a"), 10)) == [("fired", 1)]


def test_a_restart_in_a_quiet_hour_keeps_the_gap_of_the_next_card() -> None:
    records: Records = [tick(0), gap(10, None), gap(10, 700), tick(701), finding(705), finding(706), finding(707)]
    records += [finding(708), tick(800)]
    undisturbed = engine()
    run(undisturbed, records, 0, 4)
    needed, state = undisturbed.needed(), undisturbed.watermarks()
    after = run(undisturbed, records, 4, len(records))
    successor = engine()
    successor.restore_watermarks(state, committed=4)
    assert needed == 2
    run(successor, records, needed, 4)
    assert run(successor, records, 4, len(records)) == after
    assert [g.id for v in settled(after) if v.rule == "volume" for g in v.gaps] == ["g1"]


def test_with_nothing_in_the_windows_nothing_is_needed() -> None:
    made = engine()
    made.finding(finding(1), 0)
    made.tick(tick(100_000), 1)
    assert made.needed() is None
    assert made.watermarks()["n"] == 2


def test_a_state_that_is_not_ours_is_our_own_corruption() -> None:
    with pytest.raises(Corrupt):
        engine().restore_watermarks({"v": 1, "n": "x"}, committed=3)
    with pytest.raises(Corrupt):
        engine().restore_watermarks({"v": 2}, committed=3)


@pytest.mark.parametrize(
    "silence",
    [
        rule("flatline", timeframe="30s", threshold=1),
        rule("cardinality", timeframe="30s", cardinality_field="kind", min_cardinality=1),
    ],
    ids=lambda spec: spec.type,
)
def test_a_silence_whose_end_passed_while_nobody_judged_is_found_though_no_post_ever_came(silence: RuleSpec) -> None:
    first = Engine((silence,), INCIDENT, allowed_lateness=LATENESS)
    assert first.feed(tick(15), 0) == []
    second = Engine((silence,), INCIDENT, allowed_lateness=LATENESS)
    second.restore_watermarks(json.loads(json.dumps(first.watermarks())), committed=1)
    assert said(second.feed(tick(400), 1)) == [("fired", 35.0)]
