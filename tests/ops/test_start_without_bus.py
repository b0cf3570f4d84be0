"""`lyttepost run` while no broker is there: alive, not ready, and gone in a moment when it is told to stop."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.ops.command_support import Machine


@pytest.fixture
def address() -> Iterator[str]:
    """A port of this machine on which nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def run(folder: Path, address: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """`lyttepost run`, which ends with the block, whatever came of it."""
    machine = Machine(folder, {"LYTTEPOST_BUS__URL": f"kafka://{address}", **more})
    with machine.start("run", "--port", "0", stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def asked(url: str) -> tuple[int, str]:
    answer = requests.get(url, timeout=10)
    return answer.status_code, answer.text


def test_it_waits_and_says_for_what_until_it_is_stopped(tmp_path: Path, address: str) -> None:
    with run(tmp_path, address) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if "waits for the bus" in line:
                break
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found, said
        url = found[0]
        assert asked(f"{url}/healthz")[0] == 200
        code, ready = asked(f"{url}/readyz")
        assert code == 503
        assert f"waits for the bus: kafka {address}: cannot connect" in ready
        assert asked(f"{url}/metrics")[0] == 200
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert time.monotonic() - began < 5
        assert "Traceback" not in process.stderr.read()


def test_settings_that_are_wrong_are_told_before_anything_is_waited_for(tmp_path: Path, address: str) -> None:
    with run(tmp_path, address, LYTTEPOST_X__BEARER_TOKEN_FILE="/nowhere/token") as process:
        assert process.wait(60) == 4
        assert process.stderr is not None
        assert "/nowhere/token" in process.stderr.read()
