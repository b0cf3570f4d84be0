"""What lies on `decisions`: what people decide. `Decision` is about how we work, `Swap` about who is on duty, `WayTest`
and `WayConfirmed` about who can be reached, those of `listener.model.highlights` about what the hospital itself says in
calm; the rest is about what the public says.

Their words are the team's own. A hash chain lets nothing be removed, so no post's words may stand in them:
`alerts.register.wording` sees to it. A correction holds the digest of a text, and lives as long as the post does.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from listener.model import keys
from listener.model.answers import Answered, AnswerGiven, Standing, Verdict
from listener.model.base import Chained, Instant, Model
from listener.model.highlights import AboutHighlight, Highlight, HighlightStep, HighlightWord
from listener.model.records import Decision, Kind
from listener.model.topics import Topic


class About(Chained):
    """A word about a story, about a theme, or about a story and its theme; in these incidents.

    `alike`: other stories of which it is, as near copies of that one.
    """

    at: Instant
    by: str
    incidents: tuple[str, ...]
    story: str = ""
    theme: str = ""
    alike: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return keys.of_subject(self.story, self.theme)


class Note(About):
    """Something worth knowing."""

    type: Literal["note"] = "note"
    words: str


class Counted(About):
    """A word that says how many `people` and `posts` had said it by then."""

    people: int = 0
    posts: int = 0


class Status(Counted):
    """What was done with it."""

    type: Literal["status"] = "status"
    status: Standing
    why: str = ""


class Answer(Counted):
    """The answer to a rumour or question; with a theme, to all questions about it."""

    type: Literal["answer"] = "answer"
    verdict: Verdict
    words: str
    link: str | None = None


class Silence(Chained):
    """A person's word that alerts with these field values page nobody from `start` to `end`; they stay listed."""

    type: Literal["silence"] = "silence"
    id: str
    at: Instant
    by: str
    why: str
    match: Mapping[str, str]
    start: Instant
    end: Instant

    @property
    def key(self) -> str:
        return self.id


class Correction(Chained):
    """What a post voices, and about what, in a person's judgement: of it and of its word-for-word copies.

    `text`: the digest of its text (`alerts.annotate.corrections.digest_of`). `themes` is unset where they were right.
    """

    type: Literal["correction"] = "correction"
    at: Instant
    by: str
    post: str
    story: str
    text: str
    kinds: tuple[Kind, ...]
    themes: tuple[str, ...] | None = None
    why: str = ""

    @property
    def key(self) -> str:
        return self.post


class Stand(Model):
    """From one time to another `add` is on duty wherever `remove` would have been: keys of people.yaml."""

    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")
    remove: str
    add: str


class Swap(Chained):
    """Two people change places: both halves in one record, so that none counts without the other."""

    type: Literal["swap"] = "swap"
    at: Instant
    by: str
    why: str = ""
    overrides: tuple[Stand, Stand]

    @property
    def key(self) -> str:
        return keys.of_duty(self.overrides[0].remove)


class TriedWay(Model):
    """A way to reach a person that was tried with a message of its own `code`. `place`: the digest of where it led."""

    code: str
    channel: str
    place: str


class WayTest(Chained):
    """A test message is about to go to a person by each of these ways."""

    type: Literal["way_test"] = "way_test"
    at: Instant
    by: str
    person: str
    ways: tuple[TriedWay, ...]

    @property
    def key(self) -> str:
        return keys.of_duty(self.person)


class WayConfirmed(Chained):
    """A person named the code of a test message: what goes by this way arrives."""

    type: Literal["way_confirmed"] = "way_confirmed"
    at: Instant
    by: str
    person: str
    way: TriedWay

    @property
    def key(self) -> str:
        return keys.of_duty(self.person)


AboutDuty = Swap | WayTest | WayConfirmed
"""Who is on duty, and who can be reached."""
Word = Note | Status | Answer | Correction | AboutDuty | AboutHighlight
"""What people decide, but for how we work."""
DecisionsRecord = Annotated[
    Decision
    | Silence
    | Note
    | Status
    | Answer
    | Correction
    | Swap
    | WayTest
    | WayConfirmed
    | Highlight
    | HighlightWord
    | HighlightStep,
    Field(discriminator="type"),
]
DECISIONS: Topic[Decision | Silence | Word] = Topic("decisions", TypeAdapter(DecisionsRecord), attrgetter("key"))


def answered(word: Decision | Silence | Word, decision: int) -> list[Answered]:
    """What the rules are told of a word, one record for each incident and story; nothing of a note or a correction.

    `decision`: the word's offset on `decisions`.
    """
    given = None
    if isinstance(word, Answer):
        given = AnswerGiven(
            at=word.at, by=word.by, verdict=word.verdict, words=word.words, link=word.link,
            people=word.people, posts=word.posts,
        )  # fmt: skip
    elif isinstance(word, Status):
        if word.status.is_settled:
            given = AnswerGiven(
                at=word.at, by=word.by, standing=word.status, words=word.why, people=word.people, posts=word.posts
            )
    else:
        return []
    about = [(word.story, word.theme), *((story, "") for story in word.alike)]
    return [
        Answered(incident=each, story=story, theme=theme, at=word.at, decision=decision, given=given)
        for each in word.incidents
        for story, theme in about
    ]
