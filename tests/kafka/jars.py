"""Apache Kafka's own server, as `pom.xml` names it: fetched once through Maven and kept in the user's cache.

The cache follows XDG_CACHE_HOME. Several processes may ask at the same time: one fetches, the others wait for it. What
is there is used without asking Maven, so a second run needs no network. Beside the jars lies an archive of the classes
that a server loads: Java reads it instead of unpacking, checking and linking ten thousand of them at each start.

    python tests/kafka/jars.py          fetch, and print the folder
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from platformdirs import user_cache_path

POM = Path(__file__).with_name("pom.xml")
FETCH_SECONDS = 600


class Missing(Exception):
    """What runs a broker is not on this machine; the text says what."""


@lru_cache(maxsize=1)
def lacking() -> str | None:
    """Which tools are missing, or None. Maven is not, once it has done its work."""
    missing = []
    if not _java():
        missing.append("java of 17 or newer")
    if shutil.which("mvn") is None and not folder().is_dir():
        missing.append("mvn")
    if not missing:
        return None
    return f"no {' and no '.join(missing)}; on Debian: apt-get install default-jre-headless maven"


def _java() -> bool:
    """Whether there is one that the server runs on."""
    version = re.search(r' version "(\d+)', _java_says())
    return version is not None and int(version[1]) >= 17


@lru_cache(maxsize=1)
def _java_says() -> str:
    """Its version and build; nothing where there is none."""
    try:
        return subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return ""


def folder() -> Path:
    """Where the jars of this very `pom.xml` lie, or are to lie."""
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:16]
    return user_cache_path("lyttepost-tests", appauthor=False) / f"kafka-{digest}"


def fetch() -> Path:
    """The folder of the jars, filled. Raises Missing."""
    if problem := lacking():
        raise Missing(problem)
    target = folder()
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _copy(target)
    return target


def archive(make: Callable[[Path], None]) -> Path | None:
    """The archive of this very Java. The first who asks has it made, by `make` at the path it is given; others wait.

    None where it could not be made, which is not tried again: without it a server starts too, more slowly.
    """
    digest = hashlib.sha256(_java_says().encode()).hexdigest()[:16]
    target = fetch().with_name(f"{folder().name}-{digest}.jsa")
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            made = target.with_suffix(".new")
            make(made)
            made.touch()
            made.replace(target)
    return target if target.stat().st_size else None


def _copy(target: Path) -> None:
    """Beside it first and then in one step: a folder that is there is complete."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetching-") as passing:
        jars = Path(passing) / "jars"
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        done = subprocess.run(
            ["mvn", "-B", "-ntp", "-q", "-f", str(POM), *goal],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
        if done.returncode or not any(jars.glob("kafka_*.jar")):
            raise Missing(f"Maven could not fetch Apache Kafka:\n{done.stdout[-2000:]}")
        jars.rename(target)


if __name__ == "__main__":
    try:
        print(fetch())
    except Missing as problem:
        sys.exit(f"jars.py: {problem}")
