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
from pathlib import Path
from typing import Any

import axe
import pytest
from pages import Browser, chromium, start
from selenium import webdriver

ROOT = Path(__file__).parents[2]
SPEED = 600
"""The demo's three hours in eighteen seconds."""
PLAYED_SECONDS = 300.0
LAST = ("test_board_live", "test_board_actions")
"""All files look at one demo: first those that leave it as it is, last the one that ends its crisis."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lacking = None
    if chromium() is None or shutil.which("chromedriver") is None:
        lacking = "no chromium and chromedriver here; on Debian: apt-get install chromium chromium-driver"
    for item in items:
        if lacking and Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.skip(reason=lacking))
    ours = [number for number, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    ordered = sorted((items[number] for number in ours), key=lambda item: _place(item.path.stem))
    for number, item in zip(ours, ordered, strict=True):
        items[number] = item


def _place(file: str) -> int:
    return 1 + LAST.index(file) if file in LAST else 0


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
def drivers() -> Iterator[list[webdriver.Chrome]]:
    """Browsers that nobody looks at just now."""
    free: list[webdriver.Chrome] = []
    yield free
    for each in free:
        each.quit()


@pytest.fixture(scope="session")
def played(demo: str, drivers: list[webdriver.Chrome]) -> str:
    """The demo's board, once what people say is on it."""
    driver = drivers.pop() if drivers else start(chromium() or "")
    browser = Browser(driver, demo)
    browser.open("/")
    # Late in the night the rumour is denied; by then all that there is was said.
    browser.wait(lambda: "kan være avkreftet" in browser.text(), PLAYED_SECONDS)
    drivers.append(driver)
    return demo


@pytest.fixture
def browsers(played: str, drivers: list[webdriver.Chrome]) -> Iterator[Callable[..., Browser]]:
    """Makes browsers that look at the demo's board: each with a tab and cookies of its own."""
    taken: list[webdriver.Chrome] = []

    def make(address: str = played, **options: Any) -> Browser:
        driver = drivers.pop() if drivers else start(chromium() or "")
        taken.append(driver)
        return Browser(driver, address, **options)

    yield make
    drivers.extend(taken)
