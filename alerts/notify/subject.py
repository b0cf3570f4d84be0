"""The first line, which is the subject too: marks, incident, what, how it develops, in at most 70 characters.

`ØVELSE · [Brann Ullevål] 14 spør etter pårørendetelefon, ↑ 9 siste 15 min`. Where it is too long, the incident's name
is shortened first, then the development left out, and the headline is cut last. And the short form for SMS, of the same
words, in letters that GSM-7 has: a single other one would more than halve what a message holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alerts.notify.channels import sms_text
from alerts.notify.channels.sms_text import Encoding, count
from alerts.notify.channels.text import one_line
from alerts.notify.messages import ARROWS

LONGEST = 70
LONGEST_FOR_SMS = 120
SHORTEST_NAME = 12
"""Letters of an incident's name that are kept, if it has so many, before the development is left out."""
LEAST_NAME = 9
"""The same, before the headline is cut."""
BETWEEN = " · "

SMS_LONGEST = 300
"""GSM-7 units: a little less than two parts of 153. A letter beyond GSM-7 makes them two parts of 67."""
SMS_LONGEST_UNICODE = 130
NO_ARROWS = dict.fromkeys(map(ord, ARROWS.values()))


def first_line(
    marks: Iterable[str],
    incident: str,
    headline: str,
    trends: Sequence[str] = (),
    more: str = "",
    *,
    longest: int = LONGEST,
    dispensable: bool = False,
) -> str:
    """The fullest line that fits. `trends`: the fullest first. `more`: how many other alerts there are, which is never
    left out. An empty `incident` is; a `dispensable` one before the headline is cut.
    """
    before = "".join(f"{mark}{BETWEEN}" for mark in marks)
    name = one_line(incident)
    brackets = len("[] ") if name else 0
    for shortest, trend in (*((SHORTEST_NAME, trend) for trend in (*trends, "")), (LEAST_NAME, "")):
        said = ", ".join(filter(None, (headline, trend, more)))
        room = longest - len(before) - len(said) - brackets
        if room >= min(len(name), shortest):
            return before + _bracketed(shortened(name, room)) + said
    if dispensable and name:
        return first_line(marks, "", headline, trends, more, longest=longest)
    end = f", {more}" if more else ""
    room = longest - len(before) - brackets - len(end)
    said = cut(headline, max(room - min(len(name), LEAST_NAME), 10))
    return before + _bracketed(shortened(name, max(room - len(said), LEAST_NAME))) + said + end


def _bracketed(name: str) -> str:
    return f"[{name}] " if name else ""


def shortened(text: str, room: int) -> str:
    """Cut at a word, if that leaves half of it, with `…` for what is missing."""
    if len(text) <= room:
        return text
    kept = text[: max(room - 1, 1)]
    at_word = kept.rpartition(" ")[0] if not text[len(kept) : len(kept) + 1].isspace() else kept
    return (at_word if len(at_word) * 2 >= len(kept) else kept).rstrip(" ,.;:–-·") + "…"


def cut(headline: str, room: int) -> str:
    """A headline that is too long: its first sentence, if that fits, else as many words as do."""
    if len(headline) <= room:
        return headline
    first, stop, _ = headline.partition(". ")
    return first if stop and len(first) <= room else shortened(headline, room)


# --- SMS ---------------------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """In letters of GSM-7 as far as it has them. Arrows are left out: an SMS says in a word how it develops."""
    return sms_text.plain(text.translate(NO_ARROWS))


def fits(text: str) -> bool:
    """Whether it is two messages at most, with a little to spare."""
    encoding, units, _ = count(text)
    return units <= (SMS_LONGEST if encoding is Encoding.GSM_7 else SMS_LONGEST_UNICODE)


def short_text(head: str, parts: Sequence[str], tail: str) -> str:
    """One text of at most two messages: `head`, as many of `parts` as fit, the most important first, and `tail` whole.

    `tail` says how to answer, and a part of a link leads nowhere: all else gives way to it.
    """
    head = plain(head)
    while head and not fits(_joined([head, tail])):
        head = head[:-4].rstrip(" .,:-") + "..." if len(head) > len("a...") else ""
    kept = [head]
    for part in map(plain, parts):
        if fits(_joined([*kept, part, tail])):
            kept.append(part)
    return _joined([*kept, tail])


def _joined(parts: Sequence[str]) -> str:
    said = [part for part in parts if part]
    ended = (part if part.endswith((".", "?", "!")) else f"{part}." for part in said[:-1])
    return " ".join([*ended, *said[-1:]])
