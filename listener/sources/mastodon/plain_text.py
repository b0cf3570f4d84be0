"""A post's HTML → its plain text, and the links in it that lead out. Pure.

Servers send a small part of HTML, cleaned; others of the network may send anything, so nothing here trusts it. A link
is shortened for the eye by parts that are not shown: in the text it stands whole.

Source: Mastodon's documentation, "HTML sanitization".
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

from listener.sources.common.fields import Unusable
from listener.sources.contract import DropReason

LONGEST: Final = 100_000
"""Characters of HTML: posts have some hundreds, of some servers ten thousand."""
_BLOCKS: Final = frozenset({"p", "div", "blockquote", "ul", "ol", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "table"})
_LINES: Final = frozenset({"br", "li", "tr"})
_UNSEEN: Final = frozenset({"script", "style", "template", "head"})
_NAME: Final = re.compile(r"@?[^\s@]+(?:@[^\s@]+)?")
_OURS: Final = frozenset({"mention", "hashtag", "u-url"})
"""Classes of links that name an account or a hashtag: they lead to pages of the server's own."""


def plain_text(html: str) -> tuple[str, tuple[str, ...]]:
    """The text, and the links, each once. Raises Unusable for what is too long to be a post."""
    if len(html) > LONGEST:
        raise Unusable(DropReason.TOO_LONG, "content")
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = [re.sub(r"[^\S\n]+", " ", line).strip() for line in "".join(reader.out).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip(), tuple(dict.fromkeys(reader.links))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.links: list[str] = []
        self._unseen: list[str] = []
        self._mention: tuple[str, list[str]] | None = None
        """Where the mention leads that is being read, and what is shown of it."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen.append(tag)
        elif tag in _LINES:
            self.out.append("\n")
        elif tag in _BLOCKS:
            self._block()
        elif tag == "a":
            self._mentioned()
            its = dict(attrs)
            href, classes = its.get("href") or "", (its.get("class") or "").split()
            if href.startswith(("https://", "http://")) and _OURS.isdisjoint(classes):
                self.links.append(href)
            elif "mention" in classes and "hashtag" not in classes:
                self._mention = href, []

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            self._unseen = self._unseen[: self._unseen.index(tag)]
        elif tag in _BLOCKS:
            self._block()
        elif tag == "a":
            self._mentioned()

    def close(self) -> None:
        super().close()
        self._mentioned()

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            (self.out if self._mention is None else self._mention[1]).append(data.replace("\n", " ").replace("\r", " "))

    def _mentioned(self) -> None:
        """Other software of the network shows a person's full name there: the account's takes its place, with its @, by
        which privacy knows it."""
        mention, self._mention = self._mention, None
        if mention is None:
            return
        href, shown = mention[0], "".join(mention[1]).strip()
        if not _NAME.fullmatch(shown):
            shown = href.partition("?")[0].rstrip("/").rpartition("/")[2] or "nobody"
        signed = "".join(self.out[-1:]).rstrip().endswith("@")
        self.out.append(shown.removeprefix("@") if signed else f"@{shown.removeprefix('@')}")

    def _block(self) -> None:
        if self.out:
            self.out.append("\n\n")
