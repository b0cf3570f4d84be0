"""What goes wrong at the moment, and for how long. Commands write it (`commands.py`), the server reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass
class Standing:
    """A fault that requests run into, until a time or for a number of times; neither: until healed.

    `on` is an endpoint's name (`rules.post`), its family (`rules`), `rest` (all but the stream) or `all`.
    """

    what: str
    on: str
    until: datetime | None = None
    times: int | None = None
    status: int = 503
    reset: bool = True
    """On a 429: whether it says when to come back."""
    seconds: float = 0.0

    def meets(self, endpoint: str) -> bool:
        if self.on in ("all", endpoint):
            return True
        return endpoint != "stream" if self.on == "rest" else endpoint.startswith(f"{self.on}.")


@dataclass
class PartialRules:
    """How the next calls that add rules are refused in part: the first `count` of each, or those of these values."""

    times: int
    count: int
    values: frozenset[str]


@dataclass
class LostAnswer:
    """`how`: `reset`, `close`, `hang` (for `seconds`, then a reset), `status`, or `garbage` in place of JSON."""

    how: str
    status: int = 503
    seconds: float = 0.0


@dataclass
class Faults:
    """Counters count down as they are used up."""

    standing: list[Standing] = field(default_factory=list)
    close_at_connect: int = 0
    lost: list[LostAnswer] = field(default_factory=list)
    """What becomes of the answers to the next posts of the account, which are published all the same."""
    twice: int = 0
    untagged: int = 0
    unmatched: int = 0
    half: str | None = None
    """How the connection ends after half a line: `close`, `abort` or `reset`; None: no half line is due."""
    shuffle: int = 0
    """So many posts are held, then sent in another order."""
    shuffle_until: datetime | None = None
    delay: float = 0.0
    """Seconds from a post's publication to its line on the stream."""
    skew: float = 0.0
    """Seconds by which the `Date` header is wrong."""
    partial: PartialRules | None = None
    stuck: list[datetime | None] = field(default_factory=list)
    """Connections that nobody holds but X counts: until when; None: until they are deleted."""
    lacks: set[str] = field(default_factory=set)
    """Ids that search does not know."""
    refused_words: set[str] = field(default_factory=set)
    """Search and counts refuse queries that hold one of these."""
    refused_fields: dict[str, frozenset[str]] = field(default_factory=dict)
    """Parameter → values that X does not take (any more, or in our plan); none: the parameter itself."""
    search_lag: float = 0.0
    """Seconds from a post's publication until search knows it."""

    job_seconds: float = 2.0
    """So long does a compliance job take."""
    jobs_fail: int = 0
    """So many of the next jobs fail."""
    upload_valid: timedelta = timedelta(minutes=15)
    """So long after a job was made is its storage open for the ids."""
    results_cut: int = 0
    """So many of the next results are cut off."""

    def take(self, what: str, endpoint: str, now: datetime) -> Standing | None:
        """The first fault of this sort that the request runs into; a time of it is used up."""
        for fault in self.standing:
            if fault.what == what and fault.meets(endpoint) and self._holds(fault, now):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def heal(self) -> None:
        """Everything is well again."""
        vars(self).update(vars(Faults()))

    def stuck_now(self, now: datetime) -> int:
        self.stuck = [until for until in self.stuck if until is None or until > now]
        return len(self.stuck)

    @staticmethod
    def _holds(fault: Standing, now: datetime) -> bool:
        return (fault.until is None or now < fault.until) and (fault.times is None or fault.times > 0)
