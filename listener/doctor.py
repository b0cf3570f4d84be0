"""What `lyttepost doctor` finds: one finding a question, each with an id that stays and a mend.

The questions about X are in `listener.x.examine`, those about the house itself here. Nothing is changed by asking, and
no answer holds a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from listener.bus import Bus
from listener.clock import Clock
from listener.control import ROLES, Presences, lacking_of
from listener.errors import ConfigError
from listener.known_key import key_problem
from listener.pseudonym import check_key_outside, load_key
from listener.settings import Settings


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, and a person should know."""
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """`id` names the question, `mend` what to do about the answer; nothing, when all is well."""

    id: str
    level: Level
    says: str
    mend: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def well(id_: str, says: str) -> Finding:
    return Finding(id_, Level.OK, says)


def warning(id_: str, says: str, mend: str) -> Finding:
    return Finding(id_, Level.WARNING, says, mend)


def failed(id_: str, says: str, mend: str) -> Finding:
    return Finding(id_, Level.FAILED, says, mend)


def worst(findings: Sequence[Finding]) -> Level:
    order = list(Level)
    return max((f.level for f in findings), key=order.index, default=Level.OK)


def examine_house(bus: Bus, settings: Settings, folder: Path, clock: Clock) -> Iterator[Finding]:
    """The bus, the pseudonym key, and who runs."""
    why = bus.healthy()
    if why is None:
        yield well("bus.healthy", f"the bus answers and takes records ({settings.bus.url.split('@')[-1]})")
    else:
        yield failed("bus.healthy", why, "make the bus well first: nothing works without it")
        return
    yield _key(settings, folder, bus)
    running = {role for presence in Presences(bus, clock).refresh() for role in presence.roles}
    for role in ROLES:
        lacking = lacking_of(role, running)
        if not lacking:
            yield well(f"run.{role}", f"a process with the role {role} runs")
        for each in lacking:
            yield warning(
                f"run.{each}", f"no process with the role {each} runs", f"start `lyttepost run --role {each}`"
            )


def _key(settings: Settings, folder: Path, bus: Bus) -> Finding:
    path = settings.privacy.key_path
    try:
        check_key_outside(path, folder)
        if (problem := key_problem(path, bus)) is not None:
            return failed("privacy.key", problem, "restore the key; until then no post is taken in")
        load_key(path, create=False)
    except ConfigError as error:
        if path.exists():
            return failed("privacy.key", str(error), "mend the key file; without it no post is taken in")
        return warning("privacy.key", f"{path} does not exist yet", "`lyttepost run` makes it at its first start")
    return well("privacy.key", "the pseudonym key is there, outside the data folder, and only its owner may read it")
