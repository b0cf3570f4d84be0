"""How well posts are understood, and how fast.

    python -m tests.bench.kinds [--tier better] [--posts FILE …] [--folds]

For each set of labelled posts (of the folder `LYTTEPOST_EVALUATION_DATA`, and any file named with `--posts`): F1 of
each kind with the middle 95 % of 500 bootstrap samples, by language, whether a chance of 0.9 means 0.9, which mistakes
are most frequent, main theme, stance, patient_exposed. Then F1 of `request`, stance of NoReC sentences, languages by
length, posts a second of one core, size. `--folds` adds what a model says of our own posts whose writers it has not
seen; it trains one of the default tier, which takes minutes and the extra `train`.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from time import process_time

import numpy as np

from alerts.annotate.better import ENCODER
from alerts.annotate.understanding import STANCES, WEIGHTS, Understander, Understanding
from listener.model.records import AuthorClass, Kind
from listener.runtime.stage import AHEAD
from listener.settings.files import packaged_config
from tests.corpus.data import CORPUS, Labelled, corpus, languages, opinions, posts, requests
from tests.corpus.scores import f1, interval, macro

KINDS = [kind.value for kind in Kind]
WORST = 10
STEPS = (0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0001)


def kinds_report(name: str, wanted: Sequence[Labelled], found: Sequence[Understanding]) -> None:
    """Everything about one set of posts."""
    right = np.array([[kind in post.kinds for kind in KINDS] for post in wanted])
    got = np.array([[Kind(kind) in each.labels for kind in KINDS] for each in found])

    def mean(rows: object) -> float:
        return float(np.mean([f1(right[rows, k], got[rows, k]) for k in range(len(KINDS))]))

    everything = np.arange(len(wanted))
    low, high = interval(len(wanted), mean)
    print(f"\n{name}: {len(wanted)} posts, macro F1 {mean(everything):.3f} [{low:.2f} {high:.2f}]")
    for k, kind in enumerate(KINDS):
        low, high = interval(len(wanted), lambda rows, k=k: f1(right[rows, k], got[rows, k]))
        hits = int((right[:, k] & got[:, k]).sum())
        precision, recall = hits / max(1, got[:, k].sum()), hits / max(1, right[:, k].sum())
        print(
            f"  {kind:11} F1 {f1(right[:, k], got[:, k]):.2f} [{low:.2f} {high:.2f}]"
            f"  P {precision:.2f} R {recall:.2f}  n {right[:, k].sum()}"
        )
    for lang in sorted({post.lang for post in wanted}):
        rows = np.flatnonzero([post.lang == lang for post in wanted])
        hits, total = int((right[rows] & got[rows]).sum()), int(right[rows].sum() + got[rows].sum())
        told = Counter(found[row].lang for row in rows)
        print(
            f"  {lang:11} micro F1 {2 * hits / max(1, total):.2f}  n {len(rows)}  taken for {dict(told.most_common(3))}"
        )
    _calibration(right, np.array([list(each.kinds.values()) for each in found]))
    mistakes: Counter[str] = Counter()
    for row in np.flatnonzero((right != got).any(axis=1)):
        missed = [kind for k, kind in enumerate(KINDS) if right[row, k] and not got[row, k]]
        false = [kind for k, kind in enumerate(KINDS) if got[row, k] and not right[row, k]]
        mistakes[f"{'+'.join(missed) or '-'} → {'+'.join(false) or '-'}"] += 1
    print("  missed → said instead: " + "; ".join(f"{what} {n}" for what, n in mistakes.most_common(WORST)))
    about = [(post.themes, each.themes) for post, each in zip(wanted, found, strict=True) if post.themes]
    if about:
        main = [bool(b) and b[0] == a[0] for a, b in about]
        among = [bool(b) and b[0] in a for a, b in about]
        low, high = interval(len(main), lambda rows: float(np.mean(np.array(main)[rows])))
        print(f"  main theme  {np.mean(main):.3f} [{low:.2f} {high:.2f}], one of the right ones {np.mean(among):.3f}")
    opinion = [(p.stance, e.stance) for p, e in zip(wanted, found, strict=True) if "viewpoint" in p.kinds]
    print(f"  stance of viewpoints {np.mean([a == b for a, b in opinion]):.3f}")
    exposed = np.array([post.patient_exposed for post in wanted])
    said = np.array([each.patient_exposed >= 0.5 for each in found])
    hits = int((exposed & said).sum())
    print(
        f"  patient_exposed R {hits / max(1, exposed.sum()):.3f} P {hits / max(1, said.sum()):.3f}  n {exposed.sum()}"
    )


def _calibration(right: np.ndarray, chances: np.ndarray) -> None:
    told = []
    for low, high in pairwise(STEPS):
        here = (chances >= low) & (chances < high)
        if here.any():
            told.append(f"{chances[here].mean():.2f} is {right[here].mean():.2f} ({here.sum()})")
    print("  a chance of " + ", ".join(told))


def language_report(rows: Sequence[tuple[str, str, str]], understander: Understander) -> None:
    read = [(name, lang, len(text), understander.understand(text).lang) for name, lang, text in rows]
    print("\nlanguage, % right")
    for name in sorted({row[0] for row in read}):
        for low, high in ((0, 40), (40, 60), (60, 140)):
            told = []
            for lang in ("nb", "nn", "da", "sv", "en"):
                hits = [
                    got == lang for of, right, chars, got in read if (of, right) == (name, lang) and low <= chars < high
                ]
                if len(hits) >= 10:
                    told.append(f"{lang} {100 * np.mean(hits):.1f} ({len(hits)})")
            if told:
                print(f"  {name:8} {low}–{high} characters: {', '.join(told)}")


def speed_report(texts: Sequence[str], understander: Understander, files: Sequence[Path]) -> None:
    """The best of several rounds: another program on the machine makes a round slower and none faster."""
    best = float("inf")
    for number in range(7):
        new = [f"{text} {number}" for text in texts]  # what was understood before is remembered
        began = process_time()
        for start in range(0, len(new), AHEAD):
            some = new[start : start + AHEAD]  # together, as annotators read them
            understander.read_ahead((text, AuthorClass.UNKNOWN) for text in some)
            for text in some:
                understander.understand(text)
        best = min(best, process_time() - began)
    size = sum(path.stat().st_size for path in files)
    print(f"\n{len(texts) / best:,.0f} posts a second of one core; {size:,} bytes of weights")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = os.environ.get("LYTTEPOST_EVALUATION_DATA")
    parser.add_argument(
        "--evaluation", type=Path, default=Path(given) if given else None, help="folder of outside data"
    )
    parser.add_argument("--posts", type=Path, nargs="*", default=[], help="more files of labelled posts")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="folder of our own posts, w*.jsonl")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--tier", choices=("default", "better"), default="default")
    parser.add_argument("--encoder", type=Path, default=ENCODER, help="of the better tier")
    parser.add_argument("--folds", action="store_true", help="train on all writers but some, and judge those")
    options = parser.parse_args()
    better = options.tier == "better"
    understander = Understander.load(packaged_config(), options.weights, options.encoder if better else None)
    sets = list(options.posts)
    if options.evaluation:
        sets += [options.evaluation / "norwegian-kinds" / f"{name}.jsonl" for name in ("dev2", "dev")]
    for path in sets:
        wanted = posts(path)
        kinds_report(path.stem, wanted, [understander.understand(post.text) for post in wanted])
    if options.folds:
        from tests.corpus.train import unseen

        wanted = corpus(options.corpus)
        kinds_report("our own posts, writers unseen (but by the heads of stance and language)", wanted, unseen(wanted))
    if options.evaluation:
        texts, asks = requests(options.evaluation, "validation")
        wanted_, got_ = np.array(asks), np.array([understander.understand(text).request >= 0.5 for text in texts])
        low, high = interval(len(texts), lambda rows: f1(wanted_[rows], got_[rows]))
        print(f"\nrequest F1 {f1(wanted_, got_):.3f} [{low:.2f} {high:.2f}]")
        texts, stances = opinions(options.evaluation, "dev")
        a = np.array([STANCES.index(stance) for stance in stances])
        b = np.array([STANCES.index(understander.understand(text).stance) for text in texts])
        low, high = interval(len(texts), lambda rows: macro(a[rows], b[rows], 3))
        print(f"stance of NoReC sentences, macro F1 {macro(a, b, 3):.3f} [{low:.2f} {high:.2f}]")
        language_report(languages(options.evaluation), understander)
    texts = [post.text for post in corpus(options.corpus)][: 50 if better else 1000]
    files = [options.weights, *([options.encoder] if better else [])]
    if texts or sets:
        speed_report(texts or [post.text for path in sets for post in posts(path)], understander, files)


if __name__ == "__main__":
    main()
