"""The register's rows as people have corrected them: the findings stay on the bus as they were understood."""

from __future__ import annotations

from collections.abc import Callable

from alerts.annotate.corrections import Corrections
from alerts.register.ranking import NONE_OF_THESE, Registered, Whose
from listener.model.records import Finding, Kind


class Corrected:
    """Gives each row with the kinds and themes that a person gave it, or a word-for-word copy of it.

    `finding`: what the bus has of a row. Only rows that say nearly what a corrected post says are looked up there.
    """

    def __init__(self, corrections: Corrections, finding: Callable[[Registered], Finding | None]) -> None:
        self._corrections = corrections
        self._finding = finding
        self._posts = {each.post for each in corrections.all()}
        self._stories = {each.story for each in corrections.all()}

    def __call__(self, row: Registered) -> Registered:
        if row.post not in self._posts and row.story not in self._stories:
            return row
        found = self._finding(row)
        correction = None if found is None else self._corrections.of(found)
        if correction is None:
            return row
        kinds, whose = " ".join(correction.kinds), row.whose
        if whose != Whose.OFFICIAL:
            whose = Whose.OFFICIAL_WORDS if Kind.MEDIA in correction.kinds else Whose.PUBLIC
        themes = row.themes
        if correction.themes is not None:
            themes = " ".join(correction.themes) or ("" if correction.kinds == (Kind.OTHER,) else NONE_OF_THESE)
        return row._replace(kinds=kinds, themes=themes, whose=whose)
