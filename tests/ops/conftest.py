"""A web port with its metrics and health, on a free port of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from listener.clock import ManualClock
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.web import Web


@dataclass(frozen=True)
class Served:
    web: Web
    metrics: Metrics
    health: Health
    clock: ManualClock


@pytest.fixture
def served() -> Iterator[Served]:
    clock = ManualClock(datetime(2031, 2, 3, 4, 5, tzinfo=UTC))
    metrics, health = Metrics(CollectorRegistry(), version="1.2.3"), Health(clock)
    web = Web(metrics, health)
    yield Served(web, metrics, health, clock)
    web.stop()
