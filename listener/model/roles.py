"""The roles that a process can have and the workers that run in them, each named here and nowhere else.

The role `alerts` is three, which several processes may share; each of those has the name of its main worker. A
worker's name is also that of its consumer group, of its part of the health page and of its thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

LISTENER, ALERTS = "listener", "alerts"
ANNOTATE, JUDGE, DISPATCH = "annotate", "judge", "dispatch"
ROLES = (LISTENER, ALERTS)
"""What must follow a switch for it to have taken effect."""
PARTS: Mapping[str, tuple[str, ...]] = {ALERTS: (ANNOTATE, JUDGE, DISPATCH)}
"""Role → the roles that several processes may share it by."""

EVERY = "every"
"""Of a worker: it runs in each process, whatever its role."""

FOLLOW, CALM, ANSWERS, REGISTER, REREAD, PURGE = "follow", "calm", "answers", "register", "reread", "purge"
DEADMAN, RECEIVER, BOARD = "deadman", "receiver", "board"
HIGHLIGHTS, PROPOSE, PUBLISH = "highlights", "propose", "publish"
HOUSEKEEPING, EXPIRE, ABSENT, WEBHOOKS = "keeping", "expire", "absent", "webhooks"
"""The other workers, beside `annotate`, `judge` and `dispatch`. The board is a role too, and so are the highlights,
whose workers are `propose` and `publish`."""
RUN = (*ROLES, BOARD)
"""The roles of a process that is told none."""


def listen_to(source: str) -> str:
    """The name of the worker that listens to a source."""
    return f"listen-{source}"


def with_parts(roles: Iterable[str]) -> set[str]:
    """These roles and those that they are made of."""
    roles = set(roles)
    return roles.union(*(PARTS.get(role, ()) for role in roles))


def lacking_of(role: str, roles: Collection[str]) -> list[str]:
    """What nobody with these roles does of `role`: nothing, all of it, or some of its parts."""
    had, parts = with_parts(roles), PARTS.get(role, (role,))
    lacking = [part for part in parts if part not in had]
    return [role] if len(lacking) == len(parts) else lacking
