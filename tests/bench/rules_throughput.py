"""How many findings a second the rules judge with 20, 200 and 2,000 rules, and what an active key costs in memory.

    python -m tests.bench.rules_throughput [--findings 4000] [--seed 1]

The rules are of six types, each with a filter by kind, track or source as rules have them, every third with a key of
its own for each author. One run sets them against the same rules as a naive loop: for each finding each rule is asked
in turn, compares its filter, keeps a list of its posts and counts it anew. The naive loop counts and does no more:
no order, no late posts, no restart, no reasons. `--unfiltered` takes the filters away: then nothing can be left out.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from alerts.rules.engine.engine import Engine
from alerts.rules.spec import RuleSpec
from alerts.rules.table import TYPES
from listener.clock import SystemClock
from listener.model.records import Cue, Finding, Kind, Tick
from listener.plugins import load

START = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
A_SECOND = 20
"""Findings in event time; a tick comes each second, as it does live."""
KINDS = tuple(kind.value for kind in Kind)
TYPE_OPTIONS: Sequence[dict[str, Any]] = (
    {"type": "frequency", "num_events": 20, "timeframe": "5m"},
    {"type": "any", "realert": "10m"},
    {"type": "spike", "spike_height": 3, "spike_type": "up", "threshold_ref": 10, "timeframe": "2m"},
    {"type": "flatline", "threshold": 1, "timeframe": "5m"},
    {"type": "frequency", "num_events": 5, "timeframe": "10m", "count_by": "authors"},
    {"type": "new_term", "fields": "hashtags", "num_events": 3, "timeframe": "5m"},
)


def rules(number: int, *, filtered: bool) -> list[RuleSpec]:
    made = []
    for n in range(number):
        raw = dict(TYPE_OPTIONS[n % len(TYPE_OPTIONS)], name=f"r{n}", why="because a bench wants it")
        if filtered:
            raw["filter"] = {"track": f"t{n % max(number // 4, 5)}", "kind": KINDS[n % len(KINDS)]}
        if n % 3 == 0 and raw["type"] != "new_term":
            raw["query_key"] = "author"
        made.append(load(TYPES[str(raw["type"])]).spec.model_validate(raw))
    return made


def findings(number: int, tracks: int, seed: int) -> list[Finding]:
    chance = random.Random(seed)
    made = []
    for n in range(number):
        at = START + timedelta(seconds=n / A_SECOND)
        made.append(
            Finding(
                source="x", id=f"p{n}", at=at, captured_at=at, text=f"røyk ved inngangen {n}", incident="bench",
                author=f"a{chance.randrange(500)}", story=f"s{chance.randrange(900)}",
                tracks=tuple({f"t{chance.randrange(tracks)}", f"t{chance.randrange(tracks)}"}),
                cues=(Cue(kind=Kind(chance.choice(KINDS))),), hashtags=(f"h{chance.randrange(50)}",),
            )
        )  # fmt: skip
    return made


def judged(specs: Sequence[RuleSpec], posts: Sequence[Finding]) -> float:
    """Seconds of the processor."""
    engine = Engine(specs, clock=SystemClock())
    began, offset = time.process_time(), 0
    for n, post in enumerate(posts):
        engine.finding(post, offset)
        offset += 1
        if n % A_SECOND == 0:
            engine.tick(Tick(source="x", until=post.at), offset)
            engine.watermarks()
            offset += 1
    return time.process_time() - began


def naive(specs: Sequence[RuleSpec], posts: Sequence[Finding]) -> float:
    """Seconds of the processor."""
    held: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    began = time.process_time()
    for post in posts:
        for spec in specs:
            wanted = spec.filter
            if wanted and not (
                any(track in wanted["track"] for track in post.tracks)
                and any(kind in wanted["kind"] for kind in post.kinds)
            ):
                continue
            key = spec.name, (post.author or "") if spec.query_key else ""
            edge = post.at - (spec.span or timedelta(minutes=10))
            held[key] = [each for each in held[key] if each.at > edge] + [post]
            len({each.author for each in held[key]})
    return time.process_time() - began


def bytes_a_key(number: int) -> float:
    """What one more active key of a `frequency` costs, with the one post that makes it active."""
    spec = load(TYPES["frequency"]).spec.model_validate(
        {
            "name": "keys", "type": "frequency", "why": "because a bench wants it", "num_events": 5,
            "timeframe": "1h", "query_key": "author",
        }
    )  # fmt: skip
    engine = Engine((spec,))
    posts = [
        Finding(
            source="x", id=f"p{n}", at=START + timedelta(milliseconds=n), captured_at=START, text="", incident="b",
            author=f"a{n}", story=f"s{n}",
        )
        for n in range(number)
    ]  # fmt: skip
    gc.collect()
    tracemalloc.start()
    for offset, post in enumerate(posts):
        engine.finding(post, offset)
    engine.tick(Tick(source="x", until=posts[-1].at + timedelta(minutes=1)), number)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held / number


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--findings", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--unfiltered", action="store_true")
    args = parser.parse_args()
    print("  rules  findings/s     naive/s   times")
    for number in (20, 200, 2000):
        specs = rules(number, filtered=not args.unfiltered)
        posts = findings(args.findings, max(number // 4, 5), args.seed)
        ours, plain = judged(specs, posts), naive(specs, posts)
        print(f"{number:7,} {len(posts) / ours:11,.0f} {len(posts) / plain:11,.0f} {plain / ours:7.2f}")
    print(f"bytes held for each active key: {bytes_a_key(20_000):,.0f}")


if __name__ == "__main__":
    main()
