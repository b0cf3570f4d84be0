"""Deployments that end with their test, whatever came of it."""

from __future__ import annotations

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
    """4,000 posts in three hours."""
    return write_recording(tmp_path_factory.mktemp("recording") / "posts.jsonl")


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """600 posts in half an hour."""
    return write_recording(tmp_path_factory.mktemp("recording") / "short.jsonl", 600, seed=2, seconds=1800)


@pytest.fixture(scope="module")
def undisturbed(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Deployment]:
    """What a run leaves in which nobody is killed; and its deployment, whose key makes the pseudonyms the same."""
    calm = Deployment(tmp_path_factory.mktemp("undisturbed"), recording.path, speed="max")
    running = calm.start()
    try:
        calm.exercise()
        calm.wait_until_settled()
    finally:
        running.kill()
    return outcome(calm), calm
