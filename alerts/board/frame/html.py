"""The board's pages as HTML, by templates that escape whatever they are given."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from alerts.board.frame.words import Words

_FOLDER = Path(__file__).parents[1]
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


def render(template: str, words: Words, *, who: object = None, **values: Any) -> str:
    """A whole document. `words` gives the templates `say`, `count` and `lang`; `who` is somebody who is logged in."""
    return (
        _environment()
        .get_template(template)
        .render(say=words.say, count=words.count, lang=words.language, words=words.messages, who=who, **values)
    )
