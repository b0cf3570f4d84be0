"""A real browser, and the board of a real service that it looks at. Where no browser is, these tests are skipped."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import axe
import pytest
from pages import Browser

ROOT = Path(__file__).parents[2]
SPEED = 600
"""The demo's three hours in eighteen seconds."""
PLAYED_SECONDS = 120.0
PASSWORD = "et langt passord som ingen gjetter"


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lacking = None
    if _chromium() is None or shutil.which("chromedriver") is None:
        lacking = "no chromium and chromedriver here; on Debian: apt-get install chromium chromium-driver"
    for item in items:
        if lacking and Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.skip(reason=lacking))


@pytest.fixture(scope="session")
def checker() -> str:
    """axe-core's text; on CI it must be there."""
    try:
        return axe.script()
    except axe.Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def demo() -> Iterator[str]:
    """`lyttepost board demo`, played to its end: the board's address."""
    command = [sys.executable, str(ROOT / "lyttepost.py"), "board", "demo", "--no-browser", "--port", "0"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as log:
        env = clean | {"HOME": home, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen([*command, "--speed", str(SPEED)], stdout=log, stderr=subprocess.STDOUT, env=env)
        try:
            yield _address(log, process)
        finally:
            process.terminate()
            process.wait(15)


def _address(log: object, process: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + PLAYED_SECONDS
    while time.monotonic() < until and process.poll() is None:
        log.seek(0)  # type: ignore[attr-defined]
        if found := re.search(r"The board is at (\S+)", log.read()):  # type: ignore[attr-defined]
            return found[1]
        time.sleep(0.2)
    raise AssertionError("the board of the demo did not come up")


@pytest.fixture(scope="session")
def played(demo: str) -> str:
    """The same, once what people say is on it."""
    with Browser(_chromium() or "", demo) as browser:
        browser.open("/")
        browser.wait(
            lambda: "besøk" in browser.text() and browser.count("#open-alerts ~ .rows .alert") >= 5, PLAYED_SECONDS
        )
    return demo


@pytest.fixture
def browsers(played: str) -> Iterator[Callable[..., Browser]]:
    """Makes browsers that look at the demo's board: each with a window and cookies of its own."""
    with ExitStack() as stack:
        yield lambda address=played, **options: stack.enter_context(Browser(_chromium() or "", address, **options))
