"""The log of a running process, for a person at night: a fault that lasts is one line at its start, one a minute, and
one at its end, however often something is tried again meanwhile.

`Outage` follows a fault that is known as one. `Sparing` filters the log and holds back what is said again
and again by whatever else tries again. What the clients of Kafka, X and HTTP say of themselves is left out: our own
lines tell it in our own words. `lyttepost run --verbose` lets it through, for finding a fault.

For programs each line is an object of JSON (`LogFormat.JSON`). What is an `event` has its name and its fields there; as
text it is a sentence.
"""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from numbers import Number
from pathlib import Path
from typing import TextIO

from listener.clock import Clock
from listener.errors import LyttepostError

EVERY_SECONDS = 60.0
SETTLED_SECONDS = 10.0
"""A bus that nobody complained of for so long works again: a client may be silent for some seconds and then fail."""
MAX_KEPT = 1000
CLIENTS = ("kafka", "tweepy", "urllib3", "requests", "apprise", "oauthlib", "authlib")

log = logging.getLogger(__name__)


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class _Lines(logging.Formatter):
    """A line a record. Times stand in one zone, with its offset; no break of a line gets into one, and as text no
    character that a terminal would obey."""

    def __init__(self, form: LogFormat) -> None:
        super().__init__()
        self._form = form
        self.zone: tzinfo = UTC

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, self.zone)
        message = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            # Its class alone: the words of an error that is not ours may be somebody's post.
            message = f"{message} ({record.exc_info[0].__name__})"
        if self._form is LogFormat.TEXT:
            words = message if message.isprintable() else "".join(c if c.isprintable() else " " for c in message)
            return f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d} {at:%z} {record.levelname} {words}"
        line = {"time": at.isoformat(timespec="milliseconds"), "level": record.levelname.lower(), "logger": record.name}
        named: tuple[str, Mapping[str, object]] | None = getattr(record, _EVENT, None)
        if named is not None:
            line["event"] = named[0]
        return json.dumps({**line, "message": message, **(named[1] if named else {})}, ensure_ascii=False)


_EVENT = "lyttepost_event"


def event(log: logging.Logger, name: str, message: str, /, *, level: int = logging.INFO, **fields: object) -> None:
    """Log that something was decided: a name (`alert.fired`), a sentence, and its fields, JSON all of them. None of it
    may be a post's text, a person's name or a secret."""
    log.log(level, "%s", message, extra={_EVENT: (name, fields)})


def set_up(stream: TextIO, clock: Clock, *, verbose: bool = False, form: LogFormat = LogFormat.TEXT) -> None:
    """Our log goes to `stream`, and nothing else does. Its times are those of UTC until `in_zone` says otherwise."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines(form))
    handler.addFilter(Sparing(clock, verbose=verbose))
    logging.basicConfig(handlers=[handler], level=logging.INFO)


def in_zone(zone: tzinfo) -> None:
    """From now on the log's times are those of this zone, as everywhere else."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, _Lines):
            handler.formatter.zone = zone


def reason_of(error: Exception) -> str:
    """What may be logged: our own errors hold no word of a post; of others only the class and place are safe."""
    if isinstance(error, LyttepostError):
        return str(error)
    name, found = type(error).__name__, traceback.extract_tb(error.__traceback__)
    return f"{name} at {Path(found[-1].filename).name}:{found[-1].lineno}" if found else name


class Sparing(logging.Filter):
    """Lets a line through once a minute, and counts how often it was held back.

    Two lines are the same when they were written at the same place with the same words; numbers may differ, for they
    say how long or how often.
    """

    def __init__(self, clock: Clock, *, verbose: bool = False) -> None:
        super().__init__()
        self._clock = clock
        self._verbose = verbose
        self._lock = threading.Lock()
        self._said: dict[tuple[str, str, tuple[str, ...]], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, _EVENT, None) is not None:
            return True  # each was decided once: that a send failed again is news
        client = record.name.partition(".")[0] in CLIENTS
        if self._verbose or (client and record.levelno >= logging.CRITICAL):
            return True
        if client or record.levelno < logging.WARNING:
            # Of our own, what is no trouble is news each time: that an alert was sent.
            return not client
        words = tuple(str(arg) for arg in record.args or () if not isinstance(arg, Number))
        key, now = (record.name, str(record.msg), words), self._clock.monotonic()
        with self._lock:
            last, held = self._said.pop(key, (float("-inf"), 0))
            if now - last < EVERY_SECONDS:
                self._said[key] = last, held + 1
                return False
            self._said[key] = now, 0
            if len(self._said) > MAX_KEPT:
                del self._said[next(iter(self._said))]
        if held:
            record.msg, record.args = f"{record.getMessage()} (repeated {held} times since it was last shown)", None
        return True


class Outage:
    """One fault, whoever suffers from it. Thread-safe.

    `settled`: seconds without a complaint after which it is over. `well`: asked then; it is not over while it says no.
    `each_reason`: a new reason is said at once. What comes again within a minute after its end is the same fault.
    """

    def __init__(
        self,
        subject: str,
        clock: Clock,
        *,
        settled: float = 0.0,
        well: Callable[[], bool] = lambda: True,
        each_reason: bool = False,
    ) -> None:
        self._subject = subject
        self._clock = clock
        self._settled = settled
        self._well = well
        self._each_reason = each_reason
        self._lock = threading.Lock()
        self._since: float | None = None
        self._shown = False
        self._newest = self._logged_at = float("-inf")
        self._why = ""

    def lasts(self, why: str) -> None:
        """Somebody suffers from it, for this reason."""
        now = self._clock.monotonic()
        with self._lock:
            began = self._since is None
            if self._since is None:
                self._since, self._shown = now, False
            due = now - self._logged_at >= EVERY_SECONDS
            if (began and due) or (self._each_reason and why != self._why):
                self._shown, self._logged_at = True, now
                log.error("%s failed: %s; it is tried again", self._subject, why)
            elif due:
                self._report_lasting(now - self._since, now, why)
            self._newest, self._why = now, why

    def look(self) -> None:
        """To be called now and then: says once a minute that it lasts, or that it is over."""
        if self._since is None:
            return
        now = self._clock.monotonic()
        with self._lock:
            if self._since is None:
                return
            if now - self._newest >= self._settled and self._well():
                if self._shown:
                    self._logged_at = now
                    # Where no complaint must settle, who looks knows that it is over only now.
                    end = self._newest if self._settled else now
                    log.warning("%s works again, after %.0f s", self._subject, max(0.0, end - self._since))
                self._since = None
            elif now - self._logged_at >= EVERY_SECONDS:
                self._report_lasting(now - self._since, now, self._why)

    def _report_lasting(self, lasted: float, now: float, why: str) -> None:
        self._shown, self._logged_at = True, now
        log.error("%s has failed for %.0f s: %s; it is tried again", self._subject, lasted, why)
