"""A bus of each kind, and processes beside it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bus_support import SITES, Site

from listener.bus import Bus


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    return SITES[request.param](tmp_path)


@pytest.fixture
def bus(site: Site) -> Iterator[Bus]:
    opened = site.open()
    yield opened
    opened.close()


@pytest.fixture
def processes(site: Site) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start children; those still running at the end are killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*args: object, crash: str = "") -> subprocess.Popen[str]:
        started.append(site.start(*args, crash=crash))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
