"""From one page to the next. Pure.

A page may be empty and have a next one, and a full page may have none: only `paging.next` tells. It is an address with
our token in it, so of it the parameters alone are taken, and the call is made as the one before. Its place counts for
this reading alone: Meta asks that none is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

_OURS: Final = frozenset({"access_token", "appsecret_proof"})
_LONGEST: Final = 10_000


def next_page(data: Mapping[str, Any], asked: Mapping[str, str]) -> Mapping[str, str] | None:
    """The parameters of the next page, from an answer's data and those that it was asked with; None: there is none.

    One may name itself as the next: whoever reads on does so within bounds, and says what lies beyond them."""
    paging = data.get("paging")
    link = paging.get("next") if isinstance(paging, dict) else None
    if not isinstance(link, str) or not 0 < len(link) <= _LONGEST:
        return None
    try:
        found = dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))
    except ValueError:
        return None
    return {**asked, **{name: value for name, value in found.items() if name not in _OURS}}
