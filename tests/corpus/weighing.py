"""How much each tier counts: what the encoder says of a text, weighed against what the default tier says of it.

Found on posts whose writers neither has seen; `tests.corpus.train_better` asks for it and keeps it beside the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from alerts.annotate.understanding import STANCES, Reader
from alerts.annotate.weights import Bank, Scorer
from listener.model.records import Kind
from listener.settings.files import packaged_config
from tests.corpus import train
from tests.corpus.data import Labelled
from tests.corpus.scores import best_threshold, f1, macro

EXPOSED_RECALL = 0.97
"""Of the posts that name a patient, so many are to be above 0.5 in the folds."""
FEWEST_SHOWN = 150
"""Of fewer such posts nothing is concluded for `patient_exposed`: a single one would move the cut."""
RATIOS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0)
"""What may be tried: how much the default tier's log odds count beside the encoder's."""
REVIEWS_RATIO, REVIEWS_OFFSET = 0.5, (0.5, 0.0, 0.0)
"""Of the stance of reviews; the default tier has seen them all. Chosen on NoReC's dev part: negative ones are rare."""
KINDS = [kind.value for kind in Kind]


def default_odds(posts: list[Labelled], seen: list[int], others: list[int]) -> dict[str, Any]:
    """What a default tier says of `others` that has seen only `seen`: log odds."""
    reader = Reader.load(packaged_config())
    found = [reader.read(post.text).features for post in posts]
    fold = train.folds([post.writer for post in posts])
    given = ([posts[i] for i in seen], [found[i] for i in seen], fold[seen])
    banks: dict[str, Bank] = {"kinds": train.kinds(*given), "themes": train.themes(*given)}
    banks["patient_exposed"] = train.patient_exposed(*given)
    space = train.Space(given[1], rare=True)
    stances = train.labels(given[0], STANCES, lambda post: (post.stance,))
    banks["stance"] = space.bank(STANCES, *train.fit_all(space.matrix(given[1]), stances, train.OURS_C), {})
    return odds(banks, [found[i] for i in others])


def odds(banks: dict[str, Bank], found: Sequence[Any]) -> dict[str, Any]:
    scorer = Scorer(banks)
    scores = np.concatenate([scorer.scores(scorer.rows([each])) for each in found])
    return {
        name: scores[:, scorer.places[name]] * bank.about.get("slope", 1.0) + bank.about.get("offset", 0.0)
        for name, bank in banks.items()
    }


def together(posts: list[Labelled], ours: dict[str, Any], theirs: dict[str, Any], labels: Any) -> dict[str, Any]:
    """How much each tier counts, and thresholds, from posts whose writers neither has seen.

    `ours`: what the encoder says; `theirs`: the default tier's log odds.
    """
    found: dict[str, Any] = {}
    wanted = train.labels(posts, KINDS, lambda post: post.kinds)

    def kinds_by(ratio: float) -> tuple[Any, ...]:
        return train.calibrated(ours["kinds"] + ratio * theirs["kinds"], wanted)

    ratio = min(RATIOS, key=lambda ratio: -_likely(kinds_by(ratio)[2], wanted))
    slope, offset, chances = kinds_by(ratio)
    for name, by in (("encoder alone", kinds_by(0)[2]), ("together", chances)):
        each = [f1(wanted[:, k], by[:, k] >= best_threshold(wanted[:, k], by[:, k])) for k in range(len(KINDS))]
        train.tell(f"kinds, {name}", dict(zip(KINDS, each, strict=True)) | {"macro": float(np.mean(each))})
    # Where chances hold, F1 is best from half of itself on: that is steadier than the best of a few hundred posts.
    found["kinds"] = _part(KINDS, ratio, slope, offset) | {"threshold": [round(best / 2, 4) for best in each]}

    having = [i for i, post in enumerate(posts) if post.themes]
    first = np.array([labels["themes"].index(posts[i].themes[0]) for i in having])
    wanted = train.labels([posts[i] for i in having], labels["themes"], lambda post: post.themes)
    a, b = ours["themes"][having], theirs["themes"][having]
    right = {ratio: float(np.mean((a + ratio * b).argmax(axis=1) == first)) for ratio in RATIOS}
    train.tell("main theme, by ratio", {str(ratio): right[ratio] for ratio in RATIOS})
    ratio = max(RATIOS, key=lambda ratio: right[ratio])
    slope, offset, chances = train.calibrated((a + ratio * b).reshape(-1, 1), wanted.reshape(-1, 1))
    count = len(labels["themes"])
    threshold = round(best_threshold(wanted.ravel(), chances.ravel()), 4)
    found["themes"] = _part(labels["themes"], ratio, slope * count, offset * count) | {"threshold": [threshold] * count}

    shown = np.array([post.patient_exposed for post in posts])
    if shown.sum() >= FEWEST_SHOWN:
        found["patient_exposed"] = _shown(shown, ours["patient_exposed"], theirs["patient_exposed"])

    stances = np.array([STANCES.index(post.stance) for post in posts])
    by = {ratio: ours["stance"][:, :3] + ratio * theirs["stance"] for ratio in RATIOS}
    right = {ratio: macro(stances, by[ratio].argmax(axis=1), 3) for ratio in RATIOS}
    train.tell("stance, macro F1 by ratio", {str(ratio): right[ratio] for ratio in RATIOS})
    ratio = max(RATIOS, key=lambda ratio: right[ratio])
    found["stance"] = _part(labels["stance"], ratio, [1.0] * 6, [0.0] * 3 + list(REVIEWS_OFFSET))
    found["stance"]["own"][3:] = [REVIEWS_RATIO] * 3
    return found


def _shown(shown: Any, ours: Any, theirs: Any) -> dict[str, Any]:
    """The same for `patient_exposed`; `shown`: which posts it holds of."""
    by = {ratio: (ours + ratio * theirs)[:, 0] for ratio in RATIOS}
    cuts = {ratio: float(np.quantile(by[ratio][shown], 1 - EXPOSED_RECALL)) for ratio in RATIOS}
    sure = {ratio: float(shown[by[ratio] >= cuts[ratio]].mean()) for ratio in RATIOS}
    train.tell(f"patient_exposed, precision at {EXPOSED_RECALL}", {str(ratio): sure[ratio] for ratio in RATIOS})
    ratio = max(RATIOS, key=lambda ratio: sure[ratio])
    fitted = LogisticRegression(C=1e4).fit(by[ratio][:, None], shown)
    slope = round(float(fitted.coef_[0][0]), 6)
    return _part(["patient_exposed"], ratio, [slope], [round(-slope * cuts[ratio], 6)])


def requests_together(messages: Sequence[tuple[str, bool]], apart: Any, ours: Any) -> dict[str, Any]:
    """How much each tier counts for `request`, by the messages `apart`, on which neither is trained.

    `ours`: what the encoder says of these.
    """
    there = set(apart.tolist())
    reader = Reader.load(packaged_config())
    texts, ys = zip(*(message for number, message in enumerate(messages) if number not in there), strict=True)
    bank = train.request(list(texts), list(ys), reader)
    theirs = odds({"request": bank}, [reader.read(messages[number][0]).features for number in apart.tolist()])
    wanted = np.array([messages[number][1] for number in apart.tolist()])
    both = np.column_stack([theirs["request"], ours])
    fitted = LogisticRegression(C=1e4).fit(both, wanted)
    chances = fitted.predict_proba(both)[:, 1]
    best = {
        name: f1(wanted, by >= best_threshold(wanted, by))
        for name, by in (("default tier", both[:, 0]), ("encoder alone", both[:, 1]), ("together", chances))
    }
    train.tell("request, f1", best)
    own, slope = fitted.coef_[0].round(6).tolist()
    intercept = fitted.intercept_.tolist()
    return {
        "labels": ["request"],
        "own": [own],
        "slope": [slope],
        "offset": train.cut_at_half(intercept, best["together"] / 2),
    }


def _likely(chances: Any, wanted: Any) -> float:
    return float(np.log(np.where(wanted, chances, 1 - chances).clip(1e-6)).mean())


def _part(labels: Sequence[str], ratio: float, slope: Sequence[float], offset: Sequence[float]) -> dict[str, Any]:
    own = [round(ratio * each, 6) for each in slope]
    return {"labels": list(labels), "own": own, "slope": list(slope), "offset": list(offset)}
