"""A scenario of the fake X: JSON lines of posts and commands (`..platform.scenario`), each with its time.

    {"data": {"id": …, "text": …, "created_at": …}, "includes": {…}}   a post as X's stream gives it
    {"id": "17", "created_at": …, "text": …, "author": "nordvik_nytt"} a plain one (`shapes.from_plain`)
    {"at": 90, "text": "Blålys ved Fjordby sykehus"}                   a plain one, 90 s after second 0
    {"at": 120, "do": "silence", "seconds": 30}                        a command (`commands.py`) with its parameters

What lies before second 0 is there from the start, for search alone. Ids stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from ..platform.scenario import BadScenario, Player, Scenario, Step, as_time
from .commands import verbs

__all__ = ["BadScenario", "Player", "Step", "read_scenario", "steps_of"]


def read_scenario(path: Path | str) -> list[Step]:
    """The steps of a file, by time. Raises BadScenario, OSError."""
    return _scenario().read(path)


def steps_of(lines: Iterable[str], name: str = "scenario") -> list[Step]:
    """The steps of JSON lines, by time; of one time, in their order. Raises BadScenario."""
    return _scenario().steps_of(lines, name)


def _scenario() -> Scenario:
    return Scenario(verbs(), _refuses, _time_of)


def _refuses(item: dict[str, Any]) -> str | None:
    if str((item.get("data") or item).get("text", "")):
        return None
    return "neither a command ('do') nor a post ('text')"


def _time_of(item: dict[str, Any]) -> float | datetime | None:
    return as_time(item.get("at", (item.get("data") or item).get("created_at")))
