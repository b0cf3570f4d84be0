"""What `blacklist` and `whitelist` share: one field of a finding is looked up in a list, at once, on arrival."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from alerts.rules.fields import VALUES
from alerts.rules.spec import RuleSpec, Values

Listed = Annotated[Values, Field(min_length=1)]


class CompareSpec(RuleSpec):
    """`compare_key` is ElastAlert's: the field that is looked up."""

    compare_key: str = Field(min_length=1)

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        return {"query_key": self.query_key, "compare_key": (self.compare_key,)}


def possible(option: str, name: str, values: Iterable[str]) -> None:
    """Raises ValueError when the property `name` can never have one of the values."""
    allowed = VALUES.get(name)
    for value in values:
        if allowed and value.casefold() not in allowed:
            raise ValueError(f"{option}: {name} can never be {value!r}; it is one of {', '.join(allowed)}")
