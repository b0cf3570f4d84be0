"""Calm highlights: what the hospital says of its own in quiet times, and each step on its way to being published.

All of it lies on `decisions`. A record counts only where its `revision` is the highlight's own at that place of the
log: of two that were made of the same state the first counts, whoever wrote it, and the other changes nothing. The
words are the hospital's own and are meant for everybody.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from listener.model import keys
from listener.model.base import Chained, Instant


class Word(StrEnum):
    """What a person says of a highlight."""

    APPROVE = "approve"
    EDIT = "edit"
    RELEASE = "release"
    """Publish it after all: it was held, or nobody knows whether it was published."""
    DROP = "drop"


class Step(StrEnum):
    """What the program did with a highlight."""

    HELD = "held"
    SENDING = "sending"
    """The intent: written before anything is sent."""
    PUBLISHED = "published"
    NOT_SENT = "not_sent"
    """X did not take it: it was certainly not published by this."""
    UNKNOWN = "unknown"
    """It may have been published."""
    NOT_FOUND = "not_found"
    """It was looked for among what the account published, and is not there: which proves nothing."""


class Why(StrEnum):
    """Why a highlight is held, or was not sent."""

    CRISIS = "crisis"
    LATE = "late"
    """Its time passed while it could not be published."""
    OVER = "over"
    """What it is about has begun."""
    DUPLICATE = "duplicate"
    """X says that the account has published the same words already."""
    REJECTED = "rejected"
    """X takes this text from nobody."""
    REFUSED = "refused"
    """X does not let us publish: a person must act before anything is sent again by itself."""
    RATE_LIMITED = "rate_limited"
    NETWORK = "network"
    """X could not be reached at all."""
    STOPPED = "stopped"
    """The log or the mode could not be read between the intent and the send."""


class HighlightRecord(Chained):
    """`id`: which highlight. `by`: a person, or the program by its name. `revision`: see above."""

    id: str
    at: Instant
    by: str
    revision: int

    @property
    def key(self) -> str:
        return keys.of_highlight(self.id)


class Highlight(HighlightRecord):
    """Something that the hospital published, as it is proposed for X. Its revision is 0.

    `feed`, `guid`, `link`: where it was read, by which name, and where it stands. `starts`: when what it is about, a
    course, begins; nothing of it is published by itself after that.
    """

    type: Literal["highlight"] = "highlight"
    feed: str
    guid: str
    link: str
    title: str
    text: str
    starts: Instant | None = None


class HighlightWord(HighlightRecord):
    """A person's word. `epoch`: the last command on `control` that whoever decided knew of; a crisis since then holds
    it. `when`: publish it then; unset: when there is room."""

    type: Literal["highlight_word"] = "highlight_word"
    word: Word
    epoch: int = -1
    when: Instant | None = None
    text: str = ""


class HighlightStep(HighlightRecord):
    """What the program did. `intent`: which send it is about; `process`: which began it. `post`: its id at X. `until`:
    not again before then."""

    type: Literal["highlight_step"] = "highlight_step"
    step: Step
    why: Why | None = None
    intent: str = ""
    process: str = ""
    post: str = ""
    until: Instant | None = None


AboutHighlight = Highlight | HighlightWord | HighlightStep
