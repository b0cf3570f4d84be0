"""`lyttepost register`: what people voice, by theme and by story, ranked by people."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alerts.annotate.themes import load_themes, theme_names, themes_file
from alerts.commands import register_decisions, register_learn, register_show
from alerts.commands.annotate import annotate
from alerts.commands.register_export import as_json, table
from alerts.commands.register_gap import gap
from alerts.commands.register_text import Names, lines
from alerts.commands.register_view import open_view
from alerts.commands.sheets import as_csv, as_xlsx, write
from alerts.register.decisions import Decisions
from alerts.register.overview import EVERY_KIND, Overview, read_stories, read_themes
from alerts.register.ranking import Selection
from listener.bus.scan import scan
from listener.clock import SystemClock
from listener.commands.shared import (
    Data,
    Json,
    duration,
    open_live_topics,
    out,
    out_json,
    say,
    say_who_runs,
)
from listener.errors import UsageError
from listener.model.decisions import DECISIONS
from listener.model.entered import require_known
from listener.model.records import Kind
from listener.runtime.control import Control
from listener.settings.files import data_dir, raw_settings
from listener.settings.schema import Tier, load_settings, nobody_named

if TYPE_CHECKING:
    from listener.model.incidents import State

app = typer.Typer(
    help="""What people ask, wish, think and believe, ranked by people.

    First by theme; with --theme, --kind or --by story, story by story. Newsrooms, public bodies and organisations are
    not ranked; --kind media shows what they say. What is in a language that is not read is counted by the platform's
    name for it. Closed incidents are left out unless asked for.
    """
)
for command in (register_show.show, *register_decisions.COMMANDS, register_learn.learn, gap, annotate):
    app.command()(command)

MOST = 10_000
"""Rows."""


class By(StrEnum):
    """What a row is."""

    THEME = "theme"
    STORY = "story"


@app.callback(invoke_without_command=True)
def register(
    ctx: typer.Context,
    by: Annotated[
        By | None,
        typer.Option(
            "--by", help="What a row is; else themes on a screen, and stories for programs or with --theme or --kind."
        ),
    ] = None,
    theme: Annotated[str, typer.Option("--theme", metavar="T", help="Only this theme, by id or name.")] = "",
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only this kind; else all but other and media.")] = None,
    incident: Annotated[
        str, typer.Option("--incident", metavar="ID", help="Only this incident, also a closed one.")
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="Closed incidents too.")] = False,
    since: Annotated[str, typer.Option("--since", metavar="2h", help="Only what was posted in so long.")] = "",
    lang: Annotated[
        str,
        typer.Option(
            "--lang",
            metavar="nn",
            help="Only this language: nb, nn, da, sv or en as read, others as the platform has it.",
        ),
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="How many rows.")] = 20,
    exposed: Annotated[bool, typer.Option("--exposed", help="Show all texts that may show who a patient is.")] = False,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Write CSV for a spreadsheet.")] = False,
    xlsx: Annotated[bool, typer.Option("--xlsx", help="Write an XLSX sheet.")] = False,
    file: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to; else standard output.")] = None,
    data: Data = None,
) -> None:
    """The register itself; its help is the group's."""
    if ctx.invoked_subcommand is not None:
        return
    if json + csv + xlsx > 1:
        raise UsageError("--json, --csv and --xlsx: choose one")
    if file is not None and not (csv or xlsx):
        raise UsageError("--out: choose --csv or --xlsx too")
    if xlsx and file is None and sys.stdout.isatty():
        raise UsageError("--xlsx: is no text for a terminal; name a file with --out")
    raw = raw_settings()
    settings = load_settings(raw)
    span = duration(since, "--since") if since else None
    themes = theme_names(load_themes(themes_file(raw.folder)), settings.language)
    by = by or (By.STORY if theme or kind or json or csv or xlsx else By.THEME)
    asked = Selection(
        incident=incident,
        themes=frozenset({_theme(theme, themes)} if theme else ()),
        kinds=frozenset({kind} if kind else () if by is By.THEME or theme else EVERY_KIND),
        language=lang.strip().lower(),
        officials=kind is Kind.MEDIA,
    )
    with closing(open_live_topics(data)) as bus, open_view(bus, data_dir(data) / "register.sqlite") as view:
        say_who_runs(bus)
        state = Control(bus).refresh()
        closed = frozenset() if incident or every else _closed(state)
        asked = replace(asked, closed=closed)
        now = SystemClock().now()
        if by is By.STORY:
            found = read_stories(view, asked, now, limit=limit, span=span)
        else:
            no_news = [track for each in state.incidents.values() for track in each.tracks]
            found = read_themes(view, asked, now, limit=limit, span=span, no_news=no_news)
        if incident and _nothing(found):
            require_known(incident, state, "--incident")
        decisions = Decisions(scan(bus, DECISIONS), view.together())
    names = Names(
        themes,
        {each.id: each.name for each in state.incidents.values()},
        exposed=exposed,
        in_house=sys.stdout.isatty(),
        better=settings.understanding.tier is Tier.BETTER,
        decisions=decisions,
    )
    if json:
        out_json([as_json(row, names) for row in found.rows])
    elif csv:
        write(as_csv(table(found, names)), file)
    elif xlsx:
        write(as_xlsx(table(found, names), found.as_of), file)
    else:
        for line in lines(found, names, _title(by, kind, asked, names)):
            out(line)
    if (doubt := nobody_named(raw, settings)) is not None:
        say(f"lyttepost: {doubt}")
    if _nothing(found):
        say("Nothing is registered" + (f" for {incident}." if incident else _but(closed)))


def _theme(asked: str, names: Mapping[str, str]) -> str:
    """The id of a theme that was named by its id or its name. Raises UsageError."""
    plain = asked.strip().casefold()
    for theme, name in names.items():
        if plain in (theme.casefold(), name.casefold()):
            return theme
    raise UsageError(f"--theme: no theme is called {asked!r}; there are: {', '.join(names)}")


def _closed(state: State) -> frozenset[str]:
    return frozenset(each.id for each in state.incidents.values() if not each.open)


def _nothing(found: Overview) -> bool:
    return not (found.rows or found.unsorted)


def _but(closed: Collection[str]) -> str:
    return f". {len(closed)} incidents are closed and left out: --all shows them too." if closed else "."


def _title(by: By, kind: Kind | None, asked: Selection, names: Names) -> str:
    parts = [each.upper() for each in [*map(names.theme, asked.themes), *([kind] if kind else [])]]
    return ", ".join(parts) or ("THEMES" if by is By.THEME else "STORIES")
