"""How `lyttepost mode` shows the state: to a person in a hurry, or as JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from listener.commands.shared import local, one_line, out, out_json, say
from listener.errors import ConfigError
from listener.model.incidents import Command, Incident, Mode, Result, State, Transition
from listener.runtime.control import source_states
from listener.settings.files import load_yaml, raw_settings
from listener.settings.followed import allowed_accounts, left_out
from listener.settings.standing_tracks import load_standing
from listener.units import format_duration, format_instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from listener.runtime.control import Follower

MARK = "ØVELSE / EXERCISE "


def outcome_line(transition: Transition, state: State) -> str:
    """What came of a command, for whoever gave it."""
    outcome = {
        Result.OPENED: "Opened",
        Result.JOINED: _joined(transition.command),
        Result.UNCHANGED: "Nothing changed; it is as you want it",
        Result.CHANGED: "Changed",
        Result.CLOSED: "Closed",
        Result.REVIEWED: "Reviewed",
    }[transition.result]
    named = (state.incidents[i] for i in transition.incidents)
    names = ", ".join(f"{_mark(state, i.id)}{one_line(i.name)} ({i.id})" for i in named)
    again = f"; the next review is {_next_review(transition, state)}" if transition.result is Result.REVIEWED else ""
    return f"{outcome}: {names or 'no incident is open'}{again}"


def _next_review(transition: Transition, state: State) -> str:
    """The earliest of them, where several were reviewed."""
    return local(min(state.incidents[i].review_at for i in transition.incidents))


def _joined(command: Command | None) -> str:
    if command is None or not (command.lookback_asked or command.review_asked):
        return "Open already; its new tracks were added"
    what = ["its new tracks were added"] if command.add else []
    if command.lookback_asked:
        what.append(f"it looks back {format_duration(timedelta(seconds=command.lookback))} from when it was opened")
    if command.review_asked:
        what.append("its review was moved")
    return f"Open already; {', '.join(what)}"


def standing_tracks() -> list[str] | None:
    """The standing tracks of this configuration; None where they cannot be read, which is said."""
    try:
        return list(load_standing(load_yaml(raw_settings().folder / "tracks.yaml")))
    except ConfigError as error:
        say(f"lyttepost: {error}")
        return None


def report(state: State, found: Sequence[Follower], json: bool, *, now: datetime, waited: bool = True) -> None:
    """Data for standard output. `waited`: there was time to follow."""
    sources, standing = source_states(f.presence for f in found), standing_tracks()
    for track in left_out(state.open, allowed_accounts(raw_settings())):
        say(f"{track} is not listened for: it would follow a person, and the settings do not allow that (any more)")
    if json:
        out_json(
            {
                "mode": state.mode,
                "since": state.since,
                "incidents": [_incident(i) for i in state.open],
                "standing": standing,
                "followers": [f.to_json() for f in found],
                "sources": sources,
            }
        )
        return
    since = f" since {local(state.since)}" if state.since else ""
    out(f"{'CRISIS' if state.mode is Mode.CRISIS else 'calm'}{since}")
    for i in state.open:
        by, why = one_line(i.opened_by), one_line(i.why)
        out(f"  {MARK if i.exercise else ''}{one_line(i.name)}  ({i.id})  opened {local(i.opened_at)} by {by}: {why}")
        tracks = one_line(", ".join(i.tracks)) or "the standing ones only"
        out(f"    tracks: {tracks}; review {local(i.review_at)}")
        if i.review_after and now >= i.review_at:
            out("    THE REVIEW IS OVERDUE. Still a crisis: `lyttepost mode review`; over: `lyttepost mode calm`")
    if standing is not None:
        how = "each incident has them too" if state.open else "counted in calm; each incident has them"
        out(f"  standing tracks ({how}): {one_line(', '.join(standing)) or 'none'}")
    if not waited:
        out("  who follows was not waited for; `lyttepost mode` shows it")
        return
    for f in found:
        p = f.presence
        out(f"  {'follows' if f.follows else 'DOES NOT FOLLOW'}: {p.process} ({', '.join(p.roles)} on {p.host})")
    if not found:
        out("  nobody follows: no `lyttepost run` is running")
    for name, source in sources.items():
        out(f"  source {one_line(name)}: {source.get('state', 'unknown')}")


def history_line(t: Transition, state: State) -> str:
    """One transition as history tells it."""
    if t.command is None:
        return f"{t.offset:>4}  {t.result}: {t.detail}"
    c = t.command
    what = ", ".join(f"{_mark(state, i)}{one_line(i)}" for i in t.incidents) or "no incident was open"
    tracks = "".join([f" +{track}" for track in c.add] + [f" -{track}" for track in c.drop])
    return f"{t.offset:>4}  {local(c.at)}  {t.result}: {what}{one_line(tracks)}  by {one_line(c.by)}: {one_line(c.why)}"


def _mark(state: State, incident: str) -> str:
    known = state.incidents.get(incident)
    return MARK if known and known.exercise else ""


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


def history_json(t: Transition, state: State) -> dict[str, Any]:
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
        "exercise": c.exercise or _all_exercises(t, state),
    }


def _all_exercises(t: Transition, state: State) -> bool:
    return bool(t.incidents) and all(_mark(state, i) for i in t.incidents)
