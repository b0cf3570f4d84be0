"""How well near copies are joined into stories, what is joined wrongly, and how fast.

    python -m tests.bench.stories [--half choose|held|all] [--wrong]

Pairs of our own (`tests/corpus/stories.jsonl`; the half `choose` was looked at while the rules were written, `held` was
not) and, from the folder `LYTTEPOST_EVALUATION_DATA`, pairs by others: how many near copies are one story, and how many
look-alikes and paraphrases are, by what was changed. Each set is grouped three ways: pair by pair, all texts as one
file, and all texts as a stream in a shuffled order. Then, for recordings of real crises in the order of their time: of
pairs of posts that share a story, how many share less than half the words of the shorter one; and microseconds of
processor time a post. `--wrong` names the pairs that were not told right.

Exit code 1 when, pair by pair, fewer than 95 % of a set's near copies join, or more than 3 % of what differs.
"""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from random import Random
from time import process_time

from alerts.annotate.claims import claim
from alerts.annotate.stories import Stories, grouped, name_of
from tests.corpus.data import CORPUS, Pair, lines, pairs

LEAST_JOINED = 0.95
MOST_WRONG = 0.03
PAIRS_A_STORY = 300
"""Pairs of posts of one story that are looked at."""

Naming = Callable[[str], str]


def alone(given: Sequence[Pair]) -> list[bool]:
    """Which pairs are one story, each by itself."""
    joined = []
    for pair in given:
        stories = Stories()
        joined.append(stories.add("a", pair.a) == stories.add("b", pair.b))
    return joined


def together(given: Sequence[Pair], name: Naming) -> list[bool]:
    """Which pairs are one story among all the others."""
    return [name(pair.a) == name(pair.b) for pair in given]


def as_file(texts: Sequence[str]) -> Naming:
    names = grouped((text, None) for text in texts)
    return lambda text: names[name_of(claim(text), text)]


def as_stream(texts: Sequence[str], seed: int) -> Naming:
    shuffled, stories = list(texts), Stories()
    Random(seed).shuffle(shuffled)
    names: Mapping[str, str] = {text: stories.add(text, text) for text in shuffled}
    return names.__getitem__


def shares(given: Sequence[Pair], joined: Sequence[bool]) -> tuple[int, int, int, int]:
    """Near copies that joined, of how many; others that joined, of how many."""
    same = [each for pair, each in zip(given, joined, strict=True) if pair.same]
    other = [each for pair, each in zip(given, joined, strict=True) if not pair.same]
    return sum(same), len(same), sum(other), len(other)


def report(name: str, given: Sequence[Pair], wrong: bool) -> bool:
    """Everything about one set of pairs; whether it keeps the bounds."""
    texts = [text for pair in given for text in (pair.a, pair.b)]
    print(f"\n{name}: {len(given)} pairs")
    by_itself = alone(given)
    ways = {"pair by pair": by_itself, "as one file": together(given, as_file(texts))}
    ways |= {f"as a stream, shuffle {seed}": together(given, as_stream(texts, seed)) for seed in (1, 2, 3)}
    for way, joined in ways.items():
        hits, near, misses, others = shares(given, joined)
        print(
            f"  {way:22} near copies joined {hits}/{near} = {hits / max(1, near):.1%}"
            f"   others joined {misses}/{others} = {misses / max(1, others):.1%}"
        )
    by_kind: dict[str, Counter[bool]] = defaultdict(Counter)
    for pair, each in zip(given, by_itself, strict=True):
        by_kind[f"{'near copy' if pair.same else 'other'}: {pair.kind}"][each is pair.same] += 1
        if wrong and each is not pair.same:
            print(f"  wrong ({pair.kind}, {'near copy' if pair.same else 'other'})\n    {pair.a}\n    {pair.b}")
    for kind, right in sorted(by_kind.items()):
        if right[False]:
            print(f"  {kind:60} {right[True]}/{right.total()} right")
    hits, near, misses, others = shares(given, by_itself)
    return hits >= LEAST_JOINED * near and misses <= MOST_WRONG * others


def recordings(folder: Path) -> None:
    """Real posts of several crises, each in the order of its time."""
    posts = stories_made = looked_at = unlike = 0
    spent = 0.0
    for path in sorted(folder.glob("*.jsonl")):
        rows = sorted(lines(path), key=lambda row: str(row["created_at"]))
        stories, by_story = Stories(), defaultdict(list)
        began = process_time()
        named = [(stories.add(str(row["id"]), row["text"]), row["text"]) for row in rows]
        spent += process_time() - began
        posts += len(rows)
        for name, text in named:
            by_story[name].append(text)
        stories_made += len(by_story)
        for texts in by_story.values():
            its = list(combinations(texts, 2))
            for one, other in its if len(its) <= PAIRS_A_STORY else Random(1).sample(its, PAIRS_A_STORY):
                a, b = _words(one), _words(other)
                looked_at += 1
                unlike += len(a & b) < 0.5 * min(len(a), len(b))
    print(
        f"\nrecordings: {posts} posts, {stories_made} stories, {spent / max(1, posts) * 1e6:.0f} µs a post\n"
        f"  of {looked_at} pairs that share a story {unlike} share less than half the words of the shorter,"
        f" {unlike / max(1, looked_at) * 10_000:.1f} in 10,000"
    )


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", re.sub(r"https?://\S+|@\w+|\bRT\b", "", text).lower()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("choose", "held", "all"), default="all")
    parser.add_argument("--wrong", action="store_true", help="name the pairs that were not told right")
    options = parser.parse_args()
    kept = []
    for half in ("choose", "held"):
        if options.half in (half, "all"):
            given = [pair for pair in pairs(CORPUS / "stories.jsonl") if pair.half == half]
            kept.append(report(f"our own, {half}", given, options.wrong))
    if evaluation := os.environ.get("LYTTEPOST_EVALUATION_DATA"):
        others = pairs(Path(evaluation) / "norwegian-kinds" / "story-pairs.jsonl")
        kept.append(report("by others", others, options.wrong))
        recordings(Path(evaluation) / "crisis-recordings")
    raise SystemExit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
