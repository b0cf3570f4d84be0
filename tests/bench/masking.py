"""How many numbers, addresses and names of people get through the privacy screen, by kind and form; and what it costs.

    python -m tests.bench.masking [--seed 1] [--half tune|held|all] [--each 12] [--against CHECKOUT] [--speed]
                                  [--show KIND]

The forms are those of `tests.bench.mask_forms`. A form leaks when so much of the secret is left that a person can be
found: six of a number's digits in a row, read as an eye reads them; an address's part before the @; a name. Innocent
numbers lead to no person and must stay as they are. `--against` runs the same forms, and the same ordinary posts for
the cost, through another checkout: in processes of their own that take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from listener.model.records import Origin, Post
from listener.privacy.screen import Screen
from listener.settings.files import packaged_config
from tests.bench.mask_forms import HALVES, Form, forms

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
KEY = bytes(range(32))
RUN = 6
"""Digits in a row that lead to a number."""


# --- what is left ----------------------------------------------------------------------------------------------------

_READ = str.maketrans("OoIl", "0011")
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe0f\u20e3\ufeff]")
_PSEUDONYM = re.compile(r"p_[a-z2-7]{16}|‹[^›]*›")


def leaks(form: Form, left: str) -> bool:
    """So much of the secret is left that a person can be found. Of an innocent one: something of it is gone."""
    if form.kind == "innocent":
        return form.secret not in left
    if form.name == "said":
        return "‹tlf›" not in left
    left = unicodedata.normalize("NFKC", _UNSEEN.sub("", _PSEUDONYM.sub("‹›", left)))
    if form.kind in ("email", "handle"):
        return form.secret.casefold() in left.casefold()
    secret = form.secret.translate(_READ)
    digits = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in _digits(left))
    return any(secret[i : i + RUN] in digits for i in range(len(secret) - RUN + 1))


def _digits(text: str) -> str:
    """The digits of a text as an eye reads them, with a bar where something was taken out."""
    text = re.sub(r"(?<=[\dOoIl])[OoIl]|[OoIl](?=[\dOoIl]*\d)", lambda m: m[0].translate(_READ), text)
    return re.sub(r"[^\d‹]", "", text)


def screen_posts(texts: Sequence[str]) -> list[str]:
    screen = Screen(KEY, {})
    return [_mention(screen, number, text) for number, text in enumerate(texts)]


def _mention(screen: Screen, number: int, text: str) -> str:
    post = Post(source="x", id=str(number), at=NOW, text=text)
    return screen.mention(post, incidents={"a": ("b",)}, origin=Origin.LIVE, captured_at=NOW, exercise=False).text


def tally(made: Sequence[Form], left: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Kind → (leaks or false masks, forms)."""
    bad, all_ = Counter[str](), Counter[str]()
    for form, text in zip(made, left, strict=True):
        all_[form.kind] += 1
        bad[form.kind] += leaks(form, text)
    return {kind: (bad[kind], count) for kind, count in sorted(all_.items())}


# --- what it costs ---------------------------------------------------------------------------------------------------


def ordinary() -> list[str]:
    """Texts as people write them: the demonstration's."""
    recording = next((packaged_config() / "demo").glob("*.jsonl*"))
    lines = recording.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["data"]["text"] for line in lines if line.startswith('{"data"')]


def cost(texts: Sequence[str]) -> float:
    """µs of CPU a post, in `Screen.mention`."""
    screen = Screen(KEY, {})
    posts = [Post(source="x", id=str(number), at=NOW, text=text) for number, text in enumerate(texts)]
    began = time.process_time()
    for post in posts:
        screen.mention(post, incidents={"a": ("b",)}, origin=Origin.LIVE, captured_at=NOW, exercise=False)
    return (time.process_time() - began) / len(posts) * 1e6


CHILD = """
import sys
here, checkout = sys.argv[1:]
import listener, listener.privacy.screen
assert listener.__file__.startswith(checkout)
sys.path.insert(0, here)
from tests.bench.masking import serve
serve()
"""
"""Our forms and our clock, with the other checkout's screen."""


class _Child:
    """A process with one checkout's code, which screens or times what it is asked to."""

    def __init__(self, checkout: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(ROOT), str(checkout)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout)},
        )  # fmt: skip

    def ask(self, what: str, texts: Sequence[str]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([what, list(texts)]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def serve() -> None:
    for line in sys.stdin:
        what, texts = json.loads(line)
        sys.stdout.write(json.dumps(cost(texts) if what == "cost" else screen_posts(texts)) + "\n")
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--half", choices=HALVES, default="held")
    parser.add_argument("--each", type=int, default=12, help="how often each form is made")
    parser.add_argument("--against", type=Path, help="another checkout, measured beside this one")
    parser.add_argument("--speed", action="store_true", help="what ordinary posts cost, in pairs")
    parser.add_argument("--show", default="", help="print those of this kind that are wrong")
    asked = parser.parse_args()
    made = list(forms(asked.seed, asked.half, asked.each))
    checkouts = {"here": ROOT, **({"there": asked.against.resolve()} if asked.against else {})}
    children = {name: _Child(path) for name, path in checkouts.items()}
    _report(made, {name: child.ask("screen", [form.text for form in made]) for name, child in children.items()})
    if asked.speed:
        texts = ordinary()
        times: dict[str, list[float]] = {name: [] for name in children}
        for number in range(61):
            for name, child in list(children.items())[:: 1 if number % 2 else -1]:
                times[name].append(child.ask("cost", texts))
        print(
            f"{len(texts)} ordinary posts, µs a post: "
            + ", ".join(f"{n} {median(t):.1f} (least {min(t):.1f})" for n, t in times.items())
        )
        if "there" in times:
            pairs = sorted(a / b for a, b in zip(times["here"], times["there"], strict=True))
            tenth = len(pairs) // 10
            said = f"{median(pairs):.3f} ({pairs[tenth]:.3f} to {pairs[-1 - tenth]:.3f})"
            print(f"here against there, in pairs: {said}")
    left = screen_posts([form.text for form in made])
    for form, text in zip(made, left, strict=True):
        if form.kind == asked.show and leaks(form, text):
            print(f"{form.name:24} {form.text!r} -> {text!r}")
    for child in children.values():
        child.close()


def _report(made: Sequence[Form], lefts: dict[str, list[str]]) -> None:
    names = sorted({(form.kind, form.name) for form in made})
    for kind in sorted({form.kind for form in made}):
        total = sum(form.kind == kind for form in made)
        said = ", ".join(f"{name} {tally(made, left)[kind][0]}" for name, left in lefts.items())
        print(f"{kind:10} {said} of {total}")
        for name in (name for of, name in names if of == kind) if kind in ("identity", "phone", "innocent") else ():
            those = [number for number, form in enumerate(made) if (form.kind, form.name) == (kind, name)]
            bad = [f"{side} {sum(leaks(made[i], left[i]) for i in those)}" for side, left in lefts.items()]
            if not name.startswith("6") and not all(each.endswith(" 0") for each in bad):
                print(f"    {name:20} {', '.join(bad)} of {len(those)}")


if __name__ == "__main__":
    main()
