"""`lyttepost highlights`: what the hospital says of its own in calm; proposed, approved, held, published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from alerts.highlights.deciding import Deciding
from alerts.highlights.followed import FollowedHighlights
from alerts.highlights.length import LONGEST, weighted
from alerts.highlights.listing import Listed, listed
from alerts.highlights.parts import reading_of, schedule_of
from alerts.highlights.plan import PROPOSED_FOR, crisis_since, plan, standing
from alerts.highlights.state import HighlightState, Stage
from listener.clock import SystemClock
from listener.commands.shared import (
    By,
    Data,
    Json,
    as_options,
    local,
    one_line,
    open_live_topics,
    open_written_topics,
    out,
    out_json,
    say,
    user,
)
from listener.errors import LyttepostError, Refused
from listener.model.highlights import Why, Word
from listener.model.incidents import Mode
from listener.model.roles import HIGHLIGHTS
from listener.runtime.control import Control, Presences
from listener.settings.files import data_dir, raw_settings
from listener.settings.schema import Settings, load_settings
from listener.units import format_duration

if TYPE_CHECKING:
    from datetime import datetime

    from listener.bus.protocol import Bus

app = typer.Typer(help="What the hospital says of its own in calm: proposed, approved, held in a crisis, published.")

TITLES = {
    Stage.HELD: "HELD: release, edit or drop",
    Stage.UNSURE: "MAY HAVE BEEN PUBLISHED: look at X, then release (publish again) or drop",
    Stage.SENDING: "BEING PUBLISHED",
    Stage.PROPOSED: "PROPOSED: approve, edit or drop",
    Stage.APPROVED: "APPROVED",
    Stage.PUBLISHED: "PUBLISHED",
    Stage.DROPPED: "DROPPED",
}
WHY: Mapping[Why, str] = {
    Why.CRISIS: "a crisis was opened",
    Why.LATE: "its time passed",
    Why.OVER: "what it is about has begun",
    Why.DUPLICATE: "X says that the same words stand there already",
    Why.REJECTED: "X does not take this text",
    Why.REFUSED: "X does not let the account publish",
}
FIELDS = {"by": "--by", "when": "--at", "text": "--text"}
INDENT = " " * 14

Id = Annotated[str, typer.Argument(metavar="ID", help="The beginning of an id is enough.")]
At = Annotated[
    str,
    typer.Option("--at", metavar="TIME", help="Publish it then, as 2026-12-24T08:00; else when there is room."),
]


@app.callback(invoke_without_command=True)
def highlights(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Dropped ones and old proposals too.")] = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """List the highlights: held ones first, with their age; then what is proposed, approved and published."""
    if context.invoked_subcommand is not None:
        return
    settings, now = load_settings(), SystemClock().now()
    with closing(open_written_topics(data)) as bus:
        control = Control(bus).refresh()
        with closing(FollowedHighlights(bus)) as followed:
            found = listed(followed.read(), control, schedule_of(settings), now, everything=everything)
            stopped = followed.highlights.stopped
        if not json:
            _say_who_publishes(bus, settings)
    if json:
        out_json([each.as_json() for each in found])
        return
    if control.mode is Mode.CRISIS:
        names = ", ".join(one_line(each.name) for each in control.open)
        say(f"Nothing is published while an incident is open, an exercise neither: {names}")
    if stopped:
        say("X does not let us publish. Put that right, then release one of them: the others follow.")
    if not found:
        say("There are no highlights. `lyttepost highlights propose` reads the feeds now.")
    for line in _lines(found):
        out(line)


@app.command()
def propose(context: typer.Context, json: Json = False, data: Data = None) -> None:
    """Read the feeds now, and propose what is new.

    Exit codes: 1 a feed could not be read (the others are), 3 an incident is open, 4 no feed is named.
    """
    settings, clock = load_settings(), SystemClock()
    reading = reading_of(settings)
    if reading is None:
        raise raw_settings().error(("highlights", "feeds"), "is empty; name the feeds of the hospital's own news there")
    with closing(open_live_topics(data)) as bus, closing(FollowedHighlights(bus)) as followed:
        control = Control(bus).refresh()
        if control.mode is Mode.CRISIS:
            names = ", ".join(each.id for each in control.open)
            raise Refused(f"nothing is proposed while an incident is open ({names}): the web server has enough to do")
        done = reading.propose(bus, followed, clock)
        found = listed(followed.highlights, control, schedule_of(settings), clock.now())
    new = {each.id for each in done.new}
    lines = [each for each in found if each.its.id in new]
    if json or _of_group(context):
        out_json([each.as_json() for each in lines])
    else:
        for line in _lines(lines):
            out(line)
        say(f"{len(new)} new from {len(done.feeds)} feeds.")
    if failed := [f"{each.feed}: {each.error}" for each in done.feeds if each.error is not None]:
        raise LyttepostError("\n".join([*failed, f"{len(failed)} of {len(done.feeds)} feeds not read"]))


@app.command()
def approve(id: Id, at: At = "", by: By = None, data: Data = None) -> None:
    """Approve a proposal: it is published at its time, or when there is room. A crisis holds it at once.

    Exit codes: 2 the id or time is wrong, 3 it is not proposed, or an incident is open: nothing is written.
    """
    _decide(id, Word.APPROVE, by, data, when=at)


@app.command()
def release(id: Id, at: At = "", by: By = None, data: Data = None) -> None:
    """Publish after all what was held, or what may or may not have been published.

    Exit codes: 2 the id or time is wrong, 3 it is not held, or an incident is open: nothing is written.
    """
    _decide(id, Word.RELEASE, by, data, when=at)


@app.command()
def edit(
    id: Id,
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help=f"All of it: at most {LONGEST} as X counts.")],
    by: By = None,
    data: Data = None,
) -> None:
    """Say it otherwise. It stays proposed, approved or held, as it was; its approval is then of the new words.

    Exit codes: 2 the id or text is wrong, 3 it is published or dropped: nothing is written.
    """
    _decide(id, Word.EDIT, by, data, text=text)


@app.command()
def drop(id: Id, by: By = None, data: Data = None) -> None:
    """Never publish it. What may have been published is not looked for any more.

    Exit codes: 2 the id is wrong, 3 it is published already: nothing is written.
    """
    _decide(id, Word.DROP, by, data)


def _decide(id_: str, word: Word, by: str | None, data: str | None, *, when: str = "", text: str = "") -> None:
    settings, now = load_settings(), SystemClock().now()
    with _deciding(settings, data, now, reads_posts=word is Word.EDIT) as deciding, as_options():
        after = deciding.say(id_, word, by=user(by), when=when, text=text, fields=FIELDS)
        say(_said(deciding, after, word))
        if word in (Word.APPROVE, Word.RELEASE):
            _say_who_publishes(deciding.bus, settings)


@contextmanager
def _deciding(settings: Settings, data: str | None, now: datetime, *, reads_posts: bool) -> Iterator[Deciding]:
    """`reads_posts`: the words are held against the posts that they might quote."""
    with closing(open_written_topics(data)) as bus, closing(FollowedHighlights(bus)) as followed:
        control, schedule = Control(bus), schedule_of(settings)

        if not reads_posts:
            yield Deciding(bus, followed.read, control.refresh, schedule, lambda words: [], now)
            return
        from alerts.commands.register_view import open_view

        with open_view(bus, data_dir(data) / "register.sqlite") as view:
            yield Deciding(bus, followed.read, control.refresh, schedule, view.perhaps_quoted, now)


def _said(deciding: Deciding, its: HighlightState, word: Word) -> str:
    control = deciding.control()
    stands = standing(its, control, deciding.schedule, deciding.now)
    if word is Word.DROP:
        return f"{its.id} is dropped."
    if word is Word.EDIT:
        return f"{its.id} says so now, {weighted(its.text)} of {LONGEST} as X counts; it is {stands.stage} as before."
    if crisis_since(control, its.epoch) is not None:
        return f"{its.id} IS HELD: an incident was opened in the same moment."
    when = plan(deciding.read(), control, deciding.schedule, deciding.now).when.get(its.id)
    then = "now" if when is None or when <= deciding.now else local(when)
    warned = " WHAT IT IS ABOUT HAS BEGUN." if its.proposal.starts and its.proposal.starts <= deciding.now else ""
    return f"{its.id} is to be published {then}; a crisis until then holds it.{warned}"


def _say_who_publishes(bus: Bus, settings: Settings) -> None:
    if not settings.highlights.publishes:
        say("Nothing is published: highlights.consumer_key and the three other keys are not set here.")
    running = {role for presence in Presences(bus, SystemClock()).refresh() for role in presence.roles}
    if HIGHLIGHTS not in running:
        say("No process with the role highlights runs: nothing is read, and nothing published.")


def _lines(found: Sequence[Listed]) -> Iterator[str]:
    stage = None
    for each in found:
        if each.stands.stage is not stage:
            if stage is not None:
                yield ""
            stage = each.stands.stage
            yield TITLES[stage]
        first, *rest = one_line_each(each.its.text)
        yield f"{each.its.id}  {first}"
        yield from (f"{INDENT}{line}" for line in rest)
        yield f"{INDENT}{_about(each)}"


def one_line_each(text: str) -> list[str]:
    return [one_line(line) for line in text.split("\n")] or [""]


def _about(each: Listed) -> str:
    its, stands = each.its, each.stands
    length = f"{weighted(its.text)} of {LONGEST}"
    parts = {
        Stage.PROPOSED: f"{length}; proposed {local(its.proposal.at)}, listed for {format_duration(PROPOSED_FOR)}",
        Stage.APPROVED: f"approved by {one_line(its.by)}; goes out {local(each.when) if each.when else 'later'}",
        Stage.HELD: f"held for {_age(each)}, since {local(stands.since)}: {WHY[stands.why] if stands.why else ''}",
        Stage.UNSURE: f"sent {local(its.sent_at or stands.since)}, and nobody knows what became of it"
        + ("; it was looked for and not found" if its.looked else ""),
        Stage.SENDING: f"since {local(stands.since)}",
        Stage.PUBLISHED: f"{local(stands.since)}  {each.address}",
        Stage.DROPPED: f"by {one_line(its.by)}, {local(stands.since)}",
    }
    over = "; WHAT IT IS ABOUT HAS BEGUN" if each.over and stands.stage is not Stage.PUBLISHED else ""
    return parts[stands.stage] + over


def _age(each: Listed) -> str:
    """As coarse as it is old: minutes, hours, days."""
    seconds = max(0, int((each.now - each.stands.since).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _of_group(context: typer.Context) -> bool:
    return bool(context.parent and context.parent.params.get("json"))
