"""`lyttepost mode`: calm and crisis, switched with one command.

Nothing heavy is imported on the way, and only the settings that a switch needs are read: an error elsewhere in the
settings must not stand between a crisis team and its switch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from listener.clock import SystemClock
from listener.commands import By, Data, Json, Why, duration, local, open_live_bus, out, out_json, reason, say, user
from listener.config import raw_settings
from listener.control import (
    FOLLOW_SECONDS,
    Control,
    Follower,
    Presences,
    followers,
    missing_roles,
    source_states,
    wait_for_followers,
)
from listener.errors import NotFollowed, Refused
from listener.mode import Action, Command, Incident, Mode, Result, State, Transition
from listener.tracks import account_track, canonical, place_track
from listener.units import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from listener.bus import Bus

app = typer.Typer(help="Calm or crisis: show it, switch it.", no_args_is_help=False)

Tracks = Annotated[list[str] | None, typer.Option("--track", metavar="PHRASE", help="Listen for it; may be repeated.")]
Accounts = Annotated[list[str] | None, typer.Option("--account", metavar="@X", help="Listen for an account.")]
Places = Annotated[list[str] | None, typer.Option("--place", metavar="NAME", help="Listen for a place.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait to see who follows.")]


@app.callback(invoke_without_command=True)
def show(context: typer.Context, json: Json = False, data: Data = None) -> None:
    """Show the mode, the open incidents and who follows."""
    if context.invoked_subcommand is None:
        bus = open_live_bus(data)
        state = Control(bus).refresh()
        _report(bus, state, json)


@app.command()
def crisis(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What it is called, such as 'Brann, Ullevål'.")],
    why: Why,
    track: Tracks = None,
    account: Accounts = None,
    place: Places = None,
    lookback: Annotated[str | None, typer.Option("--lookback", metavar="6h", help="How far back to look.")] = None,
    review_after: Annotated[
        str | None, typer.Option("--review-after", metavar="4h", help="When to remind of a review.")
    ] = None,
    exercise: Annotated[bool, typer.Option("--exercise", help="Mark it, and all it causes, ØVELSE.")] = False,
    by: By = None,
    no_wait: NoWait = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """Open an incident. The same name again adds its new tracks; another name is a second incident."""
    if not name.strip():
        raise typer.BadParameter("give the incident a name", param_hint="--name")
    raw = raw_settings()
    ago = lookback or str(raw.get("mode.lookback", "6h"))
    later = review_after or str(raw.get("mode.review_after", "4h"))
    command = Command(
        action=Action.OPEN,
        at=SystemClock().now(),
        by=user(by),
        why=reason(why),
        name=name.strip(),
        add=_tracks(track, account, place),
        lookback=duration(ago, "--lookback").total_seconds(),
        review_after=duration(later, "--review-after").total_seconds(),
        exercise=exercise,
    )
    _switch(command, no_wait, json, data)


@app.command()
def change(
    incident: Annotated[str, typer.Option("--incident", metavar="ID", help="Which incident.")],
    why: Why,
    add_track: Annotated[list[str] | None, typer.Option("--add-track", metavar="PHRASE")] = None,
    drop_track: Annotated[list[str] | None, typer.Option("--drop-track", metavar="PHRASE")] = None,
    by: By = None,
    no_wait: NoWait = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """Add tracks to an open incident or drop some."""
    command = Command(
        action=Action.CHANGE,
        at=SystemClock().now(),
        by=user(by),
        why=reason(why),
        incident=incident,
        add=_tracks(add_track, None, None),
        drop=_tracks(drop_track, None, None),
    )
    if not command.add and not command.drop:
        raise typer.BadParameter("name at least one track", param_hint="--add-track or --drop-track")
    _switch(command, no_wait, json, data)


@app.command()
def calm(
    why: Why,
    incident: Annotated[str, typer.Option("--incident", metavar="ID", help="Close only this one.")] = "",
    by: By = None,
    no_wait: NoWait = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """Close all open incidents, or one."""
    command = Command(action=Action.CLOSE, at=SystemClock().now(), by=user(by), why=reason(why), incident=incident)
    _switch(command, no_wait, json, data)


@app.command()
def history(json: Json = False, data: Data = None) -> None:
    """Every command there ever was, and what came of it."""
    state = Control(open_live_bus(data)).refresh()
    if json:
        out_json([_transition(t) for t in state.history])
        return
    for t in state.history:
        if t.command is None:
            out(f"{t.offset:>4}  {t.result}: {t.detail}")
            continue
        c = t.command
        what = ", ".join(t.incidents) or "no incident was open"
        tracks = "".join([f" +{track}" for track in c.add] + [f" -{track}" for track in c.drop])
        mark = "ØVELSE " if c.exercise else ""
        out(f"{t.offset:>4}  {local(c.at)}  {mark}{t.result}: {what}{tracks}  by {c.by}: {c.why}")


def _tracks(
    phrases: Iterable[str] | None, accounts: Iterable[str] | None, places: Iterable[str] | None
) -> tuple[str, ...]:
    try:
        return (
            *map(canonical, phrases or ()),
            *map(account_track, accounts or ()),
            *map(place_track, places or ()),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _switch(command: Command, no_wait: bool, json: bool, data: str | None) -> None:
    bus = open_live_bus(data)
    control = Control(bus)
    if command.incident:
        _require_open(control.refresh(), command.incident)
    transition = control.append(command)
    if transition.result is Result.REFUSED:
        raise Refused(f"{command.incident} is not open any more; `lyttepost mode` lists what is")
    clock = SystemClock()
    found = None if no_wait else wait_for_followers(bus, transition.offset, clock)
    say(_told(transition, control.state))
    _report(bus, control.state, json, found)
    if found is not None and (missing := missing_roles(found)):
        raise NotFollowed(
            f"NO {' AND NO '.join(role.upper() for role in missing)} FOLLOWED WITHIN {FOLLOW_SECONDS:.0f} SECONDS. "
            "THE SWITCH STANDS. IS `lyttepost run` RUNNING?"
        )


def _require_open(state: State, incident: str) -> None:
    named = state.incidents.get(incident)
    if named is None or not named.open:
        ids = ", ".join(i.id for i in state.open) or "none"
        raise Refused(f"no open incident is called {incident!r}; open: {ids}")


def _told(transition: Transition, state: State) -> str:
    names = ", ".join(f"{state.incidents[i].name} ({i})" for i in transition.incidents)
    return {
        Result.OPENED: f"Opened: {names}",
        Result.JOINED: f"Open already; its new tracks were added: {names}",
        Result.UNCHANGED: f"Nothing to change: {names or 'no incident is open'}",
        Result.CHANGED: f"Changed: {names}",
        Result.CLOSED: f"Closed: {names}",
    }[transition.result]


def _report(bus: Bus, state: State, json: bool, found: list[Follower] | None = None) -> None:
    presences = Presences(bus).refresh(SystemClock().now())
    found = found if found is not None else followers(presences, state.epoch)
    sources = source_states(presences)
    if json:
        out_json(
            {
                "mode": state.mode,
                "since": state.since,
                "incidents": [_incident(i) for i in state.open],
                "followers": [f.to_json() for f in found],
                "sources": sources,
            }
        )
        return
    since = f" since {local(state.since)}" if state.since else ""
    out(f"{'CRISIS' if state.mode is Mode.CRISIS else 'calm'}{since}")
    for i in state.open:
        mark = "ØVELSE / EXERCISE " if i.exercise else ""
        out(f"  {mark}{i.name}  ({i.id})  opened {local(i.opened_at)} by {i.opened_by}: {i.why}")
        out(f"    tracks: {', '.join(i.tracks) or 'the standing ones only'}; review {local(i.review_at)}")
    for f in found:
        p = f.presence
        out(f"  {'follows' if f.follows else 'DOES NOT FOLLOW'}: {p.process} ({', '.join(p.roles)} on {p.host})")
    if not found:
        out("  nobody follows: no `lyttepost run` is running")
    for name, source in sources.items():
        out(f"  source {name}: {source.get('state', 'unknown')}")


def _incident(i: Incident) -> dict[str, Any]:
    return {
        "id": i.id,
        "name": i.name,
        "tracks": list(i.tracks),
        "exercise": i.exercise,
        "opened_at": i.opened_at,
        "opened_by": i.opened_by,
        "why": i.why,
        "review_at": i.review_at,
    }


def _transition(t: Transition) -> Mapping[str, Any]:
    base: dict[str, Any] = {"offset": t.offset, "result": t.result, "incidents": list(t.incidents)}
    if t.command is None:
        return {**base, "detail": t.detail}
    c = t.command
    return {
        **base,
        "at": format_instant(c.at),
        "action": c.action,
        "name": c.name,
        "by": c.by,
        "why": c.why,
        "add": list(c.add),
        "drop": list(c.drop),
        "exercise": c.exercise,
    }
