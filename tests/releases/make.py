"""Make what a release leaves behind: `python -m tests.releases.make`, once for each, with that release's code.

A small data folder in which much happened once: an exercise with posts of a recording, alerts and what people said of
them, and a purge. It is kept as a backup beside this file, named after
the version, with what the commands showed of it then; `tests/ops/test_releases.py` restores each with today's code.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from listener import __version__

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
SHOWN = {
    "mode": ("mode", "--json"),
    "alerts": ("alerts", "--all", "--json"),
    "register": ("register", "--all", "--json"),
    "gaps": ("gaps", "--json"),
}
"""What must look the same with every later version."""
START = "2031-01-11T18:{minute:02d}:{second:02d}Z"
TEXTS = (
    "Det brenner på Granvik sykehus, røyk ut av vinduene i tredje etasje",
    "Hvor skal pårørende ringe? Ingen svarer på telefonen til Granvik sykehus",
    "Ønsker at Granvik sykehus sier noe snart, vi er mange som venter",
    "Er det sant at to døde på Granvik sykehus? Ryktene går",
)


def recording(path: Path) -> None:
    lines = []
    for number in range(60):
        at = START.format(minute=number // 2, second=30 * (number % 2))
        text = f"{TEXTS[number % len(TEXTS)]} {'!' * (number % 3)}"
        lines.append({"id": str(1000 + number), "created_at": at, "text": text, "author_id": str(number), "lang": "no"})
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")


class Deployment:
    """A data folder in a passing place, and the commands on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        recording(folder / "posts.jsonl")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
        self.environ = clean | {
            "LYTTEPOST_DATA": str(folder / "data"),
            "LYTTEPOST_PRIVACY__KEY_FILE": str(folder / "pseudonym.key"),
            "LYTTEPOST_SOURCES__RECORDING__PATH": str(folder / "posts.jsonl"),
            "LYTTEPOST_SOURCES__RECORDING__SPEED": "max",
            "LYTTEPOST_RETENTION__CONTENT": "3650d",
            "LYTTEPOST_BOARD": "null",
            "PYTHONPATH": str(ROOT),
        }

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / "lyttepost.py"), *words],
            env=self.environ, cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{' '.join(words)}: {done.stderr}")
        return done.stdout

    def shown(self) -> dict[str, Any]:
        return {name: json.loads(self.run(*words)) for name, words in SHOWN.items()}


def live(deployment: Deployment) -> None:
    """Everything that a deployment does, once."""
    log = deployment.folder / "log.txt"
    with log.open("w", encoding="utf-8") as said:
        service = subprocess.Popen(
            [sys.executable, str(ROOT / "lyttepost.py"), "run", "--port", "0"],
            env=deployment.environ, cwd=deployment.folder, stdout=said, stderr=said,
        )  # fmt: skip
    while " runs on " not in log.read_text(encoding="utf-8"):
        if service.poll() is not None:
            sys.exit(log.read_text(encoding="utf-8"))
        time.sleep(0.1)
    try:
        opened = ("--name", "Øvelse Granvik", "--track", "granvik", "--exercise", "--why", "prøve", "--by", "kari")
        deployment.run("mode", "crisis", *opened)
        deadline = time.monotonic() + 120
        while len(deployment.json("alerts")) < 2 or not json.loads(deployment.run("register", "--json")):
            if time.monotonic() > deadline:
                sys.exit("no two alerts within two minutes")
            time.sleep(1)
        first, second, *_ = deployment.json("alerts")
        deployment.run("alerts", "ack", first["id"], "--by", "kari")
        deployment.run("alerts", "note", second["id"], "--text", "sett på", "--by", "ola")
        deployment.run("privacy", "purge", "recording:1003", "--why", "slettet", "--by", "kari")
        deployment.run("mode", "calm", "--why", "over", "--by", "kari")
        time.sleep(3)
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(20)


def main() -> None:
    target = HERE / f"{__version__}.zip"
    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(Path(folder))
        live(deployment)
        deployment.run("backup", str(target))
        shown = deployment.shown()
    target.with_suffix(".json").write_text(json.dumps(shown, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
