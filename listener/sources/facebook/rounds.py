"""One round of asking: the Page's lists of posts and the comments below each, as questions and what is made of them.

A round is a generator: it gives a `Question`, is sent its `Answer`, and ends with `Read`, or with `Failed` for an
answer after which nothing of it makes sense. What it finds is put into `Findings` as it comes, for a round can be long.
It knows no socket, no clock and no thread.

Comments are asked for with `filter=stream`, without which no replies come, the newest first, and as far back as `until`
says; a page may be empty and have a next one. A post that is not there any more is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from listener.sources.common.fields import Raw, Unusable
from listener.sources.common.graph.answers import Answer, Outcome
from listener.sources.common.graph.pages import next_page
from listener.sources.contract import BadLine
from listener.sources.facebook.payload import SECOND, Said, Untold, created, read_comment, read_post

PAGE_SIZE: Final = "100"
POST_FIELDS: Final = "id,message,created_time,from"
COMMENT_FIELDS: Final = "id,message,created_time,from,parent"
LIST_PAGES: Final = 3
"""Of a list of posts, a hundred a page: it holds some six hundred of a year."""
MOST_PAGES: Final = 200
"""Of the comments below one post: twenty thousand. What lies further back is not found."""


@dataclass(frozen=True, slots=True)
class Question:
    path: str
    params: Mapping[str, str]


@dataclass
class Findings:
    """What came so far and was not taken yet."""

    said: list[Said] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    """Post → what it says."""
    bad: list[BadLine] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a round asks for. `until`: how far back comments are read, by Facebook's clock; but for a `full` one no
    further than to a page without anything new. `oldest`: posts from before are not asked for comments.

    `probe`: whether to ask who we are. `untold`: single things that were told of without a word. `verify`: ids of which
    it is asked whether they are there yet. `choose`: below which of the posts, the newest first, comments are asked
    for.
    """

    page: str
    lists: Sequence[str]
    until: datetime
    full: bool
    oldest: datetime
    probe: bool
    untold: Sequence[Untold]
    verify: Sequence[str]
    choose: Callable[[Sequence[str]], Sequence[str]]
    is_known: Callable[[str], bool]
    now: Callable[[], datetime]
    """Facebook's clock: when a question is asked."""


@dataclass(frozen=True, slots=True)
class Read:
    """A round that came to its end. `whole`: all that was asked for was found. `posts`: how many there are. `gone`: of
    what was to be verified, what is not there any more."""

    whole: bool
    posts: int
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """Why it did not. `deaf`: the answers are good, and prove that the token is not the Page's."""

    answer: Answer
    deaf: bool = False


Round = Generator[Question, Answer, Read | Failed]


def reading(plan: Plan, found: Findings) -> Round:
    """One round."""
    if plan.probe:
        answer = yield Question("me", {"fields": "id"})
        if not answer.ok:
            return Failed(answer)
        if answer.data.get("id") != plan.page:
            return Failed(answer, deaf=True)
    posts: dict[str, datetime] = {}
    whole = True
    for name in plan.lists:
        outcome = yield from _read_list(plan, name, posts, found)
        if isinstance(outcome, Failed):
            return outcome
        whole = whole and outcome
    for each in plan.untold:
        asked_at = plan.now()
        answer = yield Question(each.id, {"fields": POST_FIELDS})
        # One that we may not see, or that is gone, is no fault of the others.
        if answer.ok:
            _take(answer.data, each.post, asked_at, found)
        elif answer.outcome in (Outcome.RATE_LIMITED, Outcome.UNAUTHORIZED, Outcome.UNAVAILABLE):
            return Failed(answer)
    newest = sorted(posts, key=lambda id_: posts[id_], reverse=True)
    there, missing, last = 0, 0, None
    for post in plan.choose([id_ for id_ in newest if posts[id_] >= plan.oldest]):
        outcome = yield from _read_comments(plan, post, found)
        if isinstance(outcome, Failed):
            if not outcome.answer.not_there:
                return outcome
            missing, last = missing + 1, outcome
            continue
        there, whole = there + 1, whole and outcome
    if last is not None and not there and missing > 1:
        # Not one of them is there: it is no post that was deleted, it is we who may not see them.
        return last
    gone: list[str] = []
    for id_ in plan.verify:
        answer = yield Question(id_, {"fields": "id"})
        if answer.not_there:
            gone.append(id_)
        elif not answer.ok and answer.outcome is not Outcome.FORBIDDEN:
            return Failed(answer)
    return Read(whole, len(posts), tuple(gone))


def _read_list(
    plan: Plan, name: str, posts: dict[str, datetime], found: Findings
) -> Generator[Question, Answer, bool | Failed]:
    path, params = f"{plan.page}/{name}", {"fields": POST_FIELDS, "limit": PAGE_SIZE}
    pages = LIST_PAGES if plan.full else 1
    for _ in range(pages + MOST_PAGES):
        asked_at = plan.now()
        answer = yield Question(path, params)
        if not answer.ok:
            return Failed(answer)
        items = answer.items()
        for item in items:
            _take_post(item, asked_at, posts, found)
        pages -= bool(items)
        further = next_page(answer.data, params)
        if further is None or pages <= 0:
            return True
        params = dict(further)
    return False


def _take_post(item: Raw, asked_at: datetime, posts: dict[str, datetime], found: Findings) -> None:
    try:
        said = read_post(item, asked_at)
    except Unusable as refused:
        found.bad.append(_bad(refused, item))
        return
    id_, at = item.get("id"), created(item)
    if isinstance(id_, str) and at is not None:
        posts[id_] = at
    if said is not None:
        found.texts.append((said.id, said.text))
        found.said.append(said)


def _read_comments(plan: Plan, post: str, found: Findings) -> Generator[Question, Answer, bool | Failed]:
    path = f"{post}/comments"
    params: Mapping[str, str] = {
        "filter": "stream", "order": "reverse_chronological", "fields": COMMENT_FIELDS, "limit": PAGE_SIZE,
    }  # fmt: skip
    for _ in range(MOST_PAGES):
        asked_at = plan.now()
        answer = yield Question(path, params)
        if not answer.ok:
            return Failed(answer)
        items = answer.items()
        is_enough = bool(items) and _is_enough(plan, items)
        for item in items:
            _take(item, post, asked_at, found)
        further = next_page(answer.data, params)
        if is_enough or further is None:
            return is_enough or not _goes_on(answer)
        params = further
    return False


def _take(item: Raw, post: str, asked_at: datetime, found: Findings) -> None:
    try:
        said = read_comment(item, post, asked_at)
    except Unusable as refused:
        found.bad.append(_bad(refused, item))
        return
    if said is not None:
        found.said.append(said)


def _goes_on(answer: Answer) -> bool:
    """It names a next page: where that is the page itself, it cannot be had now."""
    paging = answer.data.get("paging")
    return isinstance(paging, dict) and bool(paging.get("next"))


def _is_enough(plan: Plan, items: Collection[Raw]) -> bool:
    """Nothing of what is wanted can lie further back."""
    if not plan.full and all(plan.is_known(str(item.get("id"))) for item in items):
        return True
    times = [at for item in items if (at := created(item)) is not None]
    return bool(times) and max(times) < plan.until - SECOND


def _bad(refused: Unusable, item: Raw) -> BadLine:
    # It was decoded before; how it is written again tells it from others all the same.
    written = repr(sorted(item.items(), key=lambda pair: str(pair[0]))).encode("utf-8", "replace")
    return BadLine.of(refused.reason, "facebook:answer", written)
