"""The other programs: what each needs, and a virtual environment for them that goes away."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SHARED = ("ahocorasick-rs", "orjson")


@dataclass(frozen=True)
class Peer:
    title: str
    program: str
    packages: tuple[str, ...]
    """The first is its own."""


PEERS = {
    "loop": Peer("kafka-python loop", "loop.py", ("kafka-python>=3.0.12,<4", "crc32c", "lz4")),
    "bytewax": Peer("Bytewax", "bytewax_flow.py", ("bytewax", "confluent-kafka")),
    "quix": Peer("Quix Streams", "quix.py", ("quixstreams",)),
    "faust": Peer("Faust", "faust_app.py", ("faust-streaming", "aiokafka[lz4]")),
}


def install(folder: Path, names: Sequence[str]) -> tuple[Path, dict[str, str]]:
    """The environment's interpreter, and for each peer that would not install why."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    failed = {}
    for name in names:
        print(f"installing {PEERS[name].packages[0]}", file=sys.stderr)
        done = _pip(python, "install", "-q", *SHARED, *PEERS[name].packages)
        if done.returncode:
            failed[name] = f"does not install: {(done.stderr.strip().splitlines() or ['?'])[-1][:200]}"
    return python, failed


def version(python: Path, name: str) -> str:
    package = re.split("[^a-z-]", PEERS[name].packages[0])[0]
    words = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", words], capture_output=True, text=True, check=False).stdout.strip()


def _pip(python: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", *words], capture_output=True, text=True, check=False
    )
