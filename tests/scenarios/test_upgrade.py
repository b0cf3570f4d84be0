"""An upgrade at night: the next version replaces the wheel, whose code is read-only, as posts come in, and goes again.

Nothing is lost, nothing comes twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Deployment, Recording, outcome, until

from listener import __version__

ROOT = Path(__file__).resolve().parents[2]
NEXT = "99.0.0"


def installed(version: str, folder: Path) -> Path:
    """The wheel of this version in a folder of its own, all of it read-only."""
    source, target = folder / "source", folder / "site"
    for name in ("listener", "alerts", "config", "tests/fakes"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("lyttepost.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    init = source / "listener" / "__init__.py"
    init.write_text(init.read_text(encoding="utf-8").replace(f'"{__version__}"', f'"{version}"'), encoding="utf-8")
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

    def start(self) -> None:
        self._deployment.entry = self._entry
        self._deployment.start(env=self._env)

    def says(self, *words: str) -> str:
        self._deployment.entry = self._entry
        done = self._deployment.command(*words, env=self._env)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.mark.long
def test_an_upgrade_and_its_way_back_lose_nothing(
    deploy: Callable[..., Deployment], recording: Recording, tmp_path: Path
) -> None:
    deployment = deploy(recording=recording.path, speed="180")
    old = Installation(deployment, installed(__version__, tmp_path / "old"))
    new = Installation(deployment, installed(NEXT, tmp_path / "new"))

    def running() -> str:
        lines = deployment.running[-1].get("/metrics")[1].splitlines()
        return next(line for line in lines if line.startswith("lyttepost_build_info"))

    def heard() -> float:
        return deployment.running[-1].metric("lyttepost_posts_heard_total")

    old.start()
    deployment.exercise()
    for version, installation in ((__version__, new), (NEXT, old), (__version__, new)):
        until(lambda: heard() > 50, 60, "posts come in")
        assert f'version="{version}"' in running()
        code, seconds = deployment.running[-1].terminate()
        assert (code, seconds < 5) == (0, True), deployment.running[-1].said
        installation.start()
    deployment.running[-1].terminate()
    deployment.speed = "max"
    old.start()
    deployment.wait_until_settled()
    found = outcome(deployment)
    assert sorted(found.mentions) == recording.keys
    assert set(found.mentions.values()) == {1}
    assert set(found.deadletters.values()) == {1}
    assert "Traceback" not in "".join(running.said for running in deployment.running)
    sites = [path for name in ("old", "new") for path in (tmp_path / name / "site").rglob("__pycache__")]
    assert sites == [], "nothing was written beside the code"
