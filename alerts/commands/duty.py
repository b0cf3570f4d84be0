"""`lyttepost duty`: who is on duty, now and later; swaps; and whether whoever it is would be woken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerts.commands import duty_confirm, duty_swap
from alerts.commands.duty_book import PeopleFile, instant, open_book, tell_troubles
from alerts.duty.roster import OnDuty, on_duty, turns
from listener.clock import SystemClock
from listener.commands.shared import Data, Json, flush, local, one_line, out, out_json, out_table, say
from listener.errors import ConfigError, LyttepostError, UsageError
from listener.units import format_instant

if TYPE_CHECKING:
    from alerts.duty.people import Way
    from alerts.duty.reload import DutyBook

app = typer.Typer(
    help="""Who is on duty, and would they be woken?

    People and rosters stand in people.yaml; who changes places with whom is a decision, kept for good. All times are
    the settings' time zone's; in JSON they are UTC.
    """
)
WEEK = timedelta(days=7)


@app.callback(invoke_without_command=True)
def duty(context: typer.Context, json: Json = False, data: Data = None) -> None:
    """Who is on duty now, until when, and who comes next."""
    if context.invoked_subcommand is not None:
        if json or data:
            raise UsageError("--json and --data: write them after the command")
        return
    book = open_book(None, data)
    tell_troubles(book)
    now = SystemClock().now()
    if json:
        out_json(_json(now, on_duty(book.rosters, book.people, now)))
        return
    found = on_duty(book.rosters, book.people, now)
    if not found.roles:
        say("There is no roster, and nobody has a role: write them into people.yaml.")
        return
    rows = [("ROLE", "ON DUTY", "UNTIL", "THEN")]
    for role, names in found.roles.items():
        until = book.rosters[role].until(now) if role in book.rosters else None
        then = _named(book, sorted(book.rosters[role].at(until))) if until else ""
        rows.append((role, _named(book, names), local(until) if until else "further notice", then))
    out_table(rows)


@app.command()
def at(
    time: Annotated[str, typer.Argument(metavar="TIME", help="Such as 2026-12-24T08:00, or with an offset or Z.")],
    people: PeopleFile = None,
    json: Json = False,
    data: Data = None,
) -> None:
    """Who is on duty at a time, and until when."""
    when = instant(time, "TIME")
    book = open_book(people, data)
    tell_troubles(book)
    found = on_duty(book.rosters, book.people, when)
    if json:
        out_json(_json(when, found))
        return
    rows = [(role, _named(book, names)) for role, names in found.roles.items()]
    out_table([("ROLE", f"ON DUTY {local(when)}"), *rows])
    out(f"until {local(found.until)}" if found.until else "until further notice")


@app.command()
def week(
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="From when on; else from now.")] = "",
    people: PeopleFile = None,
    json: Json = False,
    data: Data = None,
) -> None:
    """Who is on duty in the seven days to come, turn by turn."""
    begins = instant(start, "--from") if start else SystemClock().now()
    book = open_book(people, data)
    tell_troubles(book)
    if json:
        out_json([_turn_json(role, *turn) for role, turn in _week(book, begins)])
        return
    rows = [(role, local(turn[0]), local(turn[1]), _named(book, turn[2])) for role, turn in _week(book, begins)]
    if rows:
        out_table([("ROLE", "FROM", "TO", "ON DUTY"), *rows])
    else:
        say("There is no roster; who has a role is always on duty: `lyttepost duty`.")


@app.command()
def check(people: PeopleFile = None, json: Json = False, data: Data = None) -> None:
    """Would somebody be woken, all the year to come? Gaps, overlaps, ways that wake nobody, addresses, calendars.

    Asks no server: of a calendar at an address the last copy is looked at. Exit codes: 1 when at some time nobody would
    be woken, 4 when the file itself is wrong; warnings change none.
    """
    from alerts.duty.check import check_duty
    from listener.runtime.checks import CheckLevel
    from listener.settings.schema import load_settings
    from listener.settings.zone import find_zone

    book = open_book(people, data, online=False)
    now = SystemClock().now()
    findings = list(
        check_duty(
            book.people, book.rosters, troubles=book.troubles(now), decided=None if people else book.decided,
            refusal=_refusal, at=now, zone=find_zone(load_settings().timezone), named=_routed(book),
        )
    )  # fmt: skip
    if json:
        out_json([finding.to_json() | {"level": finding.level} for finding in findings])
    else:
        out_table([(f.level.upper() if f.level is not CheckLevel.OK else "ok", f.id, f.says) for f in findings])
        for finding in findings:
            if finding.fix:
                out(f"\n{finding.id}: {finding.fix}")
    if bad := [finding for finding in findings if finding.level is CheckLevel.FAILED]:
        flush()
        raise LyttepostError(f"nobody would be woken: {', '.join(finding.id for finding in bad)}")


app.command()(duty_swap.swap)
app.command("test")(duty_confirm.send_test)
app.command()(duty_confirm.confirm)


def _routed(book: DutyBook) -> frozenset[str]:
    """The people whom routes and policies name themselves; of a file that is wrong elsewhere nothing is known."""
    from alerts.notify.recipients import load_people

    try:
        return load_people(book.path).named
    except ConfigError:
        return frozenset()


def _refusal(way: Way) -> str | None:
    """Why nothing could ever be sent by a way, by the code that sends."""
    from alerts.notify.channels.contract import CHANNELS, channel_type

    if way.channel not in CHANNELS:
        return f"no channel is called {one_line(way.channel)!r}; known: {', '.join(CHANNELS)}"
    try:
        channel_type(way.channel).check(way.target)
    except ValueError as error:
        return str(error)
    return None


def _week(book: DutyBook, begins: datetime) -> Iterator[tuple[str, tuple[datetime, datetime, tuple[str, ...]]]]:
    for role, roster in sorted(book.rosters.items()):
        for turn in turns(roster, begins, begins + WEEK):
            yield role, turn


def _named(book: DutyBook, keys: Any) -> str:
    names = [one_line(book.people[key].name) if key in book.people else key for key in keys]
    return ", ".join(names) or "NOBODY"


def _json(when: datetime, found: OnDuty) -> dict[str, Any]:
    until = None if found.until is None else format_instant(found.until)
    return {
        "at": format_instant(when),
        "roles": {role: list(names) for role, names in found.roles.items()},
        "until": until,
    }


def _turn_json(role: str, start: datetime, end: datetime, who: tuple[str, ...]) -> dict[str, Any]:
    return {"role": role, "from": format_instant(start), "to": format_instant(end), "who": list(who)}
