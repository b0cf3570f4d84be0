"""Versions of the program, each built and installed in a folder of its own, as a person upgrades."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from harness import ROOT, Deployment, Running

from listener import __version__

NEXT = "99.0.0"


def installed(version: str, folder: Path, edit: Callable[[Path], None] = lambda source: None) -> Path:
    """The wheel of this version in a folder of its own, all of it read-only. `edit` is what else is new in it."""
    source, target = folder / "source", folder / "site"
    for name in ("listener", "alerts", "config", "tests/fakes"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("lyttepost.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    init = source / "listener" / "__init__.py"
    init.write_text(init.read_text(encoding="utf-8").replace(f'"{__version__}"', f'"{version}"'), encoding="utf-8")
    edit(source)
    quiet = {"check": True, "capture_output": True, "cwd": source}
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], **quiet)
    (wheel,) = folder.glob("*.whl")
    words = ("install", "--no-deps", "--no-index", "--disable-pip-version-check", "--target", str(target), str(wheel))
    subprocess.run([sys.executable, "-m", "pip", *words], **quiet)
    shutil.rmtree(source)
    for path in (target, *target.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    return target


class Installation:
    """One version, as a deployment starts it."""

    def __init__(self, deployment: Deployment, site: Path) -> None:
        self._deployment = deployment
        self._entry = (str(site / "bin" / "lyttepost"),)
        libraries = os.pathsep.join([str(site), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
        self._env = {"PYTHONPATH": libraries, "PYTHONDONTWRITEBYTECODE": "1"}

    def start(self, *words: str, wait: bool = True) -> Running:
        self._deployment.entry = self._entry
        return self._deployment.start(*words, env=self._env, wait=wait)

    def says(self, *words: str) -> str:
        self._deployment.entry = self._entry
        done = self._deployment.command(*words, env=self._env)
        assert done.returncode == 0, done.stderr
        return done.stdout
