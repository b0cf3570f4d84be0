"""What a source has cost, in money or of a day's allowance: the records, which name no post."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from listener.model.base import Instant, Model, Recorded


class Spent(Model):
    """Posts read for the first time on their day, and US dollars."""

    posts: int = 0
    usd: float = 0.0


class Recent(Model):
    """Dollars that one minute cost."""

    minute: Instant
    usd: float


class Spending(Recorded):
    """What a source has cost up to `at`: in the month and the day (UTC) of `at`, and for each incident since it opened.

    `calls` are the month's, by endpoint. `crossed`: caps of the budget that are reached, since when. No ids of posts.
    """

    type: Literal["spending"] = "spending"
    source: str
    at: Instant
    month: Spent = Spent()
    day: Spent = Spent()
    incidents: Mapping[str, Spent] = Field(default_factory=dict)
    calls: Mapping[str, int] = Field(default_factory=dict)
    recent: tuple[Recent, ...] = ()
    crossed: Mapping[str, Instant] = Field(default_factory=dict)


class QuotaUse(Recorded):
    """What of a platform's allowance of calls was used on its day `day` (as `2031-03-02`, in the platform's own time
    zone) up to `at`: `used` of `units`, and calls by endpoint. `exhausted`: the platform itself says that none is left.
    """

    type: Literal["quota"] = "quota"
    source: str
    at: Instant
    day: str
    units: int
    used: int = 0
    calls: Mapping[str, int] = Field(default_factory=dict)
    exhausted: bool = False
