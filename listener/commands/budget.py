"""`lyttepost x budget`: what X has cost, how far that is from the caps, and the decision that raises them."""

from __future__ import annotations

import math
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from listener.commands.shared import (
    By,
    Data,
    Json,
    Why,
    local,
    open_live_topics,
    out,
    out_json,
    out_table,
    reason,
    say,
    user,
)
from listener.errors import Refused, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from listener.bus.protocol import Bus
    from listener.model.spending import Spending
    from listener.settings.prices import Budget

SOURCE = "x"

group = typer.Typer()

HELP = """What X has cost, in US dollars, and when the caps of x.budget will be reached at this rate.

At the soft cap ops are warned. At the hard cap the person on duty is paged, and listening goes on. At the ceiling
listening stops, as a recorded gap, and the person on duty is paged again; with a raise it goes on within two seconds.
"""


@group.callback(invoke_without_command=True, help=HELP)
def budget(context: typer.Context, json: Json = False, data: Data = None) -> None:
    """See HELP."""
    if context.invoked_subcommand is not None:
        return
    with closing(open_live_topics(data)) as bus:
        found = _look(bus)
    if json:
        out_json(found)
    else:
        _print(found)


@group.command("raise")
def raise_(
    context: typer.Context,
    to: Annotated[float, typer.Option("--to", metavar="USD", help="The month's new hard cap.")],
    why: Why,
    by: By = None,
    data: Data = None,
) -> None:
    """Let this month cost more: the hard cap becomes USD, and the ceiling moves up with it by as much.

    It holds until the end of the month (UTC); then the caps of the settings are back. The last word counts, so one that
    was too much can be taken back. It must be more than what is spent already. Recorded with name and reason.
    """
    from listener.bus.hashchain import append
    from listener.clock import SystemClock
    from listener.ingest.budget import decision_of, in_force, spending_of, usd
    from listener.model.records import Decision, DecisionKind
    from listener.settings.prices import MAX_USD
    from listener.settings.schema import load_settings

    if not math.isfinite(to) or not 0 < to <= MAX_USD:
        raise UsageError(f"--to: an amount of US dollars up to {MAX_USD:,.0f}, such as 2500")
    settings = load_settings()
    now, who, said = SystemClock().now(), user(by), reason(why)
    with closing(open_live_topics(data or (context.parent.params.get("data") if context.parent else None))) as bus:
        own = _reported_caps(bus) or settings.x.budget
        spending = spending_of(bus, SOURCE)
        spent = _of_now(spending, now).month.usd if spending else 0.0
        if to < own.hard:
            raise Refused(f"the settings allow {usd(own.hard)} USD already; to allow less, set x.budget.hard")
        if to <= spent:
            raise Refused(f"{usd(spent)} USD are spent this month already; raise it to more than that")
        before = in_force(own, decision_of(bus, SOURCE), now)
        append(bus, "decisions", Decision(kind=DecisionKind.BUDGET, id=SOURCE, at=now, by=who, why=said, usd=to))
    after = own.raised(to)
    say(
        f"This month's hard cap is {usd(after.hard)} USD (it was {usd(before.hard)}), "
        f"the ceiling {usd(after.ceiling)}; {usd(spent)} are spent."
    )


def _look(bus: Bus) -> dict[str, Any]:
    from listener.clock import SystemClock
    from listener.ingest.budget import decision_of, in_force, per_hour, spending_of
    from listener.model.spending import Spending
    from listener.runtime.control import Control
    from listener.settings.prices import month_of
    from listener.settings.schema import load_settings

    now = SystemClock().now()
    reported = _reported_caps(bus)
    if reported is None:
        say("No running listener reports its caps: those of the settings here are shown.")
    kept = spending_of(bus, SOURCE)
    spending = _of_now(kept or Spending(source=SOURCE, at=now), now)
    decided = decision_of(bus, SOURCE)
    caps = in_force(reported or load_settings().x.budget, decided, now)
    raised = decided if decided is not None and month_of(decided.at) == month_of(now) else None
    return {
        "currency": "USD",
        "month": month_of(now),
        "counted_until": kept.at if kept else None,
        "today": spending.day.model_dump(),
        "this_month": spending.month.model_dump(),
        "incidents": [
            {"incident": incident.id, "name": incident.name, **_tally(spending, incident.id)}
            for incident in Control(bus).refresh().listening
            if not incident.synthetic
        ],
        "calls": dict(spending.calls),
        "per_hour": round(per_hour(spending, now), 4),
        "caps": _caps(spending, caps, now),
        "caps_of": "settings" if reported is None else "listener",
        "raised": {"to": raised.usd, "by": raised.by, "at": raised.at, "why": raised.why} if raised else None,
    }


def _reported_caps(bus: Bus) -> Budget | None:
    """The caps of the running listener: this shell's settings may be others, or none."""
    from pydantic import ValidationError

    from listener.clock import SystemClock
    from listener.runtime.control import Presences, source_states
    from listener.settings.prices import Budget

    state = source_states(Presences(bus, SystemClock()).refresh()).get(SOURCE, {})
    try:
        return Budget.model_validate(state["caps"])
    except (KeyError, ValidationError):
        return None


def _of_now(spending: Spending, now: datetime) -> Spending:
    """The account as a new day or month finds it, although nothing was read in it yet."""
    from listener.ingest.budget import Account
    from listener.settings.prices import DEFAULT

    account = Account(DEFAULT.prices, spending)
    account.roll(now, spending.incidents.keys())
    return account.spending


def _tally(spending: Spending, incident: str) -> dict[str, Any]:
    from listener.model.spending import Spent

    return spending.incidents.get(incident, Spent()).model_dump()


def _caps(spending: Spending, budget: Budget, now: datetime) -> list[dict[str, Any]]:
    from listener.ingest.budget import reached_at

    return [
        {
            "cap": cap.value,
            "usd": most,
            "reached": cap in budget.reached(spending.month.usd),
            "reached_at": reached_at(spending, most, now),
        }
        for cap, most in budget.caps().items()
    ]


def _print(found: dict[str, Any]) -> None:
    rows = [("SPENT", "POSTS", "USD")]
    rows += [(name, *_amount(found[key])) for name, key in (("today", "today"), (found["month"], "this_month"))]
    rows += [(incident["name"], *_amount(incident)) for incident in found["incidents"]]
    out_table(rows)
    out("")
    out_table([("CAP", "USD", "AT THIS RATE"), *((c["cap"], f"{c['usd']:.2f}", _when(c)) for c in found["caps"])])
    out("")
    out(f"{found['per_hour']:.2f} USD an hour now")
    if found["raised"]:
        out(f"raised by {found['raised']['by']}, {local(found['raised']['at'])}: {found['raised']['why']}")
    if found["counted_until"] is None:
        say("Nothing has been read from X yet.")


def _amount(tally: dict[str, Any]) -> tuple[str, str]:
    return str(tally["posts"]), f"{tally['usd']:.2f}"


def _when(cap: dict[str, Any]) -> str:
    if cap["reached"]:
        return "REACHED"
    return local(cap["reached_at"]) if cap["reached_at"] else "not this month"
