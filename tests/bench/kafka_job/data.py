"""The posts of the job, the same for the same seed, and by brute force the alerts that are due."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import NamedTuple

START = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
POSTS_A_SECOND = 100
"""In the posts' own time."""
OUT_OF_ORDER = 2.0
"""Seconds by which a post may come after one that was said later."""
PARTITIONS = 4
WINDOW = 60
SHARE = 0.2
"""Of the posts that bear a phrase."""
BYTES = 1024

LANDS = ("fjord", "gran", "nord", "ås", "bjørke", "elve", "skog", "havn", "myr", "tinde")
ENDS = ("vik", "by", "ås", "nes", "øya", "dal", "heim", "sund", "berg", "moen")
WHERE = ("sykehus", "skole", "tunnel", "bru", "ferge", "tog", "buss", "lege", "fly", "kai")
WHAT = ("brann", "kø", "røyk", "stans", "vakt", "ulykke", "lekkasje", "strøm", "utslipp", "varsel")
PLACES = [land + end for land in LANDS for end in ENDS]
THINGS = [where + what for where in WHERE for what in WHAT]
WORDS = (
    "i dag", "noen som vet", "det er", "vi står", "på vei hjem", "ambulanser", "pårørende", "telefonen",
    "hørte nettopp", "ved inngangen", "tredje etasje", "håper det går bra", "kan dere", "etter skolen", "fint vær",
    "kampen i kveld", "ikke til å tro",
    "helt stille her", "takk til alle", "ny kaffe", "på jobb", "bussen er sen", "informasjon",
    "vann",
)  # fmt: skip
ENDINGS = (".", "!", "?", "…", " 🙏", " 😢 ❤️", " #natt", "")


class Put(NamedTuple):
    partition: int
    key: bytes
    value: bytes


class Due(NamedTuple):
    """An alert: what was said often, and in which minute (its beginning, in seconds since the epoch)."""

    phrase: str
    minute: int


class Score(NamedTuple):
    right: int
    wrong: int
    missing: int


def phrases(number: int) -> list[str]:
    """Up to 10,000, lower case; those of a smaller number are the first of a larger one."""
    step = len(PLACES) + 1
    return [f"{THINGS[n * 7 % 100]} {PLACES[(n // 100 + n * step) % 100]}" for n in range(number)]


def threshold(said: int) -> int:
    """What a phrase of middling fame reaches in every other minute, when one of `said` is spoken of."""
    return round(POSTS_A_SECOND * WINDOW * SHARE / said)


def posts(
    number: int, said: Sequence[str], seed: int = 1, *, start: datetime = START, partitions: int = PARTITIONS
) -> Iterator[Put]:
    """In the order in which they are written. Some are not quite about a phrase: it has an ending, or is torn apart."""
    rng = random.Random(seed)
    fame = [0.5 + n / max(1, len(said) - 1) for n in range(len(said))]
    waiting: list[tuple[float, int, Put]] = []
    for n in range(number):
        after = n / POSTS_A_SECOND
        put = _post(rng, n, start + timedelta(seconds=after), said, fame, partitions)
        heappush(waiting, (after + rng.random() * OUT_OF_ORDER, n, put))
        while waiting[0][0] <= after:
            yield heappop(waiting)[2]
    while waiting:
        yield heappop(waiting)[2]


def _post(rng: random.Random, n: int, at: datetime, said: Sequence[str], fame: Sequence[float], partitions: int) -> Put:
    words = rng.choices(WORDS, k=rng.randint(4, 12))
    chance = rng.random()
    if chance < SHARE:
        phrase = rng.choices(said, fame)[0]
        words.insert(rng.randrange(len(words)), phrase.upper() if chance < 0.01 else phrase.capitalize())
    elif chance < SHARE + 0.05:
        words.insert(rng.randrange(len(words)), rng.choice(said) + "en")
    elif chance < SHARE + 0.1:
        words.insert(rng.randrange(len(words)), rng.choice(said).replace(" ", " i "))
    id_ = str(1_900_000_000_000_000_000 + n * 4_001)
    person = rng.randrange(40_000)
    post = {
        "id": id_,
        "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "text": ", ".join(words) + rng.choice(ENDINGS),
        "lang": "no",
        "author": {"id": str(7_000_000_000 + person), "username": f"innbygger_{person}", "followers": person % 3_000},
        "metrics": {name: rng.randrange(500) for name in ("likes", "reposts", "replies", "quotes", "views")},
        "urls": [f"https://t.example/{rng.getrandbits(48):x}" for _ in range(3)],
    }
    raw = json.dumps(post, ensure_ascii=False).encode()
    filler = rng.randbytes(BYTES // 2).hex()[: max(0, BYTES - len(raw) - len(b', "trace": ""'))]
    raw = json.dumps({**post, "trace": filler}, ensure_ascii=False).encode()
    return Put(rng.randrange(partitions), id_.encode(), raw)


def lately(number: int) -> datetime:
    """A beginning for so many posts that end now: brokers refuse what is of tomorrow and forget what is old."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return now - timedelta(minutes=number // POSTS_A_SECOND // WINDOW + 1)


def due(values: Iterable[bytes], said: Sequence[str], least: int) -> set[Due]:
    """The right alerts: each post's words one by one, each phrase in turn, no order of arrival, no windows."""
    counts: Counter[Due] = Counter()
    for value in values:
        post = json.loads(value)
        words = f" {' '.join(re.findall('[^ ,.!?…#]+', post['text'].lower()))} "
        minute = int(datetime.fromisoformat(post["at"]).timestamp()) // WINDOW * WINDOW
        counts.update(Due(phrase, minute) for phrase in said if f" {phrase} " in words)
    return {alert for alert, count in counts.items() if count >= least}


def score(told: Iterable[Due], right: set[Due]) -> Score:
    """An alert that is told twice is wrong the second time."""
    counts = Counter(told)
    hits = sum(alert in counts for alert in right)
    return Score(hits, counts.total() - hits, len(right) - hits)
