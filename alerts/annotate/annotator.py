"""The annotate stage: a mention becomes one finding for each incident it belongs to, with kinds and story.

Pure: a record in, records out, the same for the same mention wherever it runs. The language is the platform's.

Nothing is remembered from one mention to the next. To keep what texts meant was tried: with one post in ten that says
word for word what another said, as in our recordings, it gains nothing, and it is one place more for a purge to reach.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from alerts.annotate.kinds import KindCues
from alerts.annotate.story import story
from listener.model.records import Captured, Finding, Mention

_OWN = Mention.model_fields.keys() - Captured.model_fields.keys()


@dataclass(frozen=True, slots=True)
class Annotator:
    """Cues, and the ids of the incidents that are exercises.

    A mention may belong to an exercise and to a real incident at once; each finding is marked by its own incident.
    Where `exercises` is not given, all findings of a mention bear the mark of the mention.
    """

    cues: KindCues
    exercises: Collection[str] | None = None

    def findings(self, mention: Mention) -> list[Finding]:
        """One finding an incident, in the order in which the mention names them."""
        shared: dict[str, Any] = {name: value for name, value in vars(mention).items() if name not in _OWN}
        shared["cues"] = self.cues.kinds(mention.text, author_class=mention.author_class)
        shared["story"] = story(mention.text, mention.repost_of)
        return [self._finding(shared, mention, incident) for incident in mention.incidents]

    def _finding(self, shared: dict[str, Any], mention: Mention, incident: str) -> Finding:
        exercise = mention.exercise if self.exercises is None else incident in self.exercises
        own = {"incident": incident, "tracks": mention.incidents[incident], "exercise": exercise}
        # The same checks as `Finding(**…)`, faster; pydantic's construction without any takes twice as long.
        return Finding.model_validate(shared | own)
