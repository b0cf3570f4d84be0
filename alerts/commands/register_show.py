"""`lyttepost register show`: everything about one story, or about the questions that one theme has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from alerts.commands.register_view import open_register
from alerts.notify.channels.text import one_line
from alerts.notify.messages import sparkline
from alerts.register.decisions import Said, Stands
from alerts.register.denials import Denial, DenialWords, denials
from alerts.register.ranking import Registered, RegisterRow, Whose, newest_of, rank_stories
from alerts.register.subjects import OpenRegister, Subject
from listener.commands.shared import Data, Json, local, out, out_json
from listener.model.decisions import Correction, Note, Status
from listener.settings.files import raw_settings
from listener.units import from_ms

STEP_MS = 600_000
MOST_STEPS = 72
"""Ten minutes each: twelve hours are shown, the newest ones."""
MOST_READ = 200
"""Posts that are read for the words that led to a kind, and named."""
MOST_NAMED = 10
LENGTH = 280
"""Characters of a text."""


def show(
    about: Annotated[
        str,
        typer.Argument(metavar="STORY", help="A story, a post of it, or theme:ID; the beginning of an id is enough."),
    ],
    incident: Annotated[str, typer.Option("--incident", metavar="ID", help="Only in this incident.")] = "",
    json: Json = False,
    data: Data = None,
) -> None:
    """All about one story: who says it, since when, why it is what it is, what may deny it, what was decided."""
    with open_register(data) as register:
        subject = register.subject(about, incident, {"incident": "--incident"})
        page = _Page(register, subject)
        if json:
            out_json(page.as_json())
        else:
            for line in page.lines():
                out(line)


class _Page:
    """What is shown, read once."""

    def __init__(self, register: OpenRegister, subject: Subject) -> None:
        self._register = register
        self._subject = subject
        self._stands: Stands = register.stands(subject)
        rows = [row for row in subject.rows if row.whose == Whose.PUBLIC] or list(subject.rows)
        ranked = rank_stories(rows, newest_of(rows), 1) if subject.story else []
        self._row: RegisterRow | None = register.view.told(ranked[0]) if ranked else None
        self._rows = rows
        self._words = _words_behind(register, rows)
        posts = {row.post for row in rows}
        self._corrections = [each for each in register.decisions.corrections.all() if each.post in posts]
        self._denials: list[Denial] = []
        if subject.story:
            deny = DenialWords.load(raw_settings().folder)
            self._denials = denials(subject.rows, register.view.registered(), register.view.finding, deny)

    def as_json(self) -> dict[str, Any]:
        row, stands, subject = self._row, self._stands, self._subject
        counted = {} if row is None else {k: v for k, v in asdict(row).items() if k not in ("sample", "trend", "kind")}
        return {
            **counted,
            "story": subject.story or None,
            "theme": subject.theme or None,
            "incidents": list(subject.incidents),
            "people": subject.people,
            "posts": subject.posts,
            "ids": list(dict.fromkeys(row.post for row in self._rows)),
            "per_ten_minutes": [{"at": from_ms(at), "posts": posts} for at, posts in _steps(self._rows)],
            "words": {kind: list(words) for kind, words in self._words.items()},
            "status": stands.status.value,
            "answer": None if stands.answer is None else _as_json(stands.answer),
            "notes": [_as_json(note) for note in stands.notes],
            "history": [_as_json(word) for word in stands.said],
            "corrections": [_as_json(each) for each in self._corrections],
            "perhaps_denials": [
                {
                    "post": each.row.post,
                    "story": each.row.story,
                    "at": from_ms(each.row.at),
                    "official": each.row.whose == Whose.OFFICIAL,
                    "people": each.people,
                    "text": each.text,
                }
                for each in self._denials
            ],
        }

    def lines(self) -> Iterator[str]:
        row, subject, stands = self._row, self._subject, self._stands
        if row is None:
            name = self._register.themes.get(subject.theme, subject.theme)
            yield f"Questions about {name} (theme:{subject.theme}): {subject.people} people, {subject.posts} posts"
            yield f"  in {self._register.named(subject.incidents)}"
        else:
            text = "(removed)" if row.text is None else one_line(row.text, LENGTH)
            yield f"{'ØVELSE ' if row.exercise else ''}{text}"
            if row.exposed:
                yield "  It may show who a patient is."
            yield f"  story {row.story}, first put so {local(row.first_at)}, last {local(row.last_at)}"
            people = f"{row.people} people" if row.authors_known else f"{row.people} posts that are no reposts"
            yield f"  {people}, {row.posts} posts, {row.reposts} reposts, in {self._register.named(row.incidents)}"
            if row.better:
                yield f"  read by the better tier: {row.better} of {row.posts} posts"
            yield f"  posts: {', '.join(_few([each.post for each in self._rows]))}"
        steps = _steps(self._rows)
        if steps:
            counts = [posts for _, posts in steps]
            since = local(from_ms(steps[0][0]))
            yield f"  posts per 10 minutes since {since}: {sparkline(counts)} (at most {max(counts)})"
        if row is not None:
            for kind, people_of in row.kinds.items():
                words = ", ".join(f"«{one_line(word)}»" for word in self._words.get(kind, ()))
                yield f"  {kind}: {people_of} people{f', by the words {words}' if words else ''}"
            for theme, people_of in row.themes.items():
                yield f"  about {self._register.themes.get(theme, theme)} (theme:{theme}): {people_of} people"
        for each in self._corrections:
            about = "" if each.themes is None else f", about {', '.join(each.themes) or 'nothing of what there is'}"
            why = f": {one_line(each.why)}" if each.why else ""
            yield f"  {each.post} corrected, {each.by}, {local(each.at)}: {', '.join(each.kinds)}{about}{why}"
        yield from _decided(stands)
        if self._denials:
            yield "Perhaps a denial:"
        for denial in self._denials:
            its = denial.row
            whose = "official" if its.whose == Whose.OFFICIAL else f"{denial.people} people"
            yield f"  {whose}, {local(from_ms(its.at))}, {its.post}: {one_line(denial.text, LENGTH)}"


def _decided(stands: Stands) -> Iterator[str]:
    last = stands.last
    who = "" if last is None else f", {last.by}, {local(last.at)}"
    yield f"  status: {stands.status.value.replace('_', '-')}{who}"
    if stands.said:
        yield "What was decided, oldest first:"
    for word in stands.said:
        yield f"  {local(word.at)}, {word.by}: {one_line(_told(word))}"


def _told(word: Said) -> str:
    if isinstance(word, Note):
        return f"note: {word.words}"
    counted = f"; {word.people} people had said it" if word.people else ""
    if isinstance(word, Status):
        return f"{word.status.value.replace('_', '-')}{f': {word.why}' if word.why else ''}{counted}"
    about = f", all questions about theme:{word.theme}" if word.theme else ""
    link = f" ({word.link})" if word.link else ""
    return f"answered{about}, {word.verdict}: {word.words}{link}{counted}"


def _as_json(word: Said | Correction) -> dict[str, Any]:
    return word.model_dump(mode="json", exclude={"v", "prev", "digest"}, exclude_none=True)


def _words_behind(register: OpenRegister, rows: Sequence[Registered]) -> Mapping[str, Sequence[str]]:
    """Kind → the words that led to it, the most frequent first."""
    counted: dict[str, dict[str, int]] = {}
    for row in sorted(rows, key=lambda row: (row.repost, row.at))[:MOST_READ]:
        found = register.view.finding(row)
        for cue in found.cues if found is not None else ():
            for word in cue.words:
                its = counted.setdefault(cue.kind.value, {})
                its[word] = its.get(word, 0) + 1
    return {kind: sorted(its, key=lambda word: (-its[word], word))[:MOST_NAMED] for kind, its in counted.items()}


def _steps(rows: Iterable[Registered]) -> list[tuple[int, int]]:
    """Posts in each ten minutes from the first to the last, as (ms, posts); none is left out between them."""
    counted: dict[int, set[str]] = {}
    for row in rows:
        counted.setdefault(row.at // STEP_MS, set()).add(row.post)
    if not counted:
        return []
    first, last = min(counted), max(counted)
    first = max(first, last - MOST_STEPS + 1)
    return [(step * STEP_MS, len(counted.get(step, ()))) for step in range(first, last + 1)]


def _few(posts: Sequence[str]) -> list[str]:
    posts = list(dict.fromkeys(posts))
    return posts if len(posts) <= MOST_NAMED else [*posts[:MOST_NAMED], f"and {len(posts) - MOST_NAMED} more"]
