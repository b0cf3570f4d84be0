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
    duration,
    open_live_bus,
    out,
    out_json,
    reason,
    require_known,
    say,
    storable,
    user,
)
from listener.errors import NotFollowed, Refused
from listener.model.codec import LONGEST, LONGEST_NAME, MAX_LOOKBACK, MAX_REVIEW, MAX_TRACKS, MIN_REVIEW
from listener.model.incidents import Action, Command, Incident, Result, State, apply, encode_command
from listener.model.tracks import LONGEST as LONGEST_TRACK
from listener.model.tracks import account_track, canonical, place_track, too_common
from listener.runtime.control import (
    FOLLOW_SECONDS,
    Control,
    Follower,
    Presences,
    followers,
    laggards,
    missing_roles,
    source_states,
    wait_for_followers,
)
from listener.settings.files import raw_settings
from listener.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from listener.bus.protocol import Bus
    from listener.clock import Clock

BOUNDS = {"lookback": (timedelta(), MAX_LOOKBACK), "review_after": (MIN_REVIEW, MAX_REVIEW)}
"""What the settings may say; a flag may say more."""
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
    called = " ".join(storable(name, "--name").split())
    if not any(letter.isprintable() and not letter.isspace() for letter in called):
        raise typer.BadParameter("give the incident a name", param_hint="--name")
    command = Command(
        action=Action.OPEN,
        at=SystemClock().now(),
        by=user(by),
        why=reason(why),
        name=called,
        add=(
            *_tracks(canonical, track, "--track"),
            *_tracks(account_track, account, "--account"),
            *_tracks(place_track, place, "--place"),
        ),
        lookback=_seconds("lookback", lookback, "6h"),
        review_after=_seconds("review_after", review_after, "4h"),
        lookback_asked=lookback is not None,
        review_asked=review_after is not None,
        exercise=exercise,
    )
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
    command = Command(
        action=Action.CHANGE,
        at=SystemClock().now(),
        by=user(by),
        why=reason(why),
        incident=storable(incident, "--incident"),
        add=_tracks(canonical, add_track, "--add-track"),
        drop=_tracks(canonical, drop_track, "--drop-track"),
    )
    if not command.add and not command.drop:
        raise typer.BadParameter("name at least one track", param_hint="--add-track or --drop-track")
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
    named = _which(incident, "closed")
    command = Command(action=Action.CLOSE, at=SystemClock().now(), by=user(by), why=reason(why), incident=named)
    _switch(context, command, no_wait, json, data)


def _which(incident: str, otherwise: str) -> str:
    """The incident that --incident names; empty where it was left out. `otherwise`: what then becomes of all."""
    named = storable(incident, "--incident")
    if incident and not named:
        raise typer.BadParameter(f"which one? Without --incident all are {otherwise}", param_hint="--incident")
    return named


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
    named = _which(incident, "reviewed")
    command = Command(
        action=Action.REVIEW,
        at=SystemClock().now(),
        by=user(by),
        why=reason(why),
        incident=named,
        review_after=_seconds("review_after", after, "4h", "--for"),
        review_asked=after is not None,
    )
    _switch(context, command, no_wait, json, data)


def history(json: Json = False, data: Data = None) -> None:
    """Every command there ever was, and what came of it."""
    state = Control(open_live_bus(data)).refresh()
    if json:
        out_json([history_json(t, state) for t in state.history])
        return
    for t in state.history:
        out(history_line(t, state))


def _tracks(read: Callable[[str], str], written: Iterable[str] | None, flag: str) -> tuple[str, ...]:
    try:
        return tuple(read(storable(one, flag, LONGEST_TRACK)) for one in written or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=flag) from None


def _seconds(setting: str, given: str | None, default: str, flag: str = "") -> float:
    """A duration by its flag, else by the setting. Raises ConfigError when the setting is the one that is wrong."""
    flag = flag or "--" + setting.replace("_", "-")
    raw = raw_settings()
    try:
        found = duration(given or str(raw.get(f"mode.{setting}", default)), flag)
        seconds = found.total_seconds()
        if seconds > LONGEST:
            raise typer.BadParameter("is longer than ten years", param_hint=flag)
        least, most = BOUNDS[setting]
        if not given and not least <= found <= most:
            problem = f"must be between {format_duration(least)} and {format_duration(most)}"
            raise typer.BadParameter(problem, param_hint=flag)
    except typer.BadParameter as error:
        if given:
            raise
        raise raw.error(("mode", setting), f"{error.message}; correct it, or give {flag}") from None
    return seconds


def _switch(
    context: typer.Context, command: Command, no_wait: bool, json: bool, data: str | None, *, anyway: bool = False
) -> None:
    _require_few(command.add)
    bus, clock = open_live_bus(data), SystemClock()
    context.find_root().obj = bus  # open to the end: closing it takes longer than the switch (see `lyttepost.main`)
    control = Control(bus)
    if command.incident or command.action is Action.CHANGE:
        _require_open(control.refresh(), command.incident)
        _mind_dropped(control.state, command)
    if command.add:
        state = control.refresh()
        after = apply(state, state.epoch + 1, encode_command(command))
        for incident in after.listening:
            _require_few(incident.tracks, state.incidents.get(incident.id))
    _mind_sources(bus, clock, command, anyway)
    transition = control.append(command)
    if transition.result is Result.REFUSED:
        raise Refused(f"{command.incident} is not open any more; `lyttepost mode` lists what is")
    # Said before the wait: whoever interrupts that must know that the switch stands.
    say(outcome_line(transition, control.state))
    if no_wait:
        there = Presences(bus, clock).refresh() if json else []
        report(control.state, followers(there, transition.offset), json, now=clock.now(), waited=False)
        return
    found = wait_for_followers(bus, transition.offset, clock, _say_late)
    report(control.state, found, json, now=clock.now())
    _require_followed(found)


def _require_few(tracks: Sequence[str], before: Incident | None = None) -> None:
    """Raises BadParameter for an incident that would grow beyond what it may have."""
    if len(tracks) > max(MAX_TRACKS, len(before.tracks) if before else 0):
        many = f"{len(tracks):,} tracks; an incident has at most {MAX_TRACKS:,}. Choose those that people would write"
        raise typer.BadParameter(many, param_hint="--track")


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


def _mind_sources(bus: Bus, clock: Clock, command: Command, anyway: bool) -> None:
    """Whether the sources can do what is asked, and at what cost. The running listener is asked, and the settings here
    only where none runs. Raises Refused before anything is written."""
    common = {track: why for track in command.add if (why := too_common(track))}
    if not common and not command.lookback_asked:
        return
    sources = source_states(Presences(bus, clock).refresh())
    if command.lookback_asked:
        for name, source in sources.items():
            reach = source.get("reach")
            if isinstance(reach, int | float) and command.lookback > reach:
                say(f"{name} can search {format_duration(timedelta(seconds=reach))} back at most; no further is looked")
    paid = [name for name, source in sources.items() if source.get("caps")]
    if common and not paid:
        from listener.sources.contract import source_types

        paid = [name for name, its in source_types().items() if its.bills(raw_settings())]
    for track, why in common.items():
        if paid and not anyway:
            raise Refused(
                f"{track!r} {why}, and {', '.join(paid)} bills every post that has it; name what it is about, or add "
                "--anyway"
            )
        say(f"{track!r} {why}: expect posts about anything")


def _mind_dropped(state: State, command: Command) -> None:
    """Of a track that is not there, dropping changes nothing: whoever asks for it means another."""
    its = state.incidents[command.incident].tracks
    there = {track.casefold() for track in its}
    for track in command.drop:
        if track.casefold() not in there:
            say(f"{track!r} is none of its tracks: {', '.join(its) or 'none'} (standing ones are in tracks.yaml)")


def _require_open(state: State, incident: str) -> None:
    named = state.incidents.get(incident)
    if named is None:
        require_known(incident, state, "--incident")
    elif not named.open:
        raise Refused(f"{incident} is closed; open: {', '.join(i.id for i in state.open) or 'none'}")


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
