"""What every record is built of: frozen and strict, with a schema version, and instants in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

SCHEMA_VERSION: Literal[1] = 1


def _utc(at: datetime) -> datetime:
    try:
        return at if at.tzinfo is UTC else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("no such instant in UTC") from None


Instant = Annotated[AwareDatetime, AfterValidator(_utc)]
"""In Python's own UTC, whatever was written: those with pydantic's take ten times as long to compare."""


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Recorded(Model):
    v: Literal[1] = SCHEMA_VERSION


class Chained(Recorded):
    """A record whose `digest` covers itself and the `digest` before it, so that no word can be changed unseen."""

    prev: str = ""
    digest: str = ""

    @property
    def key(self) -> str:
        """Under which it lies on its topic: what it is about."""
        raise NotImplementedError
