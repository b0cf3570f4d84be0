"""`lyttepost report`: the situation report, on one page."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from alerts.commands.duty_people import people_in_force, waking
from alerts.commands.register_view import open_view
from alerts.commands.sheets import write
from alerts.notify.messages import load_all_messages
from alerts.register.denials import DenialWords
from alerts.report.html import as_html
from alerts.report.markdown import as_markdown
from alerts.report.period import LONGEST, look_back
from alerts.report.report import Report, make_report
from alerts.situation.followed import Followed
from alerts.situation.situation import describe
from alerts.situation.words import Words, load_words
from listener.clock import SystemClock
from listener.commands.shared import (
    Data,
    Json,
    as_options,
    duration,
    open_live_topics,
    out_json,
    say,
    say_who_runs,
)
from listener.errors import UsageError
from listener.model.entered import require_known
from listener.settings.files import data_dir, raw_settings
from listener.settings.schema import load_settings
from listener.settings.zone import find_zone

app = typer.Typer()


class Language(StrEnum):
    NB = "nb"
    EN = "en"


@app.command()
def report(
    since: Annotated[str, typer.Option("--since", metavar="1h", help="What is new in so long; 7 days at most.")] = "1h",
    incident: Annotated[
        str, typer.Option("--incident", metavar="ID", help="Only this incident, also a closed one.")
    ] = "",
    lang: Annotated[Language | None, typer.Option("--lang", help="Else the settings' language.")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="FILE.html, ready to print, or FILE.md; else as Markdown."),
    ] = None,
    json: Json = False,
    data: Data = None,
) -> None:
    """The situation report: one page for who was not there.

    How loud it is, what people ask, wish, think and believe wrongly, what changed, what was answered, who has which
    alert, what we do not know. It may leave the house: nothing that anybody wrote is in it, and no account's name.
    """
    span = duration(since, "--since")
    if not timedelta() < span <= LONGEST:
        raise UsageError("--since: at most 7 days")
    if file is not None and (json or file.suffix.lower() not in (".html", ".md")):
        raise UsageError("--out: name a file that ends with .html or .md, without --json")
    raw = raw_settings()
    settings = load_settings(raw)
    messages = load_all_messages(raw.folder, settings.timezone)[lang or settings.language]
    words = load_words(raw.folder, messages)
    made = _made(data, span, incident, words)
    if json:
        out_json(made.as_json())
        return
    text = as_html(made, words) if file is not None and file.suffix.lower() == ".html" else as_markdown(made, words)
    write(text.encode(), file)
    if file is not None:
        say(f"Written to {file}.")


def _made(data: str | None, span: timedelta, incident: str, words: Words) -> Report:
    clock, people = SystemClock(), people_in_force(data)
    zone, deny = find_zone(words.messages.zone), DenialWords.load(raw_settings().folder)
    with closing(open_live_topics(data)) as bus, open_view(bus, data_dir(data) / "register.sqlite") as view:
        say_who_runs(bus)
        with closing(Followed(bus, clock, view, zone, deny, lambda word: None)) as followed:
            followed.read()
            if incident:
                with as_options():
                    require_known(incident, followed.control, "--incident")
            now = clock.now()
            situation = describe(followed, people, waking(people), now, incident=incident)
            return make_report(situation, look_back(followed, now - span, now, incident), words)
