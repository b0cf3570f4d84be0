"""Who was paged about an alert: when, why, by which ways, what became of each, what its provider said later."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from listener.bus.scan import scan_records
from listener.model.deliveries import DELIVERIES, Delivery, Page
from listener.model.receipts import Receipt
from listener.model.records import BadRecord, decode
from listener.units import format_instant

if TYPE_CHECKING:
    from listener.bus.protocol import Bus, Record


class Paged:
    """All pages, and what came of each. Takes records of `deliveries` in their order, each once."""

    def __init__(self) -> None:
        self._pages: dict[str, tuple[Page, list[Delivery]]] = {}
        self._of_alert: defaultdict[str, list[str]] = defaultdict(list)
        self._receipts: defaultdict[tuple[str, str], list[tuple[int, Receipt]]] = defaultdict(list)
        self._taken = 0

    def take(self, record: Page | Delivery | Receipt) -> None:
        self._taken += 1
        if isinstance(record, Receipt):
            self._receipts[record.channel, record.provider_id].append((self._taken, record))
        elif isinstance(record, Delivery):
            if record.page in self._pages:
                self._pages[record.page][1].append(record)
        elif record.id not in self._pages:
            self._pages[record.id] = record, []
            for alert in record.alerts:
                self._of_alert[alert].append(record.id)

    def of(self, alert: str) -> list[dict[str, Any]]:
        """Every page that names the alert, oldest first, as `alerts show --json` prints it. A page without a person is
        a step at which nobody stood; `until` says that it was kept so long."""
        return [self._told(*self._pages[id_]) for id_ in self._of_alert.get(alert, ())]

    def _told(self, page: Page, sends: Iterable[Delivery]) -> dict[str, Any]:
        ways: dict[tuple[str, str], dict[str, Any]] = {}
        sent_as: defaultdict[tuple[str, str], dict[tuple[str, str], None]] = defaultdict(dict)
        for send in sends:
            place = send.channel, send.target
            ways.setdefault(place, {"receipts": []}).update(_way(send))
            sent_as[place] |= dict.fromkeys((send.channel, id_) for id_ in send.provider_ids)
        for place, way in ways.items():
            receipts = sorted(
                (each for its in sent_as[place] for each in self._receipts.get(its, ())), key=itemgetter(0)
            )
            way["receipts"] += [
                {"outcome": receipt.outcome.value, "at": format_instant(receipt.at), "code": receipt.code}
                for _, receipt in receipts
            ]
        return _page(page) | {"ways": list(ways.values())}


def pages_of(bus: Bus, alert: str) -> list[dict[str, Any]]:
    """The same, as the log has it now."""
    paged = Paged()
    for record in _records(scan_records(bus, [DELIVERIES.name])):
        paged.take(record)
    return paged.of(alert)


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
