"""`blacklist`: a finding whose `compare_key` has a value of the `blacklist` fires, at once, like `any`.

Otherwise than in ElastAlert upper and lower case are alike, and a list is written out: there is no `!file`.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from alerts.rules.conditions.arrival import Arrival, CompareSpec, Listed
from alerts.rules.fields import check_possible, test_of
from alerts.rules.judge import RuleContext
from alerts.rules.spec import RuleType
from alerts.rules.verdict import Reason


class BlacklistSpec(CompareSpec):
    blacklist: Listed

    @model_validator(mode="after")
    def _possible(self) -> Self:
        check_possible("blacklist", self.compare_key, self.blacklist)
        return self


def judge(spec: BlacklistSpec, context: RuleContext) -> Arrival:
    return Arrival(spec, context, also=test_of({spec.compare_key: spec.blacklist}), reason=Reason.BLACKLISTED)


TYPE = RuleType(BlacklistSpec, judge, resolves=False)
