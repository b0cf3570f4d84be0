"""The program as a person meets it: started in a folder of its own, with a home of its own, on a recording of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import forked

from listener.bus.protocol import Bus, open_bus
from listener.clock import SystemClock
from listener.model.topics import topic_specs
from listener.settings.schema import Settings

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, str(ROOT / "lyttepost.py"))
START = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
LARGE = 250_000

Line = Mapping[str, Any] | str
NO_BOARD = {"LYTTEPOST_BOARD": "null"}
"""Whoever tries something else needs none, and it has a port."""


@dataclass(frozen=True)
class Machine:
    """A folder with a home in it. Nothing of the real one is seen or touched."""

    folder: Path
    more: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("home", "tmp", "work"):
            (self.folder / name).mkdir(exist_ok=True)

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LYTTEPOST_", "XDG_"))}
        own = {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp"), "PYTHONPATH": str(ROOT)}
        return {**kept, **own, "LYTTEPOST_DATA": str(self.data), "LYTTEPOST_WEB__PORT": "0", **NO_BOARD, **self.more}

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, *words: str, stdin: bytes = b"", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return forked.command(words, self.environ, self.folder / "work", timeout, stdin)

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *words: str, **options: Any) -> subprocess.Popen[Any]:
        return subprocess.Popen([*COMMAND, *words], cwd=self.folder / "work", env=self.environ, **options)

    def write(self, name: str, lines: Iterable[Line]) -> str:
        """A recording in the working folder; a line given as text is written as it is, the last without line feed."""
        written = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
        (self.folder / "work" / name).write_text("\n".join(written), encoding="utf-8")
        return name

    def leftovers(self) -> list[str]:
        """What lies in the folder for passing things."""
        return sorted(path.name for path in (self.folder / "tmp").iterdir())


@contextmanager
def live_bus(machine: Machine) -> Iterator[Bus]:
    """The embedded bus in its data folder, with all topics."""
    machine.data.mkdir(exist_ok=True)
    with closing(open_bus("embedded:", machine.data, SystemClock())) as bus:
        bus.ensure(topic_specs(1, Settings().retention.keep()))
        yield bus


def wait_for(what: Callable[[], Any], seconds: float = 60) -> Any:
    """Ask until there is an answer."""
    until = monotonic() + seconds
    while not (found := what()):
        assert monotonic() < until, f"waited {seconds} s in vain"
        sleep(0.05)
    return found


def post(minute: float, author: int, text: str, **more: Any) -> dict[str, Any]:
    at = START + timedelta(minutes=minute)
    return {
        "id": f"{round(minute * 1000):07}{author:03}",
        "created_at": at.isoformat().replace("+00:00", "Z"),
        "text": text,
        "author_id": str(9000 + author),
        "username": f"konto{author}",
        "followers": 40,
        **more,
    }


def crisis() -> list[dict[str, Any]]:
    """A fire at Nordvik sykehus: talk, wishes, three eyewitnesses, a large account, reposts, and quiet in between."""
    wish = "Kan noen kjøre vann og tepper til Nordvik sykehus? Vi trenger det nå"
    posts = [post(0.2 * n, n, f"Hva skjer ved Nordvik sykehus i kveld? Spør gate {n}") for n in range(12)]
    posts += [post(3 + 0.1 * n, 20 + n, f"{wish}, gruppe {n}") for n in range(6)]
    posts += [post(4 + 0.1 * n, 30 + n, f"RT @konto20: {wish}, gruppe 0", repost_of=posts[12]["id"]) for n in range(3)]
    posts.append(post(5, 40, "Jeg står utenfor Nordvik sykehus og ser flammer fra taket"))
    posts.append(post(5.5, 44, "Står på parkeringsplassen ved Nordvik sykehus nå, røyken kommer ut av vinduene her"))
    posts.append(post(5.7, 45, "Vi står ute på plenen ved Nordvik sykehus og ser at de bærer ut folk i senger"))
    posts.append(post(6, 41, "Brann ved Nordvik sykehus nå, følg oss", followers=LARGE))
    posts.append(post(6.5, 42, "Jeg synes Nordvik sykehus gjør en fantastisk jobb i kveld"))
    posts.append(post(7, 43, "Noe helt annet: god lørdag"))
    posts += [post(60 + 7 * n, 50 + n, f"Nordvik sykehus er fortsatt stengt, sier vakt {n}") for n in range(5)]
    return sorted(posts, key=lambda raw: str(raw["created_at"]))


def without_authors(posts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: raw[name] for name in ("id", "created_at", "text")} for raw in posts]
