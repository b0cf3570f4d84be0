"""A bus of each kind, and processes beside it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import jars
import pytest
import stand_in
from broker import Cluster
from bus_support import SITES, Site, embedded, on_kafka
from choice import Choice, Kind, choose
from topics import drop_topics

from listener.bus.protocol import Bus


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    server = SITES[request.param]
    if server is None:
        yield embedded(tmp_path)
        return
    monkeypatch.setattr("listener.bus.kafka.members.REBALANCE_SECONDS", 3.0)
    url = request.getfixturevalue(server)
    disk = request.getfixturevalue("kafka_disk")
    made = on_kafka(url, tmp_path, disk, whole=_choice().kind is not Kind.STAND_IN)
    yield made
    drop_topics(made.url)


def _choice() -> Choice:
    return choose(os.environ, jars.lacking(), stand_in.program() is not None)


@pytest.fixture(scope="session")
def kafka_disk(request: pytest.FixtureRequest, kafka_url: str) -> Path | None:
    """Where the broker's files are, when it is ours."""
    if _choice().kind is not Kind.APACHE:
        return None
    cluster: Cluster = request.getfixturevalue("kafka_cluster")
    return cluster.folder(1)


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
