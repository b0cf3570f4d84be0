"""`lyttepost mode`: calm and crisis, switched with one command.

Nothing heavy is imported on the way, and only the settings that a switch needs are read: an error elsewhere in the
settings must not stand between a crisis team and its switch.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from listener.clock import SystemClock
from listener.commands.mode_view import history_json, history_line, outcome_line, report
from listener.commands.shared import (
    By,
    Data,
    Json,
    LazyGroup,
    Why,
    as_options,
    open_live_bus,
    out,
    out_json,
    say,
    user,
)
from listener.errors import NotFollowed
from listener.model.codec import LONGEST_NAME, MAX_TRACKS
from listener.model.tracks import too_common
from listener.runtime.control import (
    FOLLOW_SECONDS,
    Control,
    Follower,
    Presences,
    followers,
    laggards,
    missing_roles,
    wait_for_followers,
)
from listener.runtime.switching import (
    Doubt,
    change_command,
    close_command,
    doubts,
    give,
    open_command,
    review_command,
)
from listener.settings.files import data_dir, raw_settings
from listener.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from listener.model.incidents import Command
    from listener.runtime.switching import Warned

OPTIONS = {
    "name": "--name",
    "why": "--why",
    "tracks": "--track",
    "accounts": "--account",
    "places": "--place",
    "lookback": "--lookback",
    "review_after": "--review-after",
    "anyway": "--anyway",
    "incident": "--incident",
    "add": "--add-track",
    "drop": "--drop-track",
    "after": "--for",
}
NAMED = f"What it is called, such as 'Brann, Ullevål'; at most {LONGEST_NAME} characters."
Tracks = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="PHRASE",
        help=f"Listen for these words, a #hashtag or word*; may be repeated. An incident has at most {MAX_TRACKS:,}.",
    ),
]
ADDED = f"Listen for it too; may be repeated. An incident has at most {MAX_TRACKS:,}."
Accounts = Annotated[
    list[str] | None, typer.Option("--account", metavar="@X", help="Listen for an account; may be repeated.")
]
Places = Annotated[
    list[str] | None, typer.Option("--place", metavar="NAME", help="Listen for a place; may be repeated.")
]
Lookback = Annotated[
    str | None,
    typer.Option("--lookback", metavar="6h", help="How far back to look; else as the settings say."),
]
ReviewAfter = Annotated[
    str | None,
    typer.Option("--review-after", metavar="4h", help="When to remind of a review; else as the settings say."),
]
Anyway = Annotated[
    bool, typer.Option("--anyway", help="Take a track too that is in every other sentence, whatever it costs.")
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait to see who follows.")]


def show(context: typer.Context, json: Json = False, data: Data = None) -> None:
    """Calm or crisis: show it, switch it. Without a command it shows the mode, the open incidents and who follows."""
    if context.invoked_subcommand is not None:
        # What stands before the command's name is meant for it.
        context.default_map = {context.invoked_subcommand: {"json": json, "data": data}}
        return
    bus = open_live_bus(data)
    state = Control(bus).refresh()
    report(state, followers(Presences(bus, SystemClock()).refresh(), state.epoch), json, now=SystemClock().now())


def crisis(
    context: typer.Context,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help=NAMED)],
    why: Why,
    track: Tracks = None,
    account: Accounts = None,
    place: Places = None,
    lookback: Lookback = None,
    review_after: ReviewAfter = None,
    exercise: Annotated[bool, typer.Option("--exercise", help="Mark it, and all it causes, ØVELSE.")] = False,
    anyway: Anyway = False,
    by: By = None,
    no_wait: NoWait = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """Open an incident. The same name again adds its new tracks; another name is a second incident.

    With the same name --lookback looks back further (never less far), and --review-after moves the review.

    \b
    For example:
      lyttepost mode crisis --name "Brann, Ullevål" --track "ullevål brann" --why "meldt av 110"
    """
    with as_options():
        command = open_command(
            name, why=why, by=user(by), now=SystemClock().now(), tracks=track or (), accounts=account or (),
            places=place or (), lookback=lookback, review_after=review_after, exercise=exercise, fields=OPTIONS,
        )  # fmt: skip
    _switch(context, command, no_wait, json, data, anyway=anyway)


def change(
    context: typer.Context,
    incident: Annotated[
        str, typer.Option("--incident", metavar="ID", help="Which incident; `lyttepost mode` lists them.")
    ],
    why: Why,
    add_track: Annotated[list[str] | None, typer.Option("--add-track", metavar="PHRASE", help=ADDED)] = None,
    drop_track: Annotated[
        list[str] | None,
        typer.Option("--drop-track", metavar="PHRASE", help="Listen for it no more; may be repeated."),
    ] = None,
    anyway: Anyway = False,
    by: By = None,
    no_wait: NoWait = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """Add tracks to an open incident, or drop some."""
    with as_options():
        command = change_command(
            incident, why=why, by=user(by), now=SystemClock().now(), add=add_track or (), drop=drop_track or (),
            fields=OPTIONS,
        )  # fmt: skip
    _switch(context, command, no_wait, json, data, anyway=anyway)


def calm(
    context: typer.Context,
    why: Why,
    incident: Annotated[str, typer.Option("--incident", metavar="ID", help="Close only this one.")] = "",
    by: By = None,
    no_wait: NoWait = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """Close all open incidents, or one. Calm is when none is open."""
    with as_options():
        command = close_command(incident, why=why, by=user(by), now=SystemClock().now(), fields=OPTIONS)
    _switch(context, command, no_wait, json, data)


def review(
    context: typer.Context,
    why: Why,
    after: Annotated[
        str | None,
        typer.Option("--for", metavar="4h", help="How long it will do; else as long as when the incident was opened."),
    ] = None,
    incident: Annotated[str, typer.Option("--incident", metavar="ID", help="Review only this one.")] = "",
    by: By = None,
    no_wait: NoWait = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """Say that it still is a crisis: the crisis team is asked again later. Of all open incidents, or of one."""
    with as_options():
        command = review_command(incident, why=why, by=user(by), now=SystemClock().now(), after=after, fields=OPTIONS)
    _switch(context, command, no_wait, json, data)


def history(json: Json = False, data: Data = None) -> None:
    """Every command there ever was, and what came of it."""
    state = Control(open_live_bus(data)).refresh()
    if json:
        out_json([history_json(t, state) for t in state.history])
        return
    for t in state.history:
        out(history_line(t, state))


def _switch(
    context: typer.Context, command: Command, no_wait: bool, json: bool, data: str | None, *, anyway: bool = False
) -> None:
    bus, clock = open_live_bus(data), SystemClock()
    context.find_root().obj = bus  # open to the end: closing it takes longer than the switch (see `lyttepost.main`)
    control = Control(bus)
    with as_options():
        # Each is said as it is found: what comes after it may be a refusal.
        found = doubts(
            control, command, there=lambda: Presences(bus, clock).refresh(), bills=_bills, anyway=anyway, fields=OPTIONS
        )
        for warned in found:
            say(_warning(warned))
    transition = give(control, command)
    # Said before the wait: whoever interrupts that must know that the switch stands.
    say(outcome_line(transition, control.state))
    if no_wait:
        there = Presences(bus, clock).refresh() if json else []
        report(control.state, followers(there, transition.offset), json, now=clock.now(), waited=False)
        return
    following = wait_for_followers(bus, transition.offset, clock, _say_late, lambda: _starting(data))
    report(control.state, following, json, now=clock.now())
    _require_followed(following)


def _starting(data: str | None) -> list[str]:
    from listener.runtime.service import starting_roles

    return starting_roles(data_dir(data), SystemClock().now())


def _bills() -> list[str]:
    from listener.sources.contract import source_types

    return [name for name, its in source_types().items() if its.bills(raw_settings())]


def _warning(warned: Warned) -> str:
    about = warned.about
    if warned.doubt is Doubt.REACH:
        reach = format_duration(timedelta(seconds=warned.seconds))
        return f"{about} can search {reach} back at most; no further is looked"
    if warned.doubt is Doubt.NOT_DROPPED:
        its = ", ".join(warned.tracks) or "none"
        return f"{about!r} is none of its tracks: {its} (standing ones are in tracks.yaml)"
    return f"{about!r} {too_common(about)}: expect posts about anything"


def _say_late(processes: list[str]) -> None:
    say(f"The switch stands. Still waiting for {', '.join(processes)}: there, but slow to follow.")


def _require_followed(found: list[Follower]) -> None:
    """Raises NotFollowed in capitals: whoever reads it at night must not take it for success."""
    missing, behind = missing_roles(found), laggards(found)
    if not missing and not behind:
        return
    who = " AND ".join(f"NO {role.upper()}" for role in missing)
    said = [f"{who} FOLLOWED WITHIN {FOLLOW_SECONDS:.0f} SECONDS."] if missing else []
    said += [f"THERE BUT NOT FOLLOWING: {', '.join(behind)}."] if behind else []
    raise NotFollowed(" ".join([*said, "THE SWITCH STANDS. IS `lyttepost run` RUNNING, AND WELL?"]))


class Switches(LazyGroup):
    functions: ClassVar[Mapping[str, Callable[..., None]]] = {
        "crisis": crisis,
        "change": change,
        "calm": calm,
        "review": review,
        "history": history,
    }


app = typer.Typer(
    cls=Switches,
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 refused, 4 configuration, 5 done but not followed everywhere.",
    add_completion=False,
    rich_markup_mode=None,
)
app.callback(invoke_without_command=True)(show)
