"""A data folder that is worth a backup."""

from __future__ import annotations

from pathlib import Path

from tests.ops.command_support import Machine


def in_crisis(folder: Path) -> Machine:
    """With a log in which an incident is open."""
    made = Machine(folder)
    done = made.run("mode", "crisis", "--name", "Brann", "--track", "brann", "--why", "prøve", "--no-wait")
    assert done.returncode == 0, done.stderr
    return made
