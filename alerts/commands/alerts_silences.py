"""`lyttepost alerts silence|silences|unsilence`: what pages nobody for a while, by whose word, and until when."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from alerts.commands.alerts_words import opened, plain
from alerts.commands.duty_book import instant
from alerts.duty.policy import fits
from alerts.notify.held import fields_of
from alerts.notify.silences import Silences, SilenceState
from alerts.notify.state import AlertBook
from listener.bus import hashchain
from listener.clock import SystemClock
from listener.commands.shared import By, Data, Json, Why, duration, local, one_line, out, out_json, out_table, say, user
from listener.errors import Refused, UsageError
from listener.model.decisions import DECISIONS, Silence
from listener.model.records import Decision, DecisionKind, Severity
from listener.units import format_instant

LONGEST = timedelta(days=7)
ALWAYS = ("alert", "rule", "severity", "incident", "key")
"""Fields that every alert has."""


def silence(
    context: typer.Context,
    why: Why,
    match: Annotated[
        list[str] | None,
        typer.Option(
            "--match",
            metavar="FIELD=VALUE",
            help=f"Such as rule=volume; fields: {', '.join(ALWAYS)}, or a rule's own. Several must all fit.",
        ),
    ] = None,
    length: Annotated[str, typer.Option("--for", metavar="DURATION", help="Such as 1h; at most 7 days.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Or when it ends, as 2026-12-24T08:00.")] = "",
    by: By = None,
    data: Data = None,
) -> None:
    """Let some alerts page nobody for a while. They stay listed; at the end what is still open is paged at once.

    Prints the silence's id. What is critical is held back only where --match names its rule or id, or says
    severity=critical. Exit codes: 2 an option is wrong, 3 the end is past: nothing is written.
    """  # fmt: skip
    fields, now = _matcher(match or []), SystemClock().now()
    end = _end(length, until, now)
    with opened(context, data) as (bus, book):
        if "alert" in fields:
            fields = fields | {"alert": book.find(fields["alert"]).id}
        who = user(by)
        said = Silence(
            id=_fresh(book.silences), at=now, by=who, why=plain(why, "--why"), match=fields, start=now, end=end
        )
        hashchain.append(bus, DECISIONS.name, said)
    out(said.id)
    say(f"{_shown(fields)} pages nobody until {local(end)}. `lyttepost alerts unsilence {said.id} --why …` ends it.")
    _warn(book, SilenceState(said, end), who)


def silences(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """List the silences that hold anything back now, or will."""
    now = SystemClock().now()
    with opened(context, data) as (_, book):
        found = [state for state in book.silences.all() if everything or state.end > now]
    if json or (context.parent and context.parent.params.get("json")):
        out_json([_json(book, state, now) for state in found])
    elif not found:
        say("No alert is silenced." if not everything else "There are no silences.")
    else:
        rows = [("ID", "FROM", "UNTIL", "BY", "HOLDS", "MATCH", "WHY")]
        for state in found:
            its, holds = state.silence, len(_holds(book, state)) if state.at(now) else 0
            ended = f" (ended by {one_line(state.ended.by)})" if state.ended else ""
            rows.append(
                (state.id, local(state.start), local(state.end) + ended, one_line(its.by), str(holds),
                 _shown(its.match), one_line(its.why))
            )  # fmt: skip
        out_table(rows)


def unsilence(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="A silence; the beginning of its id is enough.")],
    why: Why,
    by: By = None,
    data: Data = None,
) -> None:
    """End a silence now: what it held back and is still open is paged at once."""
    now = SystemClock().now()
    with opened(context, data) as (bus, book):
        state = _find(book.silences, id)
        if state.end <= now:
            who = f" by {one_line(state.ended.by)}" if state.ended else ""
            say(f"{state.id} was ended already{who}, {local(state.end)}")
            return
        held = _holds(book, state)
        word = Decision(kind=DecisionKind.UNSILENCE, id=state.id, at=now, by=user(by), why=plain(why, "--why"))
        hashchain.append(bus, DECISIONS.name, word)
    say(f"{state.id} is ended; {len(held)} open alerts were held back by it.")


def _matcher(words: Sequence[str]) -> dict[str, str]:
    """Raises UsageError for none, and for one that could never fit."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not (name and equals and value):
            raise UsageError(f"--match: {word!r} is no matcher; write one like rule=volume")
        if found.setdefault(name, value) != value:
            raise UsageError(f"--match: {name} cannot be {found[name]!r} and {value!r}; make two silences")
    if not found:
        raise UsageError("--match: name at least one field, such as --match rule=volume: else it would hold back all")
    if found.get("severity", Severity.INFO) not in set(Severity):
        raise UsageError(f"--match: severity is one of {', '.join(Severity)}")
    return found


def _end(length: str, until: str, now: datetime) -> datetime:
    if bool(length) == bool(until):
        raise UsageError("say how long: either --for 1h or --until TIME")
    end = now + duration(length, "--for") if length else instant(until, "--until")
    if end <= now:
        raise Refused(f"that time is over since {local(end)}; nothing was written")
    if end - now > LONGEST:
        raise UsageError("a silence lasts 7 days at most; what is never wanted belongs out of the rules")
    return end


def _warn(book: AlertBook, state: SilenceState, who: str) -> None:
    """What it does not do, where somebody might think that it does."""
    match, opens = state.silence.match, book.open()
    if not state.holds({**match, "severity": Severity.CRITICAL.value}) and "severity" not in match:
        loud = [s.id for s in opens if fits(match, fields_of(s)) and not state.holds(fields_of(s))]
        say(
            "What is critical is paged all the same, for it does not name the rule or alert, nor severity=critical"
            + (f": {', '.join(loud)}." if loud else ".")
        )
    known = {name for s in book.all() for name in fields_of(s)} | set(ALWAYS)
    if unknown := [name for name in match if name not in known]:
        say(f"No alert so far has a field {', '.join(map(repr, unknown))}: is it spelled right?")
    held = _holds(book, state)
    say(f"It holds back {len(held)} open alerts now" + (f": {', '.join(held)}." if held else ", and what is to come."))


def _holds(book: AlertBook, state: SilenceState) -> list[str]:
    """The open alerts that it holds back; never a canary."""
    return [s.id for s in book.open() if not s.alert.synthetic and state.holds(fields_of(s))]


def _find(known: Silences, prefix: str) -> SilenceState:
    found = [s for s in known.all() if prefix and s.id.startswith(prefix)]
    exact = known.get(prefix)
    if exact is None and len(found) != 1:
        what = "fits several silences; write more of the id" if found else "begins no silence's id"
        raise UsageError(f"{prefix!r} {what}; `lyttepost alerts silences` lists them")
    return exact or found[0]


def _fresh(known: Silences) -> str:
    """Short enough to type, and never given out before."""
    while known.get(id_ := secrets.token_hex(4)) is not None:
        pass
    return id_


def _shown(match: Mapping[str, str]) -> str:
    return one_line(", ".join(f"{name}={value}" for name, value in match.items()))


def _json(book: AlertBook, state: SilenceState, now: datetime) -> dict[str, Any]:
    its = state.silence
    return {
        "id": state.id,
        "from": format_instant(state.start),
        "until": format_instant(state.end),
        "by": its.by,
        "why": its.why,
        "match": dict(its.match),
        "active": state.at(now),
        "holds": _holds(book, state) if state.at(now) else [],
        "ended_by": state.ended.by if state.ended else None,
        "ended_why": state.ended.why if state.ended else None,
    }


COMMANDS = (silence, silences, unsilence)
