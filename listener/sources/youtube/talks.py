"""What is to be asked in which order, and when it is enough: each talk is a generator of requests. Pure.

A talk yields a `Request`, is sent the `Outcome` of it, and returns None when it went through, or the `Refused` that
ended it. What it finds on the way goes to `take`, at once: what was found before it failed is not lost.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from listener.model.gaps import Cause
from listener.sources.common.fields import Raw, Unusable
from listener.sources.common.polling import Outcome
from listener.sources.youtube import api
from listener.sources.youtube.api import MOST_IDS, Page, Refused, Request, Trouble
from listener.sources.youtube.payload import Thread, published, read_thread
from listener.sources.youtube.threads import Threads

AGAIN: Final = 3
"""So often is a list begun again whose next page is refused."""
EMPTY: Final = 20
"""So many pages in a row may have nothing on them and a next page."""
SECOND: Final = timedelta(seconds=1)
"""YouTube's times are of whole seconds: what was published just after an instant may bear one from before it."""
TAIL: Final = 3
"""So many threads at the end of a page must be known for nothing new to lie behind it."""

Talk = Generator[Request, Outcome, Refused | None]
Take = Callable[[Raw, str], None]
"""A comment as it came, and the channel under whose video it stands."""


class Talks:
    """`take` is given comments, `unread` what is none. `owner`: asked in the owner's name, for what is held for review.
    `window`: threads that began before it get no new replies that we look for; it is moved by who knows the time."""

    def __init__(self, take: Take, unread: Callable[[Raw, Unusable], None], *, owner: bool = False) -> None:
        self.threads = Threads()
        self._take = take
        self._unread = unread
        self._owner = owner
        self.window: datetime | None = None
        self.newest: dict[str, datetime] = {}
        """Channel → when the newest comment that was met was published, by the platform's clock. Between it and what
        was met before, there may be more as long as no talk went through."""
        self.clock: datetime | None = None
        """The platform's, as the last answer had it."""
        self.disabled: set[str] = set()
        """Channels whose comments are turned off."""
        self.missing: frozenset[str] = frozenset()
        """Channels that are not there."""
        self.gone: set[str] = set()
        """Ids that `still` asked for and did not get."""

    def lists(self, floors: Mapping[str, datetime]) -> Talk:
        """Of each channel all that was published after its floor, and the replies that come with it."""
        missing: dict[str, Refused] = {}
        for channel, floor in floors.items():
            if (refused := (yield from self._list(channel, floor))) is not None:
                if refused.trouble is not Trouble.GONE:
                    return refused
                missing[channel] = refused  # the others are heard all the same
        self.missing = frozenset(missing)
        return next(iter(missing.values())) if len(missing) == len(floors) else None

    def again(self) -> Talk:
        """Whether threads that we know have more replies now, or were changed: a call's worth."""
        ids = self.threads.next_turn()
        if not ids:
            return None
        page = yield from self._page(api.threads_again(ids))
        if isinstance(page, Refused):
            return page
        met: list[tuple[Thread, str, datetime]] = []
        for raw in page.items:
            if (found := self._meet(raw, None)) is not None:
                met.append(found)
        there = {thread.id for thread, _, _ in met}
        for id_ in ids:
            if id_ not in there:
                self.threads.forget(id_)
        return (yield from self._owed(met, None))

    def still(self, ids: Sequence[str]) -> Talk:
        """Which of these comments are there yet. What is there is taken: it may have been changed."""
        for start in range(0, len(ids), MOST_IDS):
            wanted = ids[start : start + MOST_IDS]
            page = yield from self._page(api.comments_still(wanted, owner=self._owner))
            if isinstance(page, Refused):
                return page
            there = set()
            for raw in page.items:
                if isinstance(id_ := raw.get("id"), str):
                    there.add(id_)
                    self._offer(raw, _channel_of(raw))
            self.gone |= set(wanted) - there
        return None

    # --- one list ----------------------------------------------------------------------------------------------------

    def _list(self, channel: str, floor: datetime) -> Talk:
        token: str | None = None
        restarts = empty = 0
        while True:
            page = yield from self._page(api.listed(channel, token, held=self._owner))
            if isinstance(page, Refused):
                if page.trouble is Trouble.DISABLED:
                    self.disabled.add(channel)
                    return None
                if page.trouble is Trouble.PAGE and restarts < AGAIN:
                    restarts, token = restarts + 1, None
                    continue
                return page
            self.disabled.discard(channel)
            empty = 0 if page.items else empty + 1
            met = [found for raw in page.items if (found := self._meet(raw, channel)) is not None]
            for thread, _, _ in met:
                self._note(channel, (thread.top, *thread.given))
            enough = self._is_enough(met, floor)
            if (refused := (yield from self._owed(met, floor))) is not None:
                return refused
            if page.next is None or enough:
                return None
            if empty >= EMPTY or page.next == token:
                return Refused(Trouble.NETWORK, Cause.GARBLED, "pages without end")
            token = page.next

    def _is_enough(self, met: Sequence[tuple[Thread, str, datetime]], floor: datetime) -> bool:
        """Nothing new lies behind this page: its last threads are from before the floor, and nothing lifted them."""
        tail = met[-TAIL:]
        return bool(tail) and all(at <= floor - SECOND and not self._has_news(thread, floor) for thread, _, at in tail)

    def _has_news(self, thread: Thread, floor: datetime) -> bool:
        known = self.threads.count_of(thread.id)
        if known is not None:
            return known != thread.count
        return any(at > floor for at in map(_when, thread.given) if at is not None)

    # --- threads -----------------------------------------------------------------------------------------------------

    def _meet(self, raw: Raw, channel: str | None) -> tuple[Thread, str, datetime] | None:
        """A thread: its top and what comes with it are offered. None where it is none."""
        try:
            thread = read_thread(raw)
            at = published(thread.top)
        except Unusable as refused:
            self._unread(raw, refused)
            return None
        channel = channel or _channel_of(thread.top)
        for comment in (thread.top, *thread.given):
            self._offer(comment, channel)
        return thread, channel, at

    def _offer(self, comment: Raw, channel: str) -> None:
        try:
            self._take(comment, channel)
        except Unusable as refused:
            self._unread(comment, refused)

    def _owed(self, met: Sequence[tuple[Thread, str, datetime]], floor: datetime | None) -> Talk:
        """The replies that did not come with their threads, of those that may have new ones."""
        for place, (thread, channel, at) in enumerate(met):
            known = self.threads.count_of(thread.id)
            if known == thread.count or (known is None and not thread.count):
                self._remember(thread, at)
                continue
            asks = len(thread.given) < thread.count and (known is not None or self._may_be_new(met, place, floor))
            if asks and (refused := (yield from self._replies(thread.id, channel))) is not None:
                return refused
            self._remember(thread, at)
        return None

    def _may_be_new(self, met: Sequence[tuple[Thread, str, datetime]], place: int, floor: datetime | None) -> bool:
        """Of a thread that is not known: it began lately, or it stands above one that began later, so it was lifted."""
        _, _, at = met[place]
        lately = self.window is None or at >= self.window or floor is None or at > floor
        return lately or any(other > at for _, _, other in met[place + 1 : place + 2])

    def _remember(self, thread: Thread, at: datetime) -> None:
        if self.window is None or at >= self.window:
            self.threads.read(thread.id, at, thread.count)

    def _replies(self, thread: str, channel: str) -> Talk:
        token: str | None = None
        restarts = empty = 0
        while True:
            page = yield from self._page(api.replies_to(thread, token, owner=self._owner))
            if isinstance(page, Refused):
                if page.trouble in (Trouble.GONE, Trouble.DISABLED):
                    return None
                if page.trouble is Trouble.PAGE and restarts < AGAIN:
                    restarts, token = restarts + 1, None
                    continue
                return page
            empty = 0 if page.items else empty + 1
            for raw in page.items:
                self._offer(raw, channel)
            self._note(channel, page.items)
            if page.next is None:
                return None
            if empty >= EMPTY or page.next == token:
                return Refused(Trouble.NETWORK, Cause.GARBLED, "pages without end")
            token = page.next

    def _note(self, channel: str, comments: Iterable[Raw]) -> None:
        """When the newest of them was published."""
        for at in filter(None, map(_when, comments)):
            self.newest[channel] = max(self.newest.get(channel, at), at)

    def _page(self, request: Request) -> Generator[Request, Outcome, Page | Refused]:
        page = api.read((yield request))
        if isinstance(page, Page) and page.at is not None:
            self.clock = page.at
        return page


def floors_of(
    channels: Iterable[str], newest: Mapping[str, datetime], heard: datetime, overlap: timedelta
) -> dict[str, datetime]:
    """Channel → down to when its list is read: to the newest comment that was met before, and in any case to `overlap`
    before all was heard, for what the API gave late. All by the platform's clock."""
    return {channel: min(newest.get(channel, heard), heard - overlap) for channel in channels}


def _channel_of(comment: Raw) -> str:
    snippet = comment.get("snippet")
    found = snippet.get("channelId") if isinstance(snippet, dict) else None
    return found if isinstance(found, str) else ""


def _when(comment: Raw) -> datetime | None:
    try:
        return published(comment)
    except Unusable:
        return None
