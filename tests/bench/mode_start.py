"""How long a mode switch takes, process start included, against `import typer, pydantic`. Bound: 1.5 times.

    python -m tests.bench.mode_start [--runs 25] [--from-source]

The two take turns, so that whatever else the machine does meets both alike; each pair gives one ratio. The switch runs
as installed, that is through the console script where there is one, byte-compiled, on a data folder that is there,
with nobody listening. `--from-source` leaves byte-compiling to the environment: with PYTHONDONTWRITEBYTECODE set, a
checkout is compiled anew by each switch.

Ends with 1 when the median ratio is above the bound.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
BOUND = 1.5
BASE = [sys.executable, "-c", "import typer, pydantic"]


def entry() -> list[str]:
    """The console script beside this interpreter, else what it would do."""
    script = shutil.which("lyttepost", path=str(Path(sys.executable).parent))
    return [script] if script else [sys.executable, "-c", "import lyttepost; lyttepost.main()"]


def seconds(command: list[str], env: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def environment(folder: Path, from_source: bool) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
    env |= {"PYTHONPATH": str(ROOT), "LYTTEPOST_DATA": str(folder / "data")}
    if not from_source:
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        env["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    return env


def measure(runs: int, from_source: bool) -> list[tuple[float, float]]:
    """(base, switch) in seconds, one pair a run; each has run before, unmeasured."""
    with tempfile.TemporaryDirectory() as folder:
        env = environment(Path(folder), from_source)
        switch = [*entry(), "mode", "crisis", "--track", "ullevål brann", "--why", "measured", "--no-wait", "--name"]
        for warm in range(2):
            seconds(BASE, env)
            seconds([*switch, f"Varm {warm}"], env)
        return [(seconds(BASE, env), seconds([*switch, f"Brann {run % 5}"], env)) for run in range(runs)]


def main() -> int:
    parser = argparse.ArgumentParser(description="A mode switch against `import typer, pydantic`.")
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--from-source", action="store_true", help="byte-compile only as the environment does")
    words = parser.parse_args()
    pairs = measure(words.runs, words.from_source)
    base, switch = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(after / before for before, after in pairs)
    print(f"{' '.join(entry())} mode crisis ... --no-wait, {words.runs} runs, taking turns with the base")
    print(f"import typer, pydantic  {base * 1000:7.1f} ms  (median)")
    print(f"switch to crisis        {switch * 1000:7.1f} ms  (median)")
    print(f"ratio                   {ratio:7.2f}     (median of the pairs; bound {BOUND})")
    return 0 if ratio <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
