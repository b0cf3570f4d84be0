"""A dispatcher by itself, as a process that may be killed: a bus, people, channels, and the real clock.

Run as `tests.bench.dispatcher_process BUS_FOLDER SETTINGS HOLDER`.

`SETTINGS` is a JSON file with `people` (as people.yaml) and `channels` (each one's settings). It turns until it is
killed.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry

from alerts.notify.canary import Ledger
from alerts.notify.channels.contract import channel_type
from alerts.notify.dispatcher import Dispatcher
from alerts.notify.messages import load_messages
from alerts.notify.recipients import People
from listener.bus.protocol import open_bus
from listener.clock import SystemClock
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.settings.files import packaged_config

ROOT = Path(__file__).parents[2]


def start(bus: Path, settings: Path, holder: str, crash: str = "") -> subprocess.Popen[bytes]:
    """`crash`: a point at which it kills itself, see `listener.crashpoints`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | ({"LYTTEPOST_CRASH": crash} if crash else {})
    command = [sys.executable, "-m", "tests.bench.dispatcher_process", str(bus), str(settings), holder]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def main(folder: str, settings: str, holder: str) -> None:
    logging.basicConfig(level=logging.ERROR)
    told = json.loads(Path(settings).read_text(encoding="utf-8"))
    clock = SystemClock()
    people = People.model_validate(told["people"], context={"scripted": True})
    channels = {name: channel_type(name).open(its) for name, its in told["channels"].items()} | {"ledger": Ledger()}
    dispatcher = Dispatcher(
        open_bus("embedded:", Path(folder), clock), people, load_messages(packaged_config(), "en"), channels,
        clock=clock, metrics=Metrics(CollectorRegistry(), "0"), part=Health(clock).part("dispatch"), holder=holder,
    )  # fmt: skip
    while True:
        dispatcher.step(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
