"""One talk with the API at a time: its requests are handed over, paid for, and answered, in the source's own thread.

Nobody waits here. A talk that is dropped is not gone on with; the call that is under way then is paid for all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from listener.clock import Clock
from listener.sources.common.polling import Answer, Ask, Outcome, Poller
from listener.sources.common.quota import DayQuota
from listener.sources.contract import Call
from listener.sources.youtube.access import Access
from listener.sources.youtube.api import COST, Refused, Request
from listener.sources.youtube.owner import Owner
from listener.sources.youtube.talks import Talk

TOKEN: Final = "token"  # noqa: S105 -- an endpoint
"""The endpoint of the owner's access tokens, which costs no unit."""


@dataclass(frozen=True, slots=True)
class End:
    """How a talk ended; `refused` None: it went through."""

    refused: Refused | None


class Dialogue:
    """`owner` None: nothing is asked in the channel owner's name."""

    def __init__(
        self,
        name: str,
        access: Access,
        quota: DayQuota,
        clock: Clock,
        bell: Callable[[], None],
        answer: Callable[[Ask], Outcome],
    ) -> None:
        self._access = access
        self._quota = quota
        self._clock = clock
        self._poller = Poller(name, bell, answer)
        self.reset()

    def reset(self) -> None:
        self.owner = None if self._access.owner is None else Owner(self._access.owner)
        self.arrived: datetime | None = None
        """When an answer last came, whatever it said."""
        self.spent = 0
        """Units, since somebody last looked."""
        self._calls: Counter[Call] = Counter()
        self._talk: Talk | None = None
        self._waits: Request | None = None
        """The request of the talk that is not answered yet."""
        self._under_way: str | None = None
        """The endpoint of the call that is."""

    @property
    def is_free(self) -> bool:
        """A talk may begin."""
        return self._talk is None and not self._poller.busy

    def begin(self, talk: Talk) -> End | None:
        self._talk, self._waits = talk, None
        return self._advance(None)

    def drop(self) -> None:
        if self._talk is not None:
            self._talk.close()
        self._talk = self._waits = None

    def turn(self) -> End | None:
        """One answer, if one came. How the talk ended, if it did."""
        outcome = self._poller.take()
        if outcome is None:
            return None
        endpoint, self._under_way = self._under_way, None
        self._pay(endpoint or TOKEN, outcome)
        if endpoint == TOKEN and self.owner is not None:
            refused = self.owner.take(outcome, self._clock.now())
            if self._talk is None:
                return None
            if refused is not None:
                self.drop()
                return End(refused)
            return None if self._waits is None else self._hand_over(self._waits)
        return None if self._talk is None else self._advance(outcome)

    def take_calls(self) -> Mapping[Call, int]:
        """Since the last time."""
        calls, self._calls = self._calls, Counter()
        return calls

    def stop(self) -> None:
        self.drop()
        self._under_way = None
        self._poller.stop()

    def _advance(self, outcome: Outcome | None) -> End | None:
        if (talk := self._talk) is None:
            return None
        try:
            self._waits = next(talk) if outcome is None else talk.send(outcome)
        except StopIteration as end:
            self._talk = self._waits = None
            return End(end.value)
        return self._hand_over(self._waits)

    def _hand_over(self, request: Request) -> End | None:
        now = self._clock.now()
        if self._quota.left(now) < COST:
            # In the middle of a talk: it is begun anew when there are units.
            self.drop()
            return None
        if not request.owner or self.owner is None:
            self._under_way = request.endpoint
            self._poller.ask(request.ask(self._access.base_url, {"X-Goog-Api-Key": self._access.key.token}))
        elif self.owner.has_token(now):
            self._under_way = request.endpoint
            self._poller.ask(request.ask(self._access.base_url, self.owner.headers()))
        else:
            self._under_way = TOKEN
            self._poller.ask(self.owner.ask())
        return None

    def _pay(self, endpoint: str, outcome: Outcome) -> None:
        """Failed calls cost too; one that was never sent does not."""
        if isinstance(outcome, Answer):
            self.arrived = self._clock.now()
        elif not outcome.sent:
            return
        self._calls[Call(endpoint, isinstance(outcome, Answer) and outcome.status == 200)] += 1
        if endpoint != TOKEN:
            self._quota.spend(endpoint, COST, self._clock.now())
            self.spent += COST
