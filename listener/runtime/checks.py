"""One answer of `lyttepost doctor`: an id that stays, a level, what is the case, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


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
