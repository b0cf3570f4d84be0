"""What would happen if an alert fired now: who would be paged, by which ways, when, and which of these ways nobody has
ever confirmed. By the dispatcher's own plan, on an alert that is nowhere written down. Nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from datetime import datetime

from alerts.notify.channels.text import one_line
from alerts.notify.escalation import MISSING_REPEAT
from alerts.notify.foresee import foresee
from alerts.notify.plan import Fault, Trouble
from alerts.notify.recipients import LAST_RESORT, LEDGER, People
from alerts.notify.state import AlertBook
from listener.model.deliveries import Page
from listener.model.records import Alert, Event, Severity
from listener.runtime.checks import Check, warning, well
from listener.units import format_duration

Reached = tuple[str, str, str]
"""A person (key), a channel and a target as it is sent to."""

Wakes = Callable[[str], bool]
"""Whether a channel wakes a sleeper, by its name."""

TRIED = (Severity.CRITICAL, Severity.WARNING)

_TROUBLES = {
    Fault.EMPTY_STEP: "nobody stands at step {step}",
    Fault.UNKNOWN_ROUTE: "people.yaml has no such route or policy",
    Fault.POLICY_GONE: "the policy that it was paged by is gone",
    Fault.ALL_FAILED: "nobody could be reached",
}


def examine_firing(
    people: People,
    routes: Iterable[str],
    tested: Container[Reached] | None,
    wakes: Callable[[str], bool],
    now: datetime,
) -> Iterator[Check]:
    """For each route and severity the first round, in a crisis, and in calm where that chooses otherwise. `tested`: the
    ways that were confirmed, if known."""
    for route in sorted(routes):
        for severity in TRIED:
            in_crisis = _alert(route, severity, "drill", now)
            in_calm = _alert(route, severity, "calm", now)
            yield _fired(people, in_crisis, tested, wakes, now)
            if people.route(in_calm) != people.route(in_crisis):
                yield _fired(people, in_calm, tested, wakes, now)


def _alert(route: str, severity: Severity, incident: str, now: datetime) -> Alert:
    return Alert(
        id="drill", event=Event.FIRED, at=now, incident=incident, incident_name="", rule="drill", rule_type="drill",
        severity=severity, to=route, count=1, reason="", first_seen=now,
    )  # fmt: skip


def _fired(
    people: People,
    alert: Alert,
    tested: Container[Reached] | None,
    wakes: Callable[[str], bool],
    now: datetime,
) -> Check:
    severity, route = alert.severity, alert.to
    book = AlertBook()
    book.fire(alert, now)
    policy = people.route(alert).policy
    repeat = max(policy.repeat_every if policy else MISSING_REPEAT, people.grouping.interval)
    end = now + people.grouping.wait_of(severity) + repeat - datetime.resolution
    found = list(foresee(book, people, wakes, now, end))
    pages = [each for each in found if isinstance(each, Page) and each.person]
    parts = [_paged(people, page, now) for page in pages] or ["nobody"]
    says = f"{'; '.join(parts)}; then again every {format_duration(repeat)} until somebody answers"
    doubts = [_TROUBLES[each.what].format(step=each.step + 1) for each in found if isinstance(each, Trouble)]
    if route in people.routes and policy is None:
        doubts = ["none of the route's choices fits"]
    ways = {(c.person, c.channel, c.target): None for page in pages for c in people.contacts(page.person)}
    if severity is Severity.CRITICAL and not any(wakes(channel) for _, channel, _ in ways):
        doubts.append("none of these ways wakes a sleeper")
    doubts += _unconfirmed(people, ways, tested)
    id_ = f"alert.{route}.{severity.value}" + (".calm" if alert.incident == "calm" else "")
    if not doubts:
        return well(id_, says)
    fix = "`lyttepost duty test PERSON` tries a person's ways; who is called when stands in people.yaml"
    return warning(id_, f"{says}. But {'; '.join(dict.fromkeys(doubts))}", fix)


def _paged(people: People, page: Page, now: datetime) -> str:
    ways = ", ".join(dict.fromkeys(contact.channel for contact in people.contacts(page.person)))
    if page.until is not None and page.deferred is not None:
        when = f"at {page.until.astimezone(people.zone):%H:%M %Z} ({page.deferred.value.replace('_', ' ')})"
    else:
        when = "at once" if page.at == now else f"after {format_duration(page.at - now)}"
    return f"{one_line(people.name(page.person))} {when} by {ways or 'no way'}"


def _unconfirmed(people: People, ways: Iterable[Reached], tested: Container[Reached] | None) -> list[str]:
    if tested is None:
        return []
    silent = (LAST_RESORT.channel, LEDGER.channel)
    found: dict[str, list[str]] = {}
    for person, channel, target in ways:
        if channel not in silent and (person, channel, target) not in tested:
            found.setdefault(person, []).append(channel)
    named = (f"{one_line(people.name(person))} ({', '.join(channels)})" for person, channels in found.items())
    return [f"never confirmed by a test message: {', '.join(named)}"] if found else []
