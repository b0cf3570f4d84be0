"""Data folders of every release: restored with today's code they show what they showed then, and go on.

`python -m tests.releases.make` adds one: with each release, before anything that it writes is changed.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from listener import __version__
from tests.ops.command_support import Machine
from tests.releases.make import HERE, SHOWN

RELEASES = sorted(HERE.glob("*.zip"))
GROWS = {"mode": {"standing", "followers", "sources"}}
"""What is of this machine and of today's configuration, and not of the data."""


def without_new(shown: Any, then: Any) -> Any:
    """What is shown now, without fields that it did not have then."""
    if isinstance(shown, dict) and isinstance(then, dict):
        return {name: without_new(shown[name], then[name]) for name in then if name in shown}
    if isinstance(shown, list) and isinstance(then, list) and len(shown) == len(then):
        return [without_new(*pair) for pair in zip(shown, then, strict=True)]
    return shown


@pytest.fixture(params=RELEASES, ids=lambda path: path.stem)
def restored(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Machine, dict[str, Any]]:
    release: Path = request.param
    machine = Machine(tmp_path, {"LYTTEPOST_RETENTION__CONTENT": "3650d"})
    done = machine.run("restore", str(release))
    assert done.returncode == 0, done.stderr
    return machine, json.loads(release.with_suffix(".json").read_text(encoding="utf-8"))


def test_this_release_is_among_them() -> None:
    assert __version__ in [path.stem for path in RELEASES]


def test_it_shows_what_it_showed_then(restored: tuple[Machine, dict[str, Any]]) -> None:
    machine, then = restored
    for name, words in SHOWN.items():
        shown = json.loads(machine.run(*words).stdout)
        expected = then[name]
        if name in GROWS:
            shown, expected = ({k: v for k, v in each.items() if k not in GROWS[name]} for each in (shown, expected))
        assert without_new(shown, expected) == expected, name
    assert machine.run("ledger", "verify").returncode == 0


def test_it_goes_on_from_there(restored: tuple[Machine, dict[str, Any]]) -> None:
    machine, then = restored
    words = ("mode", "crisis", "--name", "Ny", "--track", "granvik", "--why", "prøve", "--no-wait", "--by", "kari")
    assert machine.run(*words).returncode == 0
    assert machine.json("mode")["mode"] == "crisis"
    assert machine.run("alerts", "ack", then["alerts"][1]["id"], "--by", "kari").returncode in (0, 3)
    with closing(sqlite3.connect(machine.data / "bus.sqlite")) as db:
        (found,) = db.execute("PRAGMA integrity_check").fetchone()
    assert found == "ok"
