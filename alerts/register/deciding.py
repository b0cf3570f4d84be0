"""What people decide about what the public says, checked and written down: a note, a status, an answer, a correction.

Each takes what was entered, raises UsageError for what is off and writes one record, durable when it returns. `by` is
who decides. `fields` is what whoever calls it calls the parameters that a message may name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from alerts.annotate.corrections import digest_of, in_order
from alerts.notify.channels.addresses import web_address
from alerts.register.subjects import THEME, OpenRegister, Subject, asks_about
from listener.bus import hashchain
from listener.errors import BadValue, Refusal, Unfit, UsageError
from listener.model.answers import Standing, Verdict
from listener.model.decisions import DECISIONS, Answer, Correction, Note, Status
from listener.model.entered import AS_THEY_ARE, Fields, field_of, is_silent, storable
from listener.model.records import Kind
from listener.privacy.team_words import Written

LONGEST_LINK = 2_000
"""Characters."""
MOST_ALIKE = 200
"""Stories that one word is told the rules of."""
STATUSES = {standing.value.replace("_", "-"): standing for standing in Standing}


def note(
    register: OpenRegister, about: str, words: str, *, by: str, now: datetime, incident: str = "",
    fields: Fields = AS_THEY_ARE,
) -> Written[Note]:  # fmt: skip
    """Something worth knowing. `about`: a story, a post of it or `theme:ID`; the beginning of an id is enough."""
    subject = register.subject(about, incident, fields)
    said = register.own_words(_said(words, field_of(fields, "words")), field_of(fields, "words"), now)
    word = Note(at=now, by=by, words=said.text, **_where(register, subject))
    return Written(hashchain.append(register.bus, DECISIONS.name, word), said.masked)


def set_status(
    register: OpenRegister, about: str, status: Standing, *, by: str, now: datetime, why: str = "", incident: str = "",
    fields: Fields = AS_THEY_ARE,
) -> Written[Status]:  # fmt: skip
    """What was done with it. What is answered or dismissed alerts nobody again; what is new does."""
    subject = register.subject(about, incident, fields)
    reason = register.own_words(why, field_of(fields, "why"), now)
    word = Status(
        at=now, by=by, status=status, why=reason.text, people=subject.people, posts=subject.posts,
        **_where(register, subject),
    )  # fmt: skip
    return Written(hashchain.append(register.bus, DECISIONS.name, word), reason.masked)


def answer(
    register: OpenRegister, about: str, verdict: Verdict, words: str, *, by: str, now: datetime, link: str = "",
    theme: str = "", incident: str = "", fields: Fields = AS_THEY_ARE,
) -> Written[Answer]:  # fmt: skip
    """The answer to a story, to all questions about a theme, or to both at once."""
    about, theme = asked(about, theme, fields)
    subject = register.subject(about, incident, fields) if about else register.of_theme(theme, incident, fields)
    if about and theme:
        register.check_themes([theme])
        heard = (row for row in register.view.registered() if row.incident in subject.incidents)
        rows = [row for row in heard if asks_about(row, theme)]
        subject = subject._replace(theme=theme, rows=[*subject.rows, *rows])
    said = register.own_words(_said(words, field_of(fields, "words")), field_of(fields, "words"), now)
    word = Answer(
        at=now, by=by, verdict=verdict, words=said.text, link=_link(link, field_of(fields, "link")),
        people=subject.people, posts=subject.posts, **_where(register, subject),
    )  # fmt: skip
    return Written(hashchain.append(register.bus, DECISIONS.name, word), said.masked)


def correct(
    register: OpenRegister, post: str, kinds: Sequence[Kind], *, by: str, now: datetime,
    themes: Sequence[str] | None = None, why: str = "", fields: Fields = AS_THEY_ARE,
) -> Written[Correction]:  # fmt: skip
    """What a post voices, of it and of its copies. `post`: the beginning of its id is enough. `kinds`: all of them, as
    `kinds_of` gives them. `themes`: the main one first; None where they were right."""
    its_themes = None if themes is None else tuple(dict.fromkeys(themes))
    register.check_themes(its_themes or ())
    row, reason = register.post(post), register.own_words(why, field_of(fields, "why"), now)
    found = register.view.finding(row)
    if found is None:
        raise UsageError(f"post {row.post} was removed", refusal=Refusal.POST_REMOVED)
    word = Correction(
        at=now, by=by, post=row.post, story=found.story, text=digest_of(found.text), kinds=tuple(kinds),
        themes=its_themes, why=reason.text,
    )  # fmt: skip
    return Written(hashchain.append(register.bus, DECISIONS.name, word), reason.masked)


def status_of(entered: str, field: str) -> Standing:
    """One of `STATUSES`. Raises UsageError that names them."""
    if entered not in STATUSES:
        raise UsageError(f"{entered!r} is none; it is one of {', '.join(STATUSES)}", field, Refusal.NO_CHOICE)
    return STATUSES[entered]


def verdict_of(entered: str | None, field: str) -> Verdict:
    """Raises UsageError that names those there are."""
    if not entered:
        raise UsageError(f"is missing; it is one of {', '.join(Verdict)}", field, Refusal.NO_CHOICE)
    if entered not in set(Verdict):
        raise UsageError(f"{entered!r} is none; it is one of {', '.join(Verdict)}", field, Refusal.NO_CHOICE)
    return Verdict(entered)


def kinds_of(entered: Iterable[str], field: str) -> tuple[Kind, ...]:
    """Kinds in their own order. Raises UsageError for one that is none, for none at all, and for what cannot be."""
    entered = list(entered)
    if unknown := [each for each in entered if each not in set(Kind)]:
        raise UsageError(f"there is no kind {unknown[0]!r}", field, Refusal.NO_KIND)
    try:
        return in_order([Kind(each) for each in entered])
    except Unfit as error:
        raise BadValue.of(error, field) from None


def asked(about: str, theme: str, fields: Fields = AS_THEY_ARE) -> tuple[str, str]:
    """The story and the theme that an answer is about, either of them empty. Raises UsageError where both are."""
    if not (about or theme):
        problem = f"what is answered? Name a story, or a theme with {field_of(fields, 'theme')}"
        raise UsageError(problem, refusal=Refusal.NOTHING_ANSWERED)
    return ("", about.removeprefix(THEME)) if about.startswith(THEME) else (about, theme)


def _where(register: OpenRegister, subject: Subject) -> dict[str, Any]:
    where: dict[str, Any] = {"story": subject.story, "theme": subject.theme, "incidents": subject.incidents}
    alike = register.view.stories_of(subject.story)[1 : MOST_ALIKE + 1] if subject.story else []
    return where | ({"alike": tuple(alike)} if alike else {})


def _said(text: str, field: str) -> str:
    if is_silent(text):
        raise UsageError("says nothing", field, Refusal.SAYS_NOTHING)
    return text


def _link(link: str, field: str) -> str | None:
    if not link.strip():
        return None
    try:
        web_address(link)
    except ValueError as error:
        raise UsageError(str(error), field, Refusal.NO_LINK) from None
    return storable(link, field, LONGEST_LINK)
