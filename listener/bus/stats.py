"""What goes on underneath a bus: counted by the bus, shown by the metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class BusStats:
    """Since the start of this process. Counted without a lock: a number may lag, none runs back."""

    rebalances: Counter[str] = field(default_factory=Counter)
    """Assignments that a group's members here were given, by group."""
    producer_errors: Counter[str] = field(default_factory=Counter)
    """Writes that failed, by the error's name."""
    retries: Counter[str] = field(default_factory=Counter)
    """Writes that were tried again, by who wrote."""
