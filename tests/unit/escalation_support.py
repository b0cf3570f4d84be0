"""Escalation as a timeline: what happens, and what the dispatcher then did, on a simulated clock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from alerts.notify.messages import Messages, load_messages
from alerts.notify.recipients import People
from alerts.notify.simulation import read_events, simulate
from listener.settings.files import packaged_config
from listener.units import format_instant, parse_instant

START = datetime.fromisoformat("2031-03-02T03:00:00+00:00")

SMS = {"channel": "sms", "target": "+4740000000"}


def people(**more: Any) -> dict[str, Any]:
    """A, then B after five minutes, then C after ten, again after fifteen; B has a mailbox too."""
    return {
        "people": {
            "A": {"ways": [{"channel": "sms", "target": "A"}]},
            "B": {"ways": [{"channel": "sms", "target": "B"}, {"channel": "email", "target": "b@x.example"}]},
            "C": {"ways": [{"channel": "sms", "target": "C"}]},
        },
        "policies": {
            "crisis": {
                "steps": [{"to": ["A"]}, {"after": "5m", "to": ["B"]}, {"after": "10m", "to": ["C"]}],
                "repeat_every": "15m",
            }
        },
        "grouping": {"by": ["rule"], "wait": "0s", "interval": "5m"},
        **more,
    }


@cache
def messages() -> Messages:
    return load_messages(packaged_config(), "nb")


def at(minutes: float) -> str:
    return format_instant(START + timedelta(minutes=minutes))


def fire(minutes: float, alert: str = "a1", **more: Any) -> dict[str, Any]:
    event = {"do": "fire", "alert": alert, "rule": "r", "severity": "critical", "policy": "crisis"}
    return {"at": at(minutes), **event, **more}


def event(minutes: float, do: str, **more: Any) -> dict[str, Any]:
    return {"at": at(minutes), "do": do, **more}


def run(policy: Mapping[str, Any], events: Iterable[Mapping[str, Any]], until: float) -> list[dict[str, Any]]:
    """Every line up to `until` minutes after the start."""
    who = People.model_validate(policy, context={"scripted": True})
    happens = read_events(iter([json.dumps(each) for each in events]), "events")
    return list(simulate(who, happens, START + timedelta(minutes=until), messages()))


def pages(lines: Iterable[Mapping[str, Any]]) -> list[tuple[float, str, str]]:
    """Minute, person and channel of every page that was taken."""
    taken = [line for line in lines if line["do"] == "page" and line["outcome"] == "accept"]
    return [(minute(line), line["to"], line["by"]) for line in taken]


def minute(line: Mapping[str, Any]) -> float:
    return (parse_instant(line["at"]) - START).total_seconds() / 60
