"""Silences: a person's word that some alerts page nobody for a while. They stay listed, and are told at its end.

A critical alert is silenced only by a matcher that names it: by its rule, its id, or by saying `severity: critical`.
A synthetic alert, which proves that all works, never is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.duty.policy import fits
from listener.model.decisions import Silence
from listener.model.records import Decision, Severity

NOTICE_BEFORE = timedelta(minutes=15)
"""Its owner hears that it ends so long before, at most a quarter of its length."""

_NAMING = ("rule", "alert")


@dataclass(frozen=True)
class SilenceState:
    """A silence; `end` is earlier than the record's where a person ended it, by the word `ended`."""

    silence: Silence
    end: datetime
    ended: Decision | None = None

    @property
    def id(self) -> str:
        return self.silence.id

    @property
    def start(self) -> datetime:
        """Not before it was said: what happened until then stays as it was."""
        return max(self.silence.start, self.silence.at)

    @property
    def notice_at(self) -> datetime:
        return self.end - min(NOTICE_BEFORE, (self.end - self.start) / 4)

    def at(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def holds(self, fields: Mapping[str, str]) -> bool:
        """Whether it is about an alert with these fields, `alert` (its id), `rule` and `severity` among them."""
        match = self.silence.match
        critical = fields.get("severity") == Severity.CRITICAL.value
        named = any(name in match for name in _NAMING) or match.get("severity") == Severity.CRITICAL.value
        return bool(match) and (named or not critical) and fits(match, fields)

    def prolongs(self, other: SilenceState) -> bool:
        """Whether this one goes on to hold all that the other holds, when that ends."""
        its = other.silence.match
        critical = {**its, "severity": Severity.CRITICAL.value}
        wider = self.silence.match.items() <= its.items() and (self.holds(critical) or not other.holds(critical))
        return self.id != other.id and wider and self.start <= other.end < self.end


class Silences:
    """All silences that the log holds."""

    def __init__(self) -> None:
        self._known: dict[str, SilenceState] = {}
        self._ended: dict[str, Decision] = {}

    def take(self, silence: Silence) -> None:
        """A second record of a known id changes nothing."""
        if silence.id not in self._known:
            self._known[silence.id] = SilenceState(silence, max(silence.end, silence.start, silence.at))
            if silence.id in self._ended:
                self.end(self._ended.pop(silence.id))

    def end(self, word: Decision) -> None:
        state = self._known.get(word.id)
        if state is None:
            self._ended.setdefault(word.id, word)
        elif word.at < state.end:
            self._known[word.id] = replace(state, end=max(word.at, state.start), ended=word)

    def get(self, id_: str) -> SilenceState | None:
        return self._known.get(id_)

    def ending(self, owner: str, key_of: Callable[[str], str | None], at: datetime) -> SilenceState:
        """The silence of this person that ends next. Raises LookupError when there is none."""
        its = [s for s in self._known.values() if owner in (s.silence.by, key_of(s.silence.by)) and s.end > at]
        if not its:
            raise LookupError(owner)
        return min(its, key=lambda state: state.end)

    def all(self) -> Iterator[SilenceState]:
        return iter(self._known.values())

    def about(self, fields: Mapping[str, str]) -> list[SilenceState]:
        return [state for state in self._known.values() if state.holds(fields)]
