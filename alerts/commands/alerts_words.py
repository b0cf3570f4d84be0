"""`lyttepost alerts ack|resolve|close|note|assign`: what a person says of an alert, each a decision kept for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from alerts.notify.answers import say_of_all, word_of
from alerts.notify.state import AlertBook, AlertState, Condition, Handling, read_book
from listener.bus import hashchain
from listener.clock import SystemClock
from listener.commands.shared import (
    By,
    Data,
    as_options,
    local,
    one_line,
    open_live_topics,
    say,
    say_masked,
    storable,
    user,
)
from listener.errors import Refused, UsageError
from listener.model.codec import LONGEST_WHY
from listener.model.decisions import DECISIONS
from listener.model.records import Decision, DecisionKind

if TYPE_CHECKING:
    from listener.bus.protocol import Bus

Ids = Annotated[
    list[str], typer.Argument(metavar="ID|CODE…", help="Alerts, or a page's code: then all that the page named.")
]
Id = Annotated[str, typer.Argument(metavar="ID", help="An alert; the beginning of its id is enough.")]
Word = Annotated[str, typer.Option("--why", metavar="TEXT", help="A word for the record.")]
DONE = {
    DecisionKind.ACKNOWLEDGE: "is acknowledged",
    DecisionKind.RESOLVE: "is resolved",
    DecisionKind.CLOSE: "is closed",
}


def ack(context: typer.Context, ids: Ids, by: By = None, why: Word = "", data: Data = None) -> None:
    """Say "I have it": the alerts are not sent again. By a page's code exactly those that the page named."""
    _say(context, ids, DecisionKind.ACKNOWLEDGE, by, why, data)


def resolve(context: typer.Context, ids: Ids, by: By = None, why: Word = "", data: Data = None) -> None:
    """Say that it has passed, though the rule does not. It still waits for who acknowledges or closes it."""
    _say(context, ids, DecisionKind.RESOLVE, by, why, data)


def close(context: typer.Context, ids: Ids, by: By = None, why: Word = "", data: Data = None) -> None:
    """Be done with it, whatever its rule says: nobody is paged about it any more."""
    _say(context, ids, DecisionKind.CLOSE, by, why, data)


def note(
    context: typer.Context,
    id: Id,
    text: Annotated[str, typer.Option("--text", "--why", metavar="TEXT", help="What is worth knowing.")],
    by: By = None,
    data: Data = None,
) -> None:
    """Write down something about an alert. Whoever has it keeps it: `ack_timeout` counts from the last word."""
    with opened(context, data) as (bus, book):
        state, words = book.find(id), plain(text, "--text")
        _refuse_quotes(bus, words, folder_of(context, data))
        if not words:
            raise UsageError("--text: says nothing")
        _write(bus, Decision(kind=DecisionKind.NOTE, id=state.id, at=_now(), by=user(by), why=words))
    say(f"{state.id}: noted.")


def assign(
    context: typer.Context,
    id: Id,
    to: Annotated[str, typer.Option("--to", metavar="PERSON", help="A person of people.yaml.")],
    by: By = None,
    why: Word = "",
    data: Data = None,
) -> None:
    """Ask a colleague to take an alert: who is paged at once. Escalation goes on until somebody acknowledges.

    Exit codes: 2 no such alert or person, 3 it is answered already: nothing is written.
    """
    from alerts.commands.duty_book import open_book
    from alerts.duty.people import known_person

    key = known_person(open_book(None, data, online=False, decisions=False).people, to, "--to")
    with opened(context, data) as (bus, book):
        state, reason = book.find(id), plain(why, "--why")
        if state.handling is not Handling.OPEN:
            raise Refused(f"{state.id} {_was(state, DecisionKind.ACKNOWLEDGE)}; {key} would not be paged")
        _write(bus, Decision(kind=DecisionKind.ASSIGN, id=state.id, at=_now(), by=user(by), why=reason, to=key))
    say(f"{state.id} is assigned to {key}, who is paged now; it stays open until somebody acknowledges it.")


def meant(book: AlertBook, words: Sequence[str]) -> list[str]:
    """The ids that are named: by themselves, by their beginnings, or by the code of the page that named them.

    Raises UsageError for what is nothing, and for what might be several things.
    """
    found: dict[str, None] = {}
    for word in words:
        page = book.pages.by_code(word)
        if page is None or book.get(word) is not None:
            found[book.find(word).id] = None
            continue
        if begun := [state.id for state in book.all() if state.id.startswith(word)]:
            named = ", ".join(page.page.alerts)
            raise UsageError(
                f"{word!r} is the code of a page about {named}, and the beginning of {begun[0]}; write the alerts' ids"
            )
        found |= dict.fromkeys(id_ for id_ in page.page.alerts if book.get(id_) is not None)
    return list(found)


def plain(text: str, option: str) -> str:
    """A team's words as they may be kept for good: what masks posts masks numbers, addresses and account names."""
    if not text.strip():
        return storable(text, option, LONGEST_WHY)
    from listener.privacy.team_words import team_words
    from listener.settings.schema import load_settings

    with as_options():
        said = team_words(text, option, load_settings().privacy.named_accounts.classes(), _now())
    if said.masked:
        say_masked(option, said.text)
    return said.text


def _refuse_quotes(bus: Bus, words: str, data: str | None) -> None:
    """Of a note alone: an acknowledgement waits for nothing."""
    from alerts.commands.register_view import open_view
    from alerts.register.subjects import refuse_quotes
    from listener.settings.files import data_dir

    with open_view(bus, data_dir(data) / "register.sqlite") as view:
        refuse_quotes(view, words, "--text")


def folder_of(context: typer.Context, data: str | None) -> str | None:
    return data or (context.parent.params.get("data") if context.parent else None)


@contextmanager
def opened(context: typer.Context, data: str | None) -> Iterator[tuple[Bus, AlertBook]]:
    """The bus and all alerts. `alerts --data DIR ack ID` means what `alerts ack ID --data DIR` means."""
    with closing(open_live_topics(folder_of(context, data))) as bus:
        yield bus, read_book(bus)


def _say(
    context: typer.Context, ids: Sequence[str], kind: DecisionKind, by: str | None, why: str, data: str | None
) -> None:
    with opened(context, data) as (bus, book):
        named, reason = meant(book, ids), plain(why, "--why")
        done = say_of_all(bus, book, named, kind, user(by), reason, _now())
    for state in done.mine:
        word = word_of(state, kind)
        say(f"{state.id} {DONE[kind]}{_who(word)}")
    for state in done.before:
        say(f"{state.id} {_was(state, kind)}")


def _was(state: AlertState, kind: DecisionKind) -> str:
    """Who was first."""
    word = word_of(state, kind)
    if kind is not DecisionKind.RESOLVE:
        return f"was {state.handling} already{_who(word)}"
    if word is None and state.resolved_at is not None:
        return f"had passed already, {local(state.resolved_at)}"
    return f"was {Condition.RESOLVED} already{_who(word)}"


def _who(word: Decision | None) -> str:
    return f": {one_line(word.by)}, {local(word.at)}" if word is not None else ""


def _write(bus: Bus, word: Decision) -> None:
    hashchain.append(bus, DECISIONS.name, word)


def _now() -> datetime:
    return SystemClock().now()


COMMANDS = (ack, resolve, close, note, assign)
