"""Which rules a finding may concern: looked up by one property of each rule's filter, so that most are not asked.

A rule stands under the values of one of its filter's names; one without a filter is always asked. The filter itself
is still the judge's: this only leaves out whom it would refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from alerts.rules.fields import reader
from alerts.rules.spec import RuleSpec
from listener.model.normalize import same
from listener.model.records import Finding

COARSE = (
    *("exercise", "repost", "patient_exposed", "origin", "source", "lang", "language", "reach", "author_class"),
    *("stance", "kind", "kinds"),
)
"""Properties that leave many findings, the worst first; any other name of a filter is looked up before these."""


class Index:
    def __init__(self, specs: Mapping[str, RuleSpec]) -> None:
        self._names = tuple(specs)
        self._always: list[int] = []
        by: dict[str, dict[str, list[int]]] = {}
        for rank, spec in enumerate(specs.values()):
            name = max(spec.filter, key=lambda name: COARSE.index(name) if name in COARSE else len(COARSE), default="")
            if not name:
                self._always.append(rank)
                continue
            for value in set(map(same, spec.filter[name])):
                by.setdefault(name, {}).setdefault(value, []).append(rank)
        self._by = [(reader(name), ranks) for name, ranks in by.items()]

    def rules(self, finding: Finding) -> Sequence[str]:
        """The names of the rules to ask, in their order."""
        if not self._by:
            return self._names
        found = set(self._always)
        for read, ranks in self._by:
            try:
                values = read(finding)
                for value in values:
                    if (here := ranks.get(same(value))) is not None:
                        found.update(here)
            except Exception:
                # What cannot be read is each rule's own failure: ask them all, and each is counted.
                found.update(chain.from_iterable(ranks.values()))
        return [self._names[rank] for rank in sorted(found)]
