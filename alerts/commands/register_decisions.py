"""`lyttepost register note|status|answer|correct`: what people decide about what the public says."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from alerts.annotate.corrections import digest_of, in_order
from alerts.commands.register_view import open_register
from alerts.notify.channels.addresses import web_address
from alerts.register.decisions import Said
from alerts.register.subjects import THEME, OpenRegister, Subject, asks_about
from listener.bus import hashchain
from listener.clock import SystemClock
from listener.commands.shared import By, Data, as_options, say, say_masked, say_who_runs, storable, user
from listener.errors import UsageError
from listener.model.answers import Standing, Verdict
from listener.model.codec import LONGEST_WHY
from listener.model.decisions import DECISIONS, Answer, Correction, Note, Status
from listener.model.records import Kind

LONGEST_LINK = 2_000
"""Characters."""
MOST_ALIKE = 200
"""Stories that one word is told the rules of."""
OPTIONS = {"incident": "--incident"}
STATUSES = {standing.value.replace("_", "-"): standing for standing in Standing}

About = Annotated[
    str,
    typer.Argument(metavar="STORY", help="A story, a post of it, or theme:ID; the beginning of an id is enough."),
]
OneIncident = Annotated[str, typer.Option("--incident", metavar="ID", help="Only in this incident; else in all open.")]
Reason = Annotated[str, typer.Option("--why", metavar="TEXT", help="A word for the record.")]


def note(
    about: About,
    text: Annotated[str, typer.Argument(metavar="WORDS", help=f"At most {LONGEST_WHY:,} characters.")],
    by: By = None,
    incident: OneIncident = "",
    data: Data = None,
) -> None:
    """Write down something worth knowing about a story."""
    with open_register(data) as register:
        subject, said = register.subject(about, incident, OPTIONS), _own_words(register, _said(text, "WORDS"), "WORDS")
        _write(register, Note(at=_now(), by=user(by), words=said, **_where(register, subject)))
        say(f"{_name(subject)}: noted.")


def status(
    about: About,
    new: Annotated[str, typer.Argument(metavar="STATUS", help=f"One of {', '.join(STATUSES)}.")],
    by: By = None,
    why: Reason = "",
    incident: OneIncident = "",
    data: Data = None,
) -> None:
    """Say what was done with a story. One that is answered or dismissed alerts nobody again; one that is new does."""
    if new not in STATUSES:
        raise UsageError(f"STATUS: {new!r} is none; it is one of {', '.join(STATUSES)}")
    with open_register(data) as register:
        subject, reason = register.subject(about, incident, OPTIONS), _own_words(register, why, "--why")
        counted = {"people": subject.people, "posts": subject.posts}
        _write(
            register,
            Status(at=_now(), by=user(by), status=STATUSES[new], why=reason, **counted, **_where(register, subject)),
        )
        say(f"{_name(subject)} is {new} in {register.named(subject.incidents)}.")
        if STATUSES[new].is_settled:
            say_who_runs(register.bus)


def answer(
    about: Annotated[str, typer.Argument(metavar="[STORY]", help="A story or a post of it; none with --theme.")] = "",
    verdict: Annotated[
        Verdict | None, typer.Option("--verdict", help="Whether it is so; for a question, unknown or true.")
    ] = None,
    text: Annotated[str, typer.Option("--words", metavar="TEXT", help="The answer, as anybody may be told it.")] = "",
    link: Annotated[str, typer.Option("--link", metavar="URL", help="Where the answer stands.")] = "",
    theme: Annotated[str, typer.Option("--theme", metavar="ID", help="All questions about this theme.")] = "",
    by: By = None,
    incident: OneIncident = "",
    data: Data = None,
) -> None:
    """Answer a rumour or question, once for all who say it. Nobody is alerted to it again unless it grows fivefold."""
    if verdict is None:
        raise UsageError(f"--verdict: is missing; it is one of {', '.join(Verdict)}")
    if not (about or theme):
        raise UsageError("what is answered? Name a story, or a theme with --theme")
    if about.startswith(THEME):
        about, theme = "", about.removeprefix(THEME)
    with open_register(data) as register:
        subject = register.subject(about, incident, OPTIONS) if about else register.of_theme(theme, incident, OPTIONS)
        if about and theme:
            register.check_themes([theme])
            heard = (row for row in register.view.registered() if row.incident in subject.incidents)
            asked = [row for row in heard if asks_about(row, theme)]
            subject = subject._replace(theme=theme, rows=[*subject.rows, *asked])
        said = _own_words(register, _said(text, "--words"), "--words")
        _write(
            register,
            Answer(
                at=_now(), by=user(by), verdict=verdict, words=said, link=_link(link),
                people=subject.people, posts=subject.posts, **_where(register, subject),
            )
        )  # fmt: skip
        say(
            f"{_name(subject)} is answered in {register.named(subject.incidents)}: {verdict}. {subject.people} people "
            "had said it; alerts stay silent until five times as many do."
        )
        say_who_runs(register.bus)


def correct(
    about: Annotated[str, typer.Argument(metavar="POST", help="source:id, or the beginning of the id.")],
    kinds: Annotated[str, typer.Option("--kinds", metavar="KIND,…", help=f"All it voices: {', '.join(Kind)}.")],
    themes: Annotated[
        str | None,
        typer.Option("--themes", metavar="ID,…", help="What it is about, the main one first; else as it was."),
    ] = None,
    by: By = None,
    why: Reason = "",
    data: Data = None,
) -> None:
    """Say what a post voices. A person's word is final, for word-for-word copies and for what comes later too."""
    try:
        its_kinds = in_order([Kind(each) for each in _listed(kinds)])
    except ValueError as error:
        unknown = [each for each in _listed(kinds) if each not in set(Kind)]
        raise UsageError(f"--kinds: {f'there is no kind {unknown[0]!r}' if unknown else error}") from None
    with open_register(data) as register:
        its_themes = None if themes is None else tuple(dict.fromkeys(_listed(themes)))
        register.check_themes(its_themes or ())
        row, reason = register.post(about), _own_words(register, why, "--why")
        found = register.view.finding(row)
        if found is None:
            raise UsageError(f"post {row.post} was removed")
        _write(
            register,
            Correction(
                at=_now(), by=user(by), post=row.post, story=found.story, text=digest_of(found.text),
                kinds=its_kinds, themes=its_themes, why=reason,
            )
        )  # fmt: skip
        about_what = "" if its_themes is None else f", about {', '.join(its_themes) or 'nothing of what there is'}"
        say(f"{row.post} voices {', '.join(its_kinds)}{about_what}; its copies too, and what says the same later.")


def _own_words(register: OpenRegister, text: str, option: str) -> str:
    with as_options():
        said = register.own_words(text, option, _now())
    if said.masked:
        say_masked(option, said.text)
    return said.text


def _write(register: OpenRegister, word: Said | Correction) -> None:
    hashchain.append(register.bus, DECISIONS.name, word)


def _where(register: OpenRegister, subject: Subject) -> dict[str, Any]:
    where: dict[str, Any] = {"story": subject.story, "theme": subject.theme, "incidents": subject.incidents}
    alike = register.view.stories_of(subject.story)[1 : MOST_ALIKE + 1] if subject.story else []
    return where | ({"alike": tuple(alike)} if alike else {})


def _name(subject: Subject) -> str:
    parts = [f"Story {subject.story[:8]}" if subject.story else "", f"theme {subject.theme}" if subject.theme else ""]
    return " and ".join(filter(None, parts))


def _said(text: str, option: str) -> str:
    if not text.strip():
        raise UsageError(f"{option}: says nothing")
    return text


def _link(link: str) -> str | None:
    if not link.strip():
        return None
    try:
        web_address(link)
    except ValueError as error:
        raise UsageError(f"--link: {error}") from None
    return storable(link, "--link", LONGEST_LINK)


def _listed(text: str) -> list[str]:
    return [each for part in text.split(",") if (each := part.strip())]


def _now() -> datetime:
    return SystemClock().now()


COMMANDS = (note, status, answer, correct)
