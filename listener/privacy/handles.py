"""Finding account names in a text: `@name`, `RT @name:`, `@name@server`, and links (`listener.privacy.profiles`).

Without an @ a name is found where a platform is named before or behind it (`insta: ola_n`, `ola_n på twitter`), where
a word says that it is one (`følg ola_n`), as `name.bsky.social`, and in a search (`from:ola_n`); except in the last two
only when it is no word: with a digit or a low line in it.

What stands there instead is for a `resolve` to say: it gets the name as written, without @, and returns the new one,
or None for an account that keeps its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from listener.privacy.folding import Hints, Span, hints
from listener.privacy.profiles import HANDLE, MAY_BE_HOME, Resolve, find_homes, find_in_links, simple

Known = Callable[[str], bool]

_MARKS = r"\u0300-\u036f"
_AT_NAME = re.compile(
    rf"@(?!-?\d{{1,3}}\.\d+,)"  # a place on a map: /@59.9139,10.7522,15z
    rf"(?P<name>[\w{_MARKS}]+(?:[.·-]+(?!https?:)[\w{_MARKS}]+)*)(?:@(?P<server>[\w-]+(?:\.[\w-]+)+))?"
)
_CUT = re.compile(r"[.·-]+")
_LONGEST = 512
"""Characters of a name; no platform knows longer ones."""

_WORD = r"[\w.]*[^\W\d_][\w.]*"
_TELLS = r"(?=[\w.]{0,40}[\d_])(?=(?:[\d_.]{0,20}[^\W\d_]){3})"
_TELLING = rf"{_TELLS}{_WORD}"
"""A name that is no word of a sentence."""
_APART = re.compile(rf"@\s(?P<name>{_TELLING})|@[\[({{<*\"“«'/]{{1,2}}(?P<wrapped>{_WORD})")
_PLATFORM = (
    "insta(?:gram)?|ig|snap(?:chat)?|twitter|tiktok|telegram|bluesky|bsky|facebook|fb|youtube|threads|github|twitch"
    "|reddit|linkedin|mastodon|strava|discord"
)
_SAYS_SO = "brukernavn(?:et)?|bruker(?:en)?|kontoen|konto|profilen|profil|følg|username|user|account|follow"
_NAMED = re.compile(rf"(?i)(?<![\w@/.])(?:(?:{_PLATFORM}|{_SAYS_SO})(?:\s?[:=]\s{{0,2}}|\s)|RT\s)(?P<name>{_TELLING})")
_NAMED_BEHIND = re.compile(
    rf"(?i)(?<![\w@/.:#-])(?=[^\W\d]|_)(?!covid|sars|korona|mrsa){_TELLS}(?P<name>[\w.]{{3,50}})(?![\w.])"
    rf"(?:(?:\s(?:sin|her|er))?\s(?:på|on|via|i|fra)\s(?:{_PLATFORM}|(?-i:X))|\s?[(\[,/–-]?\s?(?:på\s|sin\s)?(?:{_PLATFORM}))\b"
)
_SEARCHED = re.compile(
    rf"(?<![\w/])(?:from:@?(?P<from>(?!https?\b)[a-z0-9_]{{3,15}})\b|(?i:from|to):@?(?P<name>{_TELLING}))"
)
_DIGIT_IN_WORD = re.compile(
    r"[0-9\u0660-\u0669\u06f0-\u06f9\u0966-\u096f](?:(?<=[^\W\d]\d)|(?<=[^\W\d]\.\d)|(?=\.?[^\W\d]))"
)
_CUES = (
    *(
        "insta",
        "snap",
        "twitter",
        "tiktok",
        "telegram",
        "sky",
        "facebook",
        " ig",
        "ig:",
        "fb",
        "youtube",
        "bruker",
        "følg",
    ),
    *("konto", "profil", "user", "account", "follow", "på x", "on x", "threads", "git", "twitch", "reddit", "linkedin"),
    *("mastodon", "strava", "discord"),
)
"""In lower case; of `_NAMED` and `_NAMED_BEHIND`."""


def find_handles(text: str, known: Known, resolve: Resolve, cheap: Hints | None = None) -> Iterator[Span]:
    """Spans of names in a folded text. `known` distinguishes a name that we were given from one cut out wrongly.

    `cheap`: the text's hints, where they are at hand.
    """
    lower, digits, ends = cheap or hints(text)
    signs = text.count("@") if "@" in text else 0
    low_lines = text.count("_") if "_" in text else 0
    if signs:
        for match in _AT_NAME.finditer(text):
            signs -= 1
            low_lines -= match[0].count("_")
            start, end, name = _name(match, known)
            new = resolve(name)
            if new is not None:
                yield Span(start, end, new, HANDLE)
    if signs:  # one without a name at once behind it
        for match in _APART.finditer(text):
            part = "name" if match["name"] else "wrapped"
            new = resolve(match[part].strip("."))
            if new is not None:
                yield Span(*match.span(part), new, HANDLE)
    # A name that is no word has a low line or a digit.
    if (low_lines or (digits and _DIGIT_IN_WORD.search(text))) and (
        _is_cued(lower) or ("RT " in text and text.count("RT ") > text.count("RT @"))
    ):
        yield from simple(_NAMED, text, resolve)
        yield from simple(_NAMED_BEHIND, text, resolve)
    if ":" in text and ("from:" in lower or "to:" in lower):
        for match in _SEARCHED.finditer(text):
            part = "from" if match["from"] else "name"
            new = resolve(match[part].strip("."))
            if new is not None:
                yield Span(*match.span(part), new, HANDLE)
    if ends and MAY_BE_HOME.search(lower):
        yield from find_homes(text, resolve)
    if "/" in text:
        yield from find_in_links(text, lower, resolve)


def _is_cued(lower: str) -> bool:
    for cue in _CUES:  # noqa: SIM110 -- `any` takes four times as long, and nearly every post holds none
        if cue in lower:
            return True
    return False


def _name(match: re.Match[str], known: Known) -> tuple[int, int, str]:
    """`@ola.Takk` is `ola` when ola is known; else all of it is the name: rather a word lost than a name shown."""
    start, name = match.start("name"), match["name"]
    whole = match[0][1:]
    if known(whole) or match["server"]:
        return start, match.end(), whole
    if match.string[match.start() - 1 : match.start()] == "/":
        return start, start + len(name), name  # in a link it stands alone, also YouTube's, with hyphens and no dot
    dotted, hyphened = "." in name or "·" in name, "-" in name
    if dotted or hyphened:
        for cut in reversed(list(_CUT.finditer(name, 0, _LONGEST))):
            rest = name[cut.end() :]
            # Behind a full stop a sentence begins with a capital; small letters may be the rest of another's name.
            ends = "." not in rest if cut[0] == "-" else rest[0].isupper()
            if ends and known(name[: cut.start()]):
                return start, start + cut.start(), name[: cut.start()]
    if hyphened and not dotted:
        # On X a name ends at the hyphen, on YouTube or GitHub it does not, and in ordinary writing the rest may be
        # somebody's last name: rather a word lost. Two hyphens are a dash.
        whole = name.split("--", 1)[0]
        return start, start + len(whole), whole.split("-", 1)[0]
    return start, start + len(name), name
