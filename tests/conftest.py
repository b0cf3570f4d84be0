"""Kafka for every test that asks for it: one broker for the whole run, three for those that break things."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

import jars
import pytest
import stand_in
from broker import Cluster, brokers
from choice import Choice, Kind, choose
from hypothesis import HealthCheck, settings

# How long an example takes is the machine's business; Hypothesis else fails one that takes a fifth of a second.
PATIENT = "patient"
settings.register_profile(PATIENT, parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(PATIENT)


def _choice(lacking: str | None) -> Choice:
    return choose(os.environ, lacking, stand_in.program() is not None)


def pytest_report_header() -> str:
    return f"kafka: {_choice(jars.lacking()).says}"


def _without() -> str | None:
    """Why Apache Kafka cannot be started here, or None: its files are there now."""
    try:
        jars.fetch()
    except jars.Missing as missing:
        return str(missing)
    return None


def _none(choice: Choice) -> NoReturn:
    if choice.must:
        pytest.fail(f"kafka: {choice.says}")
    pytest.skip(f"kafka: {choice.says}")


@pytest.fixture(scope="session")
def kafka_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A broker that all share: keep apart by `?prefix=…`."""
    choice = _choice(None)
    if choice.kind is Kind.APACHE:
        choice = _choice(_without())
    match choice.kind:
        case Kind.GIVEN:
            yield f"kafka://{choice.address}"
        case Kind.APACHE:
            cluster: Cluster = request.getfixturevalue("kafka_cluster")
            yield cluster.url
        case Kind.STAND_IN:
            with stand_in.stand_in() as address:
                yield f"kafka://{address}"
        case Kind.NONE:
            _none(choice)


@pytest.fixture(scope="session")
def apache_kafka() -> None:
    """Only where Apache Kafka itself can be started: skips elsewhere, and fails on CI."""
    if lacking := _without():
        _none(choose({"CI": os.environ.get("CI", "")}, lacking, has_stand_in=False))


@pytest.fixture(scope="session")
def kafka_cluster(apache_kafka: None) -> Iterator[Cluster]:
    """One node of Apache Kafka, shared. Whoever kills it breaks the others' tests."""
    with brokers(1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def three_brokers(apache_kafka: None) -> Iterator[Cluster]:
    """Three nodes, each partition on all of them, to be killed and paused; leave all three running."""
    with brokers(3) as cluster:
        yield cluster
