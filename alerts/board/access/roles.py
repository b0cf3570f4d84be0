"""Who is at the board, and what they may do there."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class BoardRole(StrEnum):
    CRISIS_TEAM = "crisis_team"
    DUTY_OFFICER = "duty_officer"
    OPS = "ops"
    COMMUNICATIONS = "communications"
    READER = "reader"


class May(StrEnum):
    """What a role may be allowed to."""

    LOOK = "look"
    """See the board: numbers, themes, alerts, gaps; no post's words."""
    READ_POSTS = "read_posts"
    """See what people wrote."""
    ANSWER_ALERTS = "answer_alerts"
    """Acknowledge, assign, note, silence."""
    DECIDE = "decide"
    """Say what becomes of a story or a theme, and correct what a post voices."""
    PUBLISH = "publish"
    """Approve, edit, release and drop what the hospital says of its own in calm."""
    SWITCH = "switch"
    """Open, change, review and close incidents."""


GRANTS: Mapping[BoardRole, frozenset[May]] = {
    BoardRole.CRISIS_TEAM: frozenset(May),
    BoardRole.DUTY_OFFICER: frozenset({May.LOOK, May.READ_POSTS, May.ANSWER_ALERTS, May.SWITCH}),
    BoardRole.OPS: frozenset({May.LOOK, May.ANSWER_ALERTS}),
    BoardRole.COMMUNICATIONS: frozenset({May.LOOK, May.PUBLISH}),
    BoardRole.READER: frozenset({May.LOOK}),
}


class Who(NamedTuple):
    """Somebody who is logged in. `name` stands beside what they do, for good."""

    name: str
    role: BoardRole

    def may(self, what: May) -> bool:
        return what in GRANTS[self.role]
