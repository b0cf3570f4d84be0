"""`whitelist`: a finding whose `compare_key` has a value that is not on the `whitelist` fires, at once, like `any`.

`ignore_null` says whether one without any value is left alone; as in ElastAlert it must be said. Otherwise than there
upper and lower case are alike, of several values (hashtags, tracks) one stranger is enough, and there is no `!file`.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from alerts.rules.conditions.arrival import Arrival, CompareSpec, Listed
from alerts.rules.fields import Test, check_possible, reader
from alerts.rules.judge import RuleContext
from alerts.rules.spec import RuleType
from alerts.rules.verdict import Reason
from listener.model.normalize import same
from listener.model.records import Finding


class WhitelistSpec(CompareSpec):
    whitelist: Listed
    ignore_null: bool

    @model_validator(mode="after")
    def _possible(self) -> Self:
        check_possible("whitelist", self.compare_key, self.whitelist)
        return self


def stranger(spec: WhitelistSpec) -> Test:
    """Whether a finding has a value that is not on the list."""
    read, known = reader(spec.compare_key), frozenset(map(same, spec.whitelist))

    def test(finding: Finding) -> bool:
        values = read(finding)
        return any(same(value) not in known for value in values) if values else not spec.ignore_null

    return test


def judge(spec: WhitelistSpec, context: RuleContext) -> Arrival:
    return Arrival(spec, context, also=stranger(spec), reason=Reason.NOT_WHITELISTED)


TYPE = RuleType(WhitelistSpec, judge, resolves=False)
