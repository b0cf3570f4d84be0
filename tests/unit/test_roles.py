"""What runs in a process of which role, and what is lacking where nobody has one."""

from __future__ import annotations

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
        (DISPATCH, {"register", "purge", "dispatch"}),
        (ALERTS, {"annotate", "answers", "judge", "calm", "register", "purge", "dispatch"}),
    ],
)
def test_a_role_has_its_workers_and_each_process_follows_the_mode(tmp_path: Path, role: str, its: set[str]) -> None:
    names = workers(tmp_path, role)
    assert names[0] == "follow"
    assert set(names[1:]) == its


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
