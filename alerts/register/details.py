"""Everything about one story, or about the questions that one theme has, as a person is shown it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from alerts.register.decisions import Said, Stands
from alerts.register.denials import Denial, DenialWords, denials
from alerts.register.ranking import Registered, RegisterRow, Whose, newest_of, rank_stories
from alerts.register.subjects import OpenRegister, Subject
from listener.model.decisions import Correction
from listener.units import from_ms

STEP_MS = 600_000
MOST_STEPS = 72
"""Ten minutes each: twelve hours are shown, the newest ones."""
MOST_READ = 200
"""Posts that are read for the words that led to a kind."""
MOST_NAMED = 10
"""Words of a kind."""


@dataclass(frozen=True)
class Details:
    """`row`: the story as the register ranks it, None of a theme. `rows`: the public's posts, or all where there are
    none of the public. `steps`: posts in each ten minutes, as (ms, posts). `words`: kind → those that led to it, the
    most frequent first."""

    subject: Subject
    row: RegisterRow | None
    rows: Sequence[Registered]
    steps: Sequence[tuple[int, int]]
    words: Mapping[str, Sequence[str]]
    stands: Stands
    corrections: Sequence[Correction]
    denials: Sequence[Denial]

    @property
    def posts(self) -> list[str]:
        """Their ids, in order of time."""
        return list(dict.fromkeys(row.post for row in self.rows))

    def as_json(self) -> dict[str, Any]:
        """What `lyttepost register show --json` prints."""
        row, stands, subject = self.row, self.stands, self.subject
        counted = {} if row is None else {k: v for k, v in asdict(row).items() if k not in ("sample", "trend", "kind")}
        return {
            **counted,
            "story": subject.story or None,
            "theme": subject.theme or None,
            "incidents": list(subject.incidents),
            "people": subject.people,
            "posts": subject.posts,
            "ids": self.posts,
            "per_ten_minutes": [{"at": from_ms(at), "posts": posts} for at, posts in self.steps],
            "words": {kind: list(words) for kind, words in self.words.items()},
            "status": stands.status.value,
            "answer": None if stands.answer is None else _as_json(stands.answer),
            "notes": [_as_json(note) for note in stands.notes],
            "history": [_as_json(word) for word in stands.said],
            "corrections": [_as_json(each) for each in self.corrections],
            "perhaps_denials": [
                {
                    "post": each.row.post,
                    "story": each.row.story,
                    "at": from_ms(each.row.at),
                    "official": each.row.whose == Whose.OFFICIAL,
                    "people": each.people,
                    "text": each.text,
                }
                for each in self.denials
            ],
        }


def details_of(register: OpenRegister, subject: Subject, deny: DenialWords | None = None) -> Details:
    """`deny`: by which words what may deny a story is found; without it nothing is looked for."""
    rows = [row for row in subject.rows if row.whose == Whose.PUBLIC] or list(subject.rows)
    ranked = rank_stories(rows, newest_of(rows), 1) if subject.story else []
    posts = {row.post for row in rows}
    perhaps: list[Denial] = []
    if subject.story and deny is not None:
        perhaps = denials(subject.rows, register.view.registered(), register.view.finding, deny)
    return Details(
        subject=subject,
        row=register.view.told(ranked[0]) if ranked else None,
        rows=rows,
        steps=_steps(rows),
        words=_words_behind(register, rows),
        stands=register.stands(subject),
        corrections=[each for each in register.decisions.corrections.all() if each.post in posts],
        denials=perhaps,
    )


def _as_json(word: Said | Correction) -> dict[str, Any]:
    return word.model_dump(mode="json", exclude={"v", "prev", "digest"}, exclude_none=True)


def _words_behind(register: OpenRegister, rows: Sequence[Registered]) -> Mapping[str, Sequence[str]]:
    """Kind → the words that led to it, the most frequent first."""
    counted: dict[str, dict[str, int]] = {}
    for row in sorted(rows, key=lambda row: (row.repost, row.at))[:MOST_READ]:
        found = register.view.finding(row)
        for cue in found.cues if found is not None else ():
            for word in cue.words:
                its = counted.setdefault(cue.kind.value, {})
                its[word] = its.get(word, 0) + 1
    return {kind: sorted(its, key=lambda word: (-its[word], word))[:MOST_NAMED] for kind, its in counted.items()}


def _steps(rows: Iterable[Registered]) -> list[tuple[int, int]]:
    """Posts in each ten minutes from the first to the last, as (ms, posts); none is left out between them."""
    counted: dict[int, set[str]] = {}
    for row in rows:
        counted.setdefault(row.at // STEP_MS, set()).add(row.post)
    if not counted:
        return []
    first, last = min(counted), max(counted)
    first = max(first, last - MOST_STEPS + 1)
    return [(step * STEP_MS, len(counted.get(step, ()))) for step in range(first, last + 1)]
