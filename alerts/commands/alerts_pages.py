"""Who was paged about an alert, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from listener.commands.shared import local, one_line
from listener.units import parse_instant

if TYPE_CHECKING:
    from alerts.notify.recipients import People


def page_rows(pages: Sequence[dict[str, Any]], people: People | None) -> list[tuple[str, ...]]:
    """As a table for the terminal."""
    rows: list[tuple[str, ...]] = [("PAGED", "WHO", "WHY", "BY", "OUTCOME")]
    for page in pages:
        key = page["person"]
        who = one_line(people.name(key) if people and key else key) or "NOBODY"
        why = page["why"] if page["why"] not in ("step", "last_resort") else f"{page['why']} {page['step'] + 1}"
        why += f", round {page['round'] + 1}" if page["round"] else ""
        first = (local(parse_instant(page["at"])), who, why)
        if page["until"]:
            rows.append((*first, "", f"kept until {local(parse_instant(page['until']))}: {page['deferred']}"))
        elif not page["ways"]:
            rows.append((*first, "", "not sent yet" if key else ""))
        for number, way in enumerate(page["ways"]):
            rows.append((*(first if not number else ("", "", "")), way["channel"], _outcome(way)))
    return rows


def _outcome(way: dict[str, Any]) -> str:
    parts = [f"{way['outcome']}, {local(parse_instant(way['at']))}"]
    parts += [one_line(way["reason"])] if way["reason"] else []
    parts += [f"attempt {way['attempt']}"] if way["attempt"] > 1 else []
    parts += ["may be a repeat"] if way["may_repeat"] else []
    parts += [f"{each['outcome']} {local(parse_instant(each['at']))}" for each in way["receipts"]]
    return "; ".join(parts)
