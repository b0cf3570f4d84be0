"""`lyttepost duty swap`: two people change places for a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import typer

from alerts.commands.duty_book import instant, open_both
from alerts.duty.people import known_person
from alerts.duty.roster import Roster, turns
from listener.bus import hashchain
from listener.clock import SystemClock
from listener.commands.shared import By, Data, local, say, storable, user
from listener.errors import Refused, UsageError
from listener.model.codec import LONGEST_WHY
from listener.model.decisions import DECISIONS, Stand, Swap


def swap(
    one: Annotated[str, typer.Argument(metavar="A", help="A person of people.yaml.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="Such as 2026-12-24T08:00.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="When they change back.")],
    by: By = None,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="A word for the record.")] = "",
    data: Data = None,
) -> None:
    """Let two people change places: from one time to another each is on duty wherever the other would have been.

    It is one decision, kept for good, and every view and every alert goes by it at once. The same command once more
    takes it back. Exit codes: 2 a name or time is wrong, 3 neither of them is on duty then: nothing is written.
    """
    begins, ends = instant(start, "--from"), instant(end, "--to")
    now, reason = SystemClock().now(), storable(why, "--why", LONGEST_WHY)
    if begins >= ends:
        raise UsageError("--to: is not after --from")
    if ends <= now:
        raise Refused(f"that time is over since {local(ends)}; nothing was written")
    with open_both(data) as (book, bus):
        a, b = known_person(book.people, one, "A"), known_person(book.people, other, "B")
        if a == b:
            raise UsageError("B: is the same person as A")
        if not _is_about(book.rosters, {a, b}, begins, ends):
            raise Refused(
                f"neither {a} nor {b} is on duty then; nothing was written. `lyttepost duty week` shows who is"
            )
        halves = (
            Stand(start=begins, end=ends, remove=a, add=b),
            Stand(start=begins, end=ends, remove=b, add=a),
        )
        said = Swap(at=now, by=user(by), why=reason, overrides=halves)
        book.take(hashchain.append(bus, DECISIONS.name, said))
        say(f"{a} and {b} change places from {local(begins)} to {local(ends)}.")
        for role, roster in book.rosters.items():
            for turn in turns(roster, begins, ends):
                if {a, b} & set(turn.who):
                    say(f"{role}: {', '.join(turn.who)} from {local(turn.start)} to {local(turn.end)}")


def _is_about(rosters: Mapping[str, Roster], names: set[str], begins: datetime, ends: datetime) -> bool:
    return any(names & set(turn.who) for roster in rosters.values() for turn in turns(roster, begins, ends))
