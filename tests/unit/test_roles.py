"""What runs in a process of which role, and what is lacking where nobody has one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from alerts.pipeline import flow
from alerts.wiring import make_alerts, make_app, process_name
from listener.bus.protocol import open_bus
from listener.clock import SystemClock
from listener.model.roles import ALERTS, ANNOTATE, DISPATCH, JUDGE, PARTS, ROLES, lacking_of
from listener.settings.files import raw_settings
from listener.settings.schema import Settings


def workers(folder: Path, *roles: str) -> list[str]:
    clock = SystemClock()
    bus = open_bus("embedded:", folder, clock, durable=False)
    app = make_app(Settings(), folder, bus, clock, roles[0])
    turning = flow(app, roles, None, make_alerts(raw_settings(), Settings(), None, tell=True))
    names = [worker.name for worker, _ in turning]
    for worker, _ in turning:
        worker.close()
    bus.close()
    return names


@pytest.mark.parametrize(
    ("role", "its"),
    [
        (ANNOTATE, {"annotate"}),
        (JUDGE, {"answers", "judge", "calm"}),
        (DISPATCH, {"register", "reread", "purge", "dispatch"}),
        (ALERTS, {"annotate", "answers", "judge", "calm", "register", "reread", "purge", "dispatch"}),
    ],
)
def test_a_role_has_its_workers_and_each_process_follows_the_mode(tmp_path: Path, role: str, its: set[str]) -> None:
    names = workers(tmp_path, role)
    assert names[0] == "follow"
    assert set(names[1:]) == its


ROOT = Path(__file__).parents[2]
IMPORTED = """
import sys
from pathlib import Path
import alerts.commands.run
from test_roles import workers
workers(Path(sys.argv[1]), sys.argv[2])
print(*sorted(sys.modules), sep="\\n")
"""


def imported_for(role: str, folder: Path) -> set[str]:
    """Every module that a process of this role imports until its workers are made."""
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, folder, role], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.splitlines())


def test_a_process_imports_the_model_only_where_it_annotates(tmp_path: Path) -> None:
    reads_texts = {"numpy", "alerts.annotate.understanding"}
    assert reads_texts <= imported_for(ANNOTATE, tmp_path)
    assert reads_texts.isdisjoint(imported_for(JUDGE, tmp_path))
    assert reads_texts.isdisjoint(imported_for(DISPATCH, tmp_path))


def test_the_parts_of_a_role_together_are_the_role(tmp_path: Path) -> None:
    whole = workers(tmp_path / "whole", ALERTS)
    shared = [name for part in PARTS[ALERTS] for name in workers(tmp_path / part, part)[1:]]
    assert sorted(shared) == sorted(whole[1:])


@pytest.mark.parametrize(
    ("there", "lacking"),
    [
        (["listener", "alerts"], []),
        (["listener", "annotate", "judge", "dispatch"], []),
        (["listener"], ["alerts"]),
        (["listener", "annotate", "dispatch"], ["judge"]),
        ([], ["listener", "alerts"]),
    ],
)
def test_what_nobody_does_is_named_by_its_smallest_name(there: Collection[str], lacking: list[str]) -> None:
    assert [each for role in ROLES for each in lacking_of(role, there)] == lacking


def test_processes_of_one_role_are_distinguished_by_name_and_by_folder(tmp_path: Path) -> None:
    folders, names = (tmp_path / "a", tmp_path / "b"), ("", "1", "2")
    assert len({process_name(JUDGE, folder, name) for folder in folders for name in names}) == 6
    assert process_name(JUDGE, tmp_path, "1") == process_name(JUDGE, tmp_path, "1")
