"""What went unheard while nobody ran: when incidents were open since the last word that is on the bus. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from listener.model.incidents import Incident

Stretch = tuple[datetime, datetime | None]


def unheard(heard: datetime | None, incidents: Iterable[Incident]) -> list[Stretch]:
    """[from, to), oldest first; `to` is None where an incident is still open.

    Without a last word only open ones count: nobody knows whether there was anybody to hear the others.
    """
    spans: list[Stretch] = sorted(
        (
            (i.opened_at if heard is None else max(heard, i.opened_at), i.closed_at)
            for i in incidents
            if i.closed_at is None or (heard is not None and heard < i.closed_at)
        ),
        key=lambda span: span[0],
    )
    out: list[Stretch] = []
    for start, end in spans:
        if out and (out[-1][1] is None or start <= out[-1][1]):
            first, last = out[-1]
            out[-1] = first, None if last is None or end is None else max(last, end)
        else:
            out.append((start, end))
    return out
