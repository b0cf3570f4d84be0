"""The words of HTML: of one web page, and of the summaries that feeds hold.

By the standard library's parser, which takes whatever browsers take. Of a page the text of `article`, else of `main`,
else of all paragraphs; never menus, forms, headers, footers and scripts.
"""

from __future__ import annotations

import codecs
import re
from html.parser import HTMLParser
from typing import NamedTuple

UNREAD = frozenset({"script", "style", "noscript", "template", "svg", "nav", "header", "footer", "aside", "form"})
BLOCKS = frozenset({"p", "br", "div", "li", "ul", "ol", "td", "tr", "h1", "h2", "h3", "h4", "article", "section"})
PARAGRAPHS = frozenset({"p", "li", "h1", "h2", "h3"})
DESCRIPTIONS = frozenset({"description", "og:description"})
TIMES = ("article:modified_time", "og:updated_time", "article:published_time")
"""Where a page may say when it was written, the latest first."""
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_HEAD = 4096


class Page(NamedTuple):
    """What a page says. `time`: when it was written, as it puts it; "" where it does not say."""

    title: str
    text: str
    time: str


def text_of(html: str) -> str:
    """The words of a piece of HTML on one line; plain text stays what it is."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return _line(reader.all)


def read_page(content: bytes, content_type: str) -> Page:
    """A whole page; `content_type` is the answer's header, which may name the encoding."""
    reader = _Reader()
    reader.feed(content.decode(_encoding(content, content_type), errors="replace"))
    reader.close()
    meta = reader.meta
    description = next((meta[name] for name in sorted(DESCRIPTIONS & meta.keys())), "")
    body = _line(reader.within["article"]) or _line(reader.within["main"]) or _line(reader.paragraphs)
    return Page(
        title=_line([meta.get("og:title") or "".join(reader.title)]),
        text=_line([description, " ", body]),
        time=next((meta[name] for name in TIMES if meta.get(name)), ""),
    )


class _Reader(HTMLParser):
    """Gathers the words of each part. An end tag that was left out makes a part longer and breaks nothing."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.all: list[str] = []
        self.title: list[str] = []
        self.paragraphs: list[str] = []
        self.within: dict[str, list[str]] = {"article": [], "main": []}
        self.meta: dict[str, str] = {}
        self._open: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta":
            given = {name: value or "" for name, value in attrs}
            self.meta.setdefault((given.get("property") or given.get("name") or "").lower(), given.get("content", ""))
        elif tag in UNREAD or tag in PARAGRAPHS or tag in self.within or tag == "title":
            self._open[tag] = self._open.get(tag, 0) + 1
        if tag in BLOCKS:
            self._put(" ")

    def handle_endtag(self, tag: str) -> None:
        if self._open.get(tag):
            self._open[tag] -= 1
        if tag in BLOCKS:
            self._put(" ")

    def handle_data(self, data: str) -> None:
        self._put(data)

    def _put(self, text: str) -> None:
        inside = {tag for tag, count in self._open.items() if count}
        if "title" in inside:
            self.title.append(text)
        elif not inside & UNREAD:
            self.all.append(text)
            for tag in inside & self.within.keys():
                self.within[tag].append(text)
            if inside & PARAGRAPHS:
                self.paragraphs.append(text)


def _line(parts: list[str]) -> str:
    return " ".join("".join(parts).split())


def _encoding(content: bytes, content_type: str) -> str:
    """By the answer's header, else by the page itself, else UTF-8."""
    for said in (content_type, content[:_HEAD].decode("latin-1")):
        if found := _CHARSET.search(said):
            try:
                return codecs.lookup(found[1]).name
            except LookupError:
                continue
    return "utf-8"
