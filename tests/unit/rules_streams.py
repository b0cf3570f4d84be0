"""Some minutes of a crisis as the bus might hold them, for the property tests of the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from random import Random

from hypothesis import strategies as st
from rules_support import INCIDENT, finding, gap, tick

from alerts.rules.engine.engine import Engine
from alerts.rules.report import to_alert
from alerts.rules.spec import RuleSpec
from alerts.rules.verdict import Verdict
from listener.model import keys
from listener.model.records import ALERTS, Finding, Gap, Origin, Tick, decode, encode

LATENESS = timedelta(seconds=10)
Records = list[Finding | Tick | Gap]
DENSITIES = (0.05, 0.1, 0.3, 1.5)
"""Records a second."""


@st.composite
def streams(draw: st.DrawFn) -> Records:
    random = Random(draw(st.integers(0, 2**32)))
    density = draw(st.sampled_from(DENSITIES))
    return minutes(random, density, wild=draw(st.booleans()), length=draw(st.integers(20, 160)))


def minutes(random: Random, density: float, *, wild: bool, length: int) -> Records:
    """Live posts roughly in order, late ones, lookback, repeats, gaps, two sources. `density`: records a second."""
    records: Records = []
    open_gap: tuple[float, str, str] | None = None
    now = 0.0
    made: list[Finding] = []
    for number in range(length):
        now += random.expovariate(density)
        roll = random.random()
        source = random.choice("xxxy")
        if roll < 0.25:
            records.append(tick(now, source, partition=random.choice([0, 0, 1]), final=roll < 0.002))
        elif roll < 0.30:
            if open_gap is None:
                open_gap = (now, source, f"g{number}")
                records.append(gap(now, None, source, open_gap[2]))
            else:
                records.append(gap(open_gap[0], now, open_gap[1], open_gap[2]))
                open_gap = None
        elif roll < 0.34 and made:
            records.append(random.choice(made[-20:]))
        else:
            behind = random.choice([0, 0, 3, 9, 30, 80, 200]) if wild else random.choice([0, 0, 0, 2, 9])
            # Whole seconds make posts fall on the very edges of windows.
            at = round(max(0.0, now - behind)) if random.random() < 0.7 else max(0.0, now - behind)
            edited = random.choice(made[-40:]) if made and random.random() < 0.2 else None
            origin = random.choice([Origin.LIVE] * 6 + [Origin.GAP_FILL, Origin.LOOKBACK])
            made.append(
                finding(
                    at,
                    f"p{number}",
                    source=source,
                    origin=origin,
                    author=random.choice([None, "a", "b", "c", "d"]),
                    kinds=random.choice([(), ("wish",), ("wish", "question")]),
                    hashtags=random.choice([(), ("brann",), ("Brann", "røyk"), ("nytt",)]),
                    place=random.choice([None, "Fjellby"]),
                    tracks=random.choice([(), ("brann",), ("Brann", "@sykehuset")]),
                    story=random.choice(["s1", "s2", f"s{number}"]),
                    repost_of=random.choice([None, None, "p0"]),
                    fields={"number": random.choice([0, 0.1, 17.3, 55, 90])},
                    edits=() if edited is None else (*edited.edits, edited.id),
                )
            )
            records.append(made[-1])
    return records


def engine_of(specs: Sequence[RuleSpec], partitions: int = 1) -> Engine:
    def failed(failure: object) -> None:
        raise AssertionError(failure)

    return Engine(specs, INCIDENT, allowed_lateness=LATENESS, partitions=partitions, on_failure=failed)


def run(engine: Engine, records: Records, start: int, stop: int) -> list[Verdict]:
    return [v for offset in range(start, stop) for v in engine.feed(records[offset], offset)]


def told(engine: Engine, verdicts: Sequence[Verdict], hear: Callable[..., None]) -> None:
    """Let an engine remember what was published, as it is read from the bus."""
    for verdict in verdicts:
        hear(decode(ALERTS, encode(to_alert(verdict, engine.specs[verdict.rule], INCIDENT))))


def later_edits(findings: Iterable[Finding]) -> list[Finding]:
    """In order of time, without edits that are older than what they are edits of: no platform has such."""
    ordered = sorted(findings, key=lambda each: (each.at, each.post_key))
    place = {each.post_key: number for number, each in enumerate(ordered)}
    return [
        each
        for number, each in enumerate(ordered)
        if all(place.get(keys.of_source(each.source, id), -1) < number for id in each.edits)
    ]
