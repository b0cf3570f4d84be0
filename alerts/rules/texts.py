"""The headline of an alert: the rule's own words in each language, filled with numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from alerts.rules.fields import THEMES
from alerts.rules.keys import shown

if TYPE_CHECKING:
    from alerts.rules.spec import RuleSpec
    from alerts.rules.verdict import Verdict

_UNITS: Mapping[str, tuple[tuple[int, str, str], ...]] = {
    "nb": ((86400, "døgn", "døgn"), (3600, "time", "timer"), (60, "minutt", "minutter"), (1, "sekund", "sekunder")),
    "en": ((86400, "day", "days"), (3600, "hour", "hours"), (60, "minute", "minutes"), (1, "second", "seconds")),
}
_UNKNOWN = {"nb": "ukjent antall", "en": "an unknown number of"}


AT_LEAST = "at_least"
"""In a headline's braces: the word that there may be more, before a number that is not settled. Cards fill it in."""


class Counted:
    """A number in a headline: `{count}` is the number, `{count:person|people}` the number and the word that fits it.

    None, which is a number that nobody knows, is written as `unknown` and takes the word for many. `least`: there may
    be more.
    """

    def __init__(self, number: int | None, unknown: str = "?", *, least: bool = False) -> None:
        self._one = number == 1
        self._text = unknown if number is None else f"{{{AT_LEAST}}} {number}" if least else str(number)

    def __format__(self, words: str) -> str:
        one, _, many = words.partition("|")
        word = one if self._one else many
        return f"{self._text} {word}" if word else self._text


def headline(verdict: Verdict, spec: RuleSpec) -> dict[str, str]:
    """Language → headline; a language without a text of its own gets the rule's name and count.

    A key that is a theme stays `{key}`, and the theme of most posts `{theme}`: what it is called, the card knows. So
    does `{at_least}` before numbers that are not settled.
    """
    key = "{key}" if verdict.key and THEMES.issuperset(verdict.key_fields) else shown(verdict.key, verdict.key_fields)
    out, least = {}, verdict.settled is False
    for language in _UNITS:
        text = spec.texts.get(language, f"{spec.name}: {{count}}")  # type: ignore[call-overload]
        out[language] = text.format(
            count=Counted(verdict.count, least=least),
            authors=Counted(verdict.authors, _UNKNOWN[language], least=least),
            posts=Counted(verdict.posts, least=least),
            timeframe=spell(spec.window or timedelta(), language),
            key=key,
            theme="{theme}",
        )
    return out


def spell(length: timedelta, language: str) -> str:
    """A length of time in words, in the largest unit that holds it whole: 5400 s → `90 minutter`."""
    seconds = round(length.total_seconds())
    for size, one, many in _UNITS[language]:
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {one if seconds == size else many}"
    return f"0 {_UNITS[language][-1][2]}"
