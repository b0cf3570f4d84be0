"""What a worker that reads a source is given by its process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from listener.bus.protocol import Bus, Lease
from listener.clock import Clock
from listener.privacy.screen import Screen
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics
from listener.runtime.ops_alerts import OpsAlerts
from listener.runtime.presence import PresenceReporter
from listener.sources.contract import Batch


@dataclass(frozen=True, kw_only=True)
class IngestContext:
    """For one source: `lease` is the right to read it, `part` its place at /readyz."""

    bus: Bus
    reporter: PresenceReporter
    lease: Lease
    screen: Screen
    standing: Sequence[str]
    """The tracks that are counted whatever is open."""
    allowed: Collection[str] | None = None
    """The accounts that tracks may follow; None: any, of a recording that somebody plays to himself."""
    clock: Clock
    metrics: Metrics
    part: Part
    before: Callable[[Batch], None] = lambda batch: None
    """Called with each batch as it was read."""
    ops: OpsAlerts = field(default_factory=OpsAlerts.load)
