"""How many posts a second the whole pipeline takes in, from a line of a recording to the alert, and in how much memory.

    python -m tests.bench.replay_throughput [--posts 200000] [--reposts 0.3] [--seed 1]

The posts are made up here, the same ones for the same seed: a fire at a hospital that does not exist, some two thirds
of them about it, in bokmål, nynorsk and English, with links, hashtags, emoji and numbers among them. `--reposts` is the
share that repeats an earlier post word for word; nothing is gained by repeats at 0.

`lyttepost replay` plays them in a process of its own, its start included. Machines and their other work differ, so it
is set against the least that any such program does: a loop over the same lines that parses each and makes a `Post` of
it, run before and after. `times` is the processor time of the first over that of the second.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from pydantic_core import from_json

from listener.model.records import Author, Post
from tests.bench.leftovers import nothing_left

ROOT = Path(__file__).parents[2]
TRACKS = ("fjordby*", "#fjordbybrannen", "sykehuset")
START = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
POSTS_A_SECOND = 20
"""In recorded time."""
RECENT = 300
"""Posts that may still be reposted."""

OPENINGS = (
    "Kan dere", "Vet noen om", "Noen burde", "Er det sant at", "Jeg ser at", "Står ved inngangen,", "Tusen takk til",
    "For en skandale,", "Noen sier at", "Eg lurer på om", "Kvifor er det ikkje", "Dei bør", "Does anyone know if",
    "Please send", "Hørte akkurat at", "Fjordbyposten:", "Vi trenger", "Håper at", "Ikke til å tro,", "Kor er",
)  # fmt: skip
ABOUT = ("på sykehuset", "ved Fjordby universitetssykehus", "i Fjordby", "#fjordbybrannen", "at sykehuset in Fjordby")
ASIDE = ("i byen i dag", "på skolen", "hjemme hos oss", "på jobb", "at the match tonight", "på hytta")
WORDS = (
    "røyk", "vinduer", "ambulanser", "pårørende", "tolk", "parkeringen", "legevakta",
    "vann", "informasjon", "telefonen", "stengt", "åpent", "evakuert", "tredje etasje",
    "barna", "fødeavdelingen", "pasientar", "ventetid", "brannbilar", "nattevakta", "kaffe",
    "buss", "helikopter", "strømmen", "blodbanken", "the entrance", "volunteers", "blankets",
)  # fmt: skip
ENDINGS = (".", "!", "?", "…", " 🙏", " 😢 ❤️", " https://t.example/{n:x}", " ring 22 11 {a:02} {b:02}", " #natt", "")


class Cost(NamedTuple):
    """Seconds on the wall and of the processor, and the most memory held, in MB."""

    wall: float
    cpu: float
    peak_mb: float


def lines(posts: int, reposts: float, seed: int) -> Iterator[str]:
    """Plain posts as JSON, one a line."""
    rng = random.Random(seed)
    recent: deque[tuple[str, str]] = deque(maxlen=RECENT)
    at = START
    for number in range(posts):
        at += timedelta(seconds=rng.expovariate(POSTS_A_SECOND))
        person = rng.randrange(40_000)
        handle = f"innbygger_{person}"
        if recent and rng.random() < reposts:
            named, said = rng.choice(recent)
            text = f"RT @{named}: {said}"
        else:
            text = _said(rng)
            recent.append((handle, text))
        post = {
            "id": str(1_900_000_000_000_000_000 + number * 4_001),
            "created_at": at.isoformat().replace("+00:00", "Z"),
            "text": text,
            "author_id": str(7_000_000_000 + person),
            "username": handle,
            "followers": person % 3_000,
            "lang": "no",
        }
        yield json.dumps(post, ensure_ascii=False)


def _said(rng: random.Random) -> str:
    words = rng.choices(WORDS, k=rng.randint(3, 12))
    words.insert(rng.randrange(len(words)), rng.choice(ABOUT if rng.random() < 0.65 else ASIDE))
    if rng.random() < 0.5:
        words[len(words) // 2] += rng.choice((",", ".", ":", " –", "?"))
    ending = rng.choice(ENDINGS).format(n=rng.getrandbits(40), a=rng.randrange(100), b=rng.randrange(100))
    return f"{rng.choice(OPENINGS)} {' '.join(words)}{ending}"


def replay(path: Path) -> Cost:
    """The command, as a person runs it; its alerts are thrown away, its summary stays on standard error."""
    command = [sys.executable, "-c", "import lyttepost; lyttepost.main()", "replay", str(path), "--json"]
    for track in TRACKS:
        command += ["--track", track]
    env = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
    started = time.perf_counter()
    child = subprocess.Popen(command, env=env | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"replay ended with {child.returncode}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def plain_loop(path: Path) -> float:
    """Processor seconds of the least that can be done with these lines."""
    started = time.process_time()
    with path.open("rb") as file:
        for line in file:
            raw = from_json(line)
            author = Author(id=raw["author_id"], handle=raw["username"], followers=raw["followers"])
            Post(
                source="recording",
                id=raw["id"],
                at=datetime.fromisoformat(raw["created_at"]),
                text=raw["text"],
                lang=raw["lang"],
                author=author,
            )
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=200_000)
    parser.add_argument("--reposts", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lyttepost-bench-") as folder:
        path = Path(folder) / "posts.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines(wanted.posts, wanted.reposts, wanted.seed))
        before = plain_loop(path)
        cost = replay(path)
        least = min(before, plain_loop(path))
    each = 1e6 / wanted.posts
    print(f"replay      {wanted.posts / cost.wall:8,.0f} posts/s   {cost.wall * each:6.1f} µs a post   "
          f"{cost.cpu * each:6.1f} µs of the processor   {cost.peak_mb:,.0f} MB at most")  # fmt: skip
    print(f"plain loop  {wanted.posts / least:8,.0f} posts/s   {least * each:6.1f} µs a post")
    print(f"times       {cost.cpu / least:8.1f}")


if __name__ == "__main__":
    with nothing_left():
        main()
