"""Who was paged about an alert: when, why, by which ways, what became of each, what its provider said later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from listener.bus.scan import scan_records
from listener.model.deliveries import DELIVERIES, Delivery, Page
from listener.model.receipts import Receipt
from listener.model.records import BadRecord, decode
from listener.units import format_instant

if TYPE_CHECKING:
    from listener.bus.protocol import Bus, Record


def pages_of(bus: Bus, alert: str) -> list[dict[str, Any]]:
    """Every page that names the alert, oldest first, as `alerts show --json` prints it. A page without a person is a
    step at which nobody stood; `until` says that it was kept so long."""
    pages: dict[str, dict[str, Any]] = {}
    ways: dict[tuple[str, str, str], dict[str, Any]] = {}
    sent_as: dict[tuple[str, str], dict[str, Any]] = {}
    receipts: list[Receipt] = []
    for record in _records(scan_records(bus, [DELIVERIES.name])):
        if isinstance(record, Page):
            if alert in record.alerts:
                pages.setdefault(record.id, _page(record))
        elif isinstance(record, Delivery):
            if record.page in pages:
                place = (record.page, record.channel, record.target)
                way = ways.get(place)
                if way is None:
                    way = ways[place] = {"receipts": []}
                    pages[record.page]["ways"].append(way)
                way |= _way(record)
                sent_as |= dict.fromkeys(((record.channel, id_) for id_ in record.provider_ids), way)
        else:
            receipts.append(record)
    for receipt in receipts:
        if (its := sent_as.get((receipt.channel, receipt.provider_id))) is not None:
            its["receipts"].append(
                {"outcome": receipt.outcome.value, "at": format_instant(receipt.at), "code": receipt.code}
            )
    return list(pages.values())


def _records(records: Iterable[Record]) -> Iterator[Page | Delivery | Receipt]:
    """What cannot be read is passed over: `lyttepost doctor` tells of it."""
    for record in records:
        if record.value is not None:
            try:
                yield decode(DELIVERIES, record.value)
            except BadRecord:
                continue


def _page(page: Page) -> dict[str, Any]:
    return {
        "page": page.id,
        "at": format_instant(page.at),
        "person": page.person,
        "why": f"{page.why.value} {page.what}".strip(),
        "policy": page.policy,
        "round": page.round,
        "step": page.step,
        "until": format_instant(page.until) if page.until else None,
        "deferred": page.deferred.value if page.deferred else None,
        "alerts": dict(page.alerts),
        "code": page.code,
        "ways": [],
    }


def _way(delivery: Delivery) -> dict[str, Any]:
    return {
        "channel": delivery.channel,
        "target": delivery.target,
        "attempt": delivery.attempt,
        "at": format_instant(delivery.at),
        "outcome": delivery.outcome.value if delivery.outcome else "sending",
        "reason": delivery.reason,
        "may_repeat": delivery.may_repeat,
    }
