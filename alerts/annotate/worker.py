"""The annotate stage: `mentions` in, `findings` out, one for each incident of a mention, with kinds and story.

It scales over partitions; an incident's findings meet again.

`Annotator` is pure: a record in, records out, the same for the same mention wherever it runs and whatever came before.
Nothing is remembered but what people have corrected (`alerts.annotate.corrections`). `lang` is what the platform says,
`language` what the text was read as. To keep what texts meant was tried: with one post in ten that says word for word
what another said, as in our recordings, it gains nothing, and it is one place more for a purge to reach.

Near copies are not compared here, as the register and `register annotate` do (`alerts.annotate.stories`): that
takes a memory, and what a story is called would depend on what an annotator happened to read first. It was tried: with
several annotators, and after a kill, alerts of one and the same recording had other stories.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from alerts.annotate.corrections import Corrections
from alerts.annotate.learned import Model
from alerts.annotate.story import NAMED_REPOST
from alerts.annotate.understanding import Understander
from listener.bus.messages import message, to_every_partition
from listener.bus.protocol import Bus, Message, Record, partition_of
from listener.bus.scan import drain
from listener.clock import Clock
from listener.model.decisions import DECISIONS
from listener.model.records import (
    FINDINGS,
    MENTIONS,
    AuthorClass,
    BadRecord,
    Captured,
    Cue,
    Deletion,
    Finding,
    Gap,
    Kind,
    Mention,
    MentionsRecord,
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

EXPIRED = "expired"
"""Of a mention that was on the bus, and is older than it may be."""
LOOK_SECONDS = 1.0
"""So often corrections are looked for."""

NO_THEME = "none"
_OWN = Mention.model_fields.keys() - Captured.model_fields.keys()


@dataclass(frozen=True, slots=True)
class Annotator:
    """What understands texts, the ids of the incidents that are exercises, and what people have corrected.

    A mention may belong to an exercise and to a real incident at once; each finding is marked by its own incident.
    Where `exercises` is not given, all findings of a mention bear the mark of the mention. What a person has corrected
    stands before what is understood, and bears no words: nothing but a person led to it.
    """

    understander: Understander
    exercises: Collection[str] | None = None
    corrections: Corrections = field(default_factory=Corrections)

    def findings(self, mention: Mention) -> list[Finding]:
        """One finding an incident, in the order in which the mention names them."""
        shared: dict[str, Any] = {name: value for name, value in vars(mention).items() if name not in _OWN}
        shared |= self.understood(mention)
        return [self._finding(shared, mention, incident) for incident in mention.incidents]

    def read_ahead(self, mentions: Iterable[Mention]) -> None:
        """The texts of up to a thousand mentions, before findings are made of them: all at once takes half the time."""
        self.understander.read_ahead((mention.text, _said_by(mention)) for mention in mentions)

    def understood(self, post: Captured) -> dict[str, Any]:
        """What its text means, as fields of a finding."""
        found = self.understander.understand(post.text, author_class=_said_by(post), repost_of=post.repost_of)
        shared: dict[str, Any] = {
            "cues": found.cues,
            "themes": found.themes,
            "theme_sure": found.theme_sure,
            "stance": found.stance,
            "language": found.lang,
            "patient_exposed": found.patient_exposed,
            "story": found.story,
        }
        correction = self.corrections.of(post)
        if correction is not None:
            shared["cues"] = tuple(Cue(kind=kind) for kind in correction.kinds)
            if correction.themes is not None:
                shared |= {"themes": correction.themes, "theme_sure": True}
        return shared

    def _finding(self, shared: dict[str, Any], mention: Mention, incident: str) -> Finding:
        exercise = mention.exercise if self.exercises is None else incident in self.exercises
        own = {"incident": incident, "tracks": mention.incidents[incident], "exercise": exercise}
        # The same checks as `Finding(**…)`, faster; pydantic's construction without any takes twice as long.
        return Finding.model_validate(shared | own)


def _said_by(post: Captured) -> AuthorClass:
    """Whose words they are. Whoever passes on what a newsroom or a public body said has said nothing else; only such
    keep their name."""
    return AuthorClass.MEDIA if NAMED_REPOST.match(post.text) else post.author_class


class Annotating:
    """The worker. Its group is `annotate`. `keep`: of a source, how long what was captured from it may lie; a
    mention that is older is dropped, and lives on in no finding."""

    name = ANNOTATE

    def __init__(
        self,
        bus: Bus,
        model: Model,
        *,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        keep: Callable[[str], timedelta] | None = None,
        member: str = "",
    ) -> None:
        self._partitions = bus.partitions("findings")
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._keep = keep
        self._control = Control(bus)
        self._model = model
        self._corrections = Corrections()
        self._decisions = bus.reader([DECISIONS.name])
        self._looked = float("-inf")
        self._annotator = Annotator(model.understander, set(), self._corrections)
        self._epoch = -2
        self._kinds = {kind: metrics.findings.labels(kind) for kind in Kind}
        self._read: dict[tuple[int, int], MentionsRecord] = {}
        """Partition and offset → a record that was looked at, and not yet handled."""
        self._stage = Stage(
            self.name,
            bus,
            "mentions",
            self._handle,
            clock=clock,
            metrics=metrics,
            part=part,
            look=self._look_ahead,
            member=member,
        )

    def step(self, timeout: float) -> bool:
        self._look()
        return self._stage.step(timeout)

    def close(self) -> None:
        self._decisions.close()
        self._stage.close()

    def _look(self) -> None:
        """What people have corrected since."""
        now = self._clock.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        for record in drain(self._decisions, self._part.beat):
            with suppress(BadRecord):
                if record.value is not None:
                    self._corrections.take(decode(DECISIONS, record.value))

    def _look_ahead(self, records: Sequence[Record]) -> None:
        self._read.clear()
        mentions = []
        for record in records:
            if record.value is not None:
                with suppress(BadRecord):
                    found = self._read[record.partition, record.offset] = decode(MENTIONS, record.value)
                    if isinstance(found, Mention):
                        mentions.append(found)
        if mentions:
            self._annotator_for(mentions[-1]).read_ahead(mentions)

    def _handle(self, record: Record) -> Iterable[Message]:
        if record.value is None:
            return []
        found = self._read.pop((record.partition, record.offset), None) or decode(MENTIONS, record.value)
        if isinstance(found, Mention):
            since = min(found.captured_at, from_ms(record.time_ms))
            if self._keep is not None and self._clock.now() - since > self._keep(found.source):
                self._metrics.posts_dropped.labels(found.source, EXPIRED).inc()
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
        understander = self._model.current(self._clock.monotonic())
        if state.epoch != self._epoch or understander is not self._annotator.understander:
            exercises = {i.id for i in state.incidents.values() if i.exercise}
            self._annotator = Annotator(understander, exercises, self._corrections)
            self._epoch = state.epoch
        return self._annotator

    def _message(self, finding: Finding) -> Message:
        if not finding.synthetic:
            for kind in finding.kinds:
                self._kinds[kind].inc()
            self._metrics.findings_by_theme.labels(next(iter(finding.themes), NO_THEME)).inc()
        if finding.origin is Origin.LIVE and not finding.synthetic:
            delay = self._clock.now() - finding.captured_at
            self._metrics.pipeline_delay.observe(max(0.0, delay.total_seconds()))
        return message(FINDINGS, finding, partition_of(finding.incident, self._partitions))

    def _forward(self, found: Tick | Gap, partition: int) -> list[Message]:
        """To every partition, with the one it came through: the watermark is the least over all of them."""
        return to_every_partition(FINDINGS, found.model_copy(update={"partition": partition}), self._partitions)
