"""The register's rows as people have corrected them: the findings stay on the bus as they were understood."""

from __future__ import annotations

from collections.abc import Callable

from alerts.register.decisions import Decisions
from alerts.register.ranking import Registered, Whose
from listener.model.records import Finding, Kind


class Corrected:
    """Gives each row with the kinds and themes that a person gave it, or a word-for-word copy of it.

    `finding`: what the bus has of a row. Only rows that say nearly what a corrected post says are looked up there.
    """

    def __init__(self, decisions: Decisions, finding: Callable[[Registered], Finding | None]) -> None:
        self._decisions = decisions
        self._finding = finding
        self._posts = {each.post for each in decisions.corrections}
        self._stories = {each.story for each in decisions.corrections}

    def __call__(self, row: Registered) -> Registered:
        if row.post not in self._posts and row.story not in self._stories:
            return row
        found = self._finding(row)
        correction = None if found is None else self._decisions.correction(versions(found), found.text)
        if correction is None:
            return row
        kinds, whose = " ".join(correction.kinds), row.whose
        if whose != Whose.OFFICIAL:
            whose = Whose.OFFICIAL_WORDS if Kind.MEDIA in correction.kinds else Whose.PUBLIC
        themes = row.themes if correction.themes is None else " ".join(correction.themes)
        return row._replace(kinds=kinds, themes=themes, whose=whose)


def versions(post: Finding) -> tuple[str, ...]:
    """A post and what it was before each edit, as `source:id`."""
    return (post.post_key, *(f"{post.source}:{each}" for each in post.edits))
