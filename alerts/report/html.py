"""The situation report as one HTML file: it needs nothing but itself, and prints as A4."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from zlib import crc32

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from alerts.report.report import Report
from alerts.situation.words import Words

TEMPLATES = Path(__file__).parent / "templates"
"""`sheet.html` is what the file and the board's page have in common."""


@cache
def environment(*folders: Path) -> Environment:
    """Templates that escape whatever they are given."""
    made = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["hash"] = lambda text: f"{crc32(str(text).encode()):08x}"
    return made


def as_html(report: Report, words: Words) -> str:
    """A whole document."""
    template = environment().get_template("document.html")
    return template.render(report=report, say=words.say, words=words.messages, lang=words.language)
