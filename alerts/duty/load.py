"""People and rosters as people.yaml has them, strict about mistakes: each is told with file and line, all at once."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from alerts.duty.people import Name, People, Person, Strict, named
from alerts.duty.roster import Roster, Rosters
from listener.errors import ConfigError
from listener.settings.feeds import feed_problem
from listener.settings.files import Loc, YamlFile, load_yaml

OTHERS = frozenset({"policies", "grouping", "inhibit", "ack_timeout", "brake", "routes", "repeat_every", "board_url"})
"""What else may stand in the file, and is read by others."""
CALENDAR = "write an address such as https://planner.example.org/duty.ics, or the path of a file"


class _File(Strict):
    people: Mapping[Name, Person] = Field(default_factory=dict)
    roster: Mapping[Name, Roster] = Field(default_factory=dict)


@dataclass(frozen=True)
class Duty:
    """Who there is, and each role's roster, without what calendars and people say beside the file."""

    people: People
    rosters: Rosters
    file: YamlFile = field(repr=False)

    @property
    def path(self) -> Path:
        return self.file.path


def load_duty(path: Path) -> Duty:
    """Read `people` and `roster` of a file. Raises ConfigError that names file and line of every mistake."""
    file = load_yaml(path)
    data: Any = {} if file.data is None else file.data
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: must be a mapping with people and roster")
    try:
        read = _File.model_validate({key: value for key, value in data.items() if key not in OTHERS})
    except ValidationError as error:
        raise file.explain(error) from None
    problems = [str(file.error(loc, message)) for loc, message in contradictions(read.people, read.roster)]
    if problems:
        raise ConfigError("\n".join(problems))
    return Duty(named(read.people), dict(read.roster), file)


def contradictions(people: Container[str], rosters: Rosters) -> Iterator[tuple[Loc, str]]:
    """What is wrong between people and rosters, and within a roster: the place in the file, and why."""
    for role, roster in rosters.items():
        place: Loc = ("roster", role)
        for loc, name in roster.names:
            if name not in people:
                yield (*place, *loc), f"names {name!r}, who is not among people"
        for loc, span in roster.spans:
            start, end = span.within(roster.tz)
            if start == end and span.start != span.end:
                said = "lies in the hour that is skipped when clocks are set forward: it is no time at all"
                yield (*place, *loc), said
            elif start >= end:
                yield (*place, *loc), "ends before it begins; correct from or to"
        if roster.calendar is not None and (why := feed_problem(roster.calendar, CALENDAR)):
            yield (*place, "calendar"), why
