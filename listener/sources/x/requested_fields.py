"""Which fields and expansions X is asked for: all that `x_payload` reads, less those that X has refused.

X refuses a whole request for one name that it does not know any more, or that our plan lacks. What we can do without
is then left out of every later call, for as long as the process lives.

Source: X API v2, "Response codes and errors", and what its answers to unknown fields look like: `errors` with
`parameters`, a mapping of the parameter's name to what was given, and a `message` that names the value in brackets.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "tweet.fields": (
        "id", "text", "note_tweet", "created_at", "author_id", "lang", "entities", "referenced_tweets",
        "in_reply_to_user_id", "edit_history_tweet_ids", "geo", "public_metrics", "conversation_id",
    ),
    "user.fields": ("id", "username", "public_metrics", "verified_type"),
    "place.fields": ("id", "full_name"),
    "expansions": (
        "author_id", "in_reply_to_user_id", "referenced_tweets.id", "referenced_tweets.id.author_id",
        "entities.mentions.username", "geo.place_id",
    ),
}  # fmt: skip
"""By X's names of the parameters."""
NEEDED: Final[Mapping[str, frozenset[str]]] = {"tweet.fields": frozenset({"id", "text", "created_at"})}
"""Without these there is no post."""
MOST: Final = 20
"""Errors of one answer that are looked at."""
LONGEST: Final = 80
"""Characters of X's own title that are shown."""

_BRACKETS: Final = re.compile(r"\[([^\[\]]{0,400})\]")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,39}")


class Asked:
    """For all threads. `dropped` are those that X has refused, as `user.fields=verified_type`, in their order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._without: dict[str, None] = {}
        self.answered = False
        """X has answered a request that bore fields."""

    @property
    def dropped(self) -> tuple[str, ...]:
        return tuple(self._without)

    def now(self) -> dict[str, list[str]]:
        """As tweepy's methods take them: `user_fields=[…]`. A parameter of which nothing is left is left out."""
        left = {name: [v for v in values if f"{name}={v}" not in self._without] for name, values in FIELDS.items()}
        return {name.replace(".", "_"): values for name, values in left.items() if values}

    def drop(self, body: Any) -> tuple[str, ...]:
        """From an answer that refuses: what it names and we can do without is asked for no more. Those that are new."""
        named = [
            f"{name}={value}"
            for name, values in named_in(body).items()
            for value in values
            if value not in NEEDED.get(name, ())
        ]
        with self._lock:
            fresh = tuple(each for each in dict.fromkeys(named) if each not in self._without)
            self._without.update(dict.fromkeys(fresh))
        return fresh


def named_in(body: Any) -> dict[str, tuple[str, ...]]:
    """Parameter → those of its values that X's answer blames; all that we ask for, where it blames the whole."""
    found: dict[str, dict[str, None]] = {}
    for error in _errors(body):
        for name, given in _parameters(error):
            if name in FIELDS:
                found.setdefault(name, {}).update(dict.fromkeys(_blamed(name, given, error)))
    return {name: tuple(values) for name, values in found.items()}


def reason_of(body: Any) -> str | None:
    """X's own title of a refusal and the names of the parameters that it blames, cleaned and short; None without any.

    Nothing else of the answer is shown: what X repeats of a request may be anybody's words.
    """
    title = body.get("title") if isinstance(body, Mapping) else None
    shown = cleaned(title) if isinstance(title, str) else ""
    ours = named_in(body)
    names: dict[str, None] = {}
    for error in _errors(body):
        for name, _ in _parameters(error):
            if _NAME.fullmatch(name):
                few = ours.get(name, ())[:3]
                names[f"{name}={','.join(few)}" if few else name] = None
    names_shown = ", ".join(list(names)[:3])
    return f"{shown or 'no title'} ({names_shown})" if names_shown else shown or None


def cleaned(text: str, most: int = LONGEST) -> str:
    """X's words as they may stand in a log or on a terminal: one short line."""
    return "".join(c if c.isprintable() else " " for c in text[:most]).strip()


def _errors(body: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(body, Mapping):
        return
    errors = body.get("errors")
    for error in [body, *(errors[:MOST] if isinstance(errors, list) else ())]:
        if isinstance(error, Mapping):
            yield error


def _parameters(error: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str]]]:
    """Each parameter that an error names, with the values that it gives for it."""
    parameters = error.get("parameters")
    if isinstance(parameters, Mapping):
        for name, given in list(parameters.items())[:MOST]:
            yield str(name), _values(given)
    if isinstance(name := error.get("parameter"), str):
        yield name, _values(error.get("value"))


def _values(given: Any) -> tuple[str, ...]:
    """X gives a list of what was asked for, which may be one text of several names joined by commas."""
    texts = [each for each in (given if isinstance(given, list) else [given]) if isinstance(each, str)]
    return tuple(value.strip() for text in texts[:MOST] for value in text[:2000].split(","))


def _blamed(name: str, given: Sequence[str], error: Mapping[str, Any]) -> tuple[str, ...]:
    ours = FIELDS[name]
    message = error.get("message") or error.get("detail")
    first = _BRACKETS.search(message[:2000]) if isinstance(message, str) else None
    # The message names the one that is wrong first, and behind it all that would be right.
    said = {value.strip() for value in first[1].split(",")} if first else set()
    for blamed in (said, set(given)):
        some = tuple(value for value in ours if value in blamed)
        if some and len(some) < len(ours):
            return some
    return ours
