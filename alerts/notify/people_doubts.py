"""What in a good people.yaml would not do what somebody means by it: told by `config check`, none of it is an error."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from alerts.duty.check import taken_for_another
from alerts.notify.held import ALWAYS
from alerts.notify.recipients import People
from alerts.rules.load import meant
from alerts.rules.spec import RuleSpec
from listener.runtime.ops_alerts import OPS_ALERTS
from listener.settings.files import YamlFile

OF_OURS = frozenset({"source", "track"})
"""Fields of alerts about ourselves and of bursts."""


def people_doubts(people: People, rules: Iterable[RuleSpec], file: YamlFile) -> Iterator[str]:
    """One line each, with its place in `file`. `rules`: all that there are."""
    rules = list(rules)
    to = {*people.routes, *(rule.to for rule in rules), *(its.to for its in OPS_ALERTS.values())}
    for route in sorted(to):
        if holes := people.holes(route):
            cases = ", ".join(f"{severity.value} in {mode}" for severity, mode in holes)
            said = f"no choice fits what is {cases}: it goes to the last resort"
            yield str(file.error(("routes", route), f"{said}; end with a choice without severity and mode"))
    for said in taken_for_another(people.people):
        yield str(file.error(("people",), said))
    known = {*ALWAYS, *OF_OURS, *(name for rule in rules for name in rule.keyed_by)}
    yield from _misspelt("grouping", "by", people.grouping.by, known, file)
    for number, inhibition in enumerate(people.inhibit):
        names = {**inhibition.source, **inhibition.target, **dict.fromkeys(inhibition.equal)}
        yield from _misspelt("inhibit", number, names, known, file)


def _misspelt(
    part: str, place: str | int, names: Iterable[str], known: Collection[str], file: YamlFile
) -> Iterator[str]:
    for name in names:
        if name not in known:
            said = f"names {name!r}, a field that no alert of these rules has{meant(name, known)}"
            yield str(file.error((part, place), said))
