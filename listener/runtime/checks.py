"""Checks: the answers of `lyttepost doctor`, each with an id that stays, a level, what is the case and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class CheckLevel(StrEnum):
    """How well it stands, the best first."""

    OK = "ok"
    WARNING = "warning"
    """It works, and a person should know."""
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One answer. `id` names the question, `fix` says what to do about the answer: nothing, when all is well."""

    id: str
    level: CheckLevel
    says: str
    fix: str = ""

    def to_json(self) -> dict[str, Any]:
        # Programs read what to do under this name.
        return {"id": self.id, "level": self.level, "says": self.says, "mend": self.fix}


def well(id_: str, says: str) -> Check:
    return Check(id_, CheckLevel.OK, says)


def warning(id_: str, says: str, fix: str) -> Check:
    return Check(id_, CheckLevel.WARNING, says, fix)


def failed(id_: str, says: str, fix: str) -> Check:
    return Check(id_, CheckLevel.FAILED, says, fix)


def worst(checks: Sequence[Check]) -> CheckLevel:
    """The worst level of all; OK where there are none."""
    order = list(CheckLevel)
    return max((check.level for check in checks), key=order.index, default=CheckLevel.OK)
