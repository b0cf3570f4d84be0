"""What people say of alerts, checked and written down: acknowledge, resolve, close, note, assign.

Each takes what was entered and raises UsageError for what is off. `book` is as the log stands: whoever keeps one reads
on first. `named` are the accounts that keep their name in a team's words, `fields` what whoever calls it calls the
parameters that a message may name. What is written is durable when it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from alerts.notify.answers import WordOutcome, say_of_all
from alerts.notify.state import AlertBook, AlertState, Handling
from listener.bus import hashchain
from listener.bus.protocol import Bus
from listener.errors import Refusal, UsageError
from listener.model.decisions import DECISIONS
from listener.model.entered import AS_THEY_ARE, Fields, field_of, is_silent
from listener.model.records import AuthorClass, Decision, DecisionKind
from listener.privacy.team_words import Written, team_words

Named = Mapping[str, AuthorClass]
"""The accounts that keep their name: `settings.privacy.named_accounts.classes()`."""


def handle(
    bus: Bus, book: AlertBook, ids: Sequence[str], kind: DecisionKind, *, by: str, now: datetime, named: Named,
    why: str = "", again: Callable[[], AlertBook] | None = None, fields: Fields = AS_THEY_ARE,
) -> WordOutcome:  # fmt: skip
    """Acknowledge, resolve or close all these. `ids` as in `meant`; `again` as in `say_of_all`."""
    found, reason = meant(book, ids), team_words(why, field_of(fields, "why"), named, now)
    return replace(say_of_all(bus, book, found, kind, by, reason.text, now, again), why=reason)


def note(
    bus: Bus, book: AlertBook, id_: str, text: str, *, by: str, now: datetime, named: Named,
    refuse_quotes: Callable[[str, str], None], fields: Fields = AS_THEY_ARE,
) -> Written[Decision]:  # fmt: skip
    """Something worth knowing about an alert, by the beginning of its id.

    `refuse_quotes` is handed words and their field, and raises UsageError where they quote a post
    (`alerts.register.subjects.refuse_quotes`).
    """
    state, field = book.find(id_), field_of(fields, "text")
    words = team_words(text, field, named, now)
    refuse_quotes(words.text, field)
    if is_silent(words.text):
        raise UsageError("says nothing", field, Refusal.SAYS_NOTHING)
    word = Decision(kind=DecisionKind.NOTE, id=state.id, at=now, by=by, why=words.text)
    return Written(hashchain.append(bus, DECISIONS.name, word), words.masked)


class Assigned(NamedTuple):
    """`written` is None where the alert was answered already, as `state` says: then nothing was written, for nobody
    would be paged."""

    state: AlertState
    written: Written[Decision] | None


def assign(
    bus: Bus, book: AlertBook, id_: str, to: str, *, by: str, now: datetime, named: Named, why: str = "",
    fields: Fields = AS_THEY_ARE,
) -> Assigned:  # fmt: skip
    """Ask a colleague to take an alert. `to`: a key of people.yaml (`alerts.duty.people.known_person`)."""
    state, reason = book.find(id_), team_words(why, field_of(fields, "why"), named, now)
    if state.handling is not Handling.OPEN:
        return Assigned(state, None)
    word = Decision(kind=DecisionKind.ASSIGN, id=state.id, at=now, by=by, why=reason.text, to=to)
    return Assigned(state, Written(hashchain.append(bus, DECISIONS.name, word), reason.masked))


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
                f"{word!r} is the code of a page about {named}, and the beginning of {begun[0]}; write the alerts' ids",
                refusal=Refusal.SEVERAL, text=word,
            )  # fmt: skip
        found |= dict.fromkeys(id_ for id_ in page.page.alerts if book.get(id_) is not None)
    return list(found)
