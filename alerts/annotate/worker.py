"""The annotate stage: `mentions` in, `findings` out, one for each incident of a mention, with kinds and story.

It scales over partitions; an incident's findings meet again.

`Annotator` is pure: a record in, records out, the same for the same mention wherever it runs. `lang` is what the
platform says, `language` what the text was read as. Nothing is remembered from one mention to the next. To keep
what texts meant was tried: with one post in ten that says word for word what another said, as in our recordings, it
gains nothing, and it is one place more for a purge to reach.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from alerts.annotate.understanding import Understander
from listener.bus.messages import message, to_every_partition
from listener.bus.protocol import Bus, Message, Record, partition_of
from listener.clock import Clock
from listener.model.records import (
    FINDINGS,
    MENTIONS,
    Captured,
    Deletion,
    Finding,
    Gap,
    Kind,
    Mention,
    Origin,
    Tick,
    decode,
)
from listener.model.roles import ANNOTATE
from listener.runtime.control import Control
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics
from listener.runtime.stage import Stage
from listener.units import from_ms

_OWN = Mention.model_fields.keys() - Captured.model_fields.keys()


@dataclass(frozen=True, slots=True)
class Annotator:
    """What understands texts, and the ids of the incidents that are exercises.

    A mention may belong to an exercise and to a real incident at once; each finding is marked by its own incident.
    Where `exercises` is not given, all findings of a mention bear the mark of the mention.
    """

    understander: Understander
    exercises: Collection[str] | None = None

    def findings(self, mention: Mention) -> list[Finding]:
        """One finding an incident, in the order in which the mention names them."""
        shared: dict[str, Any] = {name: value for name, value in vars(mention).items() if name not in _OWN}
        found = self.understander.understand(
            mention.text, author_class=mention.author_class, repost_of=mention.repost_of
        )
        shared["cues"] = found.cues
        shared["themes"] = found.themes
        shared["theme_sure"] = found.theme_sure
        shared["stance"] = found.stance
        shared["language"] = found.lang
        shared["patient_exposed"] = found.patient_exposed
        shared["story"] = found.story
        return [self._finding(shared, mention, incident) for incident in mention.incidents]

    def _finding(self, shared: dict[str, Any], mention: Mention, incident: str) -> Finding:
        exercise = mention.exercise if self.exercises is None else incident in self.exercises
        own = {"incident": incident, "tracks": mention.incidents[incident], "exercise": exercise}
        # The same checks as `Finding(**…)`, faster; pydantic's construction without any takes twice as long.
        return Finding.model_validate(shared | own)


class Annotating:
    """The worker. Its group is `annotate`. `keep`: a mention that is older is dropped, and lives on in no finding."""

    name = ANNOTATE

    def __init__(
        self,
        bus: Bus,
        understander: Understander,
        *,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        keep: timedelta | None = None,
        member: str = "",
    ) -> None:
        self._partitions = bus.partitions("findings")
        self._clock = clock
        self._metrics = metrics
        self._keep = keep
        self._control = Control(bus)
        self._understander = understander
        self._annotator = Annotator(understander, set())
        self._epoch = -2
        self._kinds = {kind: metrics.findings.labels(kind) for kind in Kind}
        self._stage = Stage(
            self.name, bus, "mentions", self._handle, clock=clock, metrics=metrics, part=part, member=member
        )

    def step(self, timeout: float) -> bool:
        return self._stage.step(timeout)

    def close(self) -> None:
        self._stage.close()

    def _handle(self, record: Record) -> Iterable[Message]:
        if record.value is None:
            return []
        found = decode(MENTIONS, record.value)
        if isinstance(found, Mention):
            if self._keep is not None and self._clock.now() - from_ms(record.time_ms) > self._keep:
                self._metrics.posts_dropped.labels(found.source, "too_old").inc()
                return []
            return [self._message(finding) for finding in self._annotator_for(found).findings(found)]
        if isinstance(found, Deletion):
            return []  # alerts.deletions carries it out
        return self._forward(found, record.partition)

    def _annotator_for(self, mention: Mention) -> Annotator:
        """Knows of every incident the mention names which of them are exercises."""
        if any(incident not in self._control.state.incidents for incident in mention.incidents):
            self._control.refresh()
        state = self._control.state
        if state.epoch != self._epoch:
            self._annotator = Annotator(self._understander, {i.id for i in state.incidents.values() if i.exercise})
            self._epoch = state.epoch
        return self._annotator

    def _message(self, finding: Finding) -> Message:
        if not finding.synthetic:
            for kind in finding.kinds:
                self._kinds[kind].inc()
        if finding.origin is Origin.LIVE:
            delay = self._clock.now() - finding.captured_at
            self._metrics.pipeline_delay.observe(max(0.0, delay.total_seconds()))
        return message(FINDINGS, finding, partition_of(finding.incident, self._partitions))

    def _forward(self, found: Tick | Gap, partition: int) -> list[Message]:
        """To every partition, with the one it came through: the watermark is the least over all of them."""
        return to_every_partition(FINDINGS, found.model_copy(update={"partition": partition}), self._partitions)
