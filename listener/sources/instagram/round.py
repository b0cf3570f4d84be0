"""One round over what Instagram has: the account, the comments of our newest media, hashtags, tagged media. Pure.

    Round ──next──▶ Question ──▶ (somebody asks) ──▶ Answer ──take──▶ Found posts, and more questions

The account comes first, and must come back as ours: behind a token of the wrong kind every list is empty, and says so
of nothing. What fails for one part (a permission is gone) leaves the others alone; what fails for all (too many calls,
a void token, no network) ends the round.

Of a medium its newest comments come first, fifty at once. Where all of a page are new, those behind it are not known:
that is a **cut**, a gap of its own, also where a next page then brings them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from pydantic_core import to_json

from listener.model.records import Post
from listener.sources.common.fields import Raw, Unusable, as_id, dicts, time_of
from listener.sources.common.graph.answers import Answer, Outcome
from listener.sources.common.graph.pages import next_page
from listener.sources.contract import BadLine, DropReason
from listener.sources.instagram import questions
from listener.sources.instagram.hashtags import TagBudget
from listener.sources.instagram.payload import SOURCE, Account, Medium, read_comment, read_media, read_medium
from listener.sources.instagram.questions import PAGE, Kind, Part, Question

PAGES: Final = 10
"""Pages of the comments of one medium, or of the answers to one of them, that are read in a round."""
TAG_PAGES: Final = 20
"""The same of a hashtag. They come in no order, so that behind the last nothing is known."""
TAG_REACH: Final = timedelta(hours=24)
"""So far back are media of a hashtag given."""
NOT_OURS: Final = "the account did not come back: the token is of the wrong kind, or for another account"
NOT_OURS_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Cut:
    """A stretch of which not all may have been given. `whole`: it was found after all."""

    part: Part
    start: datetime
    end: datetime
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a round is for. `heard`: part → up to when all of it is known; `back`: from when on more is wanted, for what
    was said before an incident was opened. `missing`: media that did not answer in the round before."""

    account: str
    media: int
    tags: tuple[str, ...]
    tagged: bool
    parts: tuple[Part, ...]
    heard: Mapping[Part, datetime]
    back: datetime | None = None
    missing: frozenset[str] = frozenset()


@dataclass(slots=True)
class Found:
    """What an answer brought."""

    part: Part
    posts: list[Post] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)


class Round:
    """`latest`: when Meta answered → the time later than which nothing was said, by a clock that never runs back."""

    def __init__(self, plan: Plan, ours: Account, budget: TagBudget, latest: Callable[[datetime | None], datetime]):
        self._plan = plan
        self._budget = budget
        self._latest = latest
        self._todo: deque[Question] = deque([questions.account(plan.account, plan.media)])
        self._pages: dict[str, datetime] = {}
        """Medium → the oldest comment of its first page, where all of that were new."""
        self.ours = ours
        self.at: datetime | None = None
        """When the account came back: what was said before that, this round finds."""
        self.media: dict[str, Medium] = {}
        self.failed: dict[Part, Answer] = {}
        self.cuts: list[Cut] = []
        self.missing: set[str] = set()
        self.ended: Answer | None = None
        """Why it ended before its time."""

    @property
    def over(self) -> bool:
        return not self._todo

    def next(self) -> Question | None:
        """What is to be asked now."""
        return self._todo[0] if self._todo else None

    def take(self, question: Question, answer: Answer) -> Found | None:
        """The answer to what was asked last."""
        self._todo.popleft()
        if not answer.ok:
            self._fail(question, answer)
            return None
        match question.kind:
            case Kind.ACCOUNT:
                self._begin(answer)
                return None
            case Kind.TAG:
                self._tag(question, answer)
                return None
            case _:
                return None if question.part is None else self._page(question, question.part, answer)

    # --- what fails ---------------------------------------------------------------------------------------------------

    def _fail(self, question: Question, answer: Answer) -> None:
        part = question.part
        everywhere = answer.outcome in (Outcome.RATE_LIMITED, Outcome.UNAUTHORIZED)
        if part is None or everywhere or (answer.outcome is Outcome.UNAVAILABLE and not answer.status):
            self.ended = answer
            self._todo.clear()
        elif answer.not_there and question.medium and question.medium not in self._plan.missing:
            # It may have been deleted since it was listed: the next list tells.
            self.missing.add(question.medium)
            self._drop(lambda each: each.medium == question.medium)
        else:
            self.failed[part] = answer
            # One hashtag that is not known is no fault of the others.
            alone = answer.outcome is Outcome.STOPPED and part is Part.HASHTAGS
            self._drop(lambda each: each.part is part and (not alone or each.about == question.about))

    def _drop(self, these: Callable[[Question], bool]) -> None:
        self._todo = deque(each for each in self._todo if not these(each))

    # --- the account --------------------------------------------------------------------------------------------------

    def _begin(self, answer: Answer) -> None:
        data, plan = answer.data, self._plan
        count, listed = data.get("media_count"), data.get("media")
        self.media = {medium.id: medium for medium in read_media(listed)}
        if as_id(data.get("id")) != plan.account or (isinstance(count, int) and count > 0 and not self.media):
            self.ended = replace(answer, outcome=Outcome.STOPPED, data={}, wait=NOT_OURS_SECONDS, why=NOT_OURS)
            return
        self.at = self._latest(answer.date)
        name = data.get("username")
        self.ours = Account(plan.account, name.strip().lower() if isinstance(name, str) else self.ours.name)
        if Part.COMMENTS in plan.parts:
            self._todo.extend(map(questions.comments, self.media))
        if Part.HASHTAGS in plan.parts:
            self._hashtags(self.at)
        if Part.TAGGED in plan.parts:
            self._todo.append(questions.tagged(plan.account))

    def _hashtags(self, now: datetime) -> None:
        for name in self._budget.allowed(now):
            self._budget.spend(name, now)
            id_ = self._budget.id_of(name)
            its = questions.tag(self._plan.account, name) if id_ is None else self._tag_media(name, id_)
            self._todo.append(its)
        heard = self._plan.heard.get(Part.HASHTAGS)
        if heard is not None and heard < now - TAG_REACH:
            self.cuts.append(Cut(Part.HASHTAGS, heard, now - TAG_REACH))

    def _tag(self, question: Question, answer: Answer) -> None:
        id_ = next((found for item in answer.items() if (found := as_id(item.get("id")))), None)
        if id_ is None:
            why = "Instagram does not know the hashtag, or does not tell of it"
            self._fail(question, replace(answer, outcome=Outcome.STOPPED, wait=None, why=why))
            return
        self._budget.learn(question.about, id_)
        self._todo.appendleft(self._tag_media(question.about, id_))

    def _tag_media(self, name: str, id_: str) -> Question:
        return questions.tag_media(self._plan.account, name, id_)

    # --- pages --------------------------------------------------------------------------------------------------------

    def _page(self, question: Question, part: Part, answer: Answer) -> Found | None:
        if not isinstance(answer.data.get("data"), list):
            why = "an answer of Instagram's holds no list"
            self._fail(question, replace(answer, outcome=Outcome.UNAVAILABLE, data={}, why=why))
            return None
        found = Found(part)
        items, params = answer.items(), next_page(answer.data, question.params)
        for raw in items:
            self._read(question, raw, found)
        times = [at for raw in items if (at := _time(raw)) is not None]
        more = None if params is None else question.next(params)
        match question.kind:
            case Kind.COMMENTS:
                self._comments(question, min(times, default=None), len(items), more)
            case Kind.REPLIES:
                self._bounded(part, more, PAGES)
            case Kind.TAG_MEDIA:
                self._bounded(part, more, TAG_PAGES)
            case _:
                # A list of years. Once a page brings nothing new, what is behind it is known.
                wanted = [at for at in (self._plan.heard.get(part), self._plan.back) if at is not None]
                if not times or (wanted and max(times) > min(wanted)):
                    self._bounded(part, more, PAGES)
        return found

    def _read(self, question: Question, raw: Raw, found: Found) -> None:
        """The post that an item is, and those within it, into `found`."""
        latest = self._latest(None)
        if question.kind in (Kind.TAG_MEDIA, Kind.TAGGED):
            _keep(partial(read_medium, raw, latest), raw, found)
            return
        medium = self.media.get(question.medium)
        caption = medium.caption if medium else ""
        read = partial(read_comment, medium=question.medium, caption=caption, ours=self.ours, latest=latest)
        _keep(partial(read, raw, parent=question.about if question.kind is Kind.REPLIES else None), raw, found)
        answers, id_ = raw.get("replies"), as_id(raw.get("id"))
        if isinstance(answers, dict) and id_ is not None:
            for each in dicts(answers.get("data")):
                _keep(partial(read, each, parent=id_), each, found)
            if next_page(answers, {}) is not None:
                self._todo.append(questions.replies(question.medium, id_))

    def _comments(self, question: Question, oldest: datetime | None, count: int, more: Question | None) -> None:
        heard, medium = self._plan.heard.get(Part.COMMENTS), self.media.get(question.medium)
        # Before it was published there was nothing to say under it.
        known = max(filter(None, (heard, medium.at if medium else None)), default=None)
        first = self._pages.get(question.medium)
        is_new = known is not None and oldest is not None and oldest > known
        if question.page == 0 and is_new and count >= PAGE and oldest is not None:
            self._pages[question.medium] = first = oldest
        wanted = (
            is_new or not count or (self._plan.back is not None and oldest is not None and oldest > self._plan.back)
        )
        if more is not None and wanted and more.page < PAGES:
            self._todo.appendleft(more)
            return
        if first is not None and known is not None:
            # Where the page before ended among the new ones, and no further was to be had, the rest is not known.
            whole = (not is_new and bool(count)) or (more is None and question.page > 0 and count < PAGE)
            self.cuts.append(Cut(Part.COMMENTS, known, first, whole))
        elif is_new and more is not None and known is not None and oldest is not None:
            self.cuts.append(Cut(Part.COMMENTS, known, oldest))

    def _bounded(self, part: Part, more: Question | None, most: int) -> None:
        if more is None:
            return
        if more.page < most:
            self._todo.appendleft(more)
        elif self.at is not None and (heard := self._plan.heard.get(part)) is not None:
            self.cuts.append(Cut(part, heard, self.at))

    def done(self) -> tuple[Part, ...]:
        """Those of which this round found everything that is to be had; none before it is over."""
        if not self.over or self.ended is not None:
            return ()
        return tuple(part for part in self._plan.parts if part not in self.failed)


def _keep(read: Callable[[], Post], raw: Raw, found: Found) -> None:
    """What is read, or why it cannot be. A picture without words says nothing, and is no fault."""
    try:
        found.posts.append(read())
    except Unusable as refused:
        if (refused.reason, refused.field) not in _WORDLESS:
            found.bad.append(bad_line(raw, refused.reason, found.part))


def _time(raw: Raw) -> datetime | None:
    try:
        return time_of(raw, "timestamp")
    except Unusable:
        return None


_WORDLESS: Final = {(DropReason.MISSING_FIELD, "caption"), (DropReason.MISSING_FIELD, "text")}
"""Pictures, and comments that are a sticker alone."""


def bad_line(raw: Any, reason: DropReason, where: str) -> BadLine:
    """Something offered that became no post."""
    content = raw if isinstance(raw, bytes) else to_json(raw)
    return BadLine.of(reason, f"{SOURCE}:{where}", content)
