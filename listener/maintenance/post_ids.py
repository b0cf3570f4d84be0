"""Post ids as people write them: bare, as `source:id`, or as the link to the post.

What is typed may hold a person's name (a link does), so only what is returned here may be stored. What is no id is
refused: a request to purge a post must not end with "none was held" because of how its id was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from listener.errors import UsageError
from listener.model.keys import of_source
from listener.sources.contract import PostIds, source_types

_IGNORED = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_QUOTES = "'\"`<>()[]«»“”‘’,;"
_SPREADSHEET = re.compile(r"[+-]?\d+(?:[.,]\d*)?[eE][+-]?\d+|\d+[.,]\d+|\d{1,3}(?:[ .,\u00a0]\d{3})+")
_SOURCE = re.compile(r"(?P<source>[A-Za-z][\w.-]*):(?P<id>.+)", re.DOTALL)
_LINK = re.compile(r"(?i)(?:https?:)?//|[\w-]+(?:\.[\w-]+)+(?::\d+)?/")


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
        return of_source(*_in_link(text))
    named = _SOURCE.fullmatch(text)
    if named is None:
        return _bare(text)
    source, rest, types = named["source"].lower(), named["id"].strip(), source_types()
    if source not in types and "://" in text:
        return _bare(text)
    if source not in types:
        raise ValueError(f"no source is called {source!r}; known: {', '.join(sorted(types))}; {_how()}")
    if _LINK.match(rest):
        return of_source(source, _in_link(rest)[1])
    return of_source(source, _parsed(types[source].post_ids, rest))


def ids_meant(ids: Sequence[str]) -> list[str]:
    """Those that stand on the bus: a post may lie there as heard live, and as played from a recording."""
    types = source_types()
    replaying = [name for name, its in types.items() if its.replays]
    meant = list(ids)
    for id_ in ids:
        source, named, its = id_.partition(":")
        if named and source in types and source not in replaying:
            meant += [of_source(name, its) for name in replaying]
    return list(dict.fromkeys(meant))


def looks_rounded(id_: str) -> bool:
    """A spreadsheet keeps fifteen digits and writes zeros for the rest."""
    number = id_.rpartition(":")[2]
    return len(number) > 15 and number.isdigit() and not number[15:].strip("0")


def _in_link(link: str) -> tuple[str, str]:
    """The source whose post the link leads to, and the id."""
    why = "is a link, but to no post"
    for name, its in source_types().items():
        try:
            found = its.post_ids.in_link(link)
        except ValueError as error:
            why = str(error)
            continue
        if found is not None:
            return name, _parsed(its.post_ids, found)
    raise ValueError(f"{why}; {_how()}")


def _bare(text: str) -> str:
    """An id that is known by its form, of whatever source."""
    problems: list[ValueError] = []
    for its in source_types().values():
        if its.post_ids.looks:
            try:
                return _parsed(its.post_ids, text)
            except ValueError as error:
                problems.append(error)
    raise problems[0] if problems else ValueError(f"is no post id; {_how()}")


def _parsed(its: PostIds, text: str) -> str:
    if _SPREADSHEET.fullmatch(text):
        raise ValueError(f"is a number as a spreadsheet rewrites it, whose last digits are lost or moved; {_how()}")
    try:
        return its.parse(text)
    except ValueError as error:
        raise ValueError(f"{error}; {_how()}") from None


def _how() -> str:
    """What to write instead; of each source, those first whose ids are known by their form."""
    types = sorted(source_types().items(), key=lambda item: (not item[1].post_ids.looks, item[0]))
    forms = [its.post_ids.looks for _, its in types if its.post_ids.looks]
    return f"write {', '.join([*forms, *(f'{name}:ID' for name, _ in types)])}, or the link to the post"
