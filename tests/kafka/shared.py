"""Servers that all workers of one test run share.

The first worker that asks for one starts it, in a process of its own. It ends with the run, however that ends: its
process waits for a lock that the run's first process holds, and that the kernel releases when that process is no more.

    python tests/kafka/shared.py apache FOLDER
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from broker import JVM, Cluster, Node, brokers
from stand_in import stand_in

PATIENCE = 500.0
"""Seconds. The server's own patience is shorter; this is for a starter that was killed."""


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Where the run's servers are written down. For the run's first process: they end with this `with`, or with it."""
    with tempfile.TemporaryDirectory(prefix="lyttepost-tests-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / "run").open("w") as run:
            fcntl.flock(run, fcntl.LOCK_EX)
            yield folder


def shared_cluster(folder: Path) -> Cluster:
    """One node of Apache Kafka. It can be neither killed nor paused from here: others use it."""
    made = shared(folder, "apache")
    return Cluster([Node(1, Path(made["home"]), made["ports"])], made["listeners"], 0, JVM, "")


def shared_stand_in(folder: Path) -> str:
    """The `host:port` of one noida-db."""
    address: str = shared(folder, "stand-in")["address"]
    return address


def shared(folder: Path, kind: str) -> Mapping[str, Any]:
    """What the server says of itself. Raises RuntimeError when it does not start."""
    outcome = folder / f"{kind}.json"
    with (folder / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not outcome.exists():
            # The shell ends at once, so that the server is a child of no worker.
            subprocess.run(
                [
                    "sh",
                    "-c",
                    '"$@" >"$0" 2>&1 </dev/null &',
                    folder / f"{kind}.log",
                    sys.executable,
                    __file__,
                    kind,
                    folder,
                ],
                check=True,
            )
            deadline = time.monotonic() + PATIENCE
            while not outcome.exists():
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{kind} did not start:\n{(folder / f'{kind}.log').read_text()[-2000:]}")
                time.sleep(0.05)
    made: Mapping[str, Any] = json.loads(outcome.read_text(encoding="utf-8"))
    if "error" in made:
        raise RuntimeError(made["error"])
    return made


@contextmanager
def _apache() -> Iterator[Mapping[str, Any]]:
    with brokers(1) as cluster:
        (node,) = cluster.nodes
        yield {"home": str(node.home), "ports": dict(node.ports), "listeners": dict(cluster.listeners)}


@contextmanager
def _stand_in() -> Iterator[Mapping[str, Any]]:
    with stand_in() as address:
        yield {"address": address}


KINDS: Mapping[str, Callable[[], AbstractContextManager[Mapping[str, Any]]]] = {
    "apache": _apache,
    "stand-in": _stand_in,
}


def _serve(kind: str, folder: Path) -> None:
    """Start it, write down what it says of itself, and stay until the run is over."""

    def write(outcome: Mapping[str, Any]) -> None:
        written = folder / f"{kind}.new"
        written.write_text(json.dumps(outcome), encoding="utf-8")
        os.replace(written, folder / f"{kind}.json")

    with (folder / "run").open("r") as run:
        try:
            with KINDS[kind]() as made:
                write(made)
                fcntl.flock(run, fcntl.LOCK_SH)
        except Exception as failed:
            write({"error": f"{type(failed).__name__}: {failed}"})
            raise


if __name__ == "__main__":
    _serve(sys.argv[1], Path(sys.argv[2]))
