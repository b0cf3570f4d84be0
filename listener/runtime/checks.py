"""One answer of `lyttepost doctor`: an id that stays, a level, what is the case, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class CheckLevel(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, and a person should know."""
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """`id` names the question, `mend` what to do about the answer; nothing, when all is well."""

    id: str
    level: CheckLevel
    says: str
    mend: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def well(id_: str, says: str) -> Check:
    return Check(id_, CheckLevel.OK, says)


def warning(id_: str, says: str, mend: str) -> Check:
    return Check(id_, CheckLevel.WARNING, says, mend)


def failed(id_: str, says: str, mend: str) -> Check:
    return Check(id_, CheckLevel.FAILED, says, mend)


def worst(findings: Sequence[Check]) -> CheckLevel:
    order = list(CheckLevel)
    return max((f.level for f in findings), key=order.index, default=CheckLevel.OK)
