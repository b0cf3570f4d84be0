"""A web port with its metrics and health, and a dispatcher with its far ends, on free ports of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from listener.clock import ManualClock
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.web import Web
from tests.fakes.smtp import smtp_server
from tests.fakes.webhook import webhook_server
from tests.ops.dispatch_support import DispatchDeployment


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


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[DispatchDeployment]:
    with smtp_server() as smtp, webhook_server() as hook:
        made = DispatchDeployment(tmp_path, smtp, hook)
        yield made
        hook.stop.set()
        for dispatcher in made.opened:
            dispatcher.close()
        made.bus.close()
