"""What can go wrong that a person must fix, and the exit code that says so.

    LyttepostError          1  failed
    ├── UsageError          2  the words of the command are off
    │   └── BadValue           the value of a field, which would be off in any state
    ├── Refused             3  a state forbids it
    ├── ConfigError         4  a setting, rule or credential is wrong or missing
    ├── NotFollowed         5  done, but not followed everywhere
    ├── BusError            1  the bus could not do it
    │   ├── Fenced             another process took over; drop the batch and start again
    │   ├── BusFull            no room left for what can wait
    │   └── TooLarge           a record above the bound of every bus
    └── Corrupt             1  our own records contradict themselves: stop, loudly

Every message says what is wrong, where, and how to fix it, in English and for a command line. None holds a secret or
the text of a post. What somebody may be told who decides something at the board has a name beside, a `Refusal`, by
which the board finds words for it in each language: part `refusal` of `board/*.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

Values = Mapping[str, object]
"""What the words of a refusal name in braces."""


class Refusal(StrEnum):
    """Why what a person decided was not taken."""

    # Of what was entered.
    NOT_TEXT = "not_text"
    TOO_LONG = "too_long"
    NO_REASON = "no_reason"
    SAYS_NOTHING = "says_nothing"
    QUOTES = "quotes"
    STILL_READING = "still_reading"
    NO_DURATION = "no_duration"
    DURATION_TOO_LONG = "duration_too_long"
    DURATION_BOUNDS = "duration_bounds"
    NO_TIME = "no_time"
    NO_LINK = "no_link"
    NO_CHOICE = "no_choice"
    NO_KIND = "no_kind"
    OTHER_ALONE = "other_alone"
    NO_NAME = "no_name"
    WHO = "who"
    # Of tracks.
    NO_TRACK = "no_track"
    NO_LETTERS = "no_letters"
    TOO_SHORT = "too_short"
    STAR = "star"
    PLACE_STAR = "place_star"
    ACCOUNT_STAR = "account_star"
    ONE_WORD = "one_word"
    ACCOUNT_NAME = "account_name"
    TOO_MANY_TRACKS = "too_many_tracks"
    TOO_COMMON = "too_common"
    FOLLOWS_PERSON = "follows_person"
    # Of what it is about.
    NO_INCIDENT = "no_incident"
    WHICH_INCIDENT = "which_incident"
    INCIDENT_CLOSED = "incident_closed"
    OTHER_INCIDENT = "other_incident"
    EXERCISE_AND_REAL = "exercise_and_real"
    NOTHING_OPEN = "nothing_open"
    NO_STORY = "no_story"
    NO_POST = "no_post"
    POST_REMOVED = "post_removed"
    POST_EDITED = "post_edited"
    NO_THEME = "no_theme"
    NOTHING_ANSWERED = "nothing_answered"
    NO_ALERT = "no_alert"
    NO_PERSON = "no_person"
    SEVERAL = "several"
    # Of silences.
    NO_SILENCE = "no_silence"
    NO_MATCHER = "no_matcher"
    SILENCE_LENGTH = "silence_length"
    SILENCE_PAST = "silence_past"
    SILENCE_TOO_LONG = "silence_too_long"
    # Of highlights.
    NO_HIGHLIGHT = "no_highlight"
    HIGHLIGHT_CHANGED = "highlight_changed"
    HIGHLIGHT_STANDS = "highlight_stands"
    HIGHLIGHT_LOOKED_FOR = "highlight_looked_for"
    HIGHLIGHT_CRISIS = "highlight_crisis"
    HIGHLIGHT_LENGTH = "highlight_length"
    HIGHLIGHT_QUOTES = "highlight_quotes"
    NOT_TO_COME = "not_to_come"
    UNSEEN = "unseen"
    IDENTITY = "identity"


class LyttepostError(Exception):
    """Something a person must know of; `exit_code` is what the command line returns. `refusal`: where it has a name,
    and the `values` that its words name."""

    exit_code = 1
    refusal: Refusal | None = None
    values: Values = MappingProxyType({})


class Unfit(ValueError):
    """What was entered cannot be what it is meant as. Whoever knows its field says it as `BadValue`."""

    def __init__(self, problem: str, refusal: Refusal, **values: object) -> None:
        super().__init__(problem)
        self.refusal = refusal
        self.values: Values = values


class UsageError(LyttepostError):
    """`field`: the option or field whose value it is, where it is one's. It stands before the message."""

    exit_code = 2

    def __init__(self, problem: str, field: str = "", refusal: Refusal | None = None, **values: object) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.problem = problem
        self.field = field
        self.refusal = refusal
        self.values = values


class BadValue(UsageError):
    """The command line says it as its parser says what that refuses."""

    @classmethod
    def of(cls, error: Unfit, field: str) -> BadValue:
        return cls(str(error), field, error.refusal, **error.values)


class Refused(LyttepostError):
    exit_code = 3

    def __init__(self, problem: str, refusal: Refusal | None = None, **values: object) -> None:
        super().__init__(problem)
        self.refusal = refusal
        self.values = values


class ConfigError(LyttepostError):
    """A file or variable is wrong. The message begins with `file:line:` where there is a line to name."""

    exit_code = 4


class NotFollowed(LyttepostError):
    exit_code = 5


class BusError(LyttepostError):
    pass


class Fenced(BusError):
    """This member lost its place in the group; nothing of its transaction was written."""


class BusFull(BusError):
    """No room: what can wait was not written. Room is held back for gaps, alerts and their handling."""


class TooLarge(BusError):
    """A record is larger than any bus takes; nothing of its transaction was written. To try again is in vain."""


class Corrupt(LyttepostError):
    pass
