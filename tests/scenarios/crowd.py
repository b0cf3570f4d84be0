"""People who talk at X without a pause, and what became of what they said."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from harness import Deployment

from listener.units import parse_instant
from tests.fakes.x import FakeX

TOKEN = "a-token-of-no-account"
A_SECOND = 20
"""Posts."""
TAGGED = 20
"""Every so many posts one has a hashtag of its own, `#gNUMBER`."""


class Crowd:
    """Talks without a pause until told to be quiet."""

    def __init__(self, fake: FakeX) -> None:
        self._fake = fake
        self._quiet = threading.Event()
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def _talk(self) -> None:
        number = 0
        while not self._quiet.wait(1 / A_SECOND):
            number += 1
            tag = "" if number % TAGGED else f" #g{number}"
            self._fake.post(f"det brenner i granvik, post {number}{tag}")

    def hush(self) -> None:
        self._quiet.set()
        self._thread.join()


def tags(fake: FakeX) -> set[str]:
    """The hashtags that were said."""
    return {
        word.removeprefix("#")
        for post in fake.world.posts.values()
        for word in post.data["text"].split()
        if "#" in word
    }


def spool(deployment: Deployment) -> Path:
    return deployment.data / "spool-x.jsonl"


def unaccounted(deployment: Deployment, fake: FakeX) -> list[str]:
    """Posts that were offered and are neither captured nor inside a recorded gap."""
    captured = captures(deployment)
    gaps = {gap["id"]: gap for gap in deployment.values("gaps")}.values()
    return [
        post.id
        for post in fake.world.posts.values()
        if not captured[post.id] and not any(_inside(post.published_at, gap) for gap in gaps)
    ]


def _inside(at: datetime, gap: dict[str, str]) -> bool:
    slack = timedelta(seconds=1)
    return parse_instant(gap["from"]) - slack <= at and ("to" not in gap or at <= parse_instant(gap["to"]) + slack)


def captures(deployment: Deployment) -> Counter[str]:
    return Counter(str(value["id"]) for value in deployment.values("mentions", "mention"))
