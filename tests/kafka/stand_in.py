"""noida-db: a small server that speaks Kafka's protocol, for machines without Java and Maven.

It keeps groups, transactions and fencing as Kafka does, so the bus's contract can be tried on it. It has one node, no
TLS, no SASL, compacts nothing, and is no measure of speed or of what a crash leaves behind.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from processes import free_ports, watchdog

PATIENCE = 20.0


def program() -> Path | None:
    """The server itself. What pip puts among the commands only wraps it, and would leave it behind when killed."""
    found = find_spec("noida_db")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).with_name("noida-db")
    return path if path.is_file() else None


@contextmanager
def stand_in() -> Iterator[str]:
    """Start one; its `host:port`. Raises RuntimeError when it does not start."""
    server = program()
    if server is None:
        raise RuntimeError("noida-db is not installed")
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="lyttepost-stand-in-", ignore_cleanup_errors=True) as folder:
        address = ["--host", "127.0.0.1", "--only", "kafka", "--kafka-port", str(port), "--data-dir", folder]
        log = Path(folder, "server.log")
        with watchdog() as group, log.open("wb") as out:
            process = subprocess.Popen(
                [server, "start", *address],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                process_group=group,
            )
            try:
                _await(process, port, log)
                yield f"127.0.0.1:{port}"
            finally:
                process.kill()
                process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"noida-db did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
