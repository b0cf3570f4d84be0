"""What a source has used of a day's allowance at its platform: kept on the bus, and shown. In the listener's thread.

The source keeps the account. It is published in the transaction of the batch that it came with, so that whoever takes
over the source goes on with it; what was asked in the second before a kill is not in it, and the platform's own word
that nothing is left is above ours.
"""

from __future__ import annotations

from listener.bus.protocol import Bus
from listener.bus.scan import scan
from listener.model.records import SPENDING
from listener.model.spending import QuotaUse
from listener.runtime.metrics import Metrics
from listener.sources.contract import HasQuota, Source


class QuotaMeter:
    """Of one source. One without an allowance has a meter that does nothing."""

    def __init__(self, source: Source, bus: Bus, metrics: Metrics) -> None:
        self._metered = source if isinstance(source, HasQuota) else None
        self._source = source.name
        self._bus = bus
        self._metrics = metrics

    def recall(self) -> None:
        """Tell the source what the bus has, before it is opened. Raises BusError."""
        if self._metered is not None:
            known = quotas(self._bus).get(self._source)
            self._metered.learn_quota(known)
            if known is not None:
                self.show(known)

    def show(self, use: QuotaUse) -> None:
        if self._metered is not None:
            self._metrics.quota_used.labels(self._source).set(use.used)
            self._metrics.quota_units.labels(self._source).set(use.units)

    def close(self) -> None:
        """Another process has it now: of two only the one that listens tells what is used."""
        if self._metered is not None:
            for gauge in (self._metrics.quota_used, self._metrics.quota_units):
                gauge.clear()


def quotas(bus: Bus) -> dict[str, QuotaUse]:
    """Source → its newest account that is on the bus."""
    return {each.source: each for each in scan(bus, SPENDING) if isinstance(each, QuotaUse)}
