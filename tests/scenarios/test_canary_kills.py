"""Whichever process is killed on the canary's way, its absence is an alert: real processes, a real Prometheus."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Deployment, Running, until

from tests.fakes.webhook import FakeWebhook, webhook_server
from tests.ops.test_prometheus import RULES, prometheus, query, scrape

ALERT = "LyttepostCanaryMissing"
ROLES = ("listener", "annotate", "judge", "dispatch")


def impatient(folder: Path) -> Path:
    """Our own rules, which wait seconds for what they wait minutes for."""
    text = RULES.read_text(encoding="utf-8")
    assert "+ 120" in text
    path = folder / "impatient.rules.yml"
    path.write_text(text.replace("+ 120", "+ 6").replace("for: 1m", "for: 0s"), encoding="utf-8")
    return path


def firing(port: int) -> bool:
    return bool(query(port, f'ALERTS{{alertname="{ALERT}",alertstate="firing"}}'))


def arriving(port: int) -> bool:
    return bool(query(port, "lyttepost_canary_round_trip_seconds >= 0")) and not firing(port)


@pytest.mark.long
def test_whichever_worker_is_killed_or_hangs_the_canary_is_missed_and_comes_back(
    deploy: Callable[..., Deployment], tmp_path: Path
) -> None:
    if shutil.which("prometheus") is None and not os.environ.get("CI"):
        pytest.skip("prometheus is not installed")
    address = tmp_path / "deadman.url"
    deployment = deploy(
        settings={"CANARY__EVERY": "1s", "DEADMAN__URL_FILE": str(address), "DEADMAN__EVERY": "1s"},
    )
    with webhook_server() as service:
        address.write_text(service.url, encoding="utf-8")
        _kill_each(deployment, tmp_path, service)
    assert deployment.mode()["mode"] == "calm"
    assert deployment.command("alerts", "--json").stdout.strip() == "[]"
    assert service.url.rpartition("/")[2] not in "".join(each.said for each in deployment.running)


def _kill_each(deployment: Deployment, tmp_path: Path, service: FakeWebhook) -> None:
    """One role after another, each with a process of its own."""
    running: dict[str, Running] = {role: deployment.start("--role", role) for role in ROLES}
    (tmp_path / "prometheus").mkdir()
    folder = tmp_path / "prometheus"
    with prometheus(folder, *(each.port for each in running.values()), rules=impatient(tmp_path)) as port:
        until(lambda: arriving(port), 60, "the canary arrives")
        until(lambda: len(service.seen) > 1, 20, "who sends the alerts pings the service outside")
        for role in ROLES:
            running[role].kill()
            pinged = len(service.seen)
            until(lambda: firing(port), 40, f"it is missed without {role}")
            assert role != "dispatch" or len(service.seen) == pinged, "nobody else pings"
            running[role] = deployment.start("--role", role)
            scrape(folder, *(each.port for each in running.values()))
            until(lambda: arriving(port), 60, f"it arrives with a new {role}")
        for role in ("annotate", "judge"):
            os.kill(running[role].process.pid, signal.SIGSTOP)
            until(lambda: firing(port), 40, f"it is missed while {role} hangs")
            os.kill(running[role].process.pid, signal.SIGCONT)
            until(lambda: arriving(port), 60, f"it arrives when {role} goes on")
