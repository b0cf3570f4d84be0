"""What it costs the rules to judge posts that come late, against the same posts in order.

    python -m tests.bench.late_posts [--posts 10000] [--pairs 5] [--rules config/rules] [--only NAME]

An hour of posts under the shipped rules, twice: in order with a tick each second, and once the hour has been heard
already, with a few live posts in it, so that each is filled in behind the watermark while ticks go on. Each pair is run
one after the other, medians are of the pairs.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from alerts.rules.engine.engine import Engine
from alerts.rules.load import load_rules
from alerts.rules.spec import RuleSpec
from alerts.rules.types.burst import on_findings
from listener.clock import SystemClock
from listener.model.records import AuthorClass, Cue, Finding, Kind, Origin, Tick

START = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
A_SECOND = timedelta(seconds=1)
LIVE = 40
"""Posts that were heard in time."""

Make = Callable[[random.Random, int], dict[str, object]]


def _questions(chance: random.Random, n: int) -> dict[str, object]:
    """All ask, and what they ask spreads."""
    return {"cues": (Cue(kind=Kind.QUESTION),), "author": f"a{chance.randrange(2000)}", "story": f"s{n % 300}"}


def _mixed(chance: random.Random, n: int) -> dict[str, object]:
    kinds = chance.choices(list(Kind), weights=[5 if kind is Kind.VIEWPOINT else 1 for kind in Kind])
    return {
        "cues": (Cue(kind=kinds[0]),), "author": f"a{chance.randrange(3000)}", "story": f"s{chance.randrange(2000)}",
        "hashtags": (f"h{chance.randrange(60)}",), "author_class": chance.choice(list(AuthorClass)),
        "repost_of": f"p{chance.randrange(200)}" if chance.random() < 0.3 else None,
    }  # fmt: skip


def _at_the_bound(chance: random.Random, n: int) -> dict[str, object]:
    """Two of five ask: as many as the rule still allows, so that each post may or may not be the one."""
    kind = Kind.QUESTION if n % 5 < 2 else Kind.VIEWPOINT
    return {"cues": (Cue(kind=kind),), "author": f"a{n}", "story": f"s{n}"}


def _one_story(chance: random.Random, n: int) -> dict[str, object]:
    """All say one thing, few at a time: the story hovers about its bound."""
    return {"cues": (Cue(kind=Kind.VIEWPOINT),), "author": f"a{n % 7}", "story": f"s{n // 38}", "hashtags": ("x",)}


SHAPES: dict[str, Make] = {
    "questions": _questions,
    "mixed": _mixed,
    "at the bound": _at_the_bound,
    "stories": _one_story,
}


def posts(make: Make, number: int, origin: Origin, seed: int) -> list[Finding]:
    chance = random.Random(seed)
    made = []
    for n in range(number):
        at = START + n * HOUR / number
        made.append(
            Finding.model_validate(
                {
                    "source": "x", "id": f"p{n}", "at": at, "captured_at": at, "text": f"er inngangen åpen {n}",
                    "incident": "bench", "origin": origin, **make(chance, n),
                }
            )
        )  # fmt: skip
    return made


def in_order(specs: Sequence[RuleSpec], made: Sequence[Finding], heard: Sequence[Finding]) -> float:
    """Seconds of the processor."""
    return _judged(specs, sorted([*made, *heard], key=lambda post: post.at), ())


def late(specs: Sequence[RuleSpec], made: Sequence[Finding], heard: Sequence[Finding]) -> float:
    """Seconds of the processor."""
    return _judged(specs, heard, made)


def _judged(specs: Sequence[RuleSpec], live: Sequence[Finding], found: Sequence[Finding]) -> float:
    engine, offset = Engine(specs, clock=SystemClock()), 0
    began = time.process_time()
    coming: Iterator[Finding] = iter(live)
    post = next(coming, None)
    for second in range(3600):
        now = START + second * A_SECOND
        while post is not None and post.at <= now:
            engine.finding(post, offset)
            offset, post = offset + 1, next(coming, None)
        engine.tick(Tick(source="x", until=now), offset)
        offset += 1
    for n, each in enumerate(found):
        engine.finding(each, offset)
        offset += 1
        if n % 100 == 0:
            engine.tick(Tick(source="x", until=START + HOUR + n // 100 * A_SECOND), offset)
            offset += 1
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rules", type=Path, default=Path("config/rules"))
    parser.add_argument("--only", default=None, help="one rule")
    args = parser.parse_args()
    specs = [rule for rule in on_findings(load_rules(args.rules)) if args.only in (None, rule.name)]
    print(f"{args.posts:,} posts of an hour, {len(specs)} rules; seconds of the processor, medians of {args.pairs}")
    print("  posts          late in       in order    late   times")
    for name, make in SHAPES.items():
        for how in ("their order", "any order", "backwards"):
            made = posts(make, args.posts, Origin.GAP_FILL, args.seed)
            heard = posts(make, LIVE, Origin.LIVE, args.seed + 1)
            heard = [post.model_copy(update={"id": f"h{post.id}"}) for post in heard]
            found = list(made) if how == "their order" else made[::-1]
            if how == "any order":
                random.Random(args.seed).shuffle(found)
            pairs = [(in_order(specs, made, heard), late(specs, found, heard)) for _ in range(args.pairs)]
            ordered, behind = median(a for a, _ in pairs), median(b for _, b in pairs)
            times = median(b / a for a, b in pairs)
            print(f"  {name:14} {how:12} {ordered:9.2f} {behind:7.2f} {times:7.2f}", flush=True)


if __name__ == "__main__":
    main()
