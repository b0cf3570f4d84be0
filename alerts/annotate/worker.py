"""The annotating stage: `mentions` in, `findings` out. Scales over partitions; an incident's findings meet again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from alerts.annotate.annotator import Annotator
from alerts.annotate.kinds import KindCues
from listener.bus.protocol import Bus, Message, Record, partition_of
from listener.clock import Clock
from listener.model.records import MENTIONS, Finding, Gap, Kind, Mention, Origin, Tick, decode, encode
from listener.runtime.control import Control
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics
from listener.runtime.stage import Stage
from listener.units import from_ms


class Annotating:
    """The worker. Its group is `annotate`. `keep`: a mention that is older is dropped, and lives on in no finding."""

    name = "annotate"

    def __init__(
        self,
        bus: Bus,
        cues: KindCues,
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
        self._cues = cues
        self._annotator = Annotator(cues, set())
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
        return self._forward(found, record.partition)

    def _annotator_for(self, mention: Mention) -> Annotator:
        """Knows of every incident the mention names which of them are exercises."""
        if any(incident not in self._control.state.incidents for incident in mention.incidents):
            self._control.refresh()
        state = self._control.state
        if state.epoch != self._epoch:
            self._annotator = Annotator(self._cues, {i.id for i in state.incidents.values() if i.exercise})
            self._epoch = state.epoch
        return self._annotator

    def _message(self, finding: Finding) -> Message:
        if not finding.synthetic:
            for kind in finding.kinds:
                self._kinds[kind].inc()
        if finding.origin is Origin.LIVE:
            delay = self._clock.now() - finding.captured_at
            self._metrics.pipeline_delay.observe(max(0.0, delay.total_seconds()))
        return Message("findings", finding.key, encode(finding), partition_of(finding.incident, self._partitions))

    def _forward(self, found: Tick | Gap, partition: int) -> list[Message]:
        """To every partition, with the one it came through: the watermark is the least over all of them."""
        value = encode(found.model_copy(update={"partition": partition}))
        key = f"{found.source}:{found.type}"
        return [Message("findings", key, value, number) for number in range(self._partitions)]
