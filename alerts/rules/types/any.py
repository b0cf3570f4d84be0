"""`any`: every finding that passes the filter fires, at once, on arrival."""

from __future__ import annotations

from alerts.rules.conditions.arrival import Arrival
from alerts.rules.spec import RuleSpec, RuleType

TYPE = RuleType(RuleSpec, Arrival, resolves=False)
