"""The page behind a link, as HTML: read at night, on a phone, perhaps with little of a net.

One column, large letters, dark where the phone is dark, no script, and one style sheet of ours. The templates escape
whatever they are given.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from alerts.notify.messages import sparkline
from alerts.notify.receiver.answer_page import Shown, Trouble

_FOLDER = Path(__file__).parent
STYLE = (_FOLDER / "style.css").read_text(encoding="utf-8")


@cache
def _template(name: str) -> Template:
    loader = FileSystemLoader(_FOLDER)
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).get_template(name)


def as_page(found: Shown | Trouble) -> str:
    """A whole document."""
    if isinstance(found, Trouble):
        return _template("trouble.html").render(it=found, lang=found.messages.language, title=found.title)
    page = found.layout
    graph = page.graph and sparkline(page.graph.counts)
    return _template("page.html").render(
        it=found, page=page, say=found.messages.page, lang=found.messages.language, title=page.subject, graph=graph
    )
