"""The register for programs and spreadsheets: JSON, CSV and XLSX.

A cell holds what strangers wrote, so none may be a formula: in CSV what a spreadsheet would take for one gets an
apostrophe before it (OWASP, "CSV Injection"), in XLSX every text is a cell of text. No pseudonym is exported: in texts
they stand as `@…`.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from alerts.commands.register_text import NAME, WITHHELD, Names
from alerts.register.decisions import label
from alerts.register.overview import Overview
from alerts.register.ranking import RegisterRow, Row, ThemeRow
from listener.errors import ConfigError
from listener.model.answers import Standing
from listener.permissions import open_private
from listener.units import format_instant

Cell = str | int
Table = list[list[Cell]]

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How a text begins that a spreadsheet may take for a formula."""
LONGEST_CELL = 32_767
"""Characters of one in XLSX."""
WIDE = {"text": 80, "sample 1": 60, "sample 2": 60, "sample 3": 60, "theme": 32, "themes": 40, "kinds": 32}
"""Columns of the sheet, in characters; others have 14."""

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


def as_csv(cells: Table) -> bytes:
    """RFC 4180 in UTF-8, with the mark by which spreadsheets know that it is."""
    text = io.StringIO()
    csv.writer(text).writerows([_no_formula(cell) for cell in row] for row in cells)
    return text.getvalue().encode("utf-8-sig", "replace")


def _no_formula(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" ").startswith(FORMULA) else cell


def as_xlsx(cells: Table, made: datetime) -> bytes:
    """One sheet; the same rows give the same bytes. Nothing is laid down on the disk on the way."""
    from xlsxwriter import Workbook

    content = io.BytesIO()
    with Workbook(content, {"in_memory": True}) as book:
        book.set_properties({"created": made.replace(tzinfo=None)})
        sheet = book.add_worksheet("Lyttepost")
        bold, wrapped = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
        for number, name in enumerate(cells[0]):
            sheet.set_column(number, number, WIDE.get(str(name), 14), wrapped)
        for line, row in enumerate(cells):
            for number, cell in enumerate(row):
                style = wrapped if line else bold
                if isinstance(cell, str):
                    sheet.write_string(line, number, cell[:LONGEST_CELL], style)
                else:
                    sheet.write_number(line, number, cell, style)
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, max(1, len(cells) - 1), len(cells[0]) - 1)
    return content.getvalue()


def write(content: bytes, path: Path | None) -> None:
    """To a file that only its owner may read, or to standard output. Raises ConfigError where it cannot be written."""
    if path is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    import os

    try:
        with os.fdopen(open_private(path, os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(content)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from None
