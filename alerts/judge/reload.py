"""The rules in force, and the files they come from: who edits these is heard without a restart.

Every two seconds the files are looked at, by their times and sizes; no service of the operating system is asked, which
would be another one on a network share. What has changed is read once it has stood still from one look to the next,
so that a file that is being written is not taken for a bad one. It is checked before it counts: all files must be
rules, and each must do what its own examples say. Until then the old rules hold.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from alerts.judge.examples import judge_examples
from alerts.rules.load import load_rules
from alerts.rules.spec import RuleSpec
from listener.bus.hashchain import append
from listener.bus.protocol import Bus
from listener.bus.scan import scan
from listener.errors import ConfigError
from listener.model.decisions import DECISIONS
from listener.model.records import Decision, DecisionKind

LOOK_SECONDS = 2.0

Marks = Mapping[str, tuple[int, int, int]]
"""File → when it was changed, its size, which file it is."""


class Edit(NamedTuple):
    """What became of the files: the new rules, or why they are refused. `by`: who owns what was changed."""

    rules: tuple[RuleSpec, ...] | None
    problem: str | None
    by: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    """Rules that stood there at the start, edited or not while nothing was at work."""
    digest: str = ""

    @property
    def news(self) -> str:
        """What changed, by name; empty when no rule says anything else than before."""
        parts = {
            "found at the start": self.found,
            "added": self.added,
            "changed": self.changed,
            "removed": self.removed,
        }
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)


class Rulebook:
    """`rules` are those in force: replaced in one go by whoever obeys an edit, so that other threads may read them."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError: to begin with, rules must be good."""
        self.path = path
        # Before they are read: what is edited meanwhile is seen at the first look.
        self._read = self._seen = marks(path)
        self._next = float("-inf")
        self.rules = load_rules(path)

    def found(self) -> Edit:
        """What there was to begin with, as if it had just been edited."""
        names = tuple(rule.name for rule in self.rules)
        return Edit(self.rules, None, owners(self.path, {}, self._read), found=names, digest=digest_of(self.rules))

    def look(self, now: float) -> Edit | None:
        """`now`: monotonic seconds. What was edited, reported once; None most of the time. Does not apply it."""
        if now < self._next:
            return None
        self._next = now + LOOK_SECONDS
        before, self._seen = self._seen, marks(self.path)
        if self._seen == self._read or self._seen != before:
            return None
        by = owners(self.path, self._read, self._seen)
        self._read = self._seen
        try:
            rules = load_rules(self.path)
            problems = [problem for spec in rules for problem in judge_examples(spec)]
        except ConfigError as error:
            problems = [str(error)]
        except Exception as error:
            # Whatever the files do to us, the old rules hold.
            problems = [f"{self.path}: cannot be read: {type(error).__name__}"]
        return Edit(None, "\n".join(problems), by) if problems else _compared(self.rules, rules, by)


def _compared(old: Sequence[RuleSpec], new: tuple[RuleSpec, ...], by: str) -> Edit:
    before, after = ({spec.name: _said(spec) for spec in specs} for specs in (old, new))
    return Edit(
        rules=new,
        problem=None,
        by=by,
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(name for name in after if before.get(name, after[name]) != after[name]),
        digest=digest_of(new),
    )


def digest_of(rules: Iterable[RuleSpec]) -> str:
    """16 hex digits: what these rules say, however their files are written."""
    return hashlib.sha256("\n".join(sorted(map(_said, rules))).encode()).hexdigest()[:16]


def _said(spec: RuleSpec) -> str:
    return json.dumps(spec.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)


def marks(path: Path) -> Marks:
    """How the files stand. One that is not there, or not any more, has no mark."""
    try:
        files = sorted(p for p in path.iterdir() if p.suffix in (".yaml", ".yml")) if path.is_dir() else [path]
    except OSError:
        return {}
    out = {}
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        out[str(file)] = status.st_mtime_ns, status.st_size, status.st_ino
    return out


def owners(path: Path, before: Marks, after: Marks) -> str:
    """Who owns the files that were written, or the folder of those that are gone: as near as a file shows who."""
    written = [Path(file) for file, mark in after.items() if before.get(file) != mark]
    gone = [Path(file).parent for file in before if file not in after]
    return ", ".join(sorted({_owner(file) for file in written or gone or [path]}))


def _owner(file: Path) -> str:
    try:
        return file.owner()
    except KeyError:
        return f"uid {os.stat(file).st_uid}"
    except OSError:
        return "unknown"


def record_edit(bus: Bus, edit: Edit, at: datetime) -> None:
    """Write down who changed what; of several processes that read the same files the first does. Raises BusError."""
    last = _last(bus)
    if last is None or last.id != _id(edit):
        why = f"{edit.news} (files of {edit.by})"
        append(bus, "decisions", Decision(kind=DecisionKind.RULES_CHANGED, id=_id(edit), at=at, by=edit.by, why=why))


def _id(edit: Edit) -> str:
    return f"rules:{edit.digest}"


def _last(bus: Bus) -> Decision | None:
    """The newest word about rules."""
    found = None
    for decision in scan(bus, DECISIONS):
        if isinstance(decision, Decision) and decision.kind is DecisionKind.RULES_CHANGED:
            found = decision
    return found
