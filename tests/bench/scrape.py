"""How long a scrape of /metrics takes while the service works, and how large it gets.

    python -m tests.bench.scrape [--posts 10000] [--rate 250]

`lyttepost run`, all in one process with the rules that we ship, plays made-up posts at X's highest rate under an
exercise, ten minutes of their time in one of ours so that tracks have minutes to judge. It is scraped four times a
second, by a connection of its own each. Once it follows 10 tracks and hears 100 stories, once 1,000 tracks and as many
stories as posts. Beside each scrape /healthz is asked, which costs nothing but the way: what that takes is the
machine's and the interpreter's, busy with posts.

Told are the median, nine of ten, 99 of 100 and the longest of both, then the same of a service that rests, and the
bytes and series. Exit code 1 where under load or at rest one scrape in a hundred takes more than 50 ms; or where the
large service has more than four times the bytes of the small one: 50 tracks of a source have lines of their own,
however many there are. On a machine with other work the longest are that work's: look at /healthz beside them, or run
this bench before all other work (`chrt -r 1`, as root).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from tests.bench.leftovers import nothing_left

ROOT = Path(__file__).parents[2]
START = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
EVERY_SECONDS = 0.25
REST_SECONDS, RESTING = 8.0, 100
MOST_SECONDS = 0.05
MOST_TIMES_THE_BYTES = 4.0
FASTER = 10
PATIENCE = 600.0

SYLLABLES = ("ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu")
SAYINGS = (
    "Brenner det på {track}? Nabo {story} hørte sirenene i natt",
    "Kan {track} sette opp en telefon for pårørende, spør {story}",
    "Visstnok er strømmen borte ved {track}, sier {story}",
    "Tusen takk til dere på {track} fra {story}",
    "Er legevakta ved {track} åpen i kveld? Hilsen {story}",
)


class Size(NamedTuple):
    name: str
    tracks: int
    stories: int


class Scrape(NamedTuple):
    """Seconds of each scrape, of each /healthz beside it and of each scrape at rest; bytes and series of the last."""

    took: list[float]
    bare: list[float]
    rest: list[float]
    size: int
    series: int


def word(number: int) -> str:
    """A made-up word, of each number another."""
    return "".join(SYLLABLES[int(digit)] for digit in f"{number:05}")


def write(folder: Path, size: Size, posts: int, rate: float) -> Path:
    """A recording in which so many stories are told evenly over the tracks; its path."""
    path = folder / "posts.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(posts):
            story = number % size.stories
            at = START + timedelta(seconds=FASTER * number / rate)
            text = SAYINGS[story % len(SAYINGS)].format(track=f"{word(story % size.tracks)} sykehus", story=word(story))
            said = {
                "id": str(10**9 + number),
                "created_at": at.isoformat(),
                "text": text,
                "author_id": str(number % 4000),
            }
            file.write(json.dumps(said, ensure_ascii=False) + "\n")
    return path


@contextmanager
def running(folder: Path, size: Size, recording: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The service, and what a command needs to speak to it: its port and its environment."""
    config = folder / "config"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LYTTEPOST_")}
    env = clean | {"PYTHONPATH": str(ROOT), "HOME": str(folder)}
    subprocess.run([*LYTTEPOST, "config", "init", str(config)], env=env, check=True, capture_output=True)
    phrases = [f"{word(number)} sykehus" for number in range(size.tracks)]
    (config / "tracks.yaml").write_text(json.dumps({"phrases": phrases}), encoding="utf-8")
    env |= {
        "LYTTEPOST_CONFIG": str(config), "LYTTEPOST_DATA": str(folder / "data"),
        "LYTTEPOST_PRIVACY__KEY_FILE": str(folder / "keys" / "key"), "LYTTEPOST_BOARD": "null",
        "LYTTEPOST_SOURCES__RECORDING__PATH": str(recording), "LYTTEPOST_SOURCES__RECORDING__SPEED": str(FASTER),
    }  # fmt: skip
    said = folder / "said.txt"
    with said.open("w") as out:
        process = subprocess.Popen([*LYTTEPOST, "run", "--port", "0"], env=env, stdout=out, stderr=out)
    try:
        until = time.monotonic() + PATIENCE
        while not (found := re.search(r"metrics and health at http://127\.0\.0\.1:(\d+)", said.read_text("utf-8"))):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(said.read_text("utf-8")[-2000:])
            time.sleep(0.1)
        yield int(found[1]), env
    finally:
        process.terminate()
        process.wait(60)


LYTTEPOST = (sys.executable, str(ROOT / "lyttepost.py"))


def measure(folder: Path, size: Size, posts: int, rate: float) -> Scrape:
    """Scrape from the opening of an exercise until all posts are on the bus."""
    recording = write(folder, size, posts, rate)
    with running(folder, size, recording) as (port, env):
        track = f"{word(0)} sykehus"
        opening = ["mode", "crisis", "--name", "Fart", "--track", track, "--exercise", "--why", "måling", "--no-wait"]
        subprocess.run([*LYTTEPOST, *opening], env=env, check=True, capture_output=True)
        scrapes, health = http.client.HTTPConnection("127.0.0.1", port), http.client.HTTPConnection("127.0.0.1", port)
        took: list[float] = []
        bare: list[float] = []
        until = time.monotonic() + PATIENCE
        while True:
            seconds, text = ask(scrapes, "/metrics")
            bare.append(ask(health, "/healthz")[0])
            heard, done = value(text, "lyttepost_posts_heard_total"), value(text, "lyttepost_mentions_published_total")
            if heard:
                took.append(seconds)
            if done >= posts:
                break
            if time.monotonic() > until:
                raise SystemExit(f"{done:.0f} of {posts} posts are on the bus")
            time.sleep(EVERY_SECONDS)
        time.sleep(REST_SECONDS)
        rest, text = zip(*(ask(scrapes, "/metrics") for _ in range(RESTING)), strict=True)
        series = len(re.findall(r"^[^#]", text[-1], re.MULTILINE))
        return Scrape(took, bare[-len(took) :], list(rest), len(text[-1]), series)


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[float, str]:
    """Seconds until the whole answer was there, and the answer."""
    began = time.perf_counter()
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    seconds = time.perf_counter() - began
    connection.close()  # ours answers one question a connection
    return seconds, text


def value(text: str, name: str) -> float:
    """The sum of a metric over its labels."""
    return sum(float(each) for each in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


def told(seconds: list[float]) -> str:
    values = statistics.median(seconds), of(90, seconds), of(99, seconds), max(seconds)
    return "median {:.1f}, p90 {:.1f}, p99 {:.1f}, longest {:.1f} ms".format(*(1e3 * each for each in values))


def of(percent: int, seconds: list[float]) -> float:
    """What so many of a hundred are within."""
    return statistics.quantiles(seconds, n=100)[percent - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=250.0, help="posts a second")
    asked = parser.parse_args()
    sizes = (Size("small", 10, 100), Size("large", 1000, asked.posts))
    found = []
    with nothing_left():
        for size in sizes:
            with tempfile.TemporaryDirectory(prefix="lyttepost-scrape-") as folder:
                scrape = measure(Path(folder), size, asked.posts, asked.rate)
            found.append(scrape)
            print(f"{size.name}: {size.tracks} tracks, {size.stories} stories, {len(scrape.took)} scrapes")
            print(f"  /metrics {told(scrape.took)}; /healthz {told(scrape.bare)}")
            print(f"  /metrics at rest {told(scrape.rest)}")
            print(f"  {scrape.size:,} bytes, {scrape.series:,} series", flush=True)
    small, large = found
    slow = of(99, large.took) > MOST_SECONDS or of(99, large.rest) > MOST_SECONDS
    big = large.size > MOST_TIMES_THE_BYTES * small.size
    raise SystemExit(int(slow or big))


if __name__ == "__main__":
    main()
