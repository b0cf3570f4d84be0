"""How an alert escalates, as `people.yaml` says it: policies and their steps, grouping, inhibition, brake.

Data only. What follows from it at an instant is worked out in `alerts.notify.escalation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from alerts.duty.people import Strict
from listener.model.records import Severity
from listener.units import parse_duration


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("write a duration like 0s, 5m or 1h")
    return parse_duration(value)


WEEK = timedelta(days=7)
Duration = Annotated[timedelta, BeforeValidator(_duration), Field(ge=timedelta(0), le=WEEK)]
Positive = Annotated[timedelta, BeforeValidator(_duration), Field(ge=timedelta(seconds=1), le=WEEK)]


class PolicyStep(Strict):
    """`after` the run's start (or its round's) all of `to` are paged: people by their keys, or roles."""

    after: Duration = timedelta(0)
    to: tuple[str, ...]


class Policy(Strict):
    """Steps in order of time; after the last one a new round begins at the round's start plus `repeat_every`."""

    steps: tuple[PolicyStep, ...]
    repeat_every: Positive

    @model_validator(mode="after")
    def _in_order(self) -> Policy:
        if not self.steps:
            raise ValueError("needs at least one step")
        times = [step.after for step in self.steps]
        if times != sorted(times):
            raise ValueError("its steps must stand in the order of their times")
        if times[-1] >= self.repeat_every:
            raise ValueError("repeat_every must be longer than the last step's after")
        return self


class Choice(Strict):
    """Which policy a route means: the first choice of it that fits. What is left out fits everything."""

    policy: str
    severity: Annotated[frozenset[Severity], Field(min_length=1)] = frozenset(Severity)
    mode: Literal["calm", "crisis"] | None = None

    def fits(self, severity: Severity, mode: str) -> bool:
        return severity in self.severity and self.mode in (None, mode)


class Grouping(Strict):
    """What is told together. `by`: `rule`, `key` or names of an alert's fields, beside the policy, severity, incident
    and exercise mark, which always part groups. `wait` before a group's first page, by severity; `interval` between
    pages about the same group."""

    by: tuple[str, ...] = ("rule", "key")
    wait: Mapping[Severity, Duration] = Field(default_factory=dict)
    interval: Positive = timedelta(minutes=5)

    @field_validator("wait", mode="before")
    @classmethod
    def _one_for_all(cls, value: Any) -> Any:
        return {severity.value: value for severity in Severity} if isinstance(value, str) else value

    def wait_of(self, severity: Severity) -> timedelta:
        return self.wait.get(severity, timedelta(0))


Matcher = Mapping[str, str]
"""Field of an alert → the value that it must have."""


class Inhibition(Strict):
    """While an alert that fits `source` fires, those that fit `target` are not paged, where the fields in `equal` have
    the same values."""

    source: Matcher
    target: Matcher
    equal: tuple[str, ...] = ()

    @field_validator("source", "target")
    @classmethod
    def _not_everything(cls, value: Matcher) -> Matcher:
        if not value:
            raise ValueError("must name at least one field, or it fits every alert")
        return value


class Brake(Strict):
    """After `pages` to one person `within` so long, the rest is one digest."""

    pages: Annotated[int, Field(ge=1, le=1000)] = 5
    within: Positive = timedelta(minutes=10)


def fits(matcher: Matcher, fields: Mapping[str, str]) -> bool:
    """Whether every field that the matcher names has its value; an absent field is empty."""
    return all(fields.get(name, "") == value for name, value in matcher.items())
