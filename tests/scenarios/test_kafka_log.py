"""A broker is dead for minutes: the log of each process says so at its start, once a minute and at its end.

`KAFKA_LOG_SECONDS` lengthens the outage, and `pytest -s` shows the lines: `lyttepost` wrote 17,904 in two minutes once.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator

import pytest
from broker import Cluster, brokers
from harness import Deployment, Running, until

from tests.fakes.x import FakeX

TOKEN = "a-token-of-no-account"
SECONDS = float(os.environ.get("KAFKA_LOG_SECONDS", "70"))
LOGGED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [+-]\d{4} (WARNING|ERROR|CRITICAL) ")
ROLES = ("listener", "annotate", "judge", "dispatch")


@pytest.fixture(scope="module")
def lone(apache_kafka: None) -> Iterator[Cluster]:
    with brokers(1) as cluster:
        yield cluster


@pytest.fixture
def fake() -> Iterator[FakeX]:
    with FakeX(bearer=TOKEN, keep_alive=5.0) as made:
        yield made


def lines(process: Running, since: int) -> list[str]:
    """Of the log what is wrong; not whom it told meanwhile, nor the console's cards, which stand in the same file."""
    return [line for line in process.said.splitlines() if LOGGED.match(line)][since:]


def wait_until_ready(role: str, process: Running) -> None:
    deadline = time.monotonic() + 300
    while (answer := process.get("/readyz"))[0] != 200:
        assert time.monotonic() < deadline, f"{role}: {answer[1]}\n{process.said}"
        time.sleep(0.2)


@pytest.mark.long
def test_a_broker_that_is_dead_for_minutes_is_a_few_lines_in_the_log_of_each_process(
    deploy: Callable[..., Deployment], lone: Cluster, fake: FakeX
) -> None:
    deployment = deploy("log", settings={
        "BUS__URL": f"{lone.url}?prefix=log", "X__BASE_URL": fake.url, "X__BEARER_TOKEN": TOKEN
    })  # fmt: skip
    running = {role: deployment.start("--role", role) for role in ROLES}
    # A week of counts that is in its hands when the bus goes away would take a while to be brought to it.
    until(
        lambda: running["listener"].metric("lyttepost_source_counted_timestamp_seconds") > 0, 90, "the week is counted"
    )
    words = ("--name", "Granvik", "--track", "granvik", "--why", "prøve", "--no-wait", "--lookback", "0s")
    done = deployment.command("mode", "crisis", *words)
    assert done.returncode == 0, done.stderr
    for role, process in running.items():
        wait_until_ready(role, process)
    before = {role: len(lines(process, 0)) for role, process in running.items()}
    lone.kill(1)
    dead = time.monotonic()
    while time.monotonic() - dead < SECONDS:
        fake.post("det brenner i granvik")
        time.sleep(0.5)
    lone.start(1)
    for role, process in running.items():
        wait_until_ready(role, process)
        until(lambda process=process: "the bus works again" in process.said, 60, f"{role} says so")
    minutes = SECONDS // 60
    for role, process in running.items():
        said = lines(process, before[role])
        print(f"{role}: {len(said)} lines", *said, sep="\n  ")
        assert sum("the bus failed: " in line for line in said) == 1
        assert 1 <= sum("the bus has failed for " in line for line in said) <= minutes + 1
        assert sum("the bus works again" in line for line in said) == 1
        own = [line for line in said if "the bus failed" not in line and "the bus has failed" not in line]
        # What is heard is kept on disk, and then brought to the bus: one line each.
        assert len(own) <= (3 if role == "listener" else 1) + minutes, own
        assert "Traceback" not in process.said
        assert process.terminate()[0] == 0
