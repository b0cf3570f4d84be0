"""The annotate stage: a mention becomes one finding for each incident it belongs to, with kinds and story.

Pure: a record in, records out, the same for the same mention wherever it runs. The language is the platform's.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from alerts.kinds import KindCues
from alerts.story import story
from listener.records import AuthorClass, Captured, Cue, Finding, Mention

REMEMBERED = 2000
"""Texts whose meaning is kept at hand: in a crisis most reposts say, word for word, what was said minutes ago."""

_OWN = Mention.model_fields.keys() - Captured.model_fields.keys()


class Annotator:
    """Cues, and the ids of the incidents that are exercises.

    A mention may belong to an exercise and to a real incident at once; each finding is marked by its own incident.
    Where `exercises` is not given, all findings of a mention bear the mark of the mention.

    It remembers the last texts, so after a purge take a new one.
    """

    def __init__(self, cues: KindCues, exercises: Collection[str] | None = None) -> None:
        self._exercises = exercises

        @lru_cache(maxsize=REMEMBERED)
        def understand(text: str, author_class: AuthorClass, repost_of: str | None) -> tuple[tuple[Cue, ...], str]:
            return cues.kinds(text, author_class=author_class), story(text, repost_of)

        self._understand = understand

    def findings(self, mention: Mention) -> list[Finding]:
        """One finding an incident, in the order in which the mention names them."""
        cues, named = self._understand(mention.text, mention.author_class, mention.repost_of)
        found = vars(mention) | {"cues": cues, "story": named}
        for name in _OWN:
            del found[name]
        findings = []
        for incident, tracks in mention.incidents.items():
            found |= {"incident": incident, "tracks": tracks}
            if self._exercises is not None:
                found["exercise"] = incident in self._exercises
            # Not `Finding(**found)`, which takes twice the time for the same checks.
            findings.append(Finding.model_validate(found))
        return findings
