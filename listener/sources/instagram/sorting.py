"""What was found, sorted into what goes to the bus together: heard in time, heard late, or from before an incident.

The same comments are listed round after round: of each only the first is news. In calm a post counts once, when its
time lies between the rounds; then a restart counts none twice, and keeps no id.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from listener.model.incidents import Incident
from listener.model.records import Origin, Post
from listener.sources.contract import BadLine
from listener.sources.instagram.cursor import Memory, Wanted
from listener.sources.instagram.parts import Ears
from listener.sources.instagram.payload import Account, Medium
from listener.sources.instagram.questions import Part
from listener.sources.instagram.round import Found

AHEAD: Final = timedelta(seconds=5)
"""So far ahead may Meta's clock be of ours. What lies further in the future would end every window that is open."""
SETTLE: Final = timedelta(seconds=5)
SETTLE_IN_CALM: Final = timedelta(seconds=30)
"""What was said later than that before a round may not be listed yet. In calm nobody waits for it."""
OLDEST: Final = timedelta(days=6, hours=12)
"""What was said longer ago is given no more: so far back is it known what lies on the bus."""
REMEMBERED: Final = 100_000
"""Ids of posts that were given."""


@dataclass(frozen=True, slots=True)
class RoundOver:
    """Behind all that a round found: what the cursor may know once that is on the bus."""

    heard: Mapping[str, datetime]
    counted: datetime
    back: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sorted:
    """What goes into one batch. `fills`: the gap of whose time it is, of all or of `part`."""

    part: Part | None = None
    posts: tuple[Post, ...] = ()
    bad: tuple[BadLine, ...] = ()
    doubles: int = 0
    origin: Origin | None = None
    incident: str | None = None
    fills: str | None = None
    fetched: Wanted | None = None
    """The mention that it is: wanted no more once this is on the bus."""
    over: RoundOver | None = None


class Sorting:
    """`memory` and `ears` are the source's own; `now`: a clock that never runs back."""

    def __init__(self, memory: Memory, ears: Ears, now: Callable[[], datetime]) -> None:
        self._memory = memory
        self._ears = ears
        self._now = now
        self._ready: deque[Sorted] = deque()
        self._waiting = 0
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._incidents: Mapping[str, Incident] = {}
        self._late: Sequence[Incident] = ()
        self._looking: dict[str, Incident] = {}
        self._told: tuple[str, ...] = ()
        self._counted: dict[str, Post] = {}
        """In calm, what this round is to count."""
        self.media: Mapping[str, Medium] = {}
        self.ahead = timedelta()
        """So much is our clock ahead of Meta's: incidents were opened by ours, and posts have theirs."""
        self.ours = Account("")

    def __len__(self) -> int:
        """Posts that wait to be taken."""
        return self._waiting

    def follow(self, incidents: Mapping[str, Incident], late: Sequence[Incident]) -> None:
        """`late`: closed while nobody listened; what was said in them may yet be found."""
        self._incidents, self._late = incidents, late
        for id_ in self._memory.back.keys() - incidents.keys():
            del self._memory.back[id_]
        self._looking = {id_: i for id_, i in incidents.items() if self._memory.back.get(id_) != _wish(i)}

    @property
    def settle(self) -> timedelta:
        return SETTLE if self._incidents else SETTLE_IN_CALM

    @property
    def back(self) -> datetime | None:
        """From when on more is wanted than what is new."""
        return min(map(self._back_to, self._looking.values()), default=None)

    def round_begins(self) -> None:
        """What another did not bring to its end is counted by this one."""
        self._counted.clear()

    def put(self, found: Found, round_at: datetime | None) -> None:
        """What an answer of a round brought. `round_at`: when the round began."""
        groups: dict[tuple[Origin | None, str | None, str | None], list[Post]] = {}
        for post in found.posts:
            for origin, incident in self._places(post, round_at):
                fills = self._gap_of(post, found.part) if incident is None else None
                late = origin is None and (fills is not None or self._is_late(post))
                groups.setdefault((Origin.GAP_FILL if late else origin, incident, fills), []).append(post)
        bad = tuple(line for line in found.bad if self._is_new("bad", line.digest))
        for (origin, incident, fills), posts in groups.items():
            self.queue(Sorted(found.part, tuple(posts), origin=origin, incident=incident, fills=fills))
        if bad:
            self.queue(Sorted(found.part, bad=bad))

    def told(self, part: Part, posts: Iterable[Post], bad: Iterable[BadLine] = ()) -> Sorted:
        """What one call or one answer brought beside the rounds, to go into one batch: late, if any of it is."""
        offered = list(posts)
        new = [post for post in offered if self._is_wanted(post) and self._is_told(post, part)]
        self._told = tuple(post.id for post in new)
        fills = next(filter(None, (self._gap_of(post, part) for post in new)), None)
        late = fills is not None or any(map(self._is_late, new))
        origin = Origin.GAP_FILL if late else None
        return Sorted(part, tuple(new), tuple(bad), len(offered) - len(new), origin, fills=fills)

    def forget_told(self) -> None:
        """What was told last lies nowhere, and is to be told again."""
        for id_ in self._told:
            self._seen.pop(("", id_), None)
        self._told = ()

    def queue(self, sorted_: Sorted) -> None:
        """Behind what waits already."""
        self._ready.append(sorted_)
        self._waiting += len(sorted_.posts)

    def take(self) -> Sorted | None:
        """The next; what goes to the bus with it is in the memory from now on."""
        taken = None
        while self._ready and (taken is None or (self._ready[0].over is not None and not self._ready[0].posts)):
            first = self._ready.popleft()
            self._waiting -= len(first.posts)
            if first.over is not None:
                self._know(first.over)
            taken = first if taken is None and (first.over is None or first.posts) else taken
        return taken

    def _know(self, over: RoundOver) -> None:
        memory = self._memory
        memory.heard = dict(over.heard)
        memory.counted = max(memory.counted or over.counted, over.counted)
        memory.back |= over.back

    def round_is_over(self, at: datetime, heard: Mapping[str, datetime]) -> None:
        """Everything that was said until then has been put. `heard`: for the cursor, once all of it is on the bus."""
        back = {id_: _wish(incident) for id_, incident in self._looking.items()}
        # What was counted goes to the bus with the place behind it, so that a restart counts none twice.
        posts, self._counted = tuple(self._counted.values()), {}
        self.queue(Sorted(posts=posts, over=RoundOver(heard, at if self._incidents else at - self.settle, back)))
        self._looking, self._late = {}, ()

    # --- one post -----------------------------------------------------------------------------------------------------

    def _places(self, post: Post, round_at: datetime | None) -> list[tuple[Origin | None, str | None]]:
        """Where it belongs: origin and incident; nowhere, if it is old or known."""
        found: list[tuple[Origin | None, str | None]] = [
            (Origin.LOOKBACK, id_)
            for id_, incident in self._looking.items()
            if self._back_to(incident) <= post.at < self._opened(incident) and self._is_new(id_, post.id)
        ]
        if self._is_wanted(post):
            if self._is_new("", post.id):
                found.append((None, None))
        elif self._is_counted(post, round_at):
            self._counted[post.id] = post
        return found

    def _is_wanted(self, post: Post) -> bool:
        """It was said while an incident was open."""
        if post.at < self._now() - OLDEST:
            return False
        if self._incidents:
            return post.at >= min(map(self._opened, self._incidents.values()))
        ended = [(self._opened(i), i.closed_at) for i in self._late if i.closed_at is not None]
        return any(opened <= post.at <= closed for opened, closed in ended)

    def _opened(self, incident: Incident) -> datetime:
        """By Meta's clock, whose times are of whole seconds."""
        return (incident.opened_at - self.ahead).replace(microsecond=0)

    def _back_to(self, incident: Incident) -> datetime:
        return self._opened(incident) - timedelta(seconds=incident.lookback)

    def _is_counted(self, post: Post, round_at: datetime | None) -> bool:
        """In calm, and of the time between the round before and this one."""
        counted = self._memory.counted
        if self._incidents or counted is None or round_at is None:
            return False
        return counted < post.at <= round_at - self.settle

    def _is_late(self, post: Post) -> bool:
        """Windows that it belongs to may be closed."""
        return self._memory.given is not None and post.at < self._memory.given

    def _gap_of(self, post: Post, part: Part) -> str | None:
        """The gap that lasts, where it was said in it."""
        lasting = self._ears.lasting(part)
        return lasting.id if lasting is not None and post.at >= lasting.start else None

    def _is_told(self, post: Post, part: Part) -> bool:
        """New. A comment under a medium that we do not know yet is read again by a round, with its medium's words."""
        if part is Part.COMMENTS and post.id.partition("_")[0] not in self.media:
            return ("", post.id) not in self._seen
        return self._is_new("", post.id)

    def _is_new(self, for_: str, id_: str) -> bool:
        key = for_, id_
        if key in self._seen:
            self._seen.move_to_end(key)
            return False
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True


def _wish(incident: Incident) -> str:
    """What is looked back for: another one when its tracks or its hours change."""
    written = f"{incident.lookback}|{'|'.join(sorted(incident.tracks))}"
    return hashlib.blake2b(written.encode(), digest_size=6).hexdigest()
