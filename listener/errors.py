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

Every message says what is wrong, where, and how to fix it. None holds a secret or the text of a post.
"""

from __future__ import annotations


class LyttepostError(Exception):
    """Something a person must know of; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(LyttepostError):
    """`field`: the option or field whose value it is, where it is one's. It stands before the message."""

    exit_code = 2

    def __init__(self, problem: str, field: str = "") -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.problem = problem
        self.field = field


class BadValue(UsageError):
    """The command line says it as its parser says what that refuses."""


class Refused(LyttepostError):
    exit_code = 3


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
