"""What stands as answered: how a person judged what the public says, and the record that tells the rules of it.

A person's word is written on `decisions`; `Answered` is put among the findings of each incident that it is about, so
that every reader meets it at the same place between them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from listener.model.base import Instant, Model, Recorded


class Verdict(StrEnum):
    """What is to be said of a rumour or question."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


class Standing(StrEnum):
    """What the crisis team has done with a story."""

    NEW = "new"
    ANSWERED = "answered"
    PASSED_ON = "passed_on"
    DISMISSED = "dismissed"

    @property
    def is_settled(self) -> bool:
        """Nobody need be alerted to it again."""
        return self in (Standing.ANSWERED, Standing.DISMISSED)


class AnswerGiven(Model):
    """By whom and when something was answered or set aside. `verdict` and `words` as far as there were any."""

    at: Instant
    by: str
    standing: Standing = Standing.ANSWERED
    verdict: Verdict | None = None
    words: str = ""
    link: str | None = None
    people: int = 0
    posts: int = 0
    """`people` and `posts` that had said it by then."""


class Answered(Recorded):
    """A story, or the questions about a theme, stand as answered in an incident; or, where `given` is unset, no longer.

    `decision`: the offset on `decisions` of the word that says so, which also tells one from another.
    """

    type: Literal["answered"] = "answered"
    incident: str
    story: str = ""
    theme: str = ""
    at: Instant
    decision: int
    given: AnswerGiven | None = None
