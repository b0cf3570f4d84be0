"""The board's pages as HTML, by templates that escape whatever they are given."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from alerts.board.words import Words

_FOLDER = Path(__file__).parent
STATIC = _FOLDER / "static"


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, words: Words, **values: Any) -> str:
    """A whole document. `words` gives the templates `say`, `count` and `lang`."""
    return (
        _environment()
        .get_template(template)
        .render(say=words.say, count=words.count, lang=words.language, words=words.messages, **values)
    )
