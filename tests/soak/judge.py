"""What became of every post that there was: heard live, found by search, taken back, in an open gap, or lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from listener.model.gaps import is_whole
from listener.model.records import Gap
from listener.sources.x.search import SWEEP
from tests.fakes.x import FakeX, Post
from tests.soak.script import Script

if TYPE_CHECKING:
    from tests.soak.play import Client

LATE = timedelta(seconds=10)
"""A post may be published so long before the last byte that was heard and yet come after it: X's stream is late."""
AROUND = timedelta(seconds=45)
"""So long after its cause may a gap begin, beyond what the fault itself lasts: the machine is busy, too."""
MAX_TOLD = 20
WINDOW = timedelta(minutes=15)


@dataclass(frozen=True)
class Heard:
    """`origins`: post id → how it came, once for each time."""

    origins: Mapping[str, list[str]]
    gaps: tuple[Gap, ...] = ()


@dataclass
class Outcome:
    """`withdrawn`: deleted or replaced by an edit before X gave them to us, and X gives them no more. `unexplained`:
    gaps that began where nothing was wrong, with the seconds they lasted; `gap_share` is of all the time."""

    seed: int
    faults: int
    kills: int
    offered: int
    live: int = 0
    filled: int = 0
    withdrawn: int = 0
    in_gaps: int = 0
    twice: int = 0
    lost: int = 0
    lost_posts: list[str] = field(default_factory=list)
    """The first of them."""
    gaps: int = 0
    open_gaps: int = 0
    refused: bool = False
    causes: dict[str, int] = field(default_factory=dict)
    gap_share: float = 0.0
    unexplained: list[str] = field(default_factory=list)
    unexplained_seconds: float = 0.0
    connects: int = 0
    most_connects: int = 0
    """In any 15 minutes; X allows 50."""
    ended: bool = False


def judge(
    what: Script,
    fake: FakeX,
    heard: Heard,
    zero: datetime,
    opened: datetime,
    tracks: Mapping[str, datetime],
    client: Client,
) -> Outcome:
    """`tracks`: since when each is listened for."""
    ours = [post for post in fake.world.posts.values() if _is_due(post, tracks)]
    out = Outcome(what.seed, len(what.faults), client.kills, len(ours), refused=what.refused)
    offered: dict[str, list[datetime]] = {}
    for offer in fake.world.offers:
        offered.setdefault(offer.post, []).append(offer.at)
    refused_at = zero + timedelta(seconds=what.refused_at) if what.refused else None
    unfilled = [gap for gap in heard.gaps if not is_whole(gap) or _unsearched(gap, refused_at)]
    for post in ours:
        origins = heard.origins.get(post.id, [])
        out.twice += max(0, len(origins) - 1)
        if origins:
            out.live += origins[0] == "live"
            out.filled += origins[0] != "live"
        elif _is_missed(post, offered, unfilled):
            out.in_gaps += 1
        elif _is_withdrawn(post) and (post.id not in offered or _is_missed(post, offered, heard.gaps)):
            out.withdrawn += 1
        else:
            out.lost += 1
            out.lost_posts.append(f"{post.id} at {(post.published_at - zero).total_seconds():.0f} s")
    del out.lost_posts[MAX_TOLD:]
    out.ended = client.ended
    _judge_gaps(what, heard, zero, opened, fake.clock.now(), client, out)
    connects = [r.at for r in fake.requests("/search/stream", "GET")]
    out.connects = len(connects)
    out.most_connects = max((sum(at <= other < at + WINDOW for other in connects) for at in connects), default=0)
    return out


def _is_due(post: Post, tracks: Mapping[str, datetime]) -> bool:
    text = str(post.data["text"]).lower()
    return any(track in text and post.published_at >= since for track, since in tracks.items())


def _is_withdrawn(post: Post) -> bool:
    return post.deleted_at is not None or post.newer is not None


def _unsearched(gap: Gap, refused_at: datetime | None) -> bool:
    """X refused before the gap was searched for the second time, which finds what X knew too late for the first."""
    return refused_at is not None and gap.end is not None and gap.end + SWEEP > refused_at


def _is_missed(post: Post, offered: Mapping[str, list[datetime]], gaps: Iterable[Gap]) -> bool:
    """It was said in a gap, or X's line of it came in one."""
    times = (post.published_at, *offered.get(post.id, ()))
    return any(_inside(at, gap) for gap in gaps for at in times)


def _inside(at: datetime, gap: Gap) -> bool:
    return gap.start - LATE <= at and (gap.end is None or at <= gap.end + LATE)


def _judge_gaps(
    what: Script, heard: Heard, zero: datetime, opened: datetime, now: datetime, client: Client, out: Outcome
) -> None:
    out.gaps = len(heard.gaps)
    out.open_gaps = sum(not is_whole(gap) for gap in heard.gaps)
    out.causes = dict(Counter(gap.cause for gap in heard.gaps).most_common())
    wrong = [(zero + timedelta(seconds=f.at), zero + timedelta(seconds=f.at + f.lasts)) for f in what.faults if f.lasts]
    wrong += [(opened, zero + timedelta(seconds=120)), *client.down]
    for gap in heard.gaps:
        end = gap.end or now
        if not any(start - LATE <= end and gap.start <= until + AROUND for start, until in wrong):
            seconds = (end - gap.start).total_seconds()
            out.unexplained.append(f"{gap.cause} at {(gap.start - zero).total_seconds():.0f} s for {seconds:.0f} s")
            out.unexplained_seconds += seconds
    out.gap_share = round(_covered(heard.gaps, now) / (now - opened).total_seconds(), 3)


def _covered(gaps: tuple[Gap, ...], now: datetime) -> float:
    """Seconds that lie in one gap or more."""
    edges = sorted({edge for gap in gaps for edge in (gap.start, gap.end or now)})
    middles = [(a, b) for a, b in pairwise(edges) if any(g.start <= a and b <= (g.end or now) for g in gaps)]
    return sum((b - a).total_seconds() for a, b in middles)
