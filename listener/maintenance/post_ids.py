"""Post ids as people write them: bare, as `source:id`, or as the link to the post.

What is typed may hold a person's name (a link does), so only what is returned here may be stored. What is no id is
refused: a request to purge a post must not end with "none was held" because of how its id was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import unquote

from listener.errors import UsageError
from listener.model.keys import of_source
from listener.sources.contract import SOURCES

X = "x"
LONGEST = 19
"""Digits of the largest id of X, a number below 2**63."""

_IGNORED = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_QUOTES = "'\"`<>()[]«»“”‘’,;"
_NUMBER = re.compile(r"[1-9][0-9]*")
_SPREADSHEET = re.compile(r"[+-]?\d+(?:[.,]\d*)?[eE][+-]?\d+|\d+[.,]\d+|\d{1,3}(?:[ .,\u00a0]\d{3})+")
_SOURCE = re.compile(r"(?P<source>[A-Za-z][\w.-]*):(?P<id>.+)", re.DOTALL)
_LINK = re.compile(r"(?i)(?:https?:)?//|[\w-]+(?:\.[\w-]+)+(?::\d+)?/")
_STATUS = re.compile(r"(?i)^[^?#]*?/(?:i/web|i|@?[^/?#@]+)/status(?:es)?/(?P<id>[^/?#]*)")
_OF_MASTODON = re.compile(r"(?i)/users/[^/?#]+/statuses/|/@[^/?#]+/\d+")


def post_ids(typed: Iterable[str], is_held: Callable[[str], bool]) -> list[str]:
    """Each as a number of any source, or as `source:id`. Raises UsageError that names every one that is no post id.

    What has the form of no id is one all the same when a post of that very id is held.
    """
    found: list[str] = []
    refused: list[str] = []
    for place, text in enumerate(typed, 1):
        try:
            found.append(post_id(text))
        except ValueError as error:
            if text.strip() and is_held(text.strip()):
                found.append(text.strip())
                continue
            # By its place: what was typed may hold a name, and messages are often kept.
            refused.append(f"ID {place}: {error}")
    if refused:
        raise UsageError("nothing was removed.\n" + "\n".join(refused))
    return list(dict.fromkeys(found))


def post_id(typed: str) -> str:
    """One of them. Raises ValueError that says what to write."""
    text = _IGNORED.sub("", typed).strip().strip(_QUOTES).strip()
    if not text:
        raise ValueError(f"is empty; {_how()}")
    if _LINK.match(text):
        return f"{X}:{_in_link(text)}"
    named = _SOURCE.fullmatch(text)
    if named is None:
        return _number(text)
    source, rest = named["source"].lower(), named["id"].strip()
    if source not in SOURCES:
        raise ValueError(f"no source is called {source!r}; known: {', '.join(sorted(SOURCES))}; {_how()}")
    if _LINK.match(rest):
        return of_source(source, _in_link(rest))
    return of_source(source, _number(rest) if source == X else _of_recording(rest))


def ids_meant(ids: Sequence[str]) -> list[str]:
    """Those that stand on the bus: a post of X may lie there as heard live, and as played from a recording of X."""
    numbers = [id_.removeprefix(f"{X}:") for id_ in ids if id_.startswith(f"{X}:")]
    return list(dict.fromkeys([*ids, *(of_source(source, number) for number in numbers for source in SOURCES)]))


def looks_rounded(id_: str) -> bool:
    """A spreadsheet keeps fifteen digits and writes zeros for the rest."""
    number = id_.rpartition(":")[2]
    return len(number) > 15 and number.isdigit() and not number[15:].strip("0")


def _in_link(link: str) -> str:
    if "%" in link:
        link = unquote(link)
    if _OF_MASTODON.search(link):
        raise ValueError(f"is a link to a platform that is no source of ours; {_how()}")
    status = _STATUS.match(link)
    if status is None:
        raise ValueError(f"is a link, but to no post; {_how()}")
    return _number(status["id"].rstrip(".:!"))


def _number(text: str) -> str:
    if _SPREADSHEET.fullmatch(text):
        raise ValueError(f"is a number as a spreadsheet rewrites it, whose last digits are lost or moved; {_how()}")
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"is no post id; {_how()}")
    if len(text) > LONGEST or int(text) >= 1 << 63:
        raise ValueError(f"has more digits than a post id; {_how()}")
    return text


def _of_recording(text: str) -> str:
    """Recordings of other platforms have ids of other forms; none has a blank in it."""
    if _SPREADSHEET.fullmatch(text) or re.search(r"\s", text):
        raise ValueError(f"is no post id, or one that a spreadsheet has rewritten; {_how()}")
    return text


def _how() -> str:
    return "write all digits of the id (1906123456789012345), x:ID, recording:ID, or the link to the post"
