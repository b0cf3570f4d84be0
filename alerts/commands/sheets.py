"""Tables for spreadsheets: CSV and XLSX.

A cell holds what strangers wrote, so none may be a formula: in CSV what a spreadsheet would take for one gets an
apostrophe before it (OWASP, "CSV Injection"), in XLSX every text is a cell of text.
"""

from __future__ import annotations

import csv
import io
import sys
from datetime import datetime
from pathlib import Path

from listener.errors import ConfigError
from listener.permissions import open_private

Cell = str | int
Table = list[list[Cell]]

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How a text begins that a spreadsheet may take for a formula."""
LONGEST_CELL = 32_767
"""Characters of one in XLSX."""
WIDE = {"text": 80, "sample 1": 60, "sample 2": 60, "sample 3": 60, "theme": 32, "themes": 40, "kinds": 32}
"""Columns of the sheet, in characters; others have 14."""


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
