"""What is said about stories, themes and posts rests on: the register, what was decided, the incidents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from alerts.register.decisions import Decisions, Stands
from alerts.register.ranking import Registered, words
from alerts.register.wording import QUOTED, quotes
from listener.errors import Refusal, UsageError
from listener.model.entered import AS_THEY_ARE, Fields, field_of
from listener.model.records import Kind
from listener.privacy.team_words import TeamWords, team_words

if TYPE_CHECKING:
    from alerts.register.view import Register
    from listener.bus.protocol import Bus
    from listener.model.incidents import State
    from listener.settings.schema import Settings

THEME = "theme:"
"""Before the id of a theme, where a story may be named too."""


class Subject(NamedTuple):
    """What a word is about; `rows` are the posts of the story, the questions about the theme, or both."""

    story: str
    theme: str
    incidents: tuple[str, ...]
    rows: Sequence[Registered]

    @property
    def people(self) -> int:
        return len({row.person for row in self.rows} - {None})

    @property
    def posts(self) -> int:
        return len({row.post for row in self.rows})


@dataclass(frozen=True)
class OpenRegister:
    """All of it as it stands now: for one command, or one request of a process that keeps `view` and `decisions`."""

    bus: Bus
    view: Register
    decisions: Decisions
    state: State
    settings: Settings
    themes: Mapping[str, str]
    """Theme → its name in the settings' language."""

    def subject(self, about: str, incident: str = "", fields: Fields = AS_THEY_ARE) -> Subject:
        """Raises UsageError when it is nothing, more than one thing, or both of an exercise and not."""
        if about.startswith(THEME):
            return self.of_theme(about.removeprefix(THEME), incident, fields)
        story = self.story(about)
        rows = self.view.story(story)
        incidents = self._incidents({row.incident for row in rows}, incident, field_of(fields, "incident"))
        return Subject(story, "", incidents, [row for row in rows if row.incident in incidents])

    def of_theme(self, theme: str, incident: str = "", fields: Fields = AS_THEY_ARE) -> Subject:
        """A theme's questions."""
        self.check_themes([theme])
        rows = [row for row in self.view.registered() if asks_about(row, theme)]
        heard = {row.incident for row in rows} or set(self.state.incidents)
        incidents = self._incidents(heard, incident, field_of(fields, "incident"))
        return Subject("", theme, incidents, [row for row in rows if row.incident in incidents])

    def story(self, about: str) -> str:
        """The story that it names, or whose post it names."""
        found = self.view.find(about) if about else None
        if found is None or not (found.stories or found.posts):
            problem = f"no story and no post begins with {about!r}; `lyttepost register` lists them"
            raise UsageError(problem, refusal=Refusal.NO_STORY)
        if about in found.stories:
            return about
        exact = _exactly(about, found.posts)
        stories = dict.fromkeys(() if exact else found.stories)
        for post in exact or found.posts:
            stories |= dict.fromkeys(row.story for row in self.view.post(post))
        return _only(about, "stories", list(stories))

    def post(self, about: str) -> Registered:
        """The post that it names."""
        posts = self.view.find(about).posts if about else ()
        if not posts:
            raise UsageError(
                f"no post begins with {about!r}; `lyttepost register show STORY` lists the posts of a story",
                refusal=Refusal.NO_POST,
            )
        rows = self.view.post(_only(about, "posts", _exactly(about, posts) or posts))
        if not rows:
            problem = f"post {about} was edited since; name its newest version"
            raise UsageError(problem, refusal=Refusal.POST_EDITED)
        return rows[0]

    def check_themes(self, themes: Collection[str]) -> None:
        """Raises UsageError that names those there are."""
        unknown = [theme for theme in themes if theme not in self.themes]
        if unknown:
            problem = f"no theme has the id {unknown[0]!r}; known: {', '.join(self.themes)}"
            raise UsageError(problem, refusal=Refusal.NO_THEME, theme=unknown[0])

    def stands(self, subject: Subject) -> Stands:
        if subject.theme:
            return self.decisions.of_theme(subject.theme, subject.incidents)
        questions = (row for row in subject.rows if Kind.QUESTION in words(row.kinds))
        asked = frozenset[str]().union(*(words(row.themes) for row in questions))
        return self.decisions.of_story(subject.story, subject.incidents, asked)

    def own_words(self, text: str, field: str, now: datetime) -> TeamWords:
        """A team's words as they may be kept for good. Raises BadValue, and UsageError where they quote a post."""
        said = team_words(text, field, self.settings.privacy.named_accounts.classes(), now)
        refuse_quotes(self.view, said.text, field)
        return said

    def named(self, incidents: Collection[str]) -> str:
        known = self.state.incidents
        return ", ".join(f"{known[each].name} ({each})" if each in known else each for each in incidents)

    def _incidents(self, heard: Collection[str], incident: str, field: str) -> tuple[str, ...]:
        known = self.state.incidents
        if incident:
            if incident not in heard:
                problem = f"{incident!r} is none of those that heard it: {', '.join(sorted(heard))}"
                raise UsageError(problem, field, Refusal.OTHER_INCIDENT, incidents=self.named(sorted(heard)))
            return (incident,)
        chosen = sorted(each for each in heard if each in known and known[each].open) or sorted(heard)
        if not chosen:
            problem = "there is no incident; open one with `lyttepost mode crisis`"
            raise UsageError(problem, refusal=Refusal.NOTHING_OPEN)
        if len({each in known and known[each].exercise for each in chosen}) > 1:
            problem = f"an exercise and a real incident heard it; name one with {field}: {', '.join(chosen)}"
            raise UsageError(problem, refusal=Refusal.EXERCISE_AND_REAL, incidents=self.named(chosen))
        return tuple(chosen)


def refuse_quotes(view: Register, words: str, field: str) -> None:
    """Raises UsageError where words that are kept for good quote a post."""
    if quotes(words, view.perhaps_quoted(words)):
        raise UsageError(
            f"quotes a post ({QUOTED} words of it in a row, or all of a short one). What people decide is kept for "
            "good, and a post must be removable: say it in words of your own",
            field, Refusal.QUOTES, count=QUOTED,
        )  # fmt: skip


def asks_about(row: Registered, theme: str) -> bool:
    """It is a question about this theme."""
    return Kind.QUESTION in words(row.kinds) and theme in words(row.themes)


def _exactly(about: str, posts: Sequence[str]) -> list[str]:
    """The posts whose whole id it is, with or without the source."""
    return [post for post in posts if about in (post, post.partition(":")[2])]


def _only(about: str, what: str, found: Sequence[str]) -> str:
    if len(found) > 1:
        problem = f"{about!r} fits {len(found)} {what} ({', '.join(found[:4])}); write more of the id"
        raise UsageError(problem, refusal=Refusal.SEVERAL, text=about)
    return found[0]
