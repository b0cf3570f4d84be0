"""When the Page is asked, and for what: rounds one after the other, each question answered by a thread of its own.

In crisis a round begins each half minute, in calm each hour: that finds what no call told of, keeps permissions from
ending for want of use, and proves that the token is still the Page's. After a time in which something may have been
missed a round is *full*: every post's comments are read back to its beginning.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from listener.clock import Clock
from listener.sources.common.graph.answers import Answer, Outcome
from listener.sources.common.graph.client import GraphClient
from listener.sources.common.polling import OneAtATime
from listener.sources.facebook.payload import Untold
from listener.sources.facebook.rounds import Failed, Findings, Plan, Question, Read, Round, reading

HOT: Final = 10
TURNS: Final = 5
"""Posts whose comments are read in each round, and further ones that take turns: people write below the newest."""
IN_CALM: Final = 3
ACTIVE: Final = timedelta(hours=1)
"""So long after its last comment is a post read in each round too."""
VERIFIED: Final = 20
VERIFIED_IN_CALM: Final = 200
"""Of so many ids it is asked in a round whether they are there yet."""
MOST_POSTS: Final = 200
"""Whose comments a full round reads."""
PROBE_SECONDS: Final = 600.0
AGAIN_SECONDS: Final = 3600.0
"""A refusal that only a person can end is looked at again so often, and at once when there is another token."""
FULL: Final = 75.0
"""Percent of what Meta allows from which only the newest posts are read."""


@dataclass(frozen=True, slots=True)
class Done:
    """A round is over. `at`: when it began; all that Facebook had then was read, if it was `whole`."""

    at: datetime
    full: bool
    whole: bool
    posts: int
    until: datetime
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A round ended early. `deaf`: the token is not the Page's though it is taken."""

    answer: Answer
    deaf: bool = False

    @property
    def outcome(self) -> Outcome:
        return Outcome.UNAUTHORIZED if self.deaf else self.answer.outcome

    @property
    def needs_person(self) -> bool:
        return self.deaf or self.answer.needs_person


class Asking:
    """Belongs to the source's thread. `bell` is rung when an answer came."""

    def __init__(
        self,
        page: str,
        client: GraphClient,
        clock: Clock,
        bell: Callable[[], None],
        *,
        lists: Sequence[str],
        every: timedelta,
        calm_every: timedelta,
        posts_for: timedelta,
        is_known: Callable[[str], bool],
    ) -> None:
        self._page = page
        self._client = client
        self._clock = clock
        self._lists = lists
        self._every, self._calm_every, self._posts_for = every.total_seconds(), calm_every.total_seconds(), posts_for
        self._is_known = is_known
        failed = Answer(outcome=Outcome.UNAVAILABLE, why="our own question failed")
        self._questions: OneAtATime[Question, Answer] = OneAtATime(
            "facebook", bell, lambda asked: client.get(asked.path, asked.params), failed
        )
        self.reset()

    def reset(self) -> None:
        self._running: tuple[Round, Plan] | None = None
        self._began = self._clock.now()
        self._untold: dict[str, Untold] = {}
        self._verify: dict[str, None] = {}
        self._due = float("-inf")
        self._full: datetime | None = None
        self._turn = 0
        self._active: OrderedDict[str, datetime] = OrderedDict()
        self._probe_at = float("-inf")
        self._refused_token: str | None = None
        self._ask_at = float("-inf")
        self._crisis = False
        self.skew = timedelta()
        """How far Facebook's clock is ahead of ours."""
        self.heard: datetime | None = None
        """When an answer came last."""
        self.findings = Findings()

    def stop(self) -> None:
        self._questions.stop()
        self._running = None

    # --- what is wanted -------------------------------------------------------------------------------------------

    def follow(self, crisis: bool) -> None:
        """How often to ask from now on."""
        if crisis and not self._crisis:
            self._due = min(self._due, self._clock.monotonic())
        self._crisis = crisis

    def read_back(self, until: datetime, *, soon: bool = True) -> None:
        """The next round is a full one, back to then, by our clock. `soon`: it begins at once; else when it is due, as
        after a fault, which is not asked about again before its pause is over."""
        if self._full is None or until < self._full:
            self._full = until
        if self._running is not None and self._running[1].until <= until + self.skew:
            return
        if soon and self._refused_token is None:
            self._due = min(self._due, self._clock.monotonic())

    def active(self, post: str, at: datetime) -> None:
        """Somebody wrote below this post."""
        self._active[post] = at
        self._active.move_to_end(post)
        while len(self._active) > MOST_POSTS:
            self._active.popitem(last=False)

    def look_up(self, untold: Untold) -> None:
        """What it says is to be asked for."""
        if len(self._untold) < MOST_POSTS:
            self._untold[untold.id] = untold
            if self._refused_token is None and self._client.shut_until is None:
                self._due = min(self._due, self._clock.monotonic())

    @property
    def to_verify(self) -> tuple[str, ...]:
        return tuple(self._verify)

    def verify(self, ids: Iterable[str]) -> None:
        """Whether these are there yet is asked for, some of them in each round that proves who we are."""
        self._verify.update(dict.fromkeys(ids))

    # --- rounds ---------------------------------------------------------------------------------------------------

    def turn(self, floor: datetime) -> Done | Refused | None:
        """Go on; what came of a round that is over. `floor`: nothing from before is wanted, by our clock."""
        if self._running is None:
            if not self._may_begin():
                return None
            return self._begin(floor)
        answer = self._questions.take()
        if answer is not None:
            self._note(answer)
            return self._advance(self._running, answer)
        return None

    def _may_begin(self) -> bool:
        if self._refused_token is not None:
            self._client.key.reread()
            if self._client.key.token != self._refused_token:
                self._refused_token = None
                self._due = float("-inf")
        return self._clock.monotonic() >= self._due and not self._questions.busy

    def _begin(self, floor: datetime) -> Done | Refused | None:
        now = self._clock.now()
        self._began = now
        back, full = self._full, self._full is not None
        until = min(back, floor) if back is not None else floor
        verify = self.to_verify[: VERIFIED if self._crisis else VERIFIED_IN_CALM]
        # What is not there for a token of another kind is not gone.
        probe = self._clock.monotonic() >= self._probe_at or bool(verify)
        untold, self._untold = tuple(self._untold.values()), {}
        plan = Plan(
            page=self._page,
            lists=self._lists,
            until=until + self.skew,
            full=full,
            oldest=now + self.skew - self._posts_for,
            probe=probe,
            untold=untold,
            verify=verify,
            choose=self._choose_all if full else self._choose,
            is_known=self._is_known,
            now=lambda: self._clock.now() + self.skew,
        )
        self._running = reading(plan, self.findings), plan
        return self._advance(self._running, None)

    def _advance(self, running: tuple[Round, Plan], answer: Answer | None) -> Done | Refused | None:
        asked, plan = running
        try:
            question = next(asked) if answer is None else asked.send(answer)
        except StopIteration as ended:
            self._running = None
            return self._ended(ended.value, plan)
        self._questions.ask(question)
        return None

    def _ended(self, came: Read | Failed, plan: Plan) -> Done | Refused:
        now = self._clock.monotonic()
        every = self._every if self._crisis else self._calm_every
        if isinstance(came, Failed):
            refused = Refused(came.answer, came.deaf)
            wait = came.answer.wait
            if refused.needs_person:
                self._refused_token = self._client.key.token
                wait = max(wait or 0.0, AGAIN_SECONDS)
            self._due = now + max(wait or 0.0, 1.0)
            self._probe_at = float("-inf")
            return refused
        if plan.probe:
            self._probe_at = now + PROBE_SECONDS
        until = plan.until - self.skew
        if self._full is not None and plan.full and plan.until <= self._full + self.skew:
            self._full = None
        self._due = now if self._full is not None else now + every
        for id_ in plan.verify:
            self._verify.pop(id_, None)
        return Done(self._began, plan.full, came.whole, came.posts, until, came.gone)

    def distrust(self) -> None:
        """The round that came to its end proves that the token is not the Page's."""
        self._refused_token = self._client.key.token
        self._due = self._clock.monotonic() + AGAIN_SECONDS
        self._probe_at = float("-inf")

    def _note(self, answer: Answer) -> None:
        if answer.asked and answer.status:
            self.heard = self._clock.now()
        if answer.date is not None and answer.ok:
            ahead = answer.date - self._clock.now()
            # Dates are of whole seconds, and an answer is under way for some.
            self.skew = ahead if abs(ahead) > timedelta(seconds=15) else timedelta()

    # --- which posts ----------------------------------------------------------------------------------------------

    def _choose_all(self, posts: Sequence[str]) -> Sequence[str]:
        further = [post for post in self._active if post not in posts]
        return [*posts[:MOST_POSTS], *further]

    def _choose(self, posts: Sequence[str]) -> Sequence[str]:
        if not self._crisis:
            return posts[:IN_CALM]
        now = self._clock.now()
        active = [post for post, at in self._active.items() if now - at < ACTIVE]
        chosen = dict.fromkeys([*posts[:HOT], *active])
        rest = [post for post in posts if post not in chosen]
        percent = self._client.usage.percent
        if rest and (percent is None or percent < FULL):
            start = self._turn * TURNS % len(rest)
            self._turn += 1
            chosen.update(dict.fromkeys((rest + rest)[start : start + min(TURNS, len(rest))]))
        return list(chosen)
