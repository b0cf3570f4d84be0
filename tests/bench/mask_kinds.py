"""More forms, which an outside tester got through the masks, each as a kind; with innocents that look like them.

As in `tests.bench.mask_forms` the parameters are dealt into halves: every second one, from the first, is for tuning,
the others are held back for the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol


class Dice(Protocol):
    """What is needed of `tests.bench.mask_forms.Dice`."""

    def of(self, choices: Sequence[Any]) -> Any: ...

    def number(self, least: int, most: int) -> int: ...


ODD_SHAPES = (
    (1, 2, 2, 3),
    (1, 2, 3, 2),
    (2, 1, 2, 3),
    (3, 1, 2, 2),
    (2, 2, 1, 3),
    (2, 3, 1, 2),
    (1, 1, 2, 4),
    (2, 2, 3, 1),
    (2, 2, 2, 1, 1),
    (1, 1, 2, 2, 2),
    (1, 2, 2, 2, 1),
    (2, 1, 1, 2, 2),
)
ODD_BREAKS = (" ", "\u00a0", "  ", "-")

_UNITS = ("null", "en", "to", "tre", "fire", "fem", "seks", "sju", "åtte", "ni")
_OLD_UNITS = ("null", "ein", "to", "tre", "fire", "fem", "seks", "syv", "åtte", "ni")
_ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ti", "elleve", "tolv", "tretten", "fjorten", "femten", "seksten", "sytten", "atten", "nitten")
_TENS = ("", "", "tjue", "tretti", "førti", "femti", "seksti", "sytti", "åtti", "nitti")


def pair(two: str, gap: str = "") -> str:
    """Two digits as they are said: `nittitre`."""
    value = int(two)
    if value < 10:
        return "null " + _UNITS[value]
    if value < 20:
        return _TEENS[value - 10]
    return _TENS[value // 10] + (gap + _UNITS[value % 10] if value % 10 else "")


def _pairs(number: str) -> list[str]:
    return [number[i : i + 2] for i in range(0, 8, 2)]


SAID: tuple[Callable[[str], str], ...] = (
    lambda n: f"{n[:2]} {n[2:4]} {n[4:6]} " + " ".join(_UNITS[int(d)] for d in n[6:]),
    lambda n: " ".join([*_pairs(n)[:3], pair(n[6:])]),
    lambda n: " ".join(_UNITS[int(d)] for d in n),
    lambda n: " ".join(_OLD_UNITS[int(d)] for d in n),
    lambda n: " ".join(map(pair, _pairs(n))),
    lambda n: ", ".join(_UNITS[int(d)] for d in n),
    lambda n: " ".join(pair(two, " ") for two in _pairs(n)),
    lambda n: "-".join(_UNITS[int(d)] for d in n),
    lambda n: f"{pair(n[:2])} {pair(n[2:4])} {n[4:6]} {n[6:]}",
    lambda n: " ".join(_UNITS[int(d)] for d in n[:2]) + f" {n[2:4]} {n[4:6]} {n[6:]}",
    lambda n: " ".join(_ENGLISH[int(d)] for d in n),
    lambda n: f"{n[:3]} {pair(n[3:5])} {n[5:]}",
    lambda n: " ".join(_UNITS[int(d)].upper() for d in n),
    lambda n: " ".join(_UNITS[int(d)] if i % 2 else d for i, d in enumerate(n)),
)

ADDRESSES = (
    "{l}@@{d}",
    "{l}@@@{d}",
    "{l}@{a} .{e}",
    "{l}@{a}. {e}",
    "{l}@{a},{e}",
    "{l}@{a};{e}",
    "{l} {p}.com",
    "{l} ({p}.com)",
    "{l}, {p}.com",
    "{l} på {p}.com",
    "{l} på {p}",
    "{l}/{p}.com",
    "{l} hos {p}",
    "{l} - {p}.com",
    "{l} @@ {d}",
    "{l}@{p} com",
    "{l} {p} com",
    "{l}@{a}[.]{e}",
    "{l}@{a}(.){e}",
    "{l}@{a}[dot]{e}",
    "{l} {p}",
    "{l}: {p}.com",
)
PROVIDERS = ("gmail", "hotmail", "outlook", "icloud", "yahoo", "protonmail")

NAMES = (
    "{} på twitter",
    "{} på insta",
    "{} (twitter)",
    "{} on Instagram",
    "{} på X",
    "{} på snap",
    "from:{}",
    "from:{} brann",
    "to:{}",
    "(from:{} OR to:nrk)",
    "{}.bsky.social",
    "https://{}.bsky.social",
    "{}.tumblr.com",
    "{}.substack.com",
    "https://{}.blogspot.com/2024/brann.html",
    "{}.wordpress.com",
    "github.com/{}",
    "https://gitlab.com/{}",
    "https://www.twitch.tv/{}",
    "https://www.pinterest.com/{}/brett",
    "https://soundcloud.com/{}",
    "https://www.patreon.com/{}",
    "https://linktr.ee/{}",
    "https://vk.com/{}",
    "https://github.com/{}/dott",
    "https://medium.com/@{}",
    "https://threads.net/{}",
    "https://tiktok.com/{}",
    "hxxps://x[.]com/{}",
    "hxxp://twitter[.]com/{}",
    "x(.)com/{}",
    "instagram[dot]com/{}",
    "twitter com/{}",
    "x . com/{}",
    "instagram. com/{}",
    "facebook ,com/{}",
    "x[.]com/{}/status/99",
    "fxtwitter[.]com/{}/status/99",
    "følg {}",
    "brukernavn {}",
    "bruker: {}",
    "kontoen {}",
    "{} sin twitter",
    "{} via telegram",
    "github: {}",
    "twitch: {}",
    "@{} på twitter",
    "https://open.spotify.com/user/{}",
    "https://steamcommunity.com/id/{}",
    "https://www.flickr.com/photos/{}",
    "https://www.strava.com/athletes/{}",
    "https://no.wikipedia.org/wiki/Bruker:{}",
)

INNOCENT: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "addresses of machines",
        (
            "192.168.100.100",
            "IP 192.168.{b}.{c}",
            "10.{b}.{c}.138",
            "{c}.{b}.168.10",
            "8.8.8.8",
            "172.16.{b}.{c}:8080",
            "46.{s}.168.10",
            "127.0.0.1 og 192.168.{s}.{s}",
        ),
    ),
    (
        "counting",
        (
            "1 2 3 4 5 6 7 8 9 10",
            "9 8 7 6 5 4 3 2 1",
            "1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
            "2 3 4 5 6 7 8 9",
            "40 41 42 43 44 45",
            "10 20 30 40 50 60",
            "to tre fire fem seks sju åtte ni",
            "en to tre fire fem",
            "4 5 6 7 8 9 10",
            "91 92 93 94 95",
        ),
    ),
    (
        "laws",
        (
            "§ 4-2 og § 9-31",
            "§§ 4-1 til 4-12",
            "hpl. § 21 nr 2, § 45",
            "lov 2. juli 1999 nr. 63",
            "pasrl § 4-3, 4-4, 9-12",
            "forskrift 2016-10-28-1250",
            "LOV-1999-07-02-64",
            "artikkel 9 nr. 2 bokstav h",
        ),
    ),
    (
        "rooms",
        (
            "rom 412, 413 og 41{b}",
            "rom 4 12 30",
            "Rom 931, etasje 3",
            "bygg 9, etasje 3, rom 18",
            "C4.12.031",
            "inngang 4, 2. etg, rom 4012",
        ),
    ),
    (
        "prices",
        ("kr 4 990,-", "49,90 og 99,90", "4 990 - 9 990 kr", "99 kr i 12 mnd", "kun 499,- (før 999,-)", "1 450 000"),
    ),
    (
        "times and dates",
        (
            "9. til 11. april, kl 18-21",
            "kl 9, 11, 13 og 15",
            "man-fre 08-16, lør 10-14",
            "12/3, 13/3 og 14/3",
            "kl. 09.00, 12.30 og 21.15",
            "4.-9. mai 2024 kl 12",
            "uke 40 41 42 43",
            "kl ni til fire",
        ),
    ),
    (
        "versions of things",
        (
            "v4.12.3 og 4.12.4",
            "versjon 9.31.0",
            "Python 3.11.7",
            "iOS 17.4.1, Android 14",
            "Chrome 120.0.6099",
            "HL7 v2.5.1",
        ),
    ),
    (
        "words said",
        (
            "en av to til tre",
            "fire av fem, ni av ti",
            "klokka ni eller ti",
            "to og to",
            "seks til åtte uker",
            "de fire første, de ni siste",
            "ti på fire",
            "nitti prosent, femti tusen",
            "en to tre nå",
            "one or two of nine",
            "vi er fire voksne og ni barn, to hunder",
            "rom fire hundre og tolv",
        ),
    ),
    (
        "names of things",
        (
            "covid19 på facebook",
            "Følg med på twitter",
            "bruker gmail.com",
            "e-post på gmail.com",
            "skriv til oss på gmail",
            "from: Oslo to: Bergen",
            "from Oslo på fly",
            "github.com/features",
            "https://github.com/orgs/helse",
            "https://www.twitch.tv/directory",
            "www.wordpress.com",
            "help.substack.com",
            "bruker windows",
            "22.mars på facebook",
            "kl.19 på instagram",
            "kontoen er sperret",
            "twitter.com er nede",
            "gmail.com er nede",
            "nrk.no, gmail.com",
            "f.eks. gmail.com",
            "se bilde [1] på x.com",
            "hei@[3.5] liter",
            "(se vedlegg.) Dot com",
            "fra: Kari til: Ola",
        ),
    ),
)


def innocents(dice: Dice) -> Iterator[tuple[str, str]]:
    """(form, text) of what leads to no person."""
    for name, texts in INNOCENT:
        for _ in range(2):
            text = dice.of(texts)
            yield name, text.format(b=dice.number(0, 9), c=dice.number(100, 255), s=dice.number(0, 9))
