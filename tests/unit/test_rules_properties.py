"""What holds for every type: order, partitions and restarts change no alert, and memory is bounded by windows."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from documents_support import ROOT
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from rules_samples import BY_COUNTS, SAMPLES
from rules_streams import DENSITIES, Records, engine_of, minutes, run, streams, told
from rules_support import INCIDENT, finding, instant, settled, tick

from alerts.rules.engine.engine import Engine
from alerts.rules.spec import RuleSpec
from alerts.rules.table import TYPES
from alerts.rules.verdict import Verdict
from listener.model.records import Event, Finding, Gap, Tick

MANY = examples(8)
AT_ONCE = {"any", "blacklist", "whitelist"}
"""Types that fire on arrival, for a single post. A new one that does belongs here."""
BY_TYPE = pytest.mark.parametrize("type", SAMPLES)


def test_every_type_has_samples() -> None:
    assert set(SAMPLES) == set(TYPES) - BY_COUNTS


@BY_TYPE
def test_every_sample_alerts_in_these_streams(type: str) -> None:
    """One that cannot would pass all that follows."""
    silent = {spec.name for spec in SAMPLES[type]}
    for seed in range(60):
        random = Random(seed)
        records = minutes(random, random.choice(DENSITIES), wild=False, length=160)
        heard = run(engine_of(SAMPLES[type]), records, 0, len(records))
        silent -= {verdict.rule for verdict in heard if verdict.event is Event.FIRED}
        if not silent:
            return
    assert not silent, "tests/unit/rules_samples.py: these alert in no stream of tests/unit/rules_streams.py"


@BY_TYPE
@MANY
@given(records=streams(), data=st.data())
def test_restarts_at_any_records_change_no_verdict(type: str, records: Records, data: st.DataObject) -> None:
    specs = SAMPLES[type]
    whole = run(engine_of(specs), records, 0, len(records))
    first = data.draw(st.integers(0, len(records)))
    second = data.draw(st.integers(first, len(records)))
    heard: list[Verdict] = []
    worker, position = engine_of(specs), 0
    for cut in (first, second, len(records)):
        heard += run(worker, records, position, cut)
        needed, state = worker.needed(), json.loads(json.dumps(worker.watermarks()))
        worker = engine_of(specs)
        worker.restore_watermarks(state, committed=cut)
        told(worker, heard, worker.remember)
        assert run(worker, records, cut if needed is None else needed, cut) == []
        position = cut
    assert heard == whole


@BY_TYPE
@MANY
@given(records=streams(), seed=st.integers(0, 2**32))
def test_a_shuffle_within_the_lateness_gives_the_same_alerts(type: str, records: Records, seed: int) -> None:
    """Of a type that fires on arrival, the rules that hold nothing back: who comes first is what it goes by."""
    specs = [spec for spec in SAMPLES[type] if not _by_arrival(spec)]
    findings = {f.post_key: f for f in records if isinstance(f, Finding)}.values()
    # Versions of an edited post that come in another order are another story: see the engine's own tests.
    ordered = sorted((f for f in findings if not f.edits), key=lambda f: (f.at, f.post_key))
    random = Random(seed)
    shuffled = sorted(ordered, key=lambda f: f.at + timedelta(seconds=random.uniform(0, 9.9)))
    gaps = [r for r in records if isinstance(r, Gap) and r.end is not None]
    end = max((f.at for f in ordered), default=instant(0)) + timedelta(minutes=10)

    def judged(stream: list[Finding], ticks: bool) -> list[Verdict]:
        made = engine_of(specs)
        out: list[Verdict] = []
        for number, gap in enumerate(gaps):
            made.gap(gap, number)
        out += made.tick(Tick(source="x", until=instant(0)), len(gaps))
        for offset, each in enumerate(stream):
            out += made.finding(each, len(gaps) + 1 + 2 * offset)
            if ticks:
                newest = max(f.at for f in stream[: offset + 1])
                out += made.tick(Tick(source="x", until=newest), len(gaps) + 2 + 2 * offset)
        return settled(out + made.tick(Tick(source="x", until=end, final=True), len(gaps) + 2 * len(stream) + 1))

    def alerts(verdicts: list[Verdict]) -> list[Verdict]:
        if type not in AT_ONCE:
            return verdicts
        return sorted(verdicts, key=lambda v: (v.at, v.rule, v.key, v.event, v.alert_id))

    calm = alerts(judged(ordered, ticks=False))
    assert alerts(judged(ordered, ticks=True)) == calm
    assert alerts(judged(shuffled, ticks=True)) == calm


def _by_arrival(spec: RuleSpec) -> bool:
    return spec.type in AT_ONCE and bool(spec.realert or spec.aggregation)


@BY_TYPE
@MANY
@given(records=streams(), seed=st.integers(0, 2**32), partitions=st.integers(2, 4))
def test_splitting_the_stream_over_partitions_gives_the_same_alerts(
    type: str, records: Records, seed: int, partitions: int
) -> None:
    """Each partition keeps its own order and ticks for itself; how they interleave is chance."""
    specs = [spec for spec in SAMPLES[type] if not _by_arrival(spec)]
    findings = {f.post_key: f for f in records if isinstance(f, Finding) and not f.edits}.values()
    ordered = sorted(findings, key=lambda f: (f.at, f.post_key))
    end = max((f.at for f in ordered), default=instant(0)) + timedelta(minutes=10)
    whole = _judged(specs, [tick(0), *_ticked(ordered, None), Tick(source="x", until=end, final=True)], 1)
    lanes: list[Records] = []
    for number in range(partitions):
        its = [each for n, each in enumerate(ordered) if n % partitions == number]
        lanes.append([tick(0, partition=number), *_ticked(its, number)])
        lanes[-1].append(Tick(source="x", until=end, final=True, partition=number))
    random = Random(seed)
    mixed: Records = []
    while lanes:
        lane = random.choice(lanes)
        mixed.append(lane.pop(0))
        lanes = [each for each in lanes if each]
    assert _judged(specs, mixed, partitions) == whole


def _ticked(findings: list[Finding], partition: int | None) -> Records:
    out: Records = []
    for each in findings:
        out += [each, Tick(source="x", until=each.at, partition=partition)]
    return out


def _judged(specs: list[RuleSpec], records: Records, partitions: int) -> list[Verdict]:
    verdicts = settled(run(engine_of(specs, partitions), records, 0, len(records)))
    return sorted(verdicts, key=lambda v: (v.at, v.rule, v.key, v.event, v.alert_id))


@BY_TYPE
def test_splitting_incidents_over_workers_gives_the_same_alerts(type: str) -> None:
    """An engine knows nothing but its own incident: whoever else is judged beside it."""
    specs = SAMPLES[type]
    streams = {name: [_post(Random(name), n, name) for n in range(120)] for name in ("a", "b")}

    def judged(together: bool) -> dict[str, list[Verdict]]:
        engines = {name: Engine(specs, INCIDENT) for name in streams}
        out: dict[str, list[Verdict]] = {name: [] for name in streams}
        both = [(name, post) for n in range(120) for name, posts in streams.items() for post in (posts[n],)]
        for offset, (name, post) in enumerate(both if together else sorted(both, key=lambda each: each[0])):
            out[name] += engines[name].finding(post, offset)
            out[name] += engines[name].tick(Tick(source="x", until=post.at), offset)
        return out

    assert judged(together=True) == judged(together=False)


def _post(random: Random, number: int, id: str = "p") -> Finding:
    return finding(
        number * 2, f"{id}{number}", author=f"{id}{random.randrange(6)}", story=f"s{random.randrange(9)}",
        hashtags=(f"t{random.randrange(9)}",), place=random.choice([None, "Fjellby"]), kinds=["wish"],
        fields={"number": random.randrange(9), "avdeling": f"d{random.randrange(4)}"},
        tracks=(f"t{random.randrange(9)}",),
    )  # fmt: skip


Held = tuple[int, Mapping[str, int]]
"""Bytes in all, and by the line that asked for them."""


KEPT = "each key is kept"
MOST_BYTES = 5_000


def held(type: str, keys: int, kept: set[str] | None = None) -> Held:
    """What an engine holds after so many keys. (What fires on arrival keeps a day.) `kept`: where somebody keeps each
    author, as a rule would that never forgets one."""
    specs = [spec for spec in SAMPLES[type] if spec.model_dump().get("forget_keys", True)]
    made = Engine(specs, INCIDENT, allowed_lateness=timedelta())
    _let_go()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for n in range(keys):
        post = finding(
            n * 900, f"p{n}", author=f"a{n}", story=f"s{n}", hashtags=(f"t{n}",), place=f"f{n}", kinds=["wish"],
            fields={"number": n, "avdeling": f"d{n}"}, tracks=(f"t{n}",),
        )  # fmt: skip
        made.finding(post, 2 * n)
        made.tick(tick(n * 900), 2 * n + 1)
        made.watermarks()
        if kept is not None:
            kept.add(f"{post.author}")
    _let_go()
    size = tracemalloc.get_traced_memory()[0] - before
    lines = tracemalloc.take_snapshot().statistics("lineno")
    tracemalloc.stop()
    return size, {f"{line.traceback[0].filename}:{line.traceback[0].lineno}": line.size for line in lines}


def _let_go() -> None:
    """Of garbage, and of what the interpreter itself remembers: by chance some hundred names of methods, which its
    datetimes make anew at each call."""
    gc.collect()
    forget = "_clear_internal_caches" if hasattr(sys, "_clear_internal_caches") else "_clear_type_cache"
    getattr(sys, forget)()


MEASURE = """
import gc, json, sys
sys.path[:0] = sys.argv[1:]
from test_rules_properties import KEPT, SAMPLES, held
gc.freeze()  # what was imported is no garbage, and looked through 80 times it takes a quarter of the time
found = {type: [held(type, keys) for keys in (30, 100, 220)] for type in SAMPLES}
print(json.dumps(found | {KEPT: [held("frequency", keys, set()) for keys in (30, 100, 220)]}))
"""


@pytest.fixture(scope="module")
def memory() -> dict[str, list[Held]]:
    """Type → what is held after 30, 100 and 220 keys, measured where nobody else allocates: a process of its own,
    because threads that other tests have left in this one allocate too. The first pays for what is made once."""
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(here), str(here.parent / "program"), str(here.parents[1])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[Held]] = json.loads(done.stdout)
    return found


@BY_TYPE
def test_memory_is_bounded_by_windows_and_not_by_keys_ever_seen(type: str, memory: dict[str, list[Held]]) -> None:
    """Twice as many keys, over twice as long: nothing more is held. A key that is kept takes 50 bytes or more."""
    _, (few, few_by_line), (many, many_by_line) = memory[type]
    assert many < few + MOST_BYTES, (
        f"{type}: {few:,} bytes are held after 100 keys, and {many:,} after 220. Let go of a key with its window. "
        f"What grew most was allocated at {grown(few_by_line, many_by_line)}"
    )


def test_a_key_that_is_kept_is_seen(memory: dict[str, list[Held]]) -> None:
    _, (few, few_by_line), (many, many_by_line) = memory[KEPT]
    assert many > few + MOST_BYTES
    assert f"{Path(__file__).name}:" in grown(few_by_line, many_by_line).partition("(")[0]


def grown(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """The five lines of which most bytes were added."""
    more = {line: size - before.get(line, 0) for line, size in after.items()}
    most = sorted(more, key=lambda line: -more[line])[:5]
    return ", ".join(f"{line.removeprefix(f'{ROOT}/')} (+{more[line]:,})" for line in most)


def test_what_grew_is_named_with_its_line() -> None:
    before = {f"{ROOT}/alerts/a.py:1": 10, "b.py:2": 5}
    after = {f"{ROOT}/alerts/a.py:1": 1010, "b.py:2": 5, "c.py:3": 7}
    assert grown(before, after) == "alerts/a.py:1 (+1,000), c.py:3 (+7), b.py:2 (+0)"


def test_what_stands_is_what_was_reported() -> None:
    """The samples are no good if they say nothing: each fires, and each kind of holding back occurs."""
    said: set[tuple[str, str]] = set()
    for type, specs in SAMPLES.items():
        made = engine_of(specs)
        random = Random(7)
        offset, at = 0, 0.0
        for _ in range(400):
            at += random.choice([0.2, 1, 3, 9, 40])
            post = finding(
                at, f"p{offset}", author=random.choice("abc"), story=random.choice("stuv"), source=random.choice("xy"),
                hashtags=(random.choice(["brann", f"t{offset}"]),), place=random.choice([None, "Fjellby"]),
                kinds=["wish"] if random.random() < 0.4 else ["question"], lang=random.choice(["nb", "en"]),
                fields={"number": random.randrange(90)},
            )  # fmt: skip
            for record in (post, tick(at), tick(at, "y")):
                said |= {(v.rule, v.event) for v in made.feed(record, offset)}
                offset += 1
        silent = {spec.name for spec in specs} - {name for name, event in said if event is Event.FIRED}
        assert not silent, (type, silent)
