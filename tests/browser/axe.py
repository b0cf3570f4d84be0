"""axe-core, the checker of accessibility, from npm: fetched once into the user's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path

VERSION = "4.10.3"
_INSIDE = "package/axe.min.js"


class Missing(Exception):
    """It cannot be had here, and why."""


@cache
def script() -> str:
    """The text of axe.min.js. Raises Missing."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lyttepost-tests"
    kept = folder / f"axe-{VERSION}.min.js"
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(kept)
    return kept.read_text(encoding="utf-8")


def _fetch(kept: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("npm is not installed, which brings axe-core")
    with tempfile.TemporaryDirectory(dir=kept.parent) as passing:
        words = [npm, "pack", "--silent", f"axe-core@{VERSION}"]
        done = subprocess.run(words, cwd=passing, capture_output=True, text=True, timeout=120, check=False)
        packed = next(Path(passing).glob("*.tgz"), None)
        if packed is None:
            raise Missing(f"npm could not fetch axe-core: {done.stderr.strip()[:200]}")
        with tarfile.open(packed) as archive:
            member = archive.extractfile(_INSIDE)
            if member is None:
                raise Missing("axe-core's package holds no axe.min.js")
            whole = Path(passing) / "axe.js"
            whole.write_bytes(member.read())
        os.replace(whole, kept)
