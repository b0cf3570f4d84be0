"""People: who may be called, in which language, by which ways, and when a page that can wait waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta, tzinfo
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from alerts.duty.wall import first, wall_of
from listener.errors import Refusal, UsageError
from listener.model.codec import LONGEST_NAME
from listener.model.records import Severity

RINGING = ("sms", "voice", "ntfy")
"""Channels that ring at a bedside, as they say themselves by `wakes`."""
WAKING = frozenset({*RINGING, "push"})
"""By whose messages people are woken; `push` is no channel yet. A mail that was taken has woken nobody."""


def clock_time(value: Any) -> Any:
    """`22:00` → time of day."""
    if isinstance(value, time):
        return value
    try:
        found = time.fromisoformat(value) if isinstance(value, str) and ":" in value else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None:
        raise ValueError('write a time of day like "08:00"')
    return found


ClockTime = Annotated[time, BeforeValidator(clock_time)]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class Strict(BaseModel):
    """Part of people.yaml: what stands there and is not known is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Place(NamedTuple):
    """Where a message goes: what makes two ways the same, whoever has them."""

    channel: str
    target: str


class Way(Strict):
    """One way to reach a person. Whether there is such a channel and it takes such a target is not looked at here."""

    channel: Name
    target: str = ""

    @property
    def place(self) -> Place:
        return Place(self.channel, self.target)

    @property
    def wakes(self) -> bool:
        return self.channel in WAKING


class Quiet(Strict):
    """Hours of each day on the wall; `end` not after `start` is on the next day."""

    start: ClockTime = Field(alias="from")
    end: ClockTime = Field(alias="to")

    @model_validator(mode="after")
    def _ends(self) -> Quiet:
        if self.start == self.end:
            raise ValueError("from and to are the same: these quiet hours would never end")
        return self


class Person(Strict):
    """`name` is how others know the person; left out, it is the key under which the person stands."""

    name: Annotated[str, Field(max_length=LONGEST_NAME)] = ""
    language: Literal["nb", "en"] | None = None
    roles: tuple[Name, ...] = ()
    ways: tuple[Way, ...] = Field(validation_alias=AliasChoices("ways", "contacts"))
    quiet: Mapping[Severity, Quiet] = Field(default_factory=dict)

    @field_validator("ways")
    @classmethod
    def _reachable(cls, value: tuple[Way, ...], info: ValidationInfo) -> tuple[Way, ...]:
        # Only of ways that are right: pydantic's own minimum would count a bad one as missing as well.
        if not value:
            raise ValueError("needs at least one way to be reached")
        return value

    @field_validator("quiet")
    @classmethod
    def _never_critical(cls, value: Mapping[Severity, Quiet]) -> Mapping[Severity, Quiet]:
        if Severity.CRITICAL in value:
            raise ValueError("what is critical is never held back; quiet hours are for warning and info")
        return value


People = Mapping[str, Person]
"""Key → person. The key is what rosters, policies and commands call a person by."""


P = TypeVar("P", bound=Person)


def named(people: Mapping[str, P]) -> dict[str, P]:
    """Everybody with a name."""
    return {key: one if one.name else one.model_copy(update={"name": key}) for key, one in people.items()}


def known_person(people: Mapping[str, P], name: str, field: str) -> str:
    """The key of a person, by key or by name. Raises UsageError that names those there are."""
    if name in people:
        return name
    found = [key for key, person in people.items() if person.name.casefold() == name.strip().casefold()]
    if len(found) == 1:
        return found[0]
    known = ", ".join(sorted(people)) or "nobody"
    problem = f"nobody in people.yaml is called {name!r}; known: {known}"
    raise UsageError(problem, field, Refusal.NO_PERSON, name=name)


def with_role(people: People, role: str) -> tuple[str, ...]:
    """The keys of everybody who has a role, sorted."""
    return tuple(sorted(key for key, person in people.items() if role in person.roles))


def quiet_until(person: Person, severity: Severity, at: datetime, zone: tzinfo) -> datetime | None:
    """When this person's quiet hours for such an alert end, in UTC; None outside of them, and always when critical."""
    quiet = person.quiet.get(severity)
    if quiet is None or severity is Severity.CRITICAL:
        return None
    today = wall_of(at, zone).date()
    for day in (today - timedelta(days=1), today):
        ends_on = day if quiet.end > quiet.start else day + timedelta(days=1)
        start = first(datetime.combine(day, quiet.start), zone)
        end = first(datetime.combine(ends_on, quiet.end), zone)
        if start <= at < end:
            return end
    return None
