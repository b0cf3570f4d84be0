"""Forms in which people write numbers, addresses and names, and numbers that lead to nobody; made from a seed.

Every form is made anew: numbers, addresses and names are random, and so are the words around them. Each form's
parameters (separators, words, groupings, links) are dealt into two halves: `tune` is for those who work on the masks,
`held` is for the report. The forms are adversarial and stand in equal shares: how often people write so is another
question. All numbers, addresses and names are made up.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from stdnum import ean
from stdnum.no import fodselsnummer, orgnr

from tests.bench import mask_kinds

HALVES = ("tune", "held", "all")


class Form(NamedTuple):
    """One text. `secret` is what must be gone; of an innocent one what must be left."""

    kind: str
    name: str
    text: str
    secret: str


class Dice:
    """Random choices, of one half of what there is to choose from."""

    def __init__(self, seed: int, half: str) -> None:
        self.rng = random.Random(seed)
        self._half = half

    def of(self, choices: Sequence[Any]) -> Any:
        if self._half != "all" and len(choices) > 3:
            choices = choices[HALVES.index(self._half) :: 2]
        return self.rng.choice(choices)

    def digits(self, count: int) -> str:
        return "".join(self.rng.choice("0123456789") for _ in range(count))

    def number(self, least: int, most: int) -> int:
        return self.rng.randint(least, most)


# --- secrets ---------------------------------------------------------------------------------------------------------


def identity(dice: Dice) -> str:
    """Of any kind, with right check digits."""
    more = dice.rng.choice([(0, 0), (0, 0), (0, 0), (40, 0), (0, 40), (0, 80), (40, 80), (0, 65)])
    while True:
        day, month = dice.number(1, 28) + more[0], dice.number(1, 12) + more[1]
        nine = f"{day:02d}{month:02d}{dice.number(20, 99):02d}{dice.number(100, 999)}"
        one = fodselsnummer.calc_check_digit1(nine)
        two = fodselsnummer.calc_check_digit2(nine + one)
        if len(one + two) == 2:
            return nine + str(one) + str(two)


def phone(dice: Dice) -> str:
    return dice.rng.choice(["41", "45", "46", "48", "90", "91", "92", "93", "95", "97", "98", "99"]) + dice.digits(6)


def handle(dice: Dice) -> str:
    name = dice.rng.choice(["zqkari", "zqola", "zqnils", "zqberit", "zqanders", "zqmarte"])
    return name + dice.rng.choice(["_", "", "_x", "Fjord"]) + dice.digits(dice.number(2, 4))


def local_part(dice: Dice) -> str:
    first, last = (
        dice.rng.choice(["kari", "ola", "nils", "berit"]),
        dice.rng.choice(["fjordzq", "dalzq", "viikzq", "moezq"]),
    )
    return first + dice.rng.choice([".", "_", "-", "."]) + last + dice.rng.choice(["", "", dice.digits(2)])


DOMAINS = ("eksempel.no", "post.example.com", "sjukehus.example.org", "gmail.com", "online.no", "example.net")


# --- how numbers are hidden ------------------------------------------------------------------------------------------

SEPARATORS = (
    " ",
    "-",
    ".",
    ",",
    "/",
    "*",
    ":",
    "=",
    "_",
    "~",
    "–",
    "|",
    "  ",
    "+",
    " - ",
    ";",
    " , ",
    "\\",
    "·",
    "#",
    "•",
    "'",
    "\u00a0",
    ">",
    " / ",
    "^",
    "\u2009",
    "&",
    ". ",
    "…",
    "--",
    "!",
    " | ",
    "→",
    "\n",
    "\t",
)
ID_SHAPES = (
    (6, 5),
    (2, 2, 2, 5),
    (6, 3, 2),
    (2, 2, 2, 3, 2),
    (3, 3, 3, 2),
    (4, 4, 3),
    (4, 7),
    (1,) * 11,
    (2, 4, 5),
    (5, 6),
)
ID_WORDS = (
    " og ",
    " pnr ",
    " personnummer ",
    ", siste fem ",
    " (personnr ",
    " født, så ",
    " then ",
    " med ",
    " etterfulgt av ",
    " bindestrek ",
    " pluss ",
    " dash ",
)
ID_BEFORE = ("", "fnr ", "Han heter ", "pasient:", "d-nr ", "ID ", "personnr=", "(", "født ", "#", "«", "nummer ")
ID_PATHS = (
    "https://eksempel.no/pasient/{}",
    "https://eksempel.no/p/{}/journal",
    "eksempel.no/filer/fnr{}.pdf",
    "https://eksempel.no/sok?q={}",
    "C:\\pasienter\\{}.doc",
    "https://eksempel.no/a/b_{}_c.html",
    "https://eksempel.no/{}-epikrise",
    "/srv/arkiv/{}/1.pdf",
    "www.eksempel.no/#/bruker/{}",
    "s3://arkiv/{}.json",
)
PHONE_SHAPES = (
    (2, 2, 2, 2),
    (3, 2, 3),
    (4, 4),
    (3, 3, 2),
    (2, 3, 3),
    (5, 3),
    (2, 6),
    (1, 3, 4),
    (3, 5),
    (2, 4, 2),
    (1,) * 8,
    (3, 1, 4),
    (4, 2, 2),
    (6, 2),
    (1, 7),
    (2, 2, 4),
)
PHONE_BEFORE = (
    "tlf ",
    "ring ",
    "Jeg er på ",
    "nås på ",
    "mob: ",
    "",
    "sms til ",
    "nummeret er ",
    "call ",
    "whatsapp ",
    "(",
    "kontakt ",
)
FOREIGN = (
    "+46 70 {2} {3} {2b}",
    "+46-70-{3}{2}{2b}",
    "0046 70 {3} {2} {2b}",
    "+45 {2}{2b}{2c}20",
    "+44 (0)7911 {3}{3b}",
    "+44.7911.{3}{3b}",
    "+48 601 {3} {3b}",
    "+48/601/{3}/{3b}",
    "00 48 601{3}{3b}",
    "601 {3} {3b}",
    "601{3}{3b}",
    "+1-212-555-2{3}",
    "+34 612 {3} {3b}",
    "612{3}{3b}",
    "+49 1512 {3}{3b}2",
    "+358 40 {3} {3b}2",
    "(+47){8}",
    "+47_{8}",
    "+47-{8}",
    "0047{8}",
    "+47.{8}",
    "47{8}",
    "00-47-{8}",
    "＋47 {8}",
)


def split(number: str, shape: Sequence[int], separator: str) -> str:
    parts, place = [], 0
    for size in shape:
        parts.append(number[place : place + size])
        place += size
    return separator.join([*parts, number[place:]] if number[place:] else parts)


DRAWINGS: tuple[Callable[[str], str], ...] = (
    lambda n: "".join(chr(0xFF10 + int(d)) for d in n),
    lambda n: "".join(f"{d}\ufe0f\u20e3" for d in n),
    lambda n: "\u200b".join(n),
    lambda n: "".join(chr(0x1D7CE + int(d)) for d in n),
    lambda n: "".join(chr(0x0660 + int(d)) for d in n),
    lambda n: "".join("⓪①②③④⑤⑥⑦⑧⑨"[int(d)] for d in n),
    lambda n: "\u2060".join((n[:3], n[3:])),
    lambda n: "".join("₀₁₂₃₄₅₆₇₈₉"[int(d)] for d in n),
    lambda n: n[:4] + "\u00ad" + n[4:],
    lambda n: "".join(f"{d}\u20e3" for d in n),
    lambda n: n[:5] + "\u202e\u202c" + n[5:],
    lambda n: "".join(chr(0x0966 + int(d)) for d in n),
)
LETTERS: tuple[Callable[[str], str], ...] = (
    lambda n: n.replace("0", "O"),
    lambda n: n.replace("1", "l"),
    lambda n: n.replace("0", "o").replace("1", "I"),
    lambda n: n.replace("0", "O").replace("1", "l"),
    lambda n: n.replace("1", "I"),
    lambda n: n.replace("0", "o"),
)


def _letters(dice: Dice, make: Callable[[Dice], str]) -> str:
    while True:
        number = make(dice)
        if "0" in number or "1" in number:
            return number


# --- addresses and names ---------------------------------------------------------------------------------------------

ADDRESSES = (
    "{l}@{d}",
    "{l} @ {d}",
    "{l}@ {d}",
    "{l} @{d}",
    "{l} at {d}",
    "{l}_at_{d}",
    "{l} (at) {d}",
    "{l}[at]{d}",
    "{l} alfakroll {d}",
    "{l} krollalfa {d}",
    "{l} krøllalfa {d}",
    "{l}(alfakrøll){d}",
    "{l} AT {s}",
    "{l}-at-{d}",
    "{l} at {s}",
    "{l} snabel-a {d}",
    "{l} snabela {d}",
    "{l}{at}{d}",
    "{l} {at} {d}",
    "{l}<at>{d}",
    "{l}*at*{d}",
    "{l}＠{d}",
    "{l}﹫{d}",
    "{l}%40{d}",
    "{l} ⓐ {d}",
    "{l}(a){d}",
    "{l} [a] {d}",
    "{l}@{b}",
    "{l} @ {b}",
    "{l}@{s}",
    "{l}_at_{u}",
    "{l} /at/ {d}",
    "{l} |at| {d}",
    "mailto:{l}@{d}",
    "{l}\u200b@{d}",
    "{l}@\n{d}",
    "{l} krøll-alfa {d}",
    "{l} æt {d}",
    "{l}@{h}",
    "{l} at\n{d}",
)
MAIL_BEFORE = (
    "",
    "e-post ",
    "skriv til ",
    "mail: ",
    "Kontakt ",
    "epost: ",
    "send til ",
    "(",
    "adressen er ",
    "nå meg: ",
)
HANDLES = (
    "@{}",
    "RT @{}: hei",
    "@ {}",
    "＠{}",
    ".@{}",
    "@@{}",
    "(@{})",
    '"@{}"',
    "@{}s hund",
    "hei@{}",
    "@\u200b{}",
    "@_{}",
    "via:@{}",
    "twitter.com/{}",
    "https://x.com/{}/status/99",
    "https://nitter.example/{}/status/99",
    "https://vxtwitter.com/{}/status/99?s=20",
    "fixupx.com/{}/statuses/99",
    "https://xcancel.com/{}",
    "https://nitter.net/{}",
    "https://social.example/@{}/112233",
    "https://bsky.example/profile/{}/post/3k",
    "https://twitter.com/#!/{}",
    "https://x.com/@{}",
    "https://x.com/intent/follow?screen_name={}",
    "https://tiktok.com/@{}/video/1",
    "insta: {}",
    "IG: {}",
    "snap: {}",
    "snapchat: {}",
    "insta {}",
    "Instagram: {}",
    "u/{}",
    "/u/{}",
    "https://reddit.example/user/{}",
    "RT {}: hei",
    "twitter: {}",
    "@{}@social.example",
    "@{}.bsky.social",
    "https://t.me/{}",
    "telegram: {}",
    "tiktok: {}",
    "https://x.com/{}/lists/a",
    "https://threads.net/@{}",
    "@[{}]",
    "@*{}*",
    "@<{}>",
    "@{{{}}}",
    "@“{}”",
    "#{}@x.com",
    "x.com%2F{}",
    "https://x.com//{}",
    "https://x.com:443/{}",
    "http://www.x.com/{}?lang=no",
    "HTTPS://X.COM/{}",
    "@/{}",
    "https://eksempel.no/?user={}",
    "https://eksempel.no/?username={}&x=1",
    "acct:{}@social.example",
    "x.com/{}’s post",
    "https://mobile.twitter.com/{}/with_replies",
    "https://fxtwitter.com/{}",
    "https://m.facebook.com/{}",
    "fb.me/{}",
)

AROUND = (
    "Brann på Ullevål! {} haster",
    "{}",
    "Hei, {} svar!",
    "{} Takk",
    "Noen som vet? {}",
    "Se {} nå",
    "({})",
    "«{}»",
    "Vi trenger hjelp: {}.",
    "{}\nTakk",
    "👩\u200d🚒 {} 🚒",
    "kl 19.30: {}",
)


WORDS = (
    "møt oss @ huset",
    "Nyheter @ 19.30",
    "Instagram: se bildene",
    "twitter: E6 er stengt",
    "Sier at nrk.no melder det",
    "kl.19 at vg.no",
    "signal 2 timer",
    "RT 12345: sendt",
    "og/eller s/u",
    "fb 2024",
    "Hun ser at dagbladet.no skriver",
    "står i covid-19 at nrk.no",
    "a vg.no b",
    "insta er nede",
    "10l vann og 20l saft",
    "O2 og CO2 45l",
    "E18 og E6 kl 10",
    "https://eksempel.no/nyheter/status/lufta",
    "status: 12345",
    "profil/ola",
    "snap 10 s",
    "IG 2 dager",
    "RT viktig: nå",
)


# --- innocents -------------------------------------------------------------------------------------------------------


def innocents(dice: Dice) -> Iterator[tuple[str, str]]:
    """(form, text): numbers of all kinds that lead to no person."""
    n, d, of = dice.number, dice.digits, dice.of
    yield (
        "scores",
        of(
            (
                "{}-{} {}-{} {}-{} {}-{}",
                "{}-{}, {}-{}, {}-{}, {}-{}",
                "({}-{}) {}-{} {}-{} {}-{}",
                "{}–{} og {}–{}, {}–{}, {}–{}",
                "{} - {}, {} - {}, {} - {}, {} - {}",
                "{}:{} {}:{} {}:{} {}:{}",
            )
        ).format(*(n(0, 9) for _ in range(8))),
    )
    yield (
        "buses",
        of(
            (
                "Buss {}, {}, {} og {} går ikke",
                "linje {} {} {} {}",
                "bussene {}/{}/{}/{} står",
                "Trikk {} {} {} {} innstilt",
                "rute {}-{}-{}-{}",
                "T-bane {}, {}, {}, {}",
            )
        ).format(*(n(20, 79) for _ in range(4))),
    )
    yield (
        "kroner",
        of(
            (
                "{} {} {} kr",
                "{} {} {} kroner",
                "kr {} {} {}",
                "NOK {} {} {}",
                "{}.{}.{} kroner",
                "{} {} {},-",
                "{} {} {} NOK",
                "budsjett på {} {} {} kr",
            )
        ).format(n(21, 99), d(3), d(3)),
    )
    yield "kroner", of(("{} kr", "kr {}", "{} kroner", "{},-", "NOK {}", "kr. {}")).format(f"{n(4, 9)}{d(7)}")
    year = n(2009, 2026)
    yield (
        "case numbers",
        of(
            (
                "sak {y}/{n}",
                "Saksnr. {y}{n}",
                "saksnummer {n8}",
                "sak nr {n8}",
                "ref. {n8}",
                "referanse: {n8}",
                "journalnr {y}/{n}-12",
                "sak {n8}",
            )
        ).format(y=year, n=d(5), n8=f"{n(4, 9)}{d(7)}"),
    )
    day, month = n(1, 28), n(1, 12)
    yield (
        "dates",
        of(
            (
                "{:02d}.{:02d}.{}",
                "{}/{} {}",
                "{:02d}-{:02d}-{}",
                "{:02d} {:02d} {}",
                "den {}.{}.{}",
                "{:02d}.{:02d}.{} kl 12.30",
            )
        ).format(day, month, year),
    )
    yield "dates", f"{year}-{month:02d}-{day:02d} {n(0, 23):02d}:{n(0, 59):02d}:{n(0, 59):02d}"
    yield "dates", f"{day:02d}.{month:02d}.{year} - {day + 1:02d}.{month:02d}.{year}"
    yield (
        "times",
        of(("kl {}.{} {}.{}", "{}:{} {}:{}", "{}.{}-{}.{}", "{}{}-{}{}", "fra {}:{} til {}:{}")).format(
            n(10, 23), n(10, 59), n(10, 23), n(10, 59)
        ),
    )
    yield (
        "postcodes",
        of(("{} Oslo, {} Bergen", "0{} Oslo", "postnr {} og {}", "{}-{} (postnumre)", "N-{} Oslo, N-{} Moss")).format(
            n(1000, 9990), n(1000, 9990)
        ),
    )
    yield (
        "roads",
        of(("E{} og E{}, rv {} fv {}", "E{}/E{}/rv{}/fv{}", "Riksvei {}, {}, {} og {}")).format(
            *(n(10, 99) for _ in range(4))
        ),
    )
    yield (
        "percentages",
        of(("{} % {} % {} % {} %", "{}%, {}%, {}%, {}%", "{},{} % og {},{} %")).format(*(n(20, 79) for _ in range(4))),
    )
    book = "978" + d(9)
    book += ean.calc_check_digit(book)
    yield (
        "isbn",
        of(("ISBN {}", "ISBN: {}", "isbn {}", "ISBN-13 {}")).format(
            of((book, split(book, (3, 2, 4, 3), "-"), split(book, (3, 1, 3, 5), " ")))
        ),
    )
    yield (
        "orders",
        of(
            (
                "ordre {}",
                "ordrenr. {}",
                "Ordrenummer: {}",
                "bestilling {}",
                "sporing {}",
                "faktura {}",
                "fakturanr {}",
                "kvittering {}",
            )
        ).format(f"{n(4, 9)}{d(7)}"),
    )
    yield (
        "coordinates",
        of(("{}.{}, {}.{}", "{}.{} {}.{}", "N{}.{} E{}.{}", "{}.{}/{}.{}", "pos {}.{},{}.{}")).format(
            n(58, 71), d(5), n(5, 30), d(5)
        ),
    )
    yield "hashtags", of(("#brann{}", "#{}brann", "#ullevål{} #{}x", "#sak{}")).format(f"{year}{d(4)}", d(4))
    while not orgnr.is_valid(org := str(n(8, 9)) + d(8)):
        pass
    yield (
        "organisations",
        of(
            (
                "org.nr. {}",
                "orgnr {}",
                "Org nr: {}",
                "NO {} MVA",
                "organisasjonsnummer {}",
                "{} (org.nr)",
                "foretak {}",
                "{}",
            )
        ).format(of((org, split(org, (3, 3, 3), " ")))),
    )
    yield (
        "counts",
        of(
            (
                "{} {} evakuert, {} {} uten strøm",
                "{}.{} og {}.{} mennesker",
                "{}, {}, {} og {} personer",
                "fra {} {} til {} {} m²",
            )
        ).format(n(20, 99), d(3), n(20, 99), d(3)),
    )
    yield "years", of(("{}-{}", "{}/{}", "{} {}", "{}, {}", "{}–{}")).format(year - 4, year)
    yield (
        "links",
        of(
            (
                "https://eksempel.no/nyheter/{}",
                "https://eksempel.no/a/1.{}",
                "https://x.com/i/web/status/1{0}{0}",
                "eksempel.no/i/{}/brann",
                "https://t.co/{}",
            )
        ).format(f"{n(4, 9)}{d(7)}"),
    )
    yield (
        "versions",
        of(("v{}.{}.{}.{}", "IP 10.{}.{}.{}.{}", "versjon {}.{}.{}.{}", "{}x{} og {}x{}")).format(
            *(n(20, 99) for _ in range(4))
        ),
    )
    yield "words", of(WORDS)
    yield (
        "lottery",
        of(("Lotto: {} {} {} {} {}", "vinnertall {}, {}, {}, {}, {}")).format(n(4, 9), *(n(10, 34) for _ in range(4))),
    )


# --- all forms -------------------------------------------------------------------------------------------------------


def forms(seed: int, half: str, each: int) -> Iterator[Form]:
    dice = Dice(seed, half)
    for _ in range(each):
        yield from _identities(dice)
        yield from _phones(dice)
        for _ in range(8):
            local, domain = local_part(dice), dice.rng.choice(DOMAINS)
            spoken = domain.replace(".", dice.rng.choice([" dot ", " punktum ", " prikk "]))
            shape = dice.of(ADDRESSES)
            made = shape.replace("{l}", local).replace("{d}", domain).replace("{s}", spoken)
            made = made.replace("{b}", domain.replace(".", " . ")).replace("{u}", domain.replace(".", "_dot_"))
            made = made.replace("{h}", domain[:-3] + "…")
            yield Form("email", shape, _around(dice, dice.of(MAIL_BEFORE) + made), local)
            name = handle(dice)
            shape = dice.of(HANDLES)
            yield Form(
                "handle", shape, _around(dice, shape.replace("{{{}}}", "{" + name + "}").replace("{}", name)), name
            )
        yield from _of_more_kinds(dice)
        for name, text in [*innocents(dice), *mask_kinds.innocents(dice)]:
            yield Form("innocent", name, _around(dice, text), text)


def _of_more_kinds(dice: Dice) -> Iterator[Form]:
    one, two = phone(dice), phone(dice)
    before = dice.of(("", "Jeg er på ", "nås på ", "kontakt ", "Se "))
    odd = split(one, dice.of(mask_kinds.ODD_SHAPES), dice.of(mask_kinds.ODD_BREAKS))
    yield Form("phone", "in odd groups", _around(dice, before + odd), one)
    for _ in range(2):
        yield Form("phone", "said", _around(dice, before + dice.of(mask_kinds.SAID)(two)), two)
    for _ in range(4):
        local, provider = local_part(dice), dice.rng.choice(mask_kinds.PROVIDERS)
        domain = dice.rng.choice(("eksempel.no", "example.com", "online.no"))
        name, end = domain.split(".")
        shape = dice.of(mask_kinds.ADDRESSES)
        made = shape.format(l=local, d=domain, a=name, e=end, p=provider)
        yield Form("email", shape, _around(dice, dice.of(MAIL_BEFORE) + made), local)
    for _ in range(6):
        name, shape = handle(dice), dice.of(mask_kinds.NAMES)
        yield Form("handle", shape, _around(dice, shape.format(name)), name)


def _identities(dice: Dice) -> Iterator[Form]:
    def form(name: str, made: str, secret: str) -> Form:
        return Form("identity", name, _around(dice, made), secret)

    one, two = identity(dice), identity(dice)
    before = dice.of(ID_BEFORE)
    separator = dice.of(SEPARATORS)
    yield form(f"6{separator!r}5", before + split(one, (6, 5), separator), one)
    shape, separator = dice.of(ID_SHAPES), dice.of(SEPARATORS)
    yield form("other groups", before + split(one, shape, separator), one)
    words = dice.of(ID_WORDS)
    yield form("words between", before + one[:6] + words + one[6:] + (")" if "(" in words else ""), one)
    yield form("two together", before + one + two, one)
    yield form("glued to letters", dice.of(("fnr{}", "x{}y", "{}abc", "pasient{}", "ID{}ID", "nr{}")).format(one), one)
    letters = _letters(dice, identity)
    yield form(
        "letters for digits",
        before + split(dice.of(LETTERS)(letters), dice.of(((6, 5), (11,))), dice.of((" ", "-"))),
        letters,
    )
    yield form(
        "in a path",
        dice.of(ID_PATHS).format(split(one, dice.of(((11,), (6, 5))), dice.of(("-", "_", ".", "%20")))),
        one,
    )
    yield form("other digits", before + dice.of(DRAWINGS)(one), one)
    yield form(
        "century", before + split(one[:4] + "19" + one[4:], (2, 2, 4, 5), dice.of((".", "-", " ", "/"))), one[4:]
    )
    yield form(
        "mistyped",
        before
        + dice.of(("{} {}", "{}-{}", "{}{}", "{}.{}", "{}/{}")).format(one[:6], f"{(int(one[6:]) + 1) % 100000:05d}"),
        one[:6],
    )


def _phones(dice: Dice) -> Iterator[Form]:
    def form(name: str, made: str, secret: str) -> Form:
        return Form("phone", name, _around(dice, made), secret)

    one, two, d = phone(dice), phone(dice), dice.digits
    before = dice.of(PHONE_BEFORE)
    yield form("pairs", before + split(one, (2, 2, 2, 2), dice.of(SEPARATORS)), one)
    yield form("odd groups", before + split(one, dice.of(PHONE_SHAPES), dice.of(SEPARATORS[:12])), one)
    abroad = dice.of(FOREIGN)
    for gap, more in (("{8}", one), ("{2}", d(2)), ("{3}", d(3)), ("{2b}", d(2)), ("{3b}", d(3)), ("{2c}", d(2))):
        abroad = abroad.replace(gap, more)
    yield form("foreign", before + abroad, re.sub(r"\D", "", unicodedata.normalize("NFKC", abroad))[-8:])
    nine = dice.rng.choice(("601", "612", "655", "690", "701", "722", "739", "506")) + d(6)
    yield form("bare nine digits", before + nine, nine)
    yield form("other digits", before + dice.of(DRAWINGS)(one), one)
    letters = _letters(dice, phone)
    yield form("letters for digits", before + dice.of(LETTERS)(letters), letters)
    yield form("glued to letters", dice.of(("tlf{}", "mob{}nå", "ring{}", "#{}", "nr{}x", "Ola{}")).format(one), one)
    yield form(
        "two together", before + dice.of(("{}/{}", "{},{}", "{}{}", "{} {}", "{}-{}", "{} og {}")).format(one, two), one
    )


def _around(dice: Dice, text: str) -> str:
    around: str = dice.of(AROUND)
    return around.replace("{}", text)
