"""Finding account names in links: to profiles and posts on the platforms that people use, and on mirrors of them.

`https://x.com/NAME`, `github.com/NAME`, `NAME.tumblr.com`, and on any host `/NAME/status/NUMBER`; also where the link
is spoilt so that nobody follows it by mistake (`hxxps://x[.]com/NAME`, `twitter com/NAME`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from listener.privacy.folding import Span

HANDLE = "handle"
Resolve = Callable[[str], str | None]

_X_WORDS = "i|home|search|hashtag|intent|share|explore|settings|messages|notifications|compose|login|tos|privacy|about"
_ON_X = rf"/?(?:#!/)?(?!(?:{_X_WORDS})\b)(?P<name>\w+)(?P<status>/status(?:es)?/\d+)?"
_X = ("x.com", "twitter.com")
_NO_NAME = (
    f"{_X_WORDS}|features|topics|orgs|marketplace|sponsors|trending|pricing|enterprise|collections|events|issues|pulls"
    r"|new|apps|site|security|contact|directory|videos?|pins?|ideas|discover|channels|downloads|jobs|blog|help|support"
    r"|tags?|groups|music|feed|legal|terms|people|photos|p|c|u|s|t|r|en|no|nb|wiki|categories|team|product|signup|join"
)
_FIRST = rf"(?!(?:{_NO_NAME})(?![\w.-]))@?(?P<name>\w[\w.-]*)"
_MIRRORS = (
    "xcancel.com",
    "fxtwitter.com",
    "vxtwitter.com",
    "fixupx.com",
    "fixvx.com",
    "twittpr.com",
    "twstalker.com",
)
_NAME_FIRST = (
    "github.com", "gitlab.com", "codeberg.org", "bitbucket.org", "threads.net", "threads.com", "tiktok.com",
    "twitch.tv", "kick.com", "pinterest.com", "soundcloud.com", "patreon.com", "linktr.ee", "ko-fi.com", "paypal.me",
    "vk.com", "truthsocial.com", "medium.com", "dribbble.com", "behance.net", "onlyfans.com", "cash.app", "vipps.me",
    "buymeacoffee.com", "keybase.io", "about.me", "vimeo.com", "bluesky.app", "instagr.am", "last.fm",
)  # fmt: skip
_PATHS: Mapping[str, str] = {
    **dict.fromkeys((*_X, *_MIRRORS), _ON_X),
    **dict.fromkeys(_NAME_FIRST, _FIRST),
    "t.me": r"(?:s/)?(?!(?:c|s|share|joinchat|addstickers|proxy|socks)/)(?P<name>[a-z]\w+)",
    "telegram.me": r"(?:s/)?(?P<name>[a-z]\w+)",
    "instagram.com": r"(?:stories/)?(?!(?:p|reels?|tv|explore|stories|accounts)\b)(?P<name>\w[\w.]*)",
    "facebook.com": (
        r"(?:people/(?P<person>[^\s/?#]+(?:/\d+)?)|profile\.php\?(?:[^\s#]{0,256}?&)?id=(?P<id>\d+)"
        r"|(?!(?:groups|events|watch|photo|permalink|story|share|sharer|reel|hashtag|pages|profile|people|help"
        r"|login|plugins|dialog|media|marketplace)\b)(?P<name>\w[\w.-]*))"
    ),
    "fb.com": r"(?!(?:groups|events|watch)\b)(?P<name>\w[\w.-]*)",
    "fb.me": r"(?P<name>\w[\w.-]*)",
    "m.me": r"(?P<name>\w[\w.-]*)",
    # Before the low line stands who wrote a post; an article's address ends with it, and nothing tells where it begins.
    "linkedin.com": r"(?:posts/(?P<person>[^\s/?#_]+)_|(?:in|pub|pulse)/(?P<name>[^\s/?#]+))",
    "youtube.com": r"(?:c|user|channel)/(?P<name>[^\s/?#]+)",
    "snapchat.com": r"add/(?P<name>[\w.-]+)",
    "reddit.com": r"(?:u|user)/(?P<name>[\w-]+)",
    **dict.fromkeys(("bsky.app", "deer.social", "blacksky.community"), r"profile/(?P<name>[^\s/?#]+)"),
    "strava.com": r"(?:athletes|pros)/(?P<name>[\w-]+)",
    "spotify.com": r"(?:intl-\w\w/)?user/(?P<name>[\w.%-]+)",
    "steamcommunity.com": r"(?:id|profiles)/(?P<name>[\w-]+)",
    "flickr.com": r"(?:photos|people)/(?P<name>[\w@-]+)",
    "wikipedia.org": r"wiki/(?:User|Bruker|Brukar|Special:Contributions|Brukerdiskusjon)(?:_talk)?:(?P<name>[^\s/?#]+)",
    "discord.com": r"users/(?P<name>\d+)",
    "ok.ru": r"profile/(?P<name>\w+)",
}
_PROFILES = {host: re.compile(f"(?i){path}") for host, path in _PATHS.items()}
_ENDS = "|".join(sorted({host.rpartition(".")[2] for host in _PATHS}))
_END_OF_HOST = re.compile(rf"(?i)\.(?P<end>{_ENDS})(?::\d{{1,5}})?/")
_LAST_LABEL = re.compile(r"(?<![\w-])[a-z][a-z-]{0,20}\Z", re.IGNORECASE)
_SPOILT_HOST = re.compile(
    r"(?i)(?<![\w-])(?P<host>x|twitter|instagram|facebook|tiktok|github|threads|snapchat|linkedin|reddit|youtube)"
    r"(?:\s?[.,]\s|\s[.,]|,|\s)(?P<end>com|net)\s?/\s?"
)
_HOME = re.compile(
    r"(?i)\.(?:bsky\.(?:social|team)|(?:tumblr|substack|wordpress|medium|livejournal|deviantart|blogspot|bandcamp"
    r"|carrd|weebly)\.(?:com|no|co)|github\.io|itch\.io|netlify\.app)(?![\w-])"
)
"""Hosts on which everybody has a name of their own before the dot."""
MAY_BE_HOME = re.compile(
    r"\.(?:bsky|tumblr|substack|wordpress|medium|livejournal|deviantart|blogspot|bandcamp|carrd|weebly|github|itch|netlify)\."
)
"""Before the search, in lower case."""
_NAME_AT_HOME = re.compile(
    r"(?<![\w@.-])(?!(?:www|api|help|support|blog|about|status|docs|cdn|public|en|no|m)\Z)[\w-]{2,63}\Z", re.IGNORECASE
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
_REDDIT = re.compile(r"(?<![\w.])/?u/(?P<name>[\w-]{3,20})(?![\w/])")


def find_in_links(text: str, lower: str, resolve: Resolve) -> Iterator[Span]:
    """Spans of names in a folded text that holds a slash."""
    for end in _END_OF_HOST.finditer(text):
        label = _LAST_LABEL.search(text, max(0, end.start() - 24), end.start())
        if label is not None:
            yield from _on_host(text, f"{label[0]}.{end['end']}".lower(), end.end(), resolve)
    if "com" in lower or "net" in lower:
        for spoilt in _SPOILT_HOST.finditer(text):
            yield from _on_host(text, f"{spoilt['host']}.{spoilt['end']}".lower(), spoilt.end(), resolve)
    if "x.com" in lower or "twitter.com" in lower:
        yield from simple(_SEARCH, text, resolve)
    if "/status" in lower:
        for match in _STATUS.finditer(text):
            new = resolve(match["name"])
            if new is not None:
                yield Span(*match.span("name"), "i", HANDLE)
    if "nitter" in lower:
        yield from simple(_NITTER, text, resolve)
    if "/profile/" in lower:
        yield from simple(_POST, text, resolve)
    if "/user" in lower:
        yield from simple(_FEDIVERSE, text, resolve)
    if "u/" in lower:
        yield from simple(_REDDIT, text, resolve)
    if "=" in text:
        yield from simple(_QUERY, text, resolve)


def _on_host(text: str, host: str, place: int, resolve: Resolve) -> Iterator[Span]:
    pattern = _PROFILES.get(host)
    match = pattern.match(text, place) if pattern else None
    if match is None:
        return
    groups = match.groupdict()
    part = next(name for name in ("name", "person", "id") if groups.get(name))
    new = resolve(match[part].rstrip(".-"))
    if new is not None:
        # X opens a post under /i/web/status/ without a name; the link goes on working.
        anybody = "i/web" if host in _X else "i"
        yield Span(*match.span(part), anybody if groups.get("status") else new, HANDLE)


def find_homes(text: str, resolve: Resolve) -> Iterator[Span]:
    """Spans of names in hosts: `NAME.bsky.social`, which is a name as a whole, and `NAME.tumblr.com`."""
    for home in _HOME.finditer(text):
        match = _NAME_AT_HOME.search(text, max(0, home.start() - 64), home.start())
        if match is not None:
            whole = ".bsky." in home[0].lower()
            end = home.end() if whole else home.start()
            new = resolve(text[match.start() : end])
            if new is not None:
                yield Span(match.start(), end, new, HANDLE)


def simple(pattern: re.Pattern[str], text: str, resolve: Resolve) -> Iterator[Span]:
    """Spans of the group `name` wherever the pattern is found."""
    for match in pattern.finditer(text):
        new = resolve(match["name"].rstrip(".-"))
        if new is not None:
            yield Span(*match.span("name"), new, HANDLE)
