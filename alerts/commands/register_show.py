"""`lyttepost register show`: everything about one story, or about the questions that one theme has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from alerts.commands.register_text import platforms
from alerts.commands.register_view import open_register
from alerts.notify.channels.text import one_line
from alerts.notify.messages import sparkline
from alerts.register.decisions import Said, Stands
from alerts.register.denials import DenialWords
from alerts.register.details import Details, details_of
from alerts.register.ranking import Whose
from alerts.register.subjects import OpenRegister
from listener.commands.shared import Data, Json, local, out, out_json
from listener.model.decisions import Note, Status
from listener.settings.files import raw_settings
from listener.units import from_ms

MOST_NAMED = 10
"""Posts."""
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
        details = details_of(register, subject, DenialWords.load(raw_settings().folder) if subject.story else None)
        if json:
            out_json(details.as_json())
        else:
            for line in _lines(register, details):
                out(line)


def _lines(register: OpenRegister, details: Details) -> Iterator[str]:
    row, subject, steps = details.row, details.subject, details.steps
    if row is None:
        name = register.themes.get(subject.theme, subject.theme)
        yield f"Questions about {name} (theme:{subject.theme}): {subject.people} people, {subject.posts} posts"
        yield f"  in {register.named(subject.incidents)}"
    else:
        text = "(removed)" if row.text is None else one_line(row.text, LENGTH)
        yield f"{'ØVELSE ' if row.exercise else ''}{text}"
        if row.exposed:
            yield "  It may show who a patient is."
        yield f"  story {row.story}, first put so {local(row.first_at)}, last {local(row.last_at)}"
        people = f"{row.people} people" if row.authors_known else f"{row.people} posts that are no reposts"
        yield f"  {people}, {row.posts} posts, {row.reposts} reposts, in {register.named(row.incidents)}"
        if on := platforms(row.sources):
            yield f"  posts by platform: {on}"
        if row.better:
            yield f"  read by the better tier: {row.better} of {row.posts} posts"
        yield f"  posts: {', '.join(_few(details.posts))}"
    if steps:
        counts = [posts for _, posts in steps]
        since = local(from_ms(steps[0][0]))
        yield f"  posts per 10 minutes since {since}: {sparkline(counts)} (at most {max(counts)})"
    if row is not None:
        for kind, people_of in row.kinds.items():
            words = ", ".join(f"«{one_line(word)}»" for word in details.words.get(kind, ()))
            yield f"  {kind}: {people_of} people{f', by the words {words}' if words else ''}"
        for theme, people_of in row.themes.items():
            yield f"  about {register.themes.get(theme, theme)} (theme:{theme}): {people_of} people"
    for each in details.corrections:
        about = "" if each.themes is None else f", about {', '.join(each.themes) or 'nothing of what there is'}"
        why = f": {one_line(each.why)}" if each.why else ""
        yield f"  {each.post} corrected, {each.by}, {local(each.at)}: {', '.join(each.kinds)}{about}{why}"
    yield from _decided(details.stands)
    if details.denials:
        yield "Perhaps a denial:"
    for denial in details.denials:
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


def _few(posts: Sequence[str]) -> list[str]:
    return list(posts) if len(posts) <= MOST_NAMED else [*posts[:MOST_NAMED], f"and {len(posts) - MOST_NAMED} more"]
