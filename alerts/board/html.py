"""The board's pages as HTML, by templates that escape whatever they are given."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from alerts.situation.words import Words

_FOLDER = Path(__file__).parent
STATIC = _FOLDER / "static"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["hash"] = lambda text: f"{crc32(str(text).encode()):08x}"
    return made


def render(template: str, words: Words, **values: Any) -> str:
    """A whole document. `words` gives the templates `say`, `count` and `lang`."""
    return (
        _environment()
        .get_template(template)
        .render(say=words.say, count=words.count, lang=words.language, words=words.messages, **values)
    )
