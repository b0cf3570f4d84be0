"""Seeds of a trial, each played in a process of its own, and the table of what became of them.

One seed by default; `LYTTEPOST_SEEDS=20` plays so many and prints what became of each (`pytest -s`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.soak.play import ROOT

SEEDS = range(1, 1 + int(os.environ.get("LYTTEPOST_SEEDS") or 1))
COLUMNS = (
    "seed", "faults", "kills", "offered", "captured", "in_gaps", "twice", "lost", "edits", "deleted", "left",
    "unheard", "gaps", "open_gaps",
)  # fmt: skip


def outcomes_of(module: str) -> list[dict[str, Any]]:
    """What became of every seed of the trial in this module; printed, too."""
    out = [played(module, seed) for seed in SEEDS]
    rows = [COLUMNS, *(tuple(str(o[name]) for name in COLUMNS) for o in out)]
    print("\n" + "\n".join("  ".join(cell.rjust(9) for cell in row) for row in rows))
    return out


def played(module: str, seed: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", module, "--seed", str(seed)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said
