"""Our filter rules at X: put there, checked and corrected, in a thread of its own.

A switch is never delayed by X, so `want` returns at once; the outcome is reported through `report`. Rules are added
before others are deleted. X may refuse a rule for one of its tracks: it is then cut in half, and again, until the
refused track stands alone and all others are in force. Every so often it is looked whether our rules are still there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from listener.clock import Clock
from listener.sources.x.backoff import Backoff, Schedule
from listener.sources.x.client import DENIED, Api, Trouble, XError
from listener.sources.x.filter_rules import TAG, Changes, Rule, RuleAtX, compile_rules, reconcile
from listener.sources.x.requested_fields import cleaned

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 300.0
BATCH_SIZE: Final = 100
"""Rules in one call."""

ONLY_NAMED: Final = "this X plan has no places: found only where the text names it"


@dataclass(frozen=True)
class Wanted:
    """`version` grows with each change, so that an answer to an earlier one can be recognised."""

    version: int
    tracks: tuple[str, ...]
    reposts: bool = True


@dataclass(frozen=True)
class Confirmed:
    """X has these rules in force. `added`: some were not there before. `missing`: some had gone unasked, since
    `checked` at the earliest."""

    version: int
    at: datetime
    rules: tuple[Rule, ...]
    refused: Mapping[str, str]
    approximate: Mapping[str, str]
    added: bool = False
    missing: bool = False
    checked: datetime | None = None

    def gone_since(self, checked: datetime | None, *, first: bool) -> datetime | None:
        """When ours were last there, if X had lost some: lately, or (`first`) while nobody ran after `checked`."""
        if first and self.added:
            return checked
        return self.checked if self.missing else None


@dataclass(frozen=True)
class Failed:
    """X could not be asked, or refused, and is asked again. `why`: its own reason."""

    version: int
    trouble: Trouble
    why: str | None = None


RuleResult = Confirmed | Failed


class RuleSync:
    """`report` is called from a thread of its own."""

    def __init__(
        self, api: Api, clock: Clock, chance: Callable[[], float], report: Callable[[RuleResult], None]
    ) -> None:
        self._api = api
        self._clock = clock
        self._chance = chance
        self._report = report
        self._lock = threading.Lock()
        self._wanted: Wanted | None = None
        self._asked = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._denied = False

    def want(self, wanted: Wanted) -> None:
        """These rules, as soon as X answers."""
        with self._lock:
            self._wanted = wanted
        self._asked.set()
        if self._thread is None or not self._thread.is_alive():
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name="x-rules", daemon=True)
            self._thread.start()

    def check(self) -> None:
        """Look now whether our rules are there. Not while X does not let us in: it is asked again in its time."""
        if not self._denied:
            self._asked.set()

    def retry(self) -> None:
        """Ask at once: what was in the way may be gone."""
        self._asked.set()

    def stop(self) -> None:
        self._stop.set()
        self._asked.set()
        self._thread = None

    def _run(self, stop: threading.Event) -> None:
        backoff = Backoff(self._chance)
        done: Confirmed | None = None
        wait = 0.0
        while not stop.is_set():
            if wait:
                self._clock.wait(wait, self._asked)
            if stop.is_set():
                return
            self._asked.clear()
            with self._lock:
                wanted = self._wanted
            if wanted is None:
                return
            try:
                done = SyncRound(self._api, wanted, self._clock).put_in_force(done)
            except XError as error:
                self._denied = error.trouble in DENIED
                self._deliver(stop, Failed(wanted.version, error.trouble, error.why))
                limited = error.trouble in (Trouble.RATE_LIMITED, Trouble.CAPPED)
                until = None if error.reset is None else error.reset - self._clock.now().timestamp()
                schedule = Schedule.LIMITED if limited else Schedule.HTTP
                wait = backoff.ended(schedule, until=until)
                log.warning("x: rules: %s; asked again in %.0f s", error, wait)
                continue
            except Exception as error:
                # An answer that we cannot read leaves X as deaf as one that refuses: both must be seen from outside.
                self._denied = False
                self._deliver(stop, Failed(wanted.version, Trouble.REFUSED, type(error).__name__))
                wait = backoff.ended(Schedule.HTTP)
                log.error("x: rules: %s; asked again in %.0f s", type(error).__name__, wait)
                continue
            self._denied = False
            backoff = Backoff(self._chance)
            wait = CHECK_SECONDS
            self._deliver(stop, done)

    def _deliver(self, stop: threading.Event, result: RuleResult) -> None:
        if not stop.is_set():
            self._report(result)


class SyncRound:
    """One round: look, add, delete."""

    def __init__(self, api: Api, wanted: Wanted, clock: Clock) -> None:
        self._api = api
        self._wanted = wanted
        self._clock = clock
        self._refused: dict[str, str] = {}
        self._approximate: dict[str, str] = {}

    def put_in_force(self, before: Confirmed | None = None) -> Confirmed:
        """Until ours at X are as wanted. Raises XError. `before`: what was in force when last looked."""
        began = self._clock.now()
        at_x = self._api.rules()
        known = before if before is not None and before.version == self._wanted.version else None
        missing = before is not None and bool(reconcile(before.rules, at_x).add)
        compiled = compile_rules(self._wanted.tracks, reposts=self._wanted.reposts)
        self._refused = dict(compiled.refused)
        if known is not None:
            # Refused tracks stay refused until the tracks change: asking again would cut all rules apart again.
            changes = reconcile(known.rules, at_x)
            if not changes:
                return Confirmed(known.version, known.at, known.rules, known.refused, known.approximate, checked=began)
            self._refused, self._approximate = dict(known.refused), dict(known.approximate)
        else:
            self._approximate = dict(compiled.approximate)
            changes = reconcile(compiled.rules, at_x)
        in_force = {rule.value for rule in changes.keep}
        rules = [rule for rule in (known.rules if known else compiled.rules) if rule.value in in_force]
        try:
            rules += self._add(changes.add)
            self._delete(changes)
        except XError as error:
            if error.trouble is not Trouble.REFUSED or not changes.delete:
                raise
            # Most likely X takes no more rules while the old ones are there. Better unheard for a second than for good.
            self._delete(changes)
            rules += self._add(changes.add)
        return Confirmed(
            self._wanted.version,
            self._clock.now(),
            tuple(rules),
            self._refused,
            {track: how for track, how in self._approximate.items() if track not in self._refused},
            added=bool(changes.add),
            missing=missing,
            checked=before.checked or before.at if before is not None else None,
        )

    def _add(self, rules: Sequence[Rule]) -> list[Rule]:
        """The rules that are in force afterwards. One refused is cut in two, until its bad track is alone."""
        out: list[Rule] = []
        ask = list(rules)
        while ask:
            now, ask = ask[:BATCH_SIZE], ask[BATCH_SIZE:]
            answer = self._api.add_rules(now)
            made = {str(raw.get("value")) for raw in _dicts(answer.get("data"))}
            errors = {str(raw.get("value")): raw for raw in _dicts(answer.get("errors"))}
            for rule in now:
                error = errors.get(rule.value)
                if rule.value in made or (error is not None and error.get("title") == "DuplicateRule"):
                    # A duplicate is in force under somebody else's tag: its posts come to us as well.
                    out.append(rule)
                elif error is None:
                    raise XError(Trouble.SERVER)
                elif len(rule.tracks) > 1:
                    ask += self._halves(rule)
                elif rule.value.startswith("place:"):
                    self._approximate.update(dict.fromkeys(rule.tracks, ONLY_NAMED))
                else:
                    self._refused.update(dict.fromkeys(rule.tracks, why(error)))
        return out

    def _halves(self, rule: Rule) -> Iterator[Rule]:
        middle = len(rule.tracks) // 2
        for half in (rule.tracks[:middle], rule.tracks[middle:]):
            for smaller in compile_rules(half, reposts=self._wanted.reposts).rules:
                if not smaller.value.startswith("place:") or rule.value.startswith("place:"):
                    yield smaller

    def _delete(self, changes: Changes) -> None:
        for start in range(0, len(changes.delete), BATCH_SIZE):
            some: Sequence[RuleAtX] = changes.delete[start : start + BATCH_SIZE]
            self._api.delete_rules(some)


def why(error: Mapping[str, Any]) -> str:
    """X's reason for refusing a rule. It speaks of our rule and of nobody's post."""
    details = error.get("details")
    if isinstance(details, list) and details:
        return cleaned("; ".join(str(detail) for detail in details[:2]), 200)
    return cleaned(str(error.get("detail") or error.get("title") or "refused"), 200)


def check_rules(api: Api, tracks: Iterable[str], *, reposts: bool = True) -> dict[str, str | None]:
    """Ask X, by a dry run that changes nothing: track → None, or why it is refused. Raises XError."""
    compiled = {track: compile_rules([track], reposts=reposts) for track in tracks}
    out: dict[str, str | None] = {}
    for track, its in compiled.items():
        out[track] = its.refused.get(track)
        if out[track] is None:
            answer = api.add_rules([Rule(rule.value, rule.tracks) for rule in its.rules], dry_run=True)
            errors = [raw for raw in _dicts(answer.get("errors")) if raw.get("title") != "DuplicateRule"]
            out[track] = why(errors[0]) if errors else None
    return out


def _dicts(raw: Any) -> list[dict[str, Any]]:
    return [item for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []


__all__ = ["TAG", "Confirmed", "Failed", "RuleResult", "RuleSync", "SyncRound", "Wanted", "check_rules"]
