"""An upgrade at night: the next version replaces the wheel, whose code is read-only, as posts come in, and goes again.

Nothing is lost, nothing comes twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Deployment, Recording, outcome, until
from installing import NEXT, Installation, installed

from listener import __version__


@pytest.mark.long
def test_an_upgrade_and_its_way_back_lose_nothing(
    deploy: Callable[..., Deployment], recording: Recording, tmp_path: Path
) -> None:
    deployment = deploy(recording=recording.path, speed="180")
    old = Installation(deployment, installed(__version__, tmp_path / "old"))
    new = Installation(deployment, installed(NEXT, tmp_path / "new"))

    def running() -> str:
        lines = deployment.running[-1].get("/metrics")[1].splitlines()
        return next(line for line in lines if line.startswith("lyttepost_build_info"))

    def heard() -> float:
        return deployment.running[-1].metric("lyttepost_posts_heard_total")

    old.start()
    deployment.exercise()
    for version, installation in ((__version__, new), (NEXT, old), (__version__, new)):
        until(lambda: heard() > 50, 60, "posts come in")
        assert f'version="{version}"' in running()
        code, seconds = deployment.running[-1].terminate()
        assert (code, seconds < 5) == (0, True), deployment.running[-1].said
        installation.start()
    deployment.running[-1].terminate()
    deployment.speed = "max"
    old.start()
    deployment.wait_until_settled()
    found = outcome(deployment)
    assert sorted(found.mentions) == recording.keys
    assert set(found.mentions.values()) == {1}
    assert set(found.deadletters.values()) == {1}
    assert "Traceback" not in "".join(running.said for running in deployment.running)
    sites = [path for name in ("old", "new") for path in (tmp_path / name / "site").rglob("__pycache__")]
    assert sites == [], "nothing was written beside the code"
