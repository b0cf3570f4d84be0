"""What a hospital's own corrections teach the model: small changes of its weights, kept where they are for the better.

A lesson is a post whose kinds and themes a person gave. Beside the lessons stand *anchors*: posts that nobody
corrected, with what the model says of them, so that it goes on saying so. For each head (a kind, a theme) the change
is the smallest that brings lessons to the right side of the head's threshold: a ridge-penalised logistic regression
whose offset is the model's own score, solved in the span of the posts, of which there are few.

Whether it is for the better is asked of lessons that were not learned from: they are dealt into folds by story, so that
copies stand together, and each fold is judged by what the others teach.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.annotate.features import Features
from alerts.annotate.understanding import Reader, Understander
from alerts.annotate.weights import BLOCKS, Bank, Block, Floats, Keys, Scorer, quantized, share
from listener.model.records import AuthorClass, Kind

BANKS = ("kinds", "themes")
FEWEST = 10
"""Lessons: of fewer nothing is learned."""
MOST = 500
"""Lessons, and as many anchors: the newest."""
FOLDS = 5
RIDGE = 20.0
"""Chosen on 400 posts of two writers that the model had not seen (kinds right 286 → 289, main theme 224 → 225); with
less it learns them by heart, and others are taken for something else. On 400 of two others: 284 → 287, 246 → 240."""
FAITHFUL = 0.8
"""Of the anchors that were not learned from, so many must keep their kinds and their main theme."""
BLOCK_SHARES: Mapping[str, float] = {"words": 1.0, "letters": 1.0, "cues": 0.2}
"""How freely the weights of a block may change."""
STEPS = 12
_CHUNK = 4096
_EDGE = 0.25
"""Log odds beyond the threshold that are asked of a lesson."""


class Lesson(NamedTuple):
    """A post and what it is to be taken for. `story`: copies have the same one."""

    text: str
    kinds: tuple[Kind, ...]
    themes: tuple[str, ...]
    story: str


@dataclass(frozen=True)
class Outcome:
    """How many lessons the model gets right without having learned from them: before, and after the others taught it.

    `kept`: the share of the anchors, not learned from, of which it says what it said before.
    """

    lessons: int
    kinds_before: int
    kinds_after: int
    themes_before: int
    themes_after: int
    kept: float

    @property
    def worse(self) -> str | None:
        """Why the change is refused; None where it is for the better, or as good."""
        if self.kinds_after < self.kinds_before:
            return "kinds would be right less often than now"
        if self.themes_after < self.themes_before:
            return "main themes would be right less often than now"
        if self.kept < FAITHFUL:
            return f"of the posts that nobody corrected, {1 - self.kept:.0%} would be taken for something else"
        if (self.kinds_after, self.themes_after) == (self.kinds_before, self.themes_before):
            return "nothing would be right more often than now"
        return None


def learn(
    reader: Reader, banks: Mapping[str, Bank], lessons: Sequence[Lesson], anchors: Sequence[Lesson]
) -> tuple[Mapping[str, Bank], Outcome]:
    """The banks as the lessons change them, and what that is worth. Raises ValueError where lessons are too few.

    `anchors`: posts that nobody corrected, with what the model says of them now.
    """
    if len(lessons) < FEWEST:
        raise ValueError(f"there are {len(lessons)} corrections to learn from, and it takes {FEWEST}")
    class_ = _Lessons(reader, banks, [*lessons[-MOST:], *anchors[-MOST:]], min(len(lessons), MOST))
    return class_.changed(np.ones(len(class_.posts), bool)), class_.outcome()


class _Lessons:
    """The posts, their features, how alike they are, and what the model says of them before it learns."""

    def __init__(self, reader: Reader, banks: Mapping[str, Bank], posts: Sequence[Lesson], lessons: int) -> None:
        self._reader = reader
        self._banks = banks
        self.posts = posts
        self._is_lesson = np.arange(len(posts)) < lessons
        self._found = [reader.read(post.text).features for post in posts]
        self._alike = _alike(self._found)
        scorer = Scorer(banks)
        self._scores = np.concatenate([scorer.scores(scorer.rows([each])) for each in self._found])
        self._places = scorer.places

    def outcome(self) -> Outcome:
        before = Understander(self._reader, self._banks)
        counts = np.zeros(4, int)  # as `Outcome` names them
        kept: list[bool] = []
        fold_of = _dealt([post.story for post in self.posts])
        for fold in range(FOLDS):
            others = fold_of != fold
            if others.all():
                continue
            after = Understander(self._reader, self.changed(others))
            here = np.flatnonzero(~others).tolist()
            for model in (before, after):
                model.read_ahead((self.posts[number].text, AuthorClass.UNKNOWN) for number in here)
            for number in here:
                post = self.posts[number]
                old, new = before.understand(post.text), after.understand(post.text)
                if self._is_lesson[number]:
                    counts += [
                        old.labels == post.kinds,
                        new.labels == post.kinds,
                        old.themes[:1] == post.themes[:1],
                        new.themes[:1] == post.themes[:1],
                    ]
                else:
                    kept.append(old.labels == new.labels and old.themes[:1] == new.themes[:1])
        kinds_before, kinds_after, themes_before, themes_after = counts.tolist()
        return Outcome(
            lessons=int(self._is_lesson.sum()),
            kinds_before=kinds_before,
            kinds_after=kinds_after,
            themes_before=themes_before,
            themes_after=themes_after,
            kept=float(np.mean(kept)) if kept else 1.0,
        )

    def changed(self, used: NDArray[np.bool_]) -> Mapping[str, Bank]:
        """The banks as these posts change them; as they are where there is no lesson among them."""
        if not self._is_lesson[used].any():
            return self._banks
        return {name: self._bank(name, bank, used) if name in BANKS else bank for name, bank in self._banks.items()}

    def _bank(self, name: str, bank: Bank, used: NDArray[np.bool_]) -> Bank:
        rows = np.flatnonzero(used).tolist()
        scores = self._scores[used, self._places[name]]
        slope, offset = _numbers(bank, "slope", 1.0), _numbers(bank, "offset", 0.0)
        threshold = np.clip(_numbers(bank, "threshold", 0.5), 1e-3, 1 - 1e-3)
        edge = np.log(threshold / (1 - threshold))
        alike = self._alike[used][:, used]
        # About the mean of the anchors: what all posts have in common is to move nobody's score.
        usual = ~self._is_lesson[rows] / max(1, int((~self._is_lesson[rows]).sum()))
        apart = alike - alike @ usual - (alike @ usual)[:, None] + usual @ alike @ usual
        moved = np.zeros((len(rows), len(bank.heads)))
        for head, label in enumerate(bank.heads):
            wanted = np.array([_has(self.posts[row], name, label) for row in rows])
            begin = slope[head] * scores[:, head] + offset[head] - edge[head]
            moved[:, head] = _coefficients(apart * slope[head], begin, wanted)
        moved -= usual[:, None] * moved.sum(axis=0)
        return _moved(bank, [self._found[row] for row in rows], moved, -(usual @ alike @ moved))


def _has(post: Lesson, bank: str, label: str) -> bool:
    return label in (post.kinds if bank == "kinds" else post.themes)


def _coefficients(alike: Floats, begin: Floats, wanted: NDArray[np.bool_]) -> Floats:
    """How much of each post is added to a head: Newton's method on the penalised loss; none where all is well."""
    signs = np.where(wanted, 1.0, -1.0)
    asked = begin - _EDGE * signs
    if not np.any(signs * asked < 0):
        return np.zeros(len(begin))
    alpha = np.zeros(len(begin))
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(asked + alike @ alpha, -30, 30)))
        curve = chance * (1 - chance)
        slope = chance - wanted
        # (curve·K + ridge) step = slope + ridge·alpha
        step = np.linalg.solve(curve[:, None] * alike + RIDGE * np.eye(len(alpha)), slope + RIDGE * alpha)
        alpha = alpha - step
        if np.abs(step).max() < 1e-6:
            break
    return alpha


def _moved(bank: Bank, found: Sequence[Features], coefficients: Floats, bias: Floats) -> Bank:
    """The bank with so much of each post added to each head, and so much to its bias."""
    blocks: dict[str, Block] = {}
    for block in BLOCKS:
        known = bank.blocks[block]
        keys, rows, values = _entries(found, block)
        every = np.union1d(known.keys, keys).astype(np.uint32)
        weights = np.zeros((len(every), len(bank.heads)))
        weights[np.searchsorted(every, known.keys)] = known.weights * known.scale
        places = np.searchsorted(every, keys)
        for head in np.flatnonzero(np.abs(coefficients).max(axis=0, initial=0.0)):
            added = BLOCK_SHARES[block] * values * coefficients[rows, head]
            weights[:, head] += np.bincount(places, added, len(every))
        whole, scale = quantized(weights)
        kept = whole.any(axis=1)
        blocks[block] = Block(every[kept], whole[kept], scale)
    return Bank(bank.heads, bank.bias + bias, blocks, bank.about)


def _entries(found: Sequence[Features], block: str) -> tuple[Keys, NDArray[np.int64], Floats]:
    """Hash, post and value of all that the posts have in a block; what stands twice counts twice, as in scoring."""
    hashes = [getattr(each, block) for each in found]
    rows = np.repeat(np.arange(len(found)), [len(each) for each in hashes])
    values = [np.full(len(each), 1 / share(block, max(1, len(each)))) for each in hashes]
    return np.concatenate(hashes), rows, np.concatenate(values)


def _alike(found: Sequence[Features]) -> Floats:
    """Posts by posts: what adding one of each to the weights adds to the score of the other."""
    total = np.zeros((len(found), len(found)))
    for block in BLOCKS:
        keys, rows, values = _entries(found, block)
        for chunk in _columns(keys, rows, values, len(found)):
            total += BLOCK_SHARES[block] * (chunk @ chunk.T)
    return total


def _columns(keys: Keys, rows: NDArray[np.int64], values: Floats, count: int) -> Iterator[Floats]:
    """The posts' values, some columns at a time."""
    unique, places = np.unique(keys, return_inverse=True)
    for begin in range(0, len(unique), _CHUNK):
        here = (places >= begin) & (places < begin + _CHUNK)
        chunk = np.zeros((count, min(_CHUNK, len(unique) - begin)))
        np.add.at(chunk, (rows[here], places[here] - begin), values[here])
        yield chunk


def _dealt(stories: Sequence[str]) -> NDArray[np.int64]:
    """The fold of each post: stories in the order of their names, which say nothing of what they hold."""
    folds = {story: number % FOLDS for number, story in enumerate(sorted(set(stories)))}
    return np.array([folds[story] for story in stories])


def _numbers(bank: Bank, what: str, otherwise: float) -> Any:
    return np.array(bank.about.get(what, [otherwise] * len(bank.heads)), np.float64)
