"""What a source that is paid for costs, and how much it may: prices and caps, as the settings and people say. Pure.

All money is in US dollars; all days and months are UTC's, as X bills them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import Field, model_validator

from listener.settings.types import Tree

MAX_USD: Final = 1_000_000_000.0
"""Beyond this it is a slip, and no cap."""

Price = Annotated[float, Field(ge=0, le=1_000, allow_inf_nan=False)]
Usd = Annotated[float, Field(ge=0, le=MAX_USD, allow_inf_nan=False)]


class Cap(StrEnum):
    """What happens when a month has cost so much, the mildest first."""

    SOFT = "soft"
    """Ops are warned."""
    HARD = "hard"
    """A person is paged and asked; listening goes on."""
    CEILING = "ceiling"
    """Listening stops, as a gap."""


class Prices(Tree):
    """What one of each costs. The same post or user costs once a day."""

    post: Price = 0.005
    referenced_post: Price = 0.0
    user: Price = 0.0
    counts: Price = 0.005
    search: Price = 0.0
    compliance: Price = 0.0
    other: Price = 0.0

    def call(self, endpoint: str) -> float:
        """One request that was answered; what its answer holds is priced by itself."""
        named = {"counts": self.counts, "search": self.search, "compliance": self.compliance}
        return named.get(endpoint, self.other)


class Budget(Tree):
    """What a month may cost.

    The defaults are for X's pay-per-use prices at its highest rate, 250 posts a second or $4,500 an hour: ops are
    warned after 3 minutes of it, a person is paged after 13, and has two hours from then to answer; a crisis of 10
    posts a second reaches the ceiling on its third day.
    """

    soft: Usd = 200.0
    hard: Usd = 1_000.0
    ceiling: Usd = 10_000.0

    @model_validator(mode="after")
    def _ordered(self) -> Budget:
        if not self.soft <= self.hard <= self.ceiling:
            raise ValueError("must not fall: soft, hard, ceiling")
        return self

    def raised(self, to: float) -> Budget:
        """The hard cap becomes `to`; the ceiling keeps its distance above it."""
        hard = min(to, MAX_USD)
        return Budget(soft=min(self.soft, hard), hard=hard, ceiling=min(hard + self.ceiling - self.hard, MAX_USD))

    def caps(self) -> Mapping[Cap, float]:
        return {Cap.SOFT: self.soft, Cap.HARD: self.hard, Cap.CEILING: self.ceiling}

    def reached(self, usd: float) -> list[Cap]:
        """The caps that so much has reached. What has cost nothing has reached none."""
        return [cap for cap, most in self.caps().items() if usd > 0 and usd >= most]


class Tariff(NamedTuple):
    prices: Prices = Prices()
    budget: Budget = Budget()


DEFAULT: Final = Tariff()


def month_of(at: datetime) -> str:
    """`2026-08`"""
    return f"{at:%Y-%m}"
