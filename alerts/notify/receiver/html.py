"""The page behind a link, as HTML: read at night, on a phone, perhaps with little of a net.

One column, large letters, dark where the phone is dark, no script, and one style sheet of ours. The templates escape
whatever they are given.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from alerts.notify.messages import sparkline
from alerts.notify.receiver.answer_page import Shown, Trouble

_FOLDER = Path(__file__).parent
STYLE = (_FOLDER / "style.css").read_text(encoding="utf-8")


_NUMBER = re.compile(r"\+?\d(?:[ \u00a0]?\d){2,14}")


class Dialled(NamedTuple):
    """A text, and the first telephone number in it: as it is dialled and as it is written, both empty without one."""

    before: str
    number: str
    written: str
    after: str


@cache
def _template(name: str) -> Template:
    loader = FileSystemLoader(_FOLDER)
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["dial"] = dial
    return made.get_template(name)


def dial(text: str) -> Dialled:
    """For a text of our settings: who reads it holds a telephone, and presses the number."""
    found = _NUMBER.search(text)
    if found is None:
        return Dialled(text, "", "", "")
    number = "".join(each for each in found[0] if each.isdigit() or each == "+")
    return Dialled(text[: found.start()], number, found[0], text[found.end() :])


def as_page(found: Shown | Trouble) -> str:
    """A whole document."""
    if isinstance(found, Trouble):
        return _template("trouble.html").render(it=found, lang=found.messages.language, title=found.title)
    page = found.layout
    graph = page.graph and sparkline(page.graph.counts)
    return _template("page.html").render(
        it=found, page=page, say=found.messages.page, lang=found.messages.language, title=page.subject, graph=graph
    )
