"""A rule type that raises at every finding, and quotes it while it does: for the test of its neighbours."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.rules.entry import Entry
from alerts.rules.judge import RuleContext
from alerts.rules.spec import RuleSpec, RuleType
from alerts.rules.verdict import Verdict
from listener.model.records import Alert, Finding


class Brittle:
    at_once = True

    def __init__(self, spec: RuleSpec, context: RuleContext) -> None:
        pass

    def keys(self, finding: Finding) -> tuple[str, ...]:
        raise ZeroDivisionError(finding.text)

    def judge(self, entry: Entry, key: str) -> Iterable[Verdict]:
        return ()

    def late(self, entry: Entry, key: str) -> Iterable[Verdict]:
        return ()

    def advance(self) -> Iterable[Verdict]:
        raise ZeroDivisionError("and again")

    def remember(self, alert: Alert) -> None:
        pass

    def unmute(self) -> None:
        pass


TYPE = RuleType(RuleSpec, Brittle)
