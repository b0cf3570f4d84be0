"""The register for programs and spreadsheets. No pseudonym is exported: in texts they stand as `@…`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from alerts.commands.register_text import NAME, WITHHELD, Names
from alerts.commands.sheets import Cell, Table
from alerts.register.decisions import label
from alerts.register.overview import Overview
from alerts.register.ranking import RegisterRow, Row, ThemeRow
from listener.model.answers import Standing
from listener.units import format_instant

Column = tuple[str, Callable[[Any, Names], Cell]]


def _shown(row: RegisterRow, names: Names) -> str:
    text = names.text(row)
    return NAME.sub("@…", text) if text is not None else WITHHELD if row.text is not None else ""


def _sample(number: int) -> Callable[[ThemeRow, Names], Cell]:
    return lambda row, names: _shown(row.samples[number], names) if number < len(row.samples) else ""


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counted.items())


ABOUT_ALL: Sequence[Column] = (
    ("posts", lambda row, _: row.posts),
    ("reposts", lambda row, _: row.reposts),
    ("last hour", lambda row, _: row.trend.last_hour),
    ("hour before", lambda row, _: row.trend.hour_before),
    ("first", lambda row, _: format_instant(row.first_at)),
    ("last", lambda row, _: format_instant(row.last_at)),
    ("incidents", lambda row, names: names.of(row.incidents)),
    ("exercise", lambda row, _: "ØVELSE" if row.exercise else ""),
    ("counted by", lambda row, _: "people" if row.authors_known else "posts"),
)
OF_STORIES: Sequence[Column] = (
    ("people", lambda row, _: row.people),
    ("kind", lambda row, _: row.kind.value),
    ("text", _shown),
    ("kinds", lambda row, _: _counts(row.kinds)),
    ("themes", lambda row, names: ", ".join(map(names.theme, row.themes))),
    ("stance", lambda row, _: next(iter(row.stances), "")),
    ("languages", lambda row, _: ", ".join(row.languages)),
    *ABOUT_ALL,
    ("status", lambda row, names: label(names.decisions.of_row(row)) or Standing.NEW.value),
    ("story", lambda row, _: row.story),
)
OF_THEMES: Sequence[Column] = (
    ("people", lambda row, _: row.people),
    ("theme", lambda row, names: names.theme(row.theme)),
    ("kinds", lambda row, _: _counts(row.kinds)),
    *((f"sample {number + 1}", _sample(number)) for number in range(3)),
    *ABOUT_ALL,
    ("id", lambda row, _: row.theme),
)


def as_json(row: Row, names: Names) -> dict[str, Any]:
    """A row as programs get it. `text` is null where it was purged or is withheld: `exposed` says that."""
    found = {name: value for name, value in asdict(row).items() if name != "sample"}
    found["incident_names"] = [names.incidents.get(each, each) for each in row.incidents]
    if isinstance(row, ThemeRow):
        return found | {"name": names.theme(row.theme), "samples": [as_json(each, names) for each in row.samples]}
    stands = names.decisions.of_row(row)
    return found | {"text": names.text(row), "status": stands.status.value, "answer": stands.told}


def table(found: Overview, names: Names) -> Table:
    """A heading and one line a row."""
    columns = OF_THEMES if found.themes or found.none else OF_STORIES
    return [[name for name, _ in columns], *([cell(row, names) for _, cell in columns] for row in found.rows)]
