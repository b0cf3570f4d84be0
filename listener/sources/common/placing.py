"""For whom something is given that a poll has found: as news, or as what was said before. Pure.

Whoever polls finds what was said since it asked the last time, and what it had met already once more when another
incident is opened. So each thing that is found is placed by its own time, and old news never fires.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from listener.model.incidents import Incident
from listener.model.records import Origin

Place = tuple[str | None, Origin | None]
"""The one incident that it is for, or None for all that it matches; and how it came (None: as it was said)."""


def places(
    said: datetime,
    at: datetime,
    incidents: Mapping[str, Incident],
    *,
    fresh: bool,
    again: Collection[str] = (),
    late: Sequence[Incident] = (),
    live: Origin | None = None,
    slack: timedelta = timedelta(),
) -> Iterator[Place]:
    """Nothing for what is known, or older than anybody looks back.

    `said`: when it was news first, an edit's own time; `at`: the time of the post. `incidents`: those that are open.
    `fresh`: it was not met before. `again`: incidents for which all is looked at once more. `late`: closed since it was
    asked the last time; what was said before is theirs. `live`: how what is news came. `slack`: so exactly does the
    platform tell a time.
    """
    wanted = {id_: i for id_, i in incidents.items() if fresh or id_ in again}
    heard = {id_ for id_, incident in wanted.items() if said >= incident.opened_at - slack}
    if heard and heard == incidents.keys():
        yield None, live
    else:
        yield from ((id_, live) for id_ in sorted(heard))
    for id_ in sorted(wanted.keys() - heard):
        if at >= wanted[id_].opened_at - timedelta(seconds=wanted[id_].lookback):
            yield id_, Origin.LOOKBACK
    for incident in late if fresh else ():
        if incident.closed_at is not None and incident.opened_at - slack <= said <= incident.closed_at:
            yield incident.id, Origin.GAP_FILL


def wanted_of(incident: Incident) -> tuple[object, ...]:
    """By which it is seen that it is to be looked back once more: what is listened for, and how far back."""
    return incident.lookback, frozenset(incident.tracks)
