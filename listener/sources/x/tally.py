"""One series' counts from X: every page of every query, added up, within the calls that X allows."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

from listener.clock import Clock
from listener.sources.x.backoff import ConnectLimit
from listener.sources.x.client import Api, Trouble, XError
from listener.sources.x.counts import REACH, instant_of, minute_of, read_counts
from listener.sources.x.filter_rules import Rule

CALLS: Final = 200
"""Calls in 15 minutes, of X's 300: `doctor` and people by hand need some too."""
MAX_PAGES: Final = 100


class Unanswerable(Exception):
    """X does not take this query, whenever it is asked."""

    def __init__(self, query: Rule) -> None:
        super().__init__("a query is refused")
        self.query = query


class CountQuery:
    """Belongs to one thread. Its budget outlives every stop: X counts calls, whoever wanted them."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._calls = ConnectLimit(CALLS)

    def fetch(self, queries: Sequence[Rule], span: range, stop: threading.Event) -> dict[int, int]:
        """Minute → posts, in order, for those minutes of the span that every query has told of. Nothing once `stop` is
        set. Raises XError, or Unanswerable."""
        told = [self._pages(query, span, stop) for query in queries]
        return {minute: sum(counts[minute] for counts in told) for minute in sorted(set(span).intersection(*told))}

    def _pages(self, query: Rule, span: range, stop: threading.Event) -> dict[int, int]:
        counts: dict[int, int] = {}
        token: str | None = None
        start = span.start
        for _ in range(MAX_PAGES):
            if self._clock.wait(self._calls.wait(self._clock.monotonic()), stop):
                return {}
            self._calls.spend(self._clock.monotonic())
            if token is None:
                # Minutes may have passed since the span was chosen, and X refuses what begins before its reach.
                start = max(span.start, minute_of(self._clock.now() - REACH) + 1)
            if start >= span.stop:
                return {}
            try:
                page = self._api.counts(query.value, instant_of(start), instant_of(span.stop), token)
                counts |= read_counts(page.answer)
            except ValueError:
                raise XError(Trouble.SERVER) from None
            except XError as error:
                raise (Unanswerable(query) if _blames_query(error) else error) from None
            token = page.next_token
            if token is None:
                break
        if token is not None or not counts:
            # Pages without an end, or an answer without a count: neither tells that nothing was said.
            raise XError(Trouble.SERVER)
        return counts


def _blames_query(error: XError) -> bool:
    """X refuses the query itself, and not its times or its token."""
    errors: Any = error.body.get("errors") if isinstance(error.body, dict) else None
    if error.trouble is not Trouble.REFUSED or not isinstance(errors, list):
        return False
    return any(isinstance(e, dict) and "query" in (e.get("parameters") or {}) for e in errors)
