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

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from alerts.annotate.corrections import Corrections
from alerts.annotate.learned import Model
from alerts.annotate.story import NAMED_REPOST
from alerts.annotate.understanding import Understander
from listener.bus.messages import to_every_partition
from listener.bus.protocol import Bus, Message, Record, partition_of
from listener.bus.scan import drain
from listener.clock import Clock
from listener.model import keys
from listener.model.decisions import DECISIONS
from listener.model.quick import MENTION, write
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
_CAPTURED = tuple(Captured.model_fields)


class Written(NamedTuple):
    """What was found in a mention: its kinds and themes, and incident → its finding, as it lies on the bus."""

    kinds: tuple[Kind, ...]
    themes: tuple[str, ...]
    findings: Mapping[str, bytes]


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
        return [Finding.model_validate_json(value) for value in self.written(mention).findings.values()]

    def written(self, mention: Mention) -> Written:
        """The same as they lie on the bus, without a model of each."""
        said = self.understood(mention)
        before: dict[str, Any] = {name: getattr(mention, name) for name in _CAPTURED}
        cues = [{"kind": cue.kind, "words": cue.words} for cue in said["cues"]]
        its = {**said, "cues": cues, "count": 1, "fields": {}}
        found: dict[str, bytes] = {}
        for incident, tracks in mention.incidents.items():
            exercise = mention.exercise if self.exercises is None else incident in self.exercises
            own = {"exercise": exercise, "type": "finding", "incident": incident, "tracks": tracks}
            found[incident] = write({**before, **own, **its})
        return Written(tuple(cue.kind for cue in said["cues"]), said["themes"], found)

    def read_ahead(self, mentions: Iterable[Mention]) -> None:
        """The texts of up to a thousand mentions, before findings are made of them: all at once takes half the time."""
        self.understander.read_ahead((mention.text, _said_by(mention)) for mention in mentions)

    def understood(self, post: Captured) -> dict[str, Any]:
        """What its text means, as fields of a finding, in their order."""
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
        self._read: dict[tuple[int, int], Mention] = {}
        """Partition and offset → a mention that was looked at, and not yet handled."""
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
        for record in records:
            if record.value is not None and (found := MENTION.read(record.value)) is not None:
                self._read[record.partition, record.offset] = found
        mentions = self._read.values()
        if mentions:
            self._annotator_for(next(iter(mentions))).read_ahead(mentions)

    def _handle(self, record: Record) -> Iterable[Message]:
        if record.value is None:
            return []
        known = self._read.pop((record.partition, record.offset), None)
        found = decode(MENTIONS, record.value) if known is None else known
        if isinstance(found, Deletion):
            return []  # alerts.deletions carries it out
        if isinstance(found, Tick | Gap):
            return self._forward(found, record.partition)
        since = min(found.captured_at, from_ms(record.time_ms))
        if self._keep is not None and self._clock.now() - since > self._keep(found.source):
            self._metrics.posts_dropped.labels(found.source, EXPIRED).inc()
            return []
        return self._messages(found, self._annotator_for(found).written(found))

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

    def _messages(self, mention: Mention, written: Written) -> list[Message]:
        count = len(written.findings)
        if not mention.synthetic and count:
            for kind in written.kinds:
                self._kinds[kind].inc(count)
            self._metrics.findings_by_theme.labels(next(iter(written.themes), NO_THEME)).inc(count)
        if mention.origin is Origin.LIVE and not mention.synthetic:
            delay = max(0.0, (self._clock.now() - mention.captured_at).total_seconds())
            for _ in written.findings:
                self._metrics.pipeline_delay.observe(delay)
        return [
            Message(
                FINDINGS.name,
                keys.of_incident(incident, mention.source, mention.id),
                value,
                partition_of(incident, self._partitions),
            )
            for incident, value in written.findings.items()
        ]

    def _forward(self, found: Tick | Gap, partition: int) -> list[Message]:
        """To every partition, with the one it came through: the watermark is the least over all of them."""
        return to_every_partition(FINDINGS, found.model_copy(update={"partition": partition}), self._partitions)
