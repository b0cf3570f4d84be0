"""What a person entered, on a command line or elsewhere: text as it may be stored, a reason, a duration, an incident.

What is refused raises BadValue with the name of the field, as whoever asks calls it. Nothing here imports pydantic: a
mode switch is checked by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from listener.errors import BadValue, Refusal, Unfit, UsageError
from listener.model.codec import LONGEST_NAME, LONGEST_WHY
from listener.units import parse_duration

if TYPE_CHECKING:
    from listener.model.incidents import State

CENTURY = timedelta(days=36500)

Fields = Mapping[str, str]
"""Parameter of a function → what whoever calls it calls that field: an option, or a form's. One that is left out is
called as the parameter is."""
AS_THEY_ARE: Fields = MappingProxyType({})


def field_of(fields: Fields, parameter: str) -> str:
    return fields.get(parameter, parameter)


def storable(text: str, field: str, longest: int = LONGEST_NAME) -> str:
    """What a person wrote, without blanks around it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadValue("is no UTF-8 text", field, Refusal.NOT_TEXT) from None
    plain = text.strip()
    if len(plain) > longest:
        problem = f"is {len(plain):,} characters long; write at most {longest:,}"
        raise BadValue(problem, field, Refusal.TOO_LONG, length=len(plain), most=longest)
    return plain


def is_silent(text: str) -> bool:
    """Whether there is nothing in it that anybody sees."""
    return not any(letter.isprintable() and not letter.isspace() for letter in text)


def reason(why: str, field: str) -> str:
    """A reason that says something."""
    if is_silent(why):
        raise BadValue("say why; it is kept in the history", field, Refusal.NO_REASON)
    return storable(why, field, LONGEST_WHY)


def duration(text: str, field: str) -> timedelta:
    try:
        found = parse_duration(text)
    except Unfit as error:
        raise BadValue.of(error, field) from None
    except OverflowError:
        raise BadValue(f"{text!r} is longer than any time", field, Refusal.DURATION_TOO_LONG, text=text) from None
    if found > CENTURY:
        raise BadValue(f"{text!r} is longer than a century", field, Refusal.DURATION_TOO_LONG, text=text)
    return found


def require_known(incident: str, state: State, field: str) -> None:
    """Raises UsageError that names the incidents there are, the newest last."""
    if incident not in state.incidents:
        known = ", ".join(i.id + ("" if i.open else " (closed)") for i in state.incidents.values()) or "none"
        problem = f"no incident has the id {incident!r}; known: {known}"
        raise UsageError(problem, field, Refusal.NO_INCIDENT, incident=incident)
