"""The board's pages as HTML, by templates that escape whatever they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alerts.report.html import environment
from alerts.situation.words import Words

_FOLDER = Path(__file__).parents[1]
STATIC = _FOLDER / "static"
TEMPLATES = _FOLDER / "templates"


def render(template: str, words: Words, *, who: object = None, **values: Any) -> str:
    """A whole document. `words` gives the templates `say`, `count` and `lang`; `who` is somebody who is logged in."""
    return (
        environment(TEMPLATES)
        .get_template(template)
        .render(say=words.say, count=words.count, lang=words.language, words=words.messages, who=who, **values)
    )
