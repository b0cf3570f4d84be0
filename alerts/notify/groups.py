"""Which open alerts are told together, and by which policy: worked out anew each time from the book and people.yaml."""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import datetime

from alerts.notify.duplicates import first_of
from alerts.notify.held import Holding
from alerts.notify.plan import AlertGroup, digest
from alerts.notify.recipients import People
from alerts.notify.state import AlertBook, AlertState


def groups_of(
    book: AlertBook, people: People, holding: Holding, now: datetime, covered: Container[str] = ()
) -> Iterator[AlertGroup]:
    """`covered`: alerts that another one stands for."""
    found: dict[tuple[str, str], list[AlertState]] = {}
    since: dict[str, datetime] = {}
    at_once: set[str] = set()
    for state in book.open():
        if state.alert.synthetic or state.id in covered or book.covering(state.id) is not None:
            continue
        if first_of(book, state) is not None:
            continue
        free = holding.free_since(state, now)
        if free is None:
            continue
        # An alert that covers others stands for what a silence held back: it too comes at the silence's end.
        if free > state.open_since or state.open_since > state.fired_at or state.alert.covers:
            at_once.add(state.id)
        since[state.id] = max(free, state.open_since)
        name = policy_of(book, people, state)
        found.setdefault((name, _key(people, state, name, holding)), []).append(state)
    for (name, key), states in found.items():
        # The most severe first, then the newest, which has most to say.
        if len(states) > 1:
            states.sort(key=lambda s: (s.alert.severity.rank, -s.fired_at.timestamp(), s.id))
        policy = people.policy(name, states[0].alert.severity)
        yield AlertGroup(key, name, policy, tuple(states), since, at_once)


def policy_of(book: AlertBook, people: People, state: AlertState) -> str:
    """The policy's name as it was chosen when the alert was paged, as long as there is such a policy; else as
    people.yaml chooses now."""
    chosen = (each.page.policy for each in reversed(book.pages.naming(state.id)) if each.page.policy)
    known = next((name for name in chosen if people.has_policy(name)), "")
    return known or people.route(state.alert).name


def gone_policy(book: AlertBook, people: People, group: AlertGroup) -> str:
    """The policy that one of the members was paged by and that people.yaml no longer has, where there is another
    now; empty else."""
    if group.policy is None:
        return ""
    chosen = (each.page.policy for state in group.members for each in book.pages.naming(state.id))
    return next((name for name in chosen if name and not people.has_policy(name)), "")


def last_page(book: AlertBook, group: AlertGroup) -> datetime | None:
    """When anybody was last paged about the group; where it is new, about its alerts in the groups that they were
    in before people.yaml was edited."""
    last = book.pages.last_page(group.id)
    if last is not None:
        return last
    pages = (each for state in group.members for each in book.pages.naming(state.id))
    return max((each.page.at for each in pages if each.is_sent and each.page.groups), default=None)


def _key(people: People, state: AlertState, policy: str, holding: Holding) -> str:
    """Hashed: a key may hold a word of a post."""
    alert, fields = state.alert, holding.fields(state)
    by = [fields.get(name, "") for name in people.grouping.by]
    return digest("group", policy, alert.severity.value, alert.incident, str(alert.exercise), *by)
