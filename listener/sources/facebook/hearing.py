"""What calls and answers tell → what is to be given: each thing once, under the right origin, and what was removed.

| found | origin |
|---|---|
| told by a call, or by an answer soon after it was said | as it was said |
| told late: by an answer alone, or by a call that was repeated | heard late (`gap_fill`) |
| said before an incident was opened | of its lookback |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from listener.clock import SteadyClock
from listener.model.incidents import Incident
from listener.model.records import Origin, Post
from listener.sources.common.fields import Unusable
from listener.sources.contract import BadLine, Batch, DropReason
from listener.sources.facebook.asking import Asking
from listener.sources.facebook.known import Known
from listener.sources.facebook.payload import SECOND, Removed, Said, changes_of, name_key, post_of
from listener.webhooks.mailbox import Call, Mailbox

BATCH_SIZE: Final = 1_000
"""Posts in a batch, and changes that are taken from calls at once: as many as one call may hold."""
AHEAD: Final = timedelta(seconds=5)
"""So far ahead may a time be. What lies further in the future would end every window that is open."""
LATE: Final = timedelta(seconds=10)
LATE_CALL: Final = timedelta(minutes=1)
"""What is told so long after it was said is heard late."""
UNCALLED_AFTER: Final = timedelta(minutes=2)
"""A call that has not come so long after an answer told of the same does not come."""

Group = tuple[Origin | None, str | None]
"""Origin, and the incident that it is for."""


@dataclass
class Found:
    """What one turn brings."""

    posts: dict[Group, list[Post]] = field(default_factory=dict)
    bad: list[BadLine] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    doubles: int = 0

    def __bool__(self) -> bool:
        return bool(self.posts or self.bad or self.deleted or self.doubles)


class Hearing:
    """`handle`: the Page's own name, by which a track finds all that is said on it."""

    def __init__(self, source: str, page: str, handle: str | None, clock: SteadyClock) -> None:
        self._source = source
        self._page = page
        self._handle = handle
        self._clock = clock
        self._since = clock.now()
        self._found = Found()
        self._backs: dict[str, tuple[datetime, datetime]] = {}
        self._looked: set[tuple[str, str]] = set()
        self._opened: datetime | None = None
        self._uncalled: dict[str, datetime] = {}
        self._skew = timedelta()
        self.known = Known()
        self.floor = clock.now()
        """Nothing that was said before is wanted, but of a lookback; by our clock."""
        self.called: datetime | None = None
        """When a good call came last."""

    @property
    def uncalled(self) -> int:
        """So many things that only answers told of, and since the last call."""
        before = self._clock.now() - UNCALLED_AFTER
        return sum(at <= before for at in self._uncalled.values())

    def follow(self, incidents: Iterable[Incident]) -> None:
        self._opened = min((incident.opened_at - SECOND for incident in incidents), default=None)

    def look_back(self, incident: Incident, since: datetime) -> None:
        self._backs[incident.id] = since, incident.opened_at - SECOND

    def again(self, since: datetime) -> None:
        """What was said since then, by our clock, was passed over, and is given once more."""
        self.known.again(since - SECOND + self._skew)

    def looked_back(self, done: dict[str, datetime], until: datetime) -> None:
        """All was read back to `until`."""
        for incident, (since, _) in list(self._backs.items()):
            if until <= since:
                done[incident] = since
                del self._backs[incident]
        if not self._backs:
            self._looked.clear()

    def take(self) -> Found:
        found, self._found = self._found, Found()
        return found

    # --- what calls tell -------------------------------------------------------------------------------------------

    def take_calls(self, mailbox: Mailbox, asking: Asking) -> None:
        changes = 0
        while changes < BATCH_SIZE and (call := mailbox.take()) is not None:
            changes += 1
            try:
                for change in changes_of(call.body, self._page):
                    changes += 1
                    if isinstance(change, Unusable):
                        self._bury(change.reason, call)
                    elif isinstance(change, Removed):
                        self._remove(change)
                    elif isinstance(change, Said):
                        self._called_about(change, call, asking)
                        asking.active(change.post, self._ours(change.at))
                    elif change.id not in self.known:
                        asking.look_up(change)
            except Unusable as refused:
                self._bury(refused.reason, call)
            except Exception:
                # Whatever it is, it must not come again for ever.
                self._bury(DropReason.WRONG_TYPE, call)
            else:
                self.called = call.at
                self._uncalled.clear()

    def _called_about(self, said: Said, call: Call, asking: Asking) -> None:
        at = self._ours(said.at)
        self._learn(said)
        news = self.known.said(said)
        if news is None:
            self._found.doubles += 1
            return
        origin = None
        if self._opened is not None and at < self._opened:
            origin = Origin.LOOKBACK
        elif call.at - at > LATE_CALL:
            origin = Origin.GAP_FILL
        if (call.at - at > LATE_CALL or at < self._since) and self._opened is not None:
            # That it was deleted may have been told before, to a process that is no more.
            asking.verify([said.id])
        self._give(said, at, news.version, (origin, None))

    def find_gone(self, ids: Iterable[str]) -> None:
        """Answers say that these are not there any more."""
        for id_ in ids:
            self._remove(Removed(id_, id_.partition("_")[0] == self._page))

    def _remove(self, removed: Removed) -> None:
        self._found.deleted += self.known.removed(removed)
        for group, posts in list(self._found.posts.items()):
            kept = [post for post in posts if not self.known.is_gone(post.id)]
            self._found.doubles += len(posts) - len(kept)
            self._found.posts[group] = kept
        self._found.posts = {group: posts for group, posts in self._found.posts.items() if posts}

    # --- what answers tell -----------------------------------------------------------------------------------------

    def take_findings(self, asking: Asking, *, is_called: bool, in_gap: bool) -> None:
        findings, self._skew = asking.findings, asking.skew
        for post, text in findings.texts:
            self.known.learn_text(post, text)
        self._found.bad += findings.bad
        # Oldest first: an answer has the newest first.
        for said in sorted(findings.said, key=lambda each: each.at):
            self._answered(said, asking, is_called=is_called and not in_gap, in_gap=in_gap)
        findings.said.clear()
        findings.texts.clear()
        findings.bad.clear()

    def _answered(self, said: Said, asking: Asking, *, is_called: bool, in_gap: bool) -> None:
        at = self._ours(said.at)
        self._learn(said)
        backs = [incident for incident, (since, opened) in self._backs.items() if since <= at < opened]
        for incident in backs:
            if (incident, said.id) not in self._looked and not self.known.was_removed(said):
                self._looked.add((incident, said.id))
                self._give(said, at, self.known.version_of(said), (Origin.LOOKBACK, incident))
        if at < self.floor - SECOND:
            self.known.pass_over(said)
            return
        was_known = said.id in self.known
        news = self.known.said(said)
        if news is None or (self._opened is not None and at < self._opened):
            self._found.doubles += news is None and not backs
            return
        asking.active(said.post, at)
        now = self._clock.now()
        if is_called and not was_known and at >= self._since - SECOND and said.author is not None:
            self._uncalled.setdefault(said.id, now)
        self._give(said, at, news.version, (Origin.GAP_FILL if in_gap or now - at > LATE else None, None))

    # --- either way ------------------------------------------------------------------------------------------------

    def _ours(self, at: datetime) -> datetime:
        """A time of Facebook's by our clock, and no later than now."""
        return min(at - self._skew, self._clock.now() + AHEAD)

    def _learn(self, said: Said) -> None:
        if said.id == said.post:
            self.known.learn_text(said.id, said.text)
        if said.author is not None and said.author[0] != self._page and (key := name_key(said.author[1])):
            self.known.learn_name(said.post, key, said.author[0])

    def _give(self, said: Said, at: datetime, version: str | None, group: Group) -> None:
        try:
            post = post_of(
                said, source=self._source, page=self._page, at=at, version=version, handle=self._handle,
                above=self.known.text_above(said), names=self.known.names_at(said.post),
            )  # fmt: skip
        except Unusable as refused:
            raw = said.text.encode("utf-8", "replace")
            self._found.bad.append(BadLine.of(refused.reason, f"{self._source}:post", raw))
            return
        self._found.posts.setdefault(group, []).append(post)

    def _bury(self, reason: DropReason, call: Call) -> None:
        self._found.bad.append(BadLine.of(reason, f"{self._source}:webhook", call.body))


def batches_of(found: Found, before: str, last: Batch, fills: str | None) -> Iterator[Batch]:
    """In their order; the last one is `last`, with what is left. Until then we are where `before` says."""
    pieces: list[tuple[Group, Sequence[Post]]] = [
        (group, posts[start : start + BATCH_SIZE])
        for group, posts in found.posts.items()
        for start in range(0, len(posts), BATCH_SIZE)
    ] or [((None, None), ())]
    for number, ((origin, incident), posts) in enumerate(pieces):
        batch = last if number == len(pieces) - 1 else Batch(cursor=before)
        if number == 0:
            batch = replace(
                batch, bad=tuple(found.bad), duplicates=found.doubles, deleted=tuple(dict.fromkeys(found.deleted))
            )
        late = fills if origin is Origin.GAP_FILL else None
        yield replace(batch, posts=tuple(posts), origin=origin, incident=incident, fills=late)
