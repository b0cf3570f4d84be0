"""The ping to an outside dead-man service, which takes it, refuses it, hangs, or sends us elsewhere."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from alerts.notify.deadman import RETRY_SECONDS, TIMEOUT_SECONDS, WHOLE_SECONDS, DeadMan
from listener.clock import ManualClock
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.settings.deadman import DeadManSettings
from tests.fakes.drip import dripping_server
from tests.fakes.webhook import FakeWebhook, webhook_server
from tests.unit.telling_support import T0

SECRET = "3f0c-hemmelig"


@pytest.fixture
def service() -> Iterator[FakeWebhook]:
    with webhook_server() as fake:
        yield fake
        fake.stop.set()


class Pinging:
    """The worker with what it asks, turned by hand."""

    def __init__(self, port: int = 0, every: str = "5m", seconds: float = WHOLE_SECONDS, **more: Any) -> None:
        self.clock = ManualClock(T0)
        self.metrics = Metrics(CollectorRegistry(), "0")
        self.leads, self.trouble = True, ""
        self.part = Health(self.clock).part("deadman")
        self.worker = DeadMan(
            DeadManSettings.model_validate({"url": f"http://127.0.0.1:{port}/ping/{SECRET}", "every": every, **more}),
            leads=lambda: self.leads,
            trouble=lambda: self.trouble or None,
            clock=self.clock,
            metrics=self.metrics,
            part=self.part,
            seconds=seconds,
        )

    def after(self, seconds: float = 0) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        self.worker.step(0.0)

    def counted(self) -> dict[str, float]:
        found = self.metrics.deadman_pings.collect()[0].samples
        return {s.labels["outcome"]: s.value for s in found}

    def last(self) -> float:
        value = self.metrics.registry.get_sample_value("lyttepost_deadman_last_ping_timestamp_seconds")
        assert value is not None
        return value


def test_it_pings_at_once_and_then_at_its_interval(service: FakeWebhook) -> None:
    pinging = Pinging(service.port)
    pinging.after()
    pinging.after(299)
    assert [call.path for call in service.seen] == [f"/ping/{SECRET}"]
    assert service.seen[0].body == b""
    pinging.after(1)
    assert len(service.seen) == 2
    assert (pinging.counted(), pinging.last()) == ({"sent": 2}, (T0 + timedelta(minutes=5)).timestamp())


def test_who_does_not_send_the_alerts_does_not_ping(service: FakeWebhook) -> None:
    pinging = Pinging(service.port)
    pinging.leads = False
    pinging.after()
    assert (service.tries, pinging.counted()) == (0, {})
    pinging.leads = True
    pinging.after(1)
    assert service.tries == 1


def test_while_anything_is_wrong_no_ping_is_sent_and_the_reason_is_logged_once(
    service: FakeWebhook, caplog: pytest.LogCaptureFixture
) -> None:
    pinging = Pinging(service.port)
    for seconds in range(3):
        pinging.trouble = f"no canary has arrived for {7000 + seconds} s"
        pinging.after(RETRY_SECONDS)
    assert (service.tries, pinging.counted()) == (0, {"withheld": 3})
    assert caplog.text.count("the outside dead-man service is not pinged: no canary has arrived for 7000 s") == 1
    pinging.trouble = ""
    pinging.after(RETRY_SECONDS)
    assert service.tries == 1


@pytest.mark.parametrize("fault", ["503", "404", "302 http://127.0.0.1:1/elsewhere", "reset", "hang"])
def test_a_service_that_does_not_take_it_is_counted_logged_without_its_address_and_asked_again(
    service: FakeWebhook, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.faults.extend([fault] * 2)
    pinging = Pinging(service.port)
    began = time.monotonic()
    pinging.after()
    pinging.after(RETRY_SECONDS)
    assert time.monotonic() - began < 2 * TIMEOUT_SECONDS + 2
    assert (service.tries, pinging.counted()) == (2, {"failed": 2})
    assert caplog.text.count("the ping to the outside dead-man service failed") == 1
    assert SECRET not in caplog.text
    assert "127.0.0.1" not in caplog.text
    assert pinging.part.reason is None  # else it would hold back its own pings
    pinging.after(RETRY_SECONDS)
    assert pinging.counted() == {"failed": 2, "sent": 1}


def test_a_redirect_is_not_followed(service: FakeWebhook) -> None:
    with webhook_server() as elsewhere:
        service.always = f"307 {elsewhere.url}"
        Pinging(service.port).after()
        assert (service.tries, elsewhere.tries) == (1, 0)


def test_a_service_that_never_comes_to_an_end_holds_nobody_up() -> None:
    with dripping_server(b"HTTP/1.1 ", b"x") as port:
        pinging = Pinging(port)
        began = time.monotonic()
        pinging.after()
        assert time.monotonic() - began < 4 * TIMEOUT_SECONDS + 2
        assert pinging.counted() == {"failed": 1}


def test_a_ping_that_nothing_ends_is_given_up_by_whoever_waits_for_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        pinging = Pinging(silent.getsockname()[1], seconds=0.2)
        began = time.monotonic()
        pinging.after()
        assert time.monotonic() - began < TIMEOUT_SECONDS
    assert pinging.counted() == {"failed": 1}
    assert pinging.part.reason is None


def test_nobody_there_fails_at_once_and_no_storm_comes_of_it(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    pinging = Pinging(port, every="10s")
    for _ in range(30):
        pinging.after(10)
    assert pinging.counted() == {"failed": 30}
    assert len(caplog.records) <= 6  # one a minute


def test_an_address_from_a_file_is_read_again_each_time(
    service: FakeWebhook, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "url"
    file.write_text(f"http://127.0.0.1:{service.port}/ping/old\n", encoding="utf-8")
    pinging = Pinging(url=None, url_file=str(file))
    pinging.after()
    file.write_text(f"http://127.0.0.1:{service.port}/ping/new\n", encoding="utf-8")
    pinging.after(300)
    assert [call.path for call in service.seen] == ["/ping/old", "/ping/new"]
    file.unlink()
    pinging.after(300)
    assert pinging.counted() == {"sent": 2, "failed": 1}
    assert f"deadman.url_file: {file} cannot be read" in caplog.text
    file.write_text(f"ftp://{SECRET}", encoding="utf-8")
    pinging.after(300)
    assert SECRET not in caplog.text
