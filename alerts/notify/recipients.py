"""Who is notified: people and the ways to reach them, and how what a rule asks for escalates. Read from `people.yaml`.

A rule names a *route* with `to:`. A route is a policy (by severity and mode), or in the simplest case a list of people,
who are paged together and again every `repeat_every`. What a step's name means, a person or whoever has a role then, is
asked at the step's instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pydantic import AliasChoices, Field, PrivateAttr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from alerts.duty import people
from alerts.duty.load import contradictions
from alerts.duty.people import Strict
from alerts.duty.policy import Brake, Choice, Grouping, Inhibition, Policy, PolicyStep, Positive
from alerts.duty.roster import Roster, Rosters, roles_of, who
from alerts.notify.channels.addresses import web_address
from alerts.notify.channels.contract import CHANNELS, channel_type
from listener.errors import ConfigError
from listener.model.canary import CANARY
from listener.model.records import Alert, Severity
from listener.settings.files import Loc, load_yaml

FALLBACK = "fallback"
CRISIS_TEAM = "crisis_team"
OPS = "ops"


class Contact(NamedTuple):
    """One way to reach one person (a key of people.yaml). Channel and target are what makes two contacts the same."""

    person: str
    channel: str
    target: str


CONSOLE = "console"
LAST_RESORT = Contact(CONSOLE, "console", "")
LEDGER = Contact("ledger", "ledger", "")
"""Who gets a canary where nobody is set up to: it is written down that it would have been sent, and that is all."""


def _at(loc: Loc, message: str) -> PydanticCustomError:
    """A contradiction between parts, which pydantic would report for the whole file."""
    context = {"where": ".".join(map(str, loc)), "message": message, "loc": loc}
    return PydanticCustomError("contradiction", "{where}: {message}", context)


class Way(people.Way):
    """`target` is an address as the channel sends to it, however it was spelled; the console needs none."""

    channel: str
    target: str = Field(default="", validate_default=True)

    @field_validator("channel")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        if value not in CHANNELS and not _scripted(info):
            raise ValueError(f"no channel is called {value!r}; known: {', '.join(CHANNELS)}")
        return value

    @field_validator("target")
    @classmethod
    def _can_be_sent_to(cls, value: str, info: ValidationInfo) -> str:
        # Without a channel it is the channel that is complained of.
        if "channel" not in info.data or _scripted(info):
            return value
        return channel_type(info.data["channel"]).check(value)


def _scripted(info: ValidationInfo) -> bool:
    """Whether the file is for a simulation, whose channels take anything."""
    return bool(info.context and info.context.get("scripted"))


class Person(people.Person):
    """Whose ways have channels that there are, and targets that these take."""

    ways: tuple[Way, ...] = Field(validation_alias=AliasChoices("ways", "contacts"))


class Route(NamedTuple):
    """What a route means for one alert: the policy and its name."""

    name: str
    policy: Policy | None


class People(Strict):
    """`people.yaml`. The keys of `people` are what steps and routes name, beside roles."""

    people: Mapping[str, Person] = Field(default_factory=dict)
    roster: Mapping[str, Roster] = Field(default_factory=dict)
    policies: Mapping[str, Policy] = Field(default_factory=dict)
    routes: Mapping[str, str | tuple[Choice, ...] | tuple[str, ...]] = Field(default_factory=dict)
    repeat_every: Mapping[Severity, Positive] = Field(default_factory=dict)
    grouping: Grouping = Grouping()
    inhibit: tuple[Inhibition, ...] = ()
    ack_timeout: Positive | None = None
    brake: Brake | None = None
    board_url: str | None = None
    _zone: tzinfo = PrivateAttr(default=UTC)
    _rosters: Rosters | None = PrivateAttr(default=None)

    @field_validator("people")
    @classmethod
    def _named(cls, value: Mapping[str, Person]) -> Mapping[str, Person]:
        return people.named(value)

    @field_validator("board_url")
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value).url

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> People:
        names = self.people.keys() | self.roles
        for loc, message in contradictions(self.people, self.roster):
            raise _at(loc, message)
        for policy, its in self.policies.items():
            for number, step in enumerate(its.steps):
                if not step.to and not _scripted(info):
                    raise _at(("policies", policy, "steps", number, "to"), "names nobody; leave the step out")
                for name in step.to:
                    if name not in names:
                        raise _at(("policies", policy), f"names {name!r}, who is neither among people nor a role")
        lists = False
        for route, means in self.routes.items():
            if isinstance(means, str) or (means and isinstance(means[0], Choice)):
                chosen = [means] if isinstance(means, str) else [c.policy for c in means if isinstance(c, Choice)]
                for name in chosen:
                    if name not in self.policies:
                        raise _at(("routes", route), f"names the policy {name!r}, which is not among policies")
                continue
            lists |= route not in (FALLBACK, CANARY)
            for listed in means:
                if listed not in names:
                    raise _at(("routes", route), f"names {listed!r}, who is not among people")
        self._canary_pages_nobody()
        missing = [severity.value for severity in Severity if severity not in self.repeat_every]
        if lists and missing:
            raise _at(("repeat_every",), f"lacks {', '.join(missing)}")
        return self

    @property
    def roles(self) -> frozenset[str]:
        """The names of roles that anybody has or may have."""
        return frozenset(roles_of(self.roster, self.people))

    @property
    def named(self) -> frozenset[str]:
        """The people whom routes and policies name themselves, and not by a role."""
        names = {name for route in self.routes for name in self._names(route)}
        names |= {name for policy in self.policies.values() for step in policy.steps for name in step.to}
        return frozenset(names & self.people.keys())

    def route(self, alert: Alert) -> Route:
        """How this alert escalates. The policy is None where people.yaml has no such route: the last resort is left."""
        mode = "calm" if alert.incident == "calm" else "crisis"
        means = self.routes.get(alert.to)
        if means is None:
            return Route(alert.to, self.policies.get(alert.to))
        if isinstance(means, str):
            return Route(means, self.policies.get(means))
        choices = [each for each in means if isinstance(each, Choice)]
        for choice in choices:
            if choice.fits(alert.severity, mode):
                return Route(choice.policy, self.policies.get(choice.policy))
        if choices:
            return Route(alert.to, None)
        return Route(alert.to, self._simple(alert.to, alert.severity))

    def holes(self, route: str) -> list[tuple[Severity, str]]:
        """The severities and modes for which none of a route's choices fits."""
        means = self.routes.get(route, ())
        choices = [] if isinstance(means, str) else [each for each in means if isinstance(each, Choice)]
        cases = [(severity, mode) for severity in Severity for mode in ("crisis", "calm")] if choices else []
        return [case for case in cases if not any(choice.fits(*case) for choice in choices)]

    def policy(self, name: str, severity: Severity) -> Policy | None:
        """The policy that was chosen under this name; a list of people of a route counts as one."""
        return self.policies.get(name) or self._simple(name, severity)

    def has_policy(self, name: str) -> bool:
        """Whether `policy` finds one under this name."""
        return name in self.policies or self._listed(name) is not None

    def _simple(self, route: str, severity: Severity) -> Policy | None:
        names = self._listed(route)
        if names is None:
            return None
        return _one_step(names, self.repeat_every[severity])

    def _listed(self, route: str) -> tuple[str, ...] | None:
        """The people whom a route lists; None where it names policies, or is not there."""
        means = self.routes.get(route)
        if means is None or isinstance(means, str) or any(isinstance(each, Choice) for each in means):
            return None
        return tuple(each for each in means if isinstance(each, str))

    def who(self, name: str, at: datetime) -> tuple[str, ...]:
        """The people (keys) whom a name means at an instant: a person, or all who have the role then."""
        return who(name, self.rosters, self.people, at)

    @property
    def rosters(self) -> Rosters:
        """With swaps and calendars, where they are known."""
        return self.roster if self._rosters is None else self._rosters

    def with_rosters(self, rosters: Rosters) -> People:
        """The same people, by rosters in which swaps and calendars count."""
        other = self.model_copy()
        other._zone, other._rosters = self._zone, rosters
        return other

    def on_route(self, route: str, at: datetime) -> tuple[str, ...]:
        """Everybody whom a route may page, as its names are meant at that instant."""
        return tuple(dict.fromkeys(person for name in self._names(route) for person in self.who(name, at)))

    def last_resort(self, policy: Policy | None, at: datetime) -> tuple[tuple[str, ...], ...]:
        """Who is paged when nobody of the policy could be: all with its roles, then the fallback or ops, then the
        console. Either route may be a list of people or name policies, whose steps are then taken together."""
        named = [name for step in policy.steps for name in step.to] if policy else []
        roles = [name for name in named if name not in self.people]
        everybody = [key for key, person in self.people.items() if set(person.roles) & set(roles)]
        fallback = self.on_route(FALLBACK, at) if FALLBACK in self.routes else ()
        fallback = fallback or self.on_route(OPS, at)
        tiers = [tuple(dict.fromkeys(tier)) for tier in (everybody, fallback) if tier]
        return (*tiers, (CONSOLE,))

    def contacts(self, person: str) -> tuple[Contact, ...]:
        """The person's ways, in their order. The console of last resort has its own."""
        if person not in self.people:
            return tuple(contact for contact in (LAST_RESORT, LEDGER) if contact.person == person)
        ways = {(way.channel, way.target): None for way in self.people[person].ways}
        return tuple(Contact(person, channel, target) for channel, target in ways)

    def quiet_until(self, person: str, severity: Severity, at: datetime) -> datetime | None:
        """The end of the quiet hours in which the person is, for this severity; None outside them. Never critical."""
        if person not in self.people:
            return None
        return people.quiet_until(self.people[person], severity, at, self.zone)

    @property
    def zone(self) -> tzinfo:
        """In which quiet hours are meant: the rosters', else the settings'."""
        return next((roster.tz for roster in self.roster.values()), self._zone)

    def in_zone(self, zone: tzinfo) -> People:
        """The same people, with the settings' time zone."""
        other = self.model_copy()
        other._zone, other._rosters = zone, self._rosters
        return other

    def key_of(self, name: str) -> str | None:
        """The only person who is called so, by key or by name, in small letters or large."""
        if name in self.people:
            return name
        said = name.strip().casefold()
        found = {k for k, person in self.people.items() if said in (k.casefold(), person.name.strip().casefold())}
        return found.pop() if len(found) == 1 else None

    def signature(self, person: str) -> str:
        """What a person is called where the name must lead back to them: the key, if others are called the same."""
        return name if self.key_of(name := self.name(person)) == person else person

    def reachable(self, route: str) -> frozenset[str]:
        """The channels by which a route may reach anybody at any time."""
        people = self._behind(self._names(route))
        return frozenset(contact.channel for person in people for contact in self.contacts(person))

    def _behind(self, names: Iterable[str]) -> set[str]:
        """All whom these names may mean at any time."""
        found = set()
        for name in names:
            found |= {name} & self.people.keys()
            found |= {key for key, person in self.people.items() if name in person.roles}
            found |= {person for _, person in self.roster[name].names} if name in self.roster else set()
        return found & self.people.keys()

    def own(self, route: str, at: datetime) -> frozenset[tuple[str, str]]:
        """The channels and targets of all whom a route may page: only who stands there counts as reached."""
        people = self.on_route(route, at)
        return frozenset((contact.channel, contact.target) for person in people for contact in self.contacts(person))

    def _names(self, route: str) -> Iterator[str]:
        """All that the steps of a route name: those of each policy that it may mean, or the people that it lists. What
        is no route is a policy, a role or a person."""
        means = self.routes.get(route, route)
        if not isinstance(means, str) and not any(isinstance(part, Choice) for part in means):
            yield from (part for part in means if isinstance(part, str))
            return
        policies = [means] if isinstance(means, str) else [part.policy for part in means if isinstance(part, Choice)]
        for its in policies:
            if its in self.policies:
                yield from (name for step in self.policies[its].steps for name in step.to)
            else:
                yield its

    def canary(self, at: datetime) -> tuple[str, ...]:
        """Who gets a synthetic alert: a test receiver, or the ledger alone. Never a person on duty."""
        return (self.on_route(CANARY, at) if CANARY in self.routes else ()) or (LEDGER.person,)

    def _canary_pages_nobody(self) -> None:
        """Its receiver is called for nothing else: a person would learn to overlook what comes each hour."""
        its = set(self._names(CANARY)) if CANARY in self.routes else set()
        elsewhere = [name for route in self.routes if route != CANARY for name in self._names(route)]
        receivers = [means] if isinstance(means := self.routes.get(CANARY), str) else []
        policies = [policy for name, policy in self.policies.items() if name not in receivers]
        elsewhere += [name for policy in policies for step in policy.steps for name in step.to]
        others = self._behind(elsewhere)
        for name in sorted(self._behind(its)):
            if name in others and any(way.channel != LAST_RESORT.channel for way in self.people[name].ways):
                raise _at(
                    ("routes", CANARY),
                    f"names {name!r}, who is on another route too; a canary goes out each hour and is for no person: "
                    "give it a test receiver of its own, or leave the route out",
                )

    def name_of(self, channel: str, target: str) -> str:
        """The person behind a channel and target; the channel itself when nobody is known there any more."""
        for person in self.people.values():
            if any((way.channel, way.target) == (channel, target) for way in person.ways):
                return person.name
        return channel

    def name(self, person: str) -> str:
        """What a person is called, by key."""
        return self.people[person].name if person in self.people else person

    def channels(self) -> frozenset[str]:
        """The channels that are needed; the console always is."""
        return frozenset({LAST_RESORT.channel} | {w.channel for p in self.people.values() for w in p.ways})


@lru_cache(maxsize=256)
def _one_step(names: tuple[str, ...], repeat_every: timedelta) -> Policy:
    """Made once: it is asked for of each open alert, at every turn of the dispatcher."""
    return Policy(steps=(PolicyStep(to=names),), repeat_every=repeat_every)


def load_people(path: Path, *, scripted: bool = False) -> People:
    """Read `people.yaml`. Raises ConfigError that names file and line.

    `scripted`: for a simulation, whose channels may have any name and take any target.
    """
    file = load_yaml(path)
    if not isinstance(file.data, dict):
        raise ConfigError(f"{path}:1: must be a mapping with people and routes")
    try:
        return People.model_validate(file.data, context={"scripted": scripted})
    except ValidationError as error:
        context = error.errors()[0].get("ctx", {})
        if "loc" in context:
            raise file.error(context["loc"], context["message"]) from None
        raise file.explain(error) from None
