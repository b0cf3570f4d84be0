"""What people answered, put among the findings of each incident it is about: so rules meet it at one place for good.

`decisions` is a hash chain that is appended to from the command line; a replay or a restart that read it beside the
findings would meet its words elsewhere than the first time.
"""

from __future__ import annotations

from collections.abc import Iterable

from listener.bus.messages import message
from listener.bus.protocol import Bus, Message, Record, partition_of
from listener.clock import Clock
from listener.model.decisions import DECISIONS, answered
from listener.model.records import FINDINGS, BadRecord, decode
from listener.model.roles import ANSWERS
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics
from listener.runtime.stage import Stage


class Answering:
    """The worker. Its group is `answers`."""

    name = ANSWERS

    def __init__(self, bus: Bus, *, clock: Clock, metrics: Metrics, part: Part, member: str = "") -> None:
        self._partitions = bus.partitions(FINDINGS.name)
        self._stage = Stage(
            self.name, bus, DECISIONS.name, self._handle, clock=clock, metrics=metrics, part=part, member=member
        )

    def step(self, timeout: float) -> bool:
        return self._stage.step(timeout)

    def close(self) -> None:
        self._stage.close()

    def _handle(self, record: Record) -> Iterable[Message]:
        if record.value is None:
            return []
        try:
            word = decode(DECISIONS, record.value)
        except BadRecord:
            return []  # the dispatcher, which reads all decisions, writes the dead letter
        return [
            message(FINDINGS, each, partition_of(each.incident, self._partitions))
            for each in answered(word, record.offset)
        ]
