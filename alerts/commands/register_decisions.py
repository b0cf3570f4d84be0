"""`lyttepost register note|status|answer|correct`: what people decide about what the public says."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from alerts.commands.register_view import open_register
from alerts.register import deciding
from alerts.register.deciding import STATUSES
from listener.clock import SystemClock
from listener.commands.shared import By, Data, as_options, say, say_masked, say_who_runs, user
from listener.model.answers import Verdict
from listener.model.codec import LONGEST_WHY
from listener.model.decisions import Answer, Note, Status
from listener.model.records import Kind

OPTIONS = {name: f"--{name}" for name in ("why", "words", "link", "theme", "incident")}

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
    fields = OPTIONS | {"words": "WORDS"}
    with open_register(data) as register, as_options():
        written = deciding.note(register, about, text, by=user(by), now=_now(), incident=incident, fields=fields)
        if written.masked:
            say_masked("WORDS", written.word.words)
        say(f"{_name(written.word)}: noted.")


def status(
    about: About,
    new: Annotated[str, typer.Argument(metavar="STATUS", help=f"One of {', '.join(STATUSES)}.")],
    by: By = None,
    why: Reason = "",
    incident: OneIncident = "",
    data: Data = None,
) -> None:
    """Say what was done with a story. One that is answered or dismissed alerts nobody again; one that is new does."""
    standing = deciding.status_of(new, "STATUS")
    with open_register(data) as register, as_options():
        written = deciding.set_status(
            register, about, standing, by=user(by), now=_now(), why=why, incident=incident, fields=OPTIONS
        )
        if written.masked:
            say_masked("--why", written.word.why)
        say(f"{_name(written.word)} is {new} in {register.named(written.word.incidents)}.")
        if standing.is_settled:
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
    its_verdict = deciding.verdict_of(verdict, "--verdict")
    about, theme = deciding.asked(about, theme, OPTIONS)
    with open_register(data) as register, as_options():
        written = deciding.answer(
            register, about, its_verdict, text, by=user(by), now=_now(), link=link, theme=theme, incident=incident,
            fields=OPTIONS,
        )  # fmt: skip
        word = written.word
        if written.masked:
            say_masked("--words", word.words)
        say(
            f"{_name(word)} is answered in {register.named(word.incidents)}: {word.verdict}. {word.people} people "
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
    its_kinds = deciding.kinds_of(_listed(kinds), "--kinds")
    with open_register(data) as register, as_options():
        written = deciding.correct(
            register, about, its_kinds, by=user(by), now=_now(), themes=None if themes is None else _listed(themes),
            why=why, fields=OPTIONS,
        )  # fmt: skip
        word = written.word
        if written.masked:
            say_masked("--why", word.why)
        about_what = "" if word.themes is None else f", about {', '.join(word.themes) or 'nothing of what there is'}"
        say(f"{word.post} voices {', '.join(word.kinds)}{about_what}; its copies too, and what says the same later.")


def _name(word: Note | Status | Answer) -> str:
    parts = [f"Story {word.story[:8]}" if word.story else "", f"theme {word.theme}" if word.theme else ""]
    return " and ".join(filter(None, parts))


def _listed(text: str) -> list[str]:
    return [each for part in text.split(",") if (each := part.strip())]


def _now() -> datetime:
    return SystemClock().now()


COMMANDS = (note, status, answer, correct)
