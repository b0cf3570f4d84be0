"""`lyttepost alerts ack|resolve|close|note|assign`: what a person says of an alert, each a decision kept for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from alerts.notify import words
from alerts.notify.answers import word_of
from alerts.notify.state import AlertBook, AlertState, Condition, read_book
from listener.clock import SystemClock
from listener.commands.shared import (
    By,
    Data,
    as_options,
    local,
    one_line,
    open_written_topics,
    say,
    say_masked,
    user,
)
from listener.errors import ConfigError, Refused
from listener.model.records import Decision, DecisionKind

if TYPE_CHECKING:
    from alerts.notify.recipients import People
    from alerts.notify.words import Named
    from listener.bus.protocol import Bus

Ids = Annotated[
    list[str], typer.Argument(metavar="ID|CODE…", help="Alerts, or a page's code: then all that the page named.")
]
Id = Annotated[str, typer.Argument(metavar="ID", help="An alert; the beginning of its id is enough.")]
Word = Annotated[str, typer.Option("--why", metavar="TEXT", help="A word for the record.")]
WHY = {"why": "--why"}
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
    with opened(context, data) as (bus, book), as_options():
        written = words.note(
            bus, book, id, text, by=user(by), now=_now(), named=named_in(text),
            refuse_quotes=lambda said, field: _refuse_quotes(bus, said, field, folder_of(context, data)),
            fields={"text": "--text"},
        )  # fmt: skip
    if written.masked:
        say_masked("--text", written.word.why)
    say(f"{written.word.id}: noted.")


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
    with opened(context, data) as (bus, book), as_options():
        state, written = words.assign(
            bus, book, id, key, by=user(by), now=_now(), named=named_in(why), why=why, fields=WHY
        )
        if written is None:
            raise Refused(f"{state.id} {_was(state, DecisionKind.ACKNOWLEDGE)}; {key} would not be paged")
    if written.masked:
        say_masked("--why", written.word.why)
    say(f"{state.id} is assigned to {key}, who is paged now; it stays open until somebody acknowledges it.")


def named_in(text: str) -> Named:
    """The accounts that keep their name in it. The settings are read for words alone: they take their time."""
    if not text.strip():
        return {}
    from listener.settings.schema import load_settings

    return load_settings().privacy.named_accounts.classes()


def _refuse_quotes(bus: Bus, text: str, field: str, data: str | None) -> None:
    """Of a note alone: an acknowledgement waits for nothing."""
    from alerts.commands.register_view import open_view
    from alerts.register.subjects import refuse_quotes
    from listener.settings.files import data_dir

    with open_view(bus, data_dir(data) / "register.sqlite") as view:
        refuse_quotes(view, text, field)


def people_known() -> People | None:
    """People.yaml as it is in force; None where it is wrong, which keeps nobody from saying a word."""
    from alerts.notify.recipients import load_people
    from listener.settings.files import config_dir

    with suppress(ConfigError):
        return load_people(config_dir() / "people.yaml")
    return None


def folder_of(context: typer.Context, data: str | None) -> str | None:
    return data or (context.parent.params.get("data") if context.parent else None)


@contextmanager
def opened(context: typer.Context, data: str | None) -> Iterator[tuple[Bus, AlertBook]]:
    """The bus and all alerts. `alerts --data DIR ack ID` means what `alerts ack ID --data DIR` means."""
    with closing(open_written_topics(folder_of(context, data))) as bus:
        yield bus, read_book(bus)


def _say(
    context: typer.Context, ids: Sequence[str], kind: DecisionKind, by: str | None, why: str, data: str | None
) -> None:
    with opened(context, data) as (bus, book), as_options():
        done = words.handle(bus, book, ids, kind, by=user(by), now=_now(), named=named_in(why), why=why, fields=WHY)
    if done.why.masked:
        say_masked("--why", done.why.text)
    for state in done.mine:
        word = word_of(state, kind)
        say(f"{state.id} {DONE[kind]}{_who(word)}")
    for state in done.before:
        say(f"{state.id} {_was(state, kind)}")
    if kind is DecisionKind.ACKNOWLEDGE and done.mine and (people := people_known()) and not people.key_of(user(by)):
        who = one_line(user(by))
        say(f"{who} is nobody in people.yaml: your colleagues hear this name all the same. --by takes a key or a name.")


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


def _now() -> datetime:
    return SystemClock().now()


COMMANDS = (ack, resolve, close, note, assign)
