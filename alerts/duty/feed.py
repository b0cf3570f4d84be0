"""A roster's calendar: from a file or an address, with the last good copy kept, which stays in use when news are bad.

A feed's copy lies in the data folder and is found again after a restart; that of a file, which others keep, is only
remembered. What keeps the newest news from being used is said at once, with the age of what is in use instead.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from hashlib import sha256
from pathlib import Path
from queue import Empty, SimpleQueue

from alerts.duty.calendar import LARGEST, Calendar, CalendarError, Shifts, read_calendar
from alerts.duty.people import People
from listener.errors import LyttepostError
from listener.permissions import make_folder, open_private, open_regular
from listener.runtime.download import Limits, download
from listener.settings.feeds import is_web
from listener.settings.files import expanded
from listener.units import format_duration

FETCH_EVERY = timedelta(minutes=15)
OLD_AFTER = timedelta(hours=1)
"""Several fetches in a row that did not happen: from then on the age of what is in use is a trouble of its own."""
LIMITS = Limits(size=LARGEST)
ACCEPT = "text/calendar, */*;q=0.5"
FOLDER = "calendars"

Mark = tuple[int, int, int]
"""When a file was changed, its size, which file it is."""


@dataclass(frozen=True)
class Copy:
    """What a calendar held, and when it was read."""

    content: bytes
    at: datetime
    calendar: Calendar


class Feed:
    """One roster's calendar and the copy in use. `look` asks for news at most every `FETCH_EVERY` and never waits."""

    def __init__(self, where: str, zone: tzinfo, base: Path, data: Path | None, limits: Limits = LIMITS) -> None:
        """`zone`: the roster's. `base`: the folder from which a path counts. `data`: the folder for copies, or None."""
        self._where = where
        self._zone = zone
        self._path = None if is_web(where) else base / expanded(where)
        self._limits = limits
        self._file = data / FOLDER / copy_name(where) if data and is_web(where) else None
        self._used: Copy | None = None
        self._problem: str | None = None
        self._asked: datetime | None = None
        self._mark: Mark | None = None
        self._news: SimpleQueue[Copy | CalendarError] = SimpleQueue()
        self._wait_until: float | None = None

    def shifts(self, people: People) -> Shifts | None:
        """What is in use, for these people; None before anything could be read."""
        return None if self._used is None else Shifts(self._used.calendar, people)

    def troubles(self, at: datetime) -> tuple[str, ...]:
        """What keeps the newest news from being in use."""
        if self._problem is not None:
            return (f"{self._problem}; {self._instead(at)}",)
        if self._path is None and self._used is not None and at - self._used.at > OLD_AFTER:
            return (f"was not fetched lately; {self._instead(at)}",)
        return ()

    def ask(self, at: datetime, *, online: bool = True) -> None:
        """Begin to ask for news, for a command that then waits in `wait`. Raises nothing.

        A copy that another process fetched within `FETCH_EVERY` is news enough, and without `online` any copy is.
        """
        kept = self._kept(at)
        if kept is not None and (not online or timedelta(0) <= at - kept.at < FETCH_EVERY):
            self._used = kept
        elif self._path is None and not online:
            self._problem = "was not fetched to this machine yet (`lyttepost duty` does that)"
        else:
            self._begin(at)
            self._wait_until = float("inf")

    def wait(self, at: datetime) -> None:
        """Wait for what was asked for, as long as the limits allow. Raises nothing: `troubles` tells."""
        if self._wait_until is None:
            return
        try:
            found = self._news.get(timeout=self._limits.seconds)
        except Empty:
            found = self._given_up()
        self._wait_until = None
        self._take(found, at)

    def look(self, at: datetime, now: float) -> bool:
        """Whether anything is different from the last look. `now`: monotonic seconds."""
        before = (self._used, self._problem)
        if self._asked is None and self._used is None:
            self._used = self._kept(at)
        if self._wait_until is None and self._is_time(at):
            self._begin(at)
            self._wait_until = now + self._limits.seconds
        if self._wait_until is not None and (found := self._found(now, self._wait_until)) is not None:
            self._wait_until = None
            self._take(found, at)
        return (self._used, self._problem) != before

    def _found(self, now: float, until: float) -> Copy | CalendarError | None:
        try:
            return self._news.get_nowait()
        except Empty:
            if now <= until:
                return None
            return self._given_up()

    def _is_time(self, at: datetime) -> bool:
        if self._path is not None:
            before, self._mark = self._mark, mark(self._path)
            return before != self._mark or self._asked is None
        # A clock that was set back must not put the next fetch off.
        return self._asked is None or not timedelta(0) <= at - self._asked < FETCH_EVERY

    def _begin(self, at: datetime) -> None:
        """Fetching takes time, and so does reading what came."""
        self._asked = at
        threading.Thread(target=self._hand_over, args=(at, self._news), daemon=True, name="calendar").start()

    def _hand_over(self, at: datetime, news: SimpleQueue[Copy | CalendarError]) -> None:
        try:
            content = self._content()
            news.put(Copy(content, at, read_calendar(content, self._zone, at)))
        except LyttepostError as error:
            news.put(CalendarError(str(error)))
        except Exception as error:
            news.put(CalendarError(f"cannot be read ({type(error).__name__}); have it exported anew"))

    def _content(self) -> bytes:
        """Raises LyttepostError."""
        if self._path is None:
            return download(self._where, ACCEPT, self._limits)[0]
        try:
            with open_regular(self._path) as file:
                return file.read(self._limits.size + 1)
        except OSError as error:
            raise CalendarError(f"({self._path}) cannot be opened: {error.strerror}") from None

    def _given_up(self) -> CalendarError:
        """The thread is left behind; what it may still bring belongs to nobody."""
        self._news = SimpleQueue()
        return CalendarError(f"is not read after {self._limits.seconds:g} s; look whether its server answers at all")

    def _take(self, found: Copy | CalendarError, at: datetime) -> None:
        if isinstance(found, Copy) and found.calendar.events:
            self._used, self._problem = found, None
            self._keep(found)
            return
        self._problem = str(found) if isinstance(found, CalendarError) else "has no shifts at all"
        if self._used is None:
            self._used = self._kept(at)

    def _instead(self, at: datetime) -> str:
        if self._used is None:
            return "there is no earlier copy: nobody is on duty by it"
        age = max(at - self._used.at, timedelta(0))
        return f"the copy in use is {format_duration(timedelta(minutes=age // timedelta(minutes=1)))} old"

    def _kept(self, at: datetime) -> Copy | None:
        """The copy of an earlier process."""
        if self._file is None:
            return None
        try:
            with open_regular(self._file) as file:
                kept_at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
                content = file.read(LARGEST + 1)
            return Copy(content, kept_at, read_calendar(content, self._zone, at))
        except (OSError, CalendarError):
            return None

    def _keep(self, copy: Copy) -> None:
        """A full disk must not keep a calendar from being used: the copy is for the next start."""
        if self._file is None:
            return
        with suppress(OSError):
            make_folder(self._file.parent)
            draft = self._file.with_suffix(f".{os.getpid()}.new")
            with os.fdopen(open_private(draft, os.O_WRONLY | os.O_TRUNC), "wb") as file:
                file.write(copy.content)
            os.utime(draft, (copy.at.timestamp(), copy.at.timestamp()))
            draft.replace(self._file)


def copy_name(where: str) -> str:
    """An address may hold a key, which is nothing for the name of a file."""
    return f"{sha256(where.encode()).hexdigest()[:32]}.ics"


def mark(path: Path) -> Mark | None:
    """How a file stands; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
