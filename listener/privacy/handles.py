"""Finding account names in a text: `@name`, `RT @name:`, `@name@server`, `@name.bsky.social`, and links to profiles
and posts, also through mirrors: on any host `/NAME/status/NUMBER` is a post by NAME. Without an @ a name is found where
a platform is named before it (`insta: ola_n`), and only when it is no word: with a digit or a low line in it.

What stands there instead is for a `resolve` to say: it gets the name as written, without @, and returns the new one,
or None for an account that keeps its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from listener.privacy.folding import Hints, Span, hints

HANDLE = "handle"
Resolve = Callable[[str], str | None]
Known = Callable[[str], bool]

_MARKS = r"\u0300-\u036f"
_AT_NAME = re.compile(
    rf"@(?!-?\d{{1,3}}\.\d+,)"  # a place on a map: /@59.9139,10.7522,15z
    rf"(?P<name>[\w{_MARKS}]+(?:[.-]+(?!https?:)[\w{_MARKS}]+)*)(?:@(?P<server>[\w-]+(?:\.[\w-]+)+))?"
)
_CUT = re.compile(r"[.-]+")
_LONGEST = 512
"""Characters of a name; no platform knows longer ones."""

_WORD = r"[\w.]*[^\W\d_][\w.]*"
_TELLING = rf"(?=[\w.]{{0,40}}[\d_])(?=(?:[\d_.]{{0,20}}[^\W\d_]){{3}}){_WORD}"
"""A name that is no word of a sentence."""
_APART = re.compile(rf"@\s(?P<name>{_TELLING})|@[\[({{<*\"“«'/]{{1,2}}(?P<wrapped>{_WORD})")
_NAMED = re.compile(
    r"(?i)(?<![\w@/.])(?:(?:insta(?:gram)?|ig|snap(?:chat)?|twitter|tiktok|telegram|bluesky|bsky|facebook"
    rf"|fb|youtube)(?:\s?[:=]\s{{0,2}}|\s)|RT\s)(?P<name>{_TELLING})"
)
_REDDIT = re.compile(r"(?<![\w.])/?u/(?P<name>[\w-]{3,20})(?![\w/])")

_X_WORDS = "i|home|search|hashtag|intent|share|explore|settings|messages|notifications|compose|login|tos|privacy|about"
_ON_X = rf"/?(?:#!/)?(?!(?:{_X_WORDS})\b)(?P<name>\w+)(?P<status>/status(?:es)?/\d+)?"
_X = ("x.com", "twitter.com")
_MIRRORS = (
    "xcancel.com",
    "fxtwitter.com",
    "vxtwitter.com",
    "fixupx.com",
    "fixvx.com",
    "twittpr.com",
    "twstalker.com",
)
_PROFILES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (host, re.compile(rf"(?i)(?<![\w-]){re.escape(host)}(?::\d{{1,5}})?/{path}"))
    for host, path in (
        ("x.com", _ON_X),
        ("twitter.com", _ON_X),
        *((host, rf"{_ON_X}") for host in _MIRRORS),
        ("t.me", r"(?:s/)?(?!(?:c|s|share|joinchat|addstickers|proxy|socks)/)(?P<name>[a-z]\w+)"),
        ("telegram.me", r"(?:s/)?(?P<name>[a-z]\w+)"),
        ("instagram.com", r"(?:stories/)?(?!(?:p|reels?|tv|explore|stories|accounts)\b)(?P<name>\w[\w.]*)"),
        (
            "facebook.com",
            r"(?:people/(?P<person>[^\s/?#]+(?:/\d+)?)|profile\.php\?(?:[^\s#]{0,256}?&)?id=(?P<id>\d+)"
            r"|(?!(?:groups|events|watch|photo|permalink|story|share|sharer|reel|hashtag|pages|profile|people|help"
            r"|login|plugins|dialog|media|marketplace)\b)(?P<name>\w[\w.-]*))",
        ),
        ("fb.com", r"(?!(?:groups|events|watch)\b)(?P<name>\w[\w.-]*)"),
        ("fb.me", r"(?P<name>\w[\w.-]*)"),
        ("m.me", r"(?P<name>\w[\w.-]*)"),
        ("linkedin.com", r"(?:in|pub)/(?P<name>[^\s/?#]+)"),
        ("youtube.com", r"(?:c|user|channel)/(?P<name>[^\s/?#]+)"),
        ("snapchat.com", r"add/(?P<name>[\w.-]+)"),
        ("reddit.com", r"(?:u|user)/(?P<name>[\w-]+)"),
        ("bsky.app", r"profile/(?P<name>[^\s/?#]+)"),
    )
)
_FEDIVERSE = re.compile(r"(?i)/users?/(?P<name>\w[\w.-]*)")
_NITTER = re.compile(rf"(?i)(?<![\w-])nitter(?:\.[a-z0-9-]{{1,40}}){{1,4}}(?::\d{{1,5}})?/{_ON_X}")
_STATUS = re.compile(r"(?i)(?<!/i)(?<!/users)/(?!i/)@?(?P<name>\w{1,50})/status(?:es)?/\d")
"""On any host."""
_POST = re.compile(r"(?i)/profile/(?P<name>[^\s/?#]{1,260})/post/")
_QUERY = re.compile(
    r"(?i)[?&](?:screen_name|user_?id|user_?name|user|handle|profile|account|via|related|in_reply_to_user)=@?(?P<name>[\w.,-]+)"
)
_SEARCH = re.compile(r"(?i)(?<![^\W_])(?:from|to):@?(?P<name>\w+)")


_CUES = ("insta", "snap", "twitter", "tiktok", "telegram", "sky", "facebook", " ig", "ig:", "fb", "youtube")
"""In lower case; of `_NAMED`."""


def find_handles(text: str, known: Known, resolve: Resolve, cheap: Hints | None = None) -> Iterator[Span]:
    """Spans of names in a folded text. `known` distinguishes a name that we were given from one cut out wrongly.

    `cheap`: the text's hints, where they are at hand.
    """
    lower, digits = cheap or hints(text)
    signs = text.count("@")
    if signs:
        for match in _AT_NAME.finditer(text):
            signs -= 1
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
    # A name that is no word has a digit or a low line.
    if (digits or "_" in text) and (_is_cued(lower) or ("RT " in text and text.count("RT ") > text.count("RT @"))):
        yield from _simple(_NAMED, text, resolve)
    if "/" in text:
        yield from _in_links(text, lower, resolve)


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
    dotted, hyphened = "." in name, "-" in name
    if dotted or hyphened:
        for cut in reversed(list(_CUT.finditer(name, 0, _LONGEST))):
            if known(name[: cut.start()]):
                return start, start + cut.start(), name[: cut.start()]
    if hyphened and not dotted:  # no platform has a name with a hyphen and no dot
        name = name.split("-", 1)[0]
    return start, start + len(name), name


def _in_links(text: str, lower: str, resolve: Resolve) -> Iterator[Span]:
    for host, pattern in _PROFILES:
        if host not in lower:
            continue
        for match in pattern.finditer(text):
            groups = match.groupdict()
            part = next(name for name in ("name", "person", "id") if groups.get(name))
            new = resolve(match[part].rstrip(".-"))
            if new is not None:
                # X opens a post under /i/web/status/ without a name; the link goes on working.
                yield Span(*match.span(part), _anybody(host) if groups.get("status") else new, HANDLE)
        if host in _X:
            yield from _simple(_SEARCH, text, resolve)
    if "/status" in lower:
        for match in _STATUS.finditer(text):
            new = resolve(match["name"])
            if new is not None:
                yield Span(*match.span("name"), "i", HANDLE)
    if "nitter" in lower:
        yield from _simple(_NITTER, text, resolve)
    if "/profile/" in lower:
        yield from _simple(_POST, text, resolve)
    if "/user" in lower:
        yield from _simple(_FEDIVERSE, text, resolve)
    if "u/" in lower:
        yield from _simple(_REDDIT, text, resolve)
    if "=" in text:
        yield from _simple(_QUERY, text, resolve)


def _anybody(host: str) -> str:
    return "i/web" if host in _X else "i"


def _simple(pattern: re.Pattern[str], text: str, resolve: Resolve) -> Iterator[Span]:
    for match in pattern.finditer(text):
        new = resolve(match["name"].rstrip(".-"))
        if new is not None:
            yield Span(*match.span("name"), new, HANDLE)
