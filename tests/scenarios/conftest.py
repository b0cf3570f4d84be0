"""Deployments that end with their test, whatever came of it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Deployment, Outcome, Recording, outcome, write_recording


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    """Make a deployment; the processes that it started are killed at the end, and only those."""
    made: list[Deployment] = []

    def make(name: str = "a", **more: Any) -> Deployment:
        made.append(Deployment(tmp_path / name, **more))
        return made[-1]

    yield make
    for deployment in made:
        for running in deployment.running:
            running.kill()


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """1,600 posts in three hours: enough for every rule that we ship to fire, and for most to be resolved too."""
    return write_recording(tmp_path_factory.mktemp("recording") / "posts.jsonl")


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """600 posts in half an hour."""
    return write_recording(tmp_path_factory.mktemp("recording") / "short.jsonl", 600, seed=2, seconds=1800)


@pytest.fixture(scope="session")
def undisturbed(
    recording: Recording, folder_of_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Outcome, Path]:
    """What a run leaves in which nobody is killed; and its key, which makes the pseudonyms the same.

    The first worker that asks plays it, for all of them.
    """
    key, left = folder_of_run / "undisturbed.key", folder_of_run / "undisturbed.json"
    with (folder_of_run / "undisturbed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not left.exists():
            calm = Deployment(tmp_path_factory.mktemp("undisturbed"), recording.path, speed="max", key=key)
            running = calm.start()
            try:
                calm.exercise()
                calm.wait_until_settled()
            finally:
                running.kill()
            left.write_text(outcome(calm).to_json(), encoding="utf-8")
    return Outcome.from_json(left.read_text(encoding="utf-8")), key
