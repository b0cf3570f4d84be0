"""Who is notified: people, the ways to reach them, and the routes that rules name. Read from `people.yaml`.

`tiers` answers "who, and who next if nobody can be reached"; it never answers "nobody". Rosters and escalation will
put the person on duty where today a route lists people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from alerts.notify.channels.addresses import web_address
from alerts.notify.channels.contract import CHANNELS, channel_type
from listener.errors import ConfigError
from listener.model.codec import LONGEST_NAME
from listener.model.records import Severity
from listener.settings.files import Loc, load_yaml
from listener.units import parse_duration

FALLBACK = "fallback"
CANARY = "canary"


class Why(StrEnum):
    """Why somebody is notified."""

    ROUTE = "route"
    UNKNOWN_ROUTE = "unknown_route"
    """The rule names a route that people.yaml does not have."""
    EMPTY_ROUTE = "empty_route"
    ALL_FAILED = "all_failed"
    """Nobody of the tier before could be reached."""


class Contact(NamedTuple):
    """One way to reach one person. Channel and target are what makes two contacts the same."""

    person: str
    channel: str
    target: str


class Tier(NamedTuple):
    """Contacts that are notified at the same time."""

    contacts: tuple[Contact, ...]
    why: Why


LAST_RESORT = Contact("console", "console", "")


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("write a duration like 5m or 1h")
    return parse_duration(value)


Repeat = Annotated[timedelta, BeforeValidator(_seconds), Field(ge=timedelta(seconds=1), le=timedelta(days=7))]


def _at(loc: Loc, message: str) -> PydanticCustomError:
    """A contradiction between parts, which pydantic would report for the whole file."""
    context = {"where": ".".join(map(str, loc)), "message": message, "loc": loc}
    return PydanticCustomError("contradiction", "{where}: {message}", context)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Way(_Strict):
    """`target` is an address as the channel sends to it, however it was spelled; the console needs none."""

    channel: str
    target: str = Field(default="", validate_default=True)

    @field_validator("channel")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in CHANNELS:
            raise ValueError(f"no channel is called {value!r}; known: {', '.join(CHANNELS)}")
        return value

    @field_validator("target")
    @classmethod
    def _can_be_sent_to(cls, value: str, info: ValidationInfo) -> str:
        # Without a channel it is the channel that is complained of.
        return channel_type(info.data["channel"]).check(value) if "channel" in info.data else value


class Person(_Strict):
    name: Annotated[str, Field(max_length=LONGEST_NAME)]
    contacts: tuple[Way, ...]

    @field_validator("contacts")
    @classmethod
    def _not_empty(cls, value: tuple[Way, ...]) -> tuple[Way, ...]:
        # Only of contacts that are right: pydantic's own minimum would count a bad one as missing as well.
        if not value:
            raise ValueError("needs at least one contact")
        return value


class People(_Strict):
    people: Mapping[str, Person] = Field(default_factory=dict)
    routes: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    repeat_every: Mapping[Severity, Repeat]
    board_url: str | None = None

    @field_validator("board_url")
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value).url

    @model_validator(mode="after")
    def _consistent(self) -> People:
        for route, names in self.routes.items():
            for name in names:
                if name not in self.people:
                    raise _at(("routes", route), f"names {name!r}, who is not among people")
        missing = [severity.value for severity in Severity if severity not in self.repeat_every]
        if missing:
            raise _at(("repeat_every",), f"lacks {', '.join(missing)}")
        return self

    def tiers(self, route: str) -> tuple[Tier, ...]:
        """Who is notified on a route, then who instead when none of them can be reached. Ends with the console."""
        first = self._contacts(self.routes.get(route, ()))
        gap = Why.EMPTY_ROUTE if route in self.routes else Why.UNKNOWN_ROUTE
        tiers = [Tier(first, Why.ROUTE)] if first else []
        for contacts in (self._contacts(self.routes.get(FALLBACK, ())), (LAST_RESORT,)):
            if contacts:
                tiers.append(Tier(contacts, Why.ALL_FAILED if tiers else gap))
        return tuple(tiers)

    def own(self, route: str) -> frozenset[tuple[str, str]]:
        """The channels and targets of a route itself: only who stands there counts as reached, no fallback does."""
        return frozenset((contact.channel, contact.target) for contact in self._contacts(self.routes.get(route, ())))

    def canary(self) -> tuple[Tier, ...]:
        """Who gets a synthetic alert: a test receiver, or nobody. Never a person on duty."""
        contacts = self._contacts(self.routes.get(CANARY, ()))
        return (Tier(contacts, Why.ROUTE),) if contacts else ()

    def name_of(self, channel: str, target: str) -> str:
        """The person behind a channel and target; the channel itself when nobody is known there any more."""
        for person in self.people.values():
            if any((way.channel, way.target) == (channel, target) for way in person.contacts):
                return person.name
        return channel

    def channels(self) -> frozenset[str]:
        """The channels that are needed; the console always is."""
        return frozenset({LAST_RESORT.channel} | {w.channel for p in self.people.values() for w in p.contacts})

    def _contacts(self, names: Iterable[str]) -> tuple[Contact, ...]:
        found = {
            (way.channel, way.target): Contact(self.people[name].name, way.channel, way.target)
            for name in reversed(tuple(names))
            for way in reversed(self.people[name].contacts)
        }
        return tuple(reversed(found.values()))


def load_people(path: Path) -> People:
    """Read `people.yaml`. Raises ConfigError that names file and line."""
    file = load_yaml(path)
    if not isinstance(file.data, dict):
        raise ConfigError(f"{path}:1: must be a mapping with people, routes and repeat_every")
    try:
        return People.model_validate(file.data)
    except ValidationError as error:
        context = error.errors()[0].get("ctx", {})
        if "loc" in context:
            raise file.error(context["loc"], context["message"]) from None
        raise file.explain(error) from None
