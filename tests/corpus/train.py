"""Make `alerts/annotate/weights.bin` from the labelled posts: `python -m tests.corpus.train`, minutes on one core.

Needs the extra `train`. The same data give the same file. What is trained:

- kinds, themes, patient_exposed: on the posts of this folder alone;
- stance: on them and on sentences of NoReC; `request`: on the Disaster Response messages. Both lie in the folder that
  `LYTTEPOST_EVALUATION_DATA` names (`--evaluation`);
- language: on texts of `--languages`, a folder of `nb.txt`, `nn.txt` … and `und.txt` for others, one text a line, and
  on the posts of this folder.

Without a folder its banks are kept from the file that is there. Thresholds and the way from scores to probabilities
come from folds over writers: no post is judged by a model that has seen its writer. The scores of these folds are
printed.

Sources of the banks that came with the program, and their licences: texts of the Norwegian Dependency Treebank
without what Universal Dependencies tests on (National Library of Norway), English Web Treebank likewise, Swedish PUD
and NynorskLIA (CC BY-SA 4.0), Danish of the Leipzig Corpora Collection (CC BY), Swedish web news (CC BY 4.0), German
GSD and Dutch Alpino (CC BY-SA 4.0), word counts of FrequencyWords (CC BY-SA 4.0), NoReC (CC BY-NC; its authors say
that derived models are free), Disaster Response Messages (CC BY 4.0, Munro 2012). None of their texts is in the file,
only weights of hashed features.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from alerts.annotate.features import Features, cue_hashes
from alerts.annotate.understanding import DIALECT, STANCES, WEIGHTS, Reader, Understander, Understanding
from alerts.annotate.weights import BLOCKS, Bank, Block, quantized, read, share, write
from listener.model.records import Kind
from listener.settings.files import packaged_config
from tests.corpus.data import CORPUS, Labelled, corpus, opinions, requests
from tests.corpus.scores import best_threshold, f1, macro

SHARES = {"words": 1.0, "letters": 1.0, "cues": 0.2}
"""What each block is multiplied by: how freely its weights may grow."""
LIKINGS = tuple(f"word: {name}" for name in ("good", "bad", "very", "but_yet"))
"""Of `config/words.yaml`: how something is liked. They tell the stance of a review; kinds and themes gain nothing."""
KINDS_SPACE: dict[str, Any] = {"shares": SHARES | {"cues": 0.25}, "without": LIKINGS}
KINDS_RIDGE, KINDS_COUNTED = 0.5, 0.02
THEMES_SPACE: dict[str, Any] = {"shares": SHARES | {"cues": 0.35}, "rare": True, "without": LIKINGS}
THEMES_RIDGE, THEMES_COUNTED = 1.3, 0.025
SECOND = 0.2
"""What a theme that is not the main one counts for, where the main one counts for 1."""
STANCE_SPACE: dict[str, Any] = {"shares": SHARES | {"cues": 0.35}, "rare": True}
OURS_C = 0.7
REVIEWS_C, REVIEWS_COUNTED = 0.3, 0.1
REQUEST_C, REQUEST_COUNTED = 0.3, 0.03
CLOSE, TINY = 1e-4, 1e-300
"""How near to the solution is near enough: what is left of what was wanted; no score changes below it."""
PRUNED = 2
"""Of 127: where the greatest and the least weight of a feature (or none) lie no further apart, it goes without."""
ENOUGH = 3
"""Texts that must have a feature for it to get a weight."""
FOLDS = 5
EXPOSED_SPACE: dict[str, Any] = {"shares": SHARES | {"cues": 0.3}, "without": LIKINGS}
EXPOSED_RIDGE = 0.5
EXPOSED_RECALL = 0.93
"""Of the posts that name a patient, so many are to be above 0.5 in the folds."""
LANGUAGES = ("nb", "nn", "da", "sv", "en", "und", DIALECT)
COUNTS = 1.0
LANGUAGE_BIAS = {"nb": 0.0, "nn": 0.6, "da": 0.6, "sv": 0.0, "en": 0.0, "und": 0.0, DIALECT: -0.5}
"""Chosen on `languages/dev.csv`: nynorsk and Danish have fewer texts of their own here, and pass for bokmål."""
LANGUAGE_OF = {"no-dialect": DIALECT, "pl": "und"}

Matrix = Any
Floats = Any
Fit = Callable[[Matrix, Any, float], tuple[Floats, Floats]]


class Space:
    """The features that enough of some texts have, as columns of a matrix."""

    def __init__(
        self,
        found: Sequence[Features],
        blocks: Sequence[str] = BLOCKS,
        *,
        enough: int = ENOUGH,
        shares: Mapping[str, float] = SHARES,
        rare: bool = False,
        without: Sequence[str] = (),
    ) -> None:
        """`rare`: what few texts have weighs more: good for what a text is about, and not for how it is said.

        `without`: names of cues that are not looked at.
        """
        self.keys = {}
        factors = []
        for block in BLOCKS:
            if block not in blocks:
                self.keys[block] = np.empty(0, np.uint32)
                factors.append(np.empty(0))
                continue
            hashes = np.concatenate([np.unique(getattr(each, block)) for each in found])
            keys, counts = np.unique(hashes, return_counts=True)
            enough_of = (counts >= enough) & ~np.isin(keys, cue_hashes(without) if block == "cues" else ())
            self.keys[block] = keys[enough_of]
            few = np.log(len(found) / counts[enough_of]) / 3 if rare and block != "cues" else 1.0
            factors.append(np.full(len(self.keys[block]), shares[block]) * few)
        self.factor = np.concatenate(factors)

    def matrix(self, found: Sequence[Features]) -> Matrix:
        parts = []
        for block, keys in self.keys.items():
            columns, values, ends = [], [], [0]
            for each in found:
                hashes = getattr(each, block)
                at = np.minimum(np.searchsorted(keys, hashes), max(0, len(keys) - 1))
                known = at[keys[at] == hashes] if len(keys) else at[:0]
                columns.append(known)
                values.append(np.full(len(known), 1 / share(block, max(1, len(hashes)))))
                ends.append(ends[-1] + len(known))
            part = sparse.csr_matrix(
                (np.concatenate(values), np.concatenate(columns), ends), shape=(len(found), len(keys))
            )
            part.sum_duplicates()
            parts.append(part)
        return sparse.hstack(parts, format="csr") @ sparse.diags(self.factor)

    def log_odds(self, found: Sequence[Features], ys: Any) -> Floats:
        """Heads by columns: how much more often a feature is met in a head's texts than elsewhere (naive Bayes)."""
        odds = self._log_shares(self.matrix(found), ys)
        odds -= odds.mean(axis=0)
        return odds

    def log_ratios(self, x: Matrix, ys: Any) -> Floats:
        """Heads by columns: how much more often a feature is met in the texts that a head holds of than in the others.

        Cues are left out: they are few, and what they weigh is learned well enough.
        """
        ratios = self._log_shares(x, ys) - self._log_shares(x, ~ys)
        ratios[:, ratios.shape[1] - len(self.keys["cues"]) :] = 0.0
        return ratios

    def _log_shares(self, x: Matrix, ys: Any) -> Floats:
        """Heads by columns: of all that is met of a block in a head's texts, the share of each feature; logarithms."""
        known = x.astype(bool).astype(np.float64)
        shares: Floats = (sparse.csr_matrix(ys.T.astype(np.float64)) @ known).toarray() + 0.1
        start = 0
        for keys in self.keys.values():
            part = shares[:, start : start + len(keys)]
            shares[:, start : start + len(keys)] = np.log(part / part.sum(axis=1, keepdims=True))
            start += len(keys)
        return shares

    def bank(
        self, heads: Sequence[str], weights: Floats, bias: Floats, about: dict[str, Any], *, pruned: int = PRUNED
    ) -> Bank:
        """`weights`: heads by columns."""
        blocks, start = {}, 0
        weights = weights * self.factor
        for block, keys in self.keys.items():
            whole, scale = quantized(weights[:, start : start + len(keys)].T)
            # What hardly tells the heads apart is left out: half of the file, and no score changes that shows.
            reach = whole.max(axis=1, initial=0).astype(int) - whole.min(axis=1, initial=0)
            weighs = reach > pruned
            blocks[block] = Block(keys[weighs], whole[weighs], np.round(scale, 12))
            start += len(keys)
        return Bank(tuple(heads), np.round(bias, 9), blocks, about)


def fit(x: Matrix, y: Any, c: float, tol: float = 0.05) -> tuple[Floats, float]:
    """Weights and bias of one head; a class that is rare counts for as much as the other."""
    model = LogisticRegression(
        C=c, class_weight="balanced", solver="liblinear", dual=True, max_iter=300, tol=tol, random_state=1
    ).fit(x, y)
    return model.coef_[0], float(model.intercept_[0])


def fit_all(x: Matrix, ys: Any, c: float, tol: float = 0.05) -> tuple[Floats, Floats]:
    """`ys`: texts by heads."""
    fits = [fit(x, ys[:, head], c, tol) for head in range(ys.shape[1])]
    return np.array([weights for weights, _ in fits]), np.array([bias for _, bias in fits])


def ridge(x: Matrix, ys: Any, strength: float) -> tuple[Floats, Floats]:
    """Weights and bias of all heads at once: least squares, held back by `strength`; `ys`: texts by heads.

    Solved over texts, which are fewer than features, by conjugate gradients: twice as many texts take twice as long,
    where a matrix of texts by texts would take eight times. It errs less than `fit` where labels depend on many weak
    signs.
    """
    wanted = ys.astype(np.float64)
    bias = wanted.mean(axis=0)
    back = x.T.tocsr()
    left = wanted - bias
    solved, way = np.zeros_like(left), left.copy()
    length = (left**2).sum(axis=0)
    enough = length * CLOSE**2
    while (length > enough).any():
        through = x @ (back @ way) + strength * way
        step = length / np.maximum((way * through).sum(axis=0), TINY)
        solved += step * way
        left -= step * through
        before, length = length, (left**2).sum(axis=0)
        way = left + length / np.maximum(before, TINY) * way
    return (back @ solved).T, bias


def folds(groups: Sequence[str], count: int = FOLDS) -> Any:
    """The fold of each text: whole groups (writers), the largest first, each to the fold that has least."""
    names, sizes = np.unique(np.array(groups), return_counts=True)
    count = min(count, len(names))
    filled = [0] * count
    fold_of = {}
    for size, name in sorted(zip(-sizes, names, strict=True)):
        fold = filled.index(min(filled))
        fold_of[name] = fold
        filled[fold] -= size
    return np.array([fold_of[group] for group in groups])


def fitted(
    space: Space, found: Sequence[Features], wanted: Any, by: Fit, strength: float, ys: Any = None, share: float = 0.0
) -> tuple[Floats, Floats]:
    """Weights and bias of what is `wanted`; `by`: `fit_all` or `ridge`, with its `strength`.

    Beside it so large a `share` of what counting alone says of the labels `ys`: what is fitted leans on few features,
    and each that was met counts in the other. Together they err less than either.
    """
    x = space.matrix(found)
    weights, bias = by(x, wanted, strength)
    if share:
        ratios = space.log_ratios(x, ys)
        # What stands in every text tells nothing, and has the factor 0.
        weights = weights + share * np.divide(ratios, space.factor, out=np.zeros_like(ratios), where=space.factor > 0)
    return weights, bias


def held_back(
    found: list[Features], wanted: Any, by: Fit, strength: float, fold: Any, *, ys: Any = None, share: float = 0.0,
    **space_options: Any,
) -> Floats:  # fmt: skip
    """Each text's scores by a model, `fitted` in this way, that saw nothing of its fold."""
    scores = np.zeros(wanted.shape)
    for number in range(fold.max() + 1):
        seen, others = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if not len(others):
            continue
        of_seen = [found[i] for i in seen]
        space = Space(of_seen, **space_options)
        weights, bias = fitted(space, of_seen, wanted[seen], by, strength, ys[seen] if share else None, share)
        scores[others] = space.matrix([found[i] for i in others]) @ weights.T + bias
    return scores


def calibrated(scores: Floats, ys: Any, *, together: bool = False) -> tuple[list[float], list[float], Floats]:
    """Slope and offset of each head (`together`: the same for all), and the probabilities they give."""
    slopes, offsets = [], []
    for of in [slice(None)] if together else [[head] for head in range(ys.shape[1])]:
        model = LogisticRegression(C=1e4, max_iter=1000).fit(scores[:, of].reshape(-1, 1), ys[:, of].ravel())
        slopes.append(round(float(model.coef_[0][0]), 6))
        offsets.append(round(float(model.intercept_[0]), 6))
    if together:
        slopes, offsets = slopes * ys.shape[1], offsets * ys.shape[1]
    return slopes, offsets, 1 / (1 + np.exp(-(scores * slopes + offsets)))


def unseen(posts: list[Labelled]) -> list[Understanding]:
    """What a model says that has not seen a post's writer: kinds, themes and patient_exposed of such a one."""
    reader = Reader.load(packaged_config())
    found = [reader.read(post.text).features for post in posts]
    fold = folds([post.writer for post in posts])
    said: dict[int, Understanding] = {}
    for number in range(fold.max() + 1):
        seen = [i for i in range(len(posts)) if fold[i] != number]
        given = ([posts[i] for i in seen], [found[i] for i in seen], fold[seen])
        banks = dict(read(WEIGHTS)) | {"kinds": kinds(*given), "themes": themes(*given)}
        banks["patient_exposed"] = patient_exposed(*given)
        judge = Understander(reader, banks)
        said |= {i: judge.understand(posts[i].text) for i in range(len(posts)) if fold[i] == number}
    return [said[i] for i in range(len(posts))]


# --- the banks -------------------------------------------------------------------------------------------------------


def labels(posts: Sequence[Labelled], names: Sequence[str], of: Callable[[Labelled], Sequence[str]]) -> Any:
    return np.array([[name in of(post) for name in names] for post in posts])


def kinds(posts: list[Labelled], found: list[Features], fold: Any) -> Bank:
    names = [kind.value for kind in Kind]
    ys = labels(posts, names, lambda post: post.kinds)
    scores = held_back(found, ys, ridge, KINDS_RIDGE, fold, ys=ys, share=KINDS_COUNTED, **KINDS_SPACE)
    slope, offset, chances = calibrated(scores, ys)
    thresholds = [round(float(best_threshold(ys[:, head], chances[:, head])), 4) for head in range(len(names))]
    each = [f1(ys[:, head], chances[:, head] >= thresholds[head]) for head in range(len(names))]
    tell("kinds, each by itself", {**dict(zip(names, each, strict=True)), "macro": float(np.mean(each))})
    space = Space(found, **KINDS_SPACE)
    about = {"slope": slope, "offset": offset, "threshold": thresholds}
    return space.bank(names, *fitted(space, found, ys, ridge, KINDS_RIDGE, ys, KINDS_COUNTED), about)


def themes(posts: list[Labelled], found: list[Features], fold: Any) -> Bank:
    having = [i for i, post in enumerate(posts) if post.themes]
    posts, found, fold = [posts[i] for i in having], [found[i] for i in having], fold[having]
    names = sorted({theme for post in posts for theme in post.themes})
    ys = labels(posts, names, lambda post: post.themes)
    firsts = labels(posts, names, lambda post: post.themes[:1])
    wanted = np.where(firsts, 1.0, np.where(ys, SECOND, 0.0))
    scores = held_back(found, wanted, ridge, THEMES_RIDGE, fold, ys=ys, share=THEMES_COUNTED, **THEMES_SPACE)
    # One slope and one offset for all, so that the theme with the highest score has the highest chance.
    slope, offset, chances = calibrated(scores, ys, together=True)
    thresholds = [round(float(best_threshold(ys[:, head], chances[:, head])), 4) for head in range(len(names))]
    main = [post.themes[0] for post in posts]
    best = [names[i] for i in scores.argmax(axis=1)]
    right = float(np.mean([a == b for a, b in zip(best, main, strict=True)]))
    among = float(np.mean([a in post.themes for a, post in zip(best, posts, strict=True)]))
    tell("main theme", {"right": right, "among the right ones": among})
    space = Space(found, **THEMES_SPACE)
    about = {"slope": slope, "offset": offset, "threshold": thresholds}
    return space.bank(names, *fitted(space, found, wanted, ridge, THEMES_RIDGE, ys, THEMES_COUNTED), about)


def patient_exposed(posts: list[Labelled], found: list[Features], fold: Any) -> Bank:
    ys = np.array([[post.patient_exposed] for post in posts])
    slope, offset, chances = calibrated(held_back(found, ys, ridge, EXPOSED_RIDGE, fold, **EXPOSED_SPACE), ys)
    cut = float(np.quantile(chances[ys], 1 - EXPOSED_RECALL))
    over = chances[:, 0] >= cut
    tell("patient_exposed", {"recall": EXPOSED_RECALL, "precision": float(ys[over].mean())})
    space = Space(found, **EXPOSED_SPACE)
    about = {"slope": slope, "offset": cut_at_half(offset, cut)}
    return space.bank(["patient_exposed"], *ridge(space.matrix(found), ys, EXPOSED_RIDGE), about)


def request(texts: list[str], ys: list[bool], reader: Reader) -> Bank:
    found = [reader.read(text).features for text in texts]
    wanted = np.array([[y] for y in ys])
    # What is cut is of the same events as these: messages that lie side by side go to different folds.
    fold = np.arange(len(texts)) % FOLDS
    by = (fit_all, REQUEST_C)
    slope, offset, chances = calibrated(
        held_back(found, wanted, *by, fold, ys=wanted, share=REQUEST_COUNTED, rare=True), wanted
    )
    cut = float(best_threshold(wanted[:, 0], chances[:, 0]))
    tell("request", {"f1": f1(wanted[:, 0], chances[:, 0] >= cut)})
    space = Space(found, rare=True)
    return space.bank(
        ["request"],
        *fitted(space, found, wanted, *by, wanted, REQUEST_COUNTED),
        {"slope": slope, "offset": cut_at_half(offset, cut)},
    )


def cut_at_half(offset: list[float], cut: float) -> list[float]:
    """So that what had the probability `cut` has 0.5."""
    return [round(offset[0] - float(np.log(cut / (1 - cut))), 6)]


def stance(
    posts: list[Labelled], found: list[Features], fold: Any, texts: list[str], ys: list[str], reader: Reader
) -> Bank:
    """Two that each know one sort of text, posts and reviews, and one that says which of them this is."""
    more = [reader.read(text).features for text in texts]
    ours = labels(posts, STANCES, lambda post: (post.stance,))
    theirs = np.array([[y == stance for stance in STANCES] for y in ys])
    side_by_side = np.arange(len(more)) * FOLDS // len(more)
    for name, of, wanted, c, counted, by in (
        ("ours", found, ours, OURS_C, 0.0, fold),
        ("NoReC", more, theirs, REVIEWS_C, REVIEWS_COUNTED, side_by_side),
    ):
        got = held_back(of, wanted, fit_all, c, by, ys=wanted, share=counted, **STANCE_SPACE).argmax(axis=1)
        tell(f"stance, {name}", {"macro f1": macro(wanted.argmax(axis=1), got, len(STANCES))})
    space = Space([*found, *more], **STANCE_SPACE)
    x_ours, x_theirs = space.matrix(found), space.matrix(more)
    is_review = np.arange(len(found) + len(more))[:, None] >= len(found)
    fits = (
        fit_all(x_ours, ours, OURS_C),
        fitted(space, more, theirs, fit_all, REVIEWS_C, theirs, REVIEWS_COUNTED),
        fit_all(sparse.vstack([x_ours, x_theirs]), is_review, 4),
    )
    heads = [*STANCES, *(f"review {stance}" for stance in STANCES), "is review"]
    return space.bank(heads, np.vstack([w for w, _ in fits]), np.concatenate([b for _, b in fits]), {})


def language(posts: list[Labelled], folder: Path, reader: Reader) -> Bank:
    texts, langs = [], []
    for lang in LANGUAGES:
        path = folder / f"{lang}.txt"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            texts += lines
            langs += [lang] * len(lines)
    texts += [post.text for post in posts]
    langs += [LANGUAGE_OF.get(post.lang, post.lang) for post in posts]
    found = [reader.read(text).features for text in texts]
    ys = np.array([[lang == name for name in LANGUAGES] for lang in langs])
    space = Space(found, ("words", "letters"), enough=6, shares=SHARES | {"words": 2.0})
    weights, bias = fit_all(space.matrix(found), ys, 6, 0.1)
    # What was fitted leans on few features; how often each is met in a language weighs all of them. Together they err
    # half as often on short texts as each alone.
    weights += COUNTS * space.log_odds(found, ys) / space.factor
    return space.bank(LANGUAGES, weights, bias + [LANGUAGE_BIAS[lang] for lang in LANGUAGES], {}, pruned=30)


def tell(what: str, scores: dict[str, float]) -> None:
    print(f"{what:28} " + "  ".join(f"{name} {score:.3f}" for name, score in scores.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="folder of w*.jsonl")
    given = os.environ.get("LYTTEPOST_EVALUATION_DATA")
    parser.add_argument(
        "--evaluation", type=Path, default=Path(given) if given else None, help="folder of outside data"
    )
    parser.add_argument("--languages", type=Path, help="folder of texts, one file a language")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--only", nargs="*", help="only these banks; the others are kept")
    options = parser.parse_args()
    began = monotonic()
    reader = Reader.load(packaged_config())
    posts = corpus(options.corpus)
    print(f"{len(posts)} posts of {len({post.writer for post in posts})} writers; scores are of folds over writers")
    banks = dict(read(options.out)) if options.out.exists() else {}
    found = [reader.read(post.text).features for post in posts]
    fold = folds([post.writer for post in posts])
    make: dict[str, Callable[[], Bank]] = {
        "kinds": lambda: kinds(posts, found, fold),
        "themes": lambda: themes(posts, found, fold),
        "patient_exposed": lambda: patient_exposed(posts, found, fold),
    }
    if options.evaluation:
        make["stance"] = lambda: stance(posts, found, fold, *opinions(options.evaluation, "train"), reader)
        make["request"] = lambda: request(*requests(options.evaluation, "train"), reader)
    if options.languages:
        make["language"] = lambda: language(posts, options.languages, reader)
    for name, trained in make.items():
        if not options.only or name in options.only:
            banks[name] = trained()
            write(options.out, banks)
            print(
                f"{name}: {sum(len(b.keys) for b in banks[name].blocks.values())} features, {monotonic() - began:.0f} s"
            )
    print(f"{options.out}: {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
