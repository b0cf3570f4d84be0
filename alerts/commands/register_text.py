"""The register as a person reads it on a terminal: themes or stories, what fits none, and what is set apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from alerts.notify.channels.text import one_line
from alerts.notify.messages import sparkline
from alerts.register.decisions import Decisions, label
from alerts.register.overview import Overview, Suggested
from alerts.register.ranking import Counted, RegisterRow, Row, SetApart, ThemeRow, Tiers, Trend
from listener.commands.shared import local
from listener.model.records import Kind
from listener.privacy.pseudonyms import PREFIX

LENGTH = 120
"""Characters of a text that are shown."""
STORY = 8
"""Digits of a story's name that are shown: `register show` takes its beginning."""
WITHHELD = "(may show who a patient is)"
MARKED = "[may show who a patient is]"
"""Behind such a text, where it is shown all the same."""
MOST_LIKELY = 2
"""How `Registered.exposed` says that it most likely does."""
REMOVED = "(removed)"
NAME = re.compile(rf"@?\b{PREFIX}[a-z2-7]{{16}}\b")
"""A pseudonym, which tells a reader nothing."""
UNSPECIFIC = frozenset({Kind.OTHER, Kind.MEDIA})
"""Kinds that are not named beside others."""


LANGUAGES: Mapping[str, str] = {
    "am": "Amharic", "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "bs": "Bosnian", "ca": "Catalan",
    "ckb": "Kurdish", "cs": "Czech", "cy": "Welsh", "de": "German", "el": "Greek", "es": "Spanish", "et": "Estonian",
    "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian",
    "hu": "Hungarian", "id": "Indonesian", "is": "Icelandic", "it": "Italian", "iw": "Hebrew", "ja": "Japanese",
    "ko": "Korean", "ku": "Kurdish", "lt": "Lithuanian", "lv": "Latvian", "ms": "Malay", "ne": "Nepali", "nl": "Dutch",
    "pa": "Punjabi", "pl": "Polish", "ps": "Pashto", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "se": "Sámi", "sk": "Slovak", "sl": "Slovenian", "so": "Somali", "sq": "Albanian", "sr": "Serbian",
    "sw": "Swahili", "ta": "Tamil", "th": "Thai", "ti": "Tigrinya", "tl": "Tagalog", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""Languages that are not read, as platforms mark them; any other is shown by its mark."""


@dataclass(frozen=True)
class Names:
    """What people call things: theme → name in the settings' language, incident → name; and what they decided.

    `exposed`: texts that may show who a patient is are shown. `in_house`: so are on a screen those that most likely do
    not, with a mark. `better`: the register is to have the better tier.
    """

    themes: Mapping[str, str] = field(default_factory=dict)
    incidents: Mapping[str, str] = field(default_factory=dict)
    exposed: bool = False
    in_house: bool = False
    better: bool = False
    decisions: Decisions = field(default_factory=Decisions)

    def theme(self, theme: str) -> str:
        return self.themes.get(theme, theme)

    def of(self, incidents: Iterable[str]) -> str:
        return " and ".join(one_line(self.incidents.get(each, each)) for each in incidents)

    def text(self, row: RegisterRow) -> str | None:
        """Its text where it may be shown to anybody, else None."""
        return row.text if self.exposed or not row.exposed else None

    def shown(self, row: RegisterRow, limit: int = LENGTH) -> str:
        if row.exposed and not (self.exposed or (self.in_house and row.sample.exposed < MOST_LIKELY)):
            return WITHHELD
        if row.text is None:
            return REMOVED
        return f"{one_line(NAME.sub('@…', row.text), limit)}{' ' + MARKED if row.exposed else ''}"


def lines(found: Overview, names: Names, title: str, *, length: int = LENGTH) -> Iterator[str]:
    """All of it. `title`: of what is ranked; by what, and until when, is added."""
    incidents = {each for row in found.rows for each in row.incidents}
    where = f" · {names.of(incidents)}" if len(incidents) == 1 else ""
    several = len(incidents) > 1
    if found.themes or found.stories:
        yield f"{title} (ranked by {ranked_by(found.rows)}){where} · as of {local(found.as_of)}"
    for theme in found.themes:
        yield from theme_lines(theme, names, several=several, length=length)
    for story in found.stories:
        yield from story_lines(story, names, several=several, length=length)
    yield from _beside(found, names, several, length)
    yield from apart_lines(found.apart)
    if names.better or found.tiers.better:
        yield tiers_line(found.tiers)


def theme_lines(row: ThemeRow, names: Names, *, several: bool = False, length: int = LENGTH) -> Iterator[str]:
    """Name, people and how it goes; kinds; the best samples."""
    yield f"{people_of(row):>11}  {_mark(row)}{names.theme(row.theme)}  {trend(row.trend)}"
    where = f" · in {names.of(row.incidents)}" if several else ""
    counted = f"{number(row.posts, 'post')}, {number(row.reposts, 'repost')}"
    yield f"{'':11}  {_counts(row.kinds)} · {counted} · last {local(row.last_at)}{where}"
    for sample in row.samples:
        told = "; ".join(filter(None, (", ".join(_specific(sample.kinds)), platforms(sample.sources))))
        yield f"{'':11}  {f'{sample.people}×':>4} {_quoted(sample, names, length)} ({told})"


def story_lines(row: RegisterRow, names: Names, *, several: bool = False, length: int = LENGTH) -> Iterator[str]:
    """What is said, by how many, of what kinds and about what."""
    yield f"{people_of(row):>11}  {_mark(row)}{names.shown(row, length)}"
    themes = ", ".join(names.theme(theme) for theme in row.themes)
    where = f"in {names.of(row.incidents)}" if several else ""
    counted = f"{number(row.posts, 'post')}, {number(row.reposts, 'repost')}, {local(row.first_at)}"
    on = platforms(row.sources)
    yield f"{'':11}  {' · '.join(filter(None, (counted, on, _counts(row.kinds), themes, trend(row.trend), where)))}"
    decided = one_line(label(names.decisions.of_row(row)))
    yield f"{'':11}  {' · '.join(filter(None, (f'story {row.story[:STORY]}', decided)))}"


def _beside(found: Overview, names: Names, several: bool, length: int) -> Iterator[str]:
    """What has no theme, and what has no kind though many say it."""
    if found.none or found.suggested:
        yield "OF NONE OF THE THEMES"
    for theme in found.none:
        yield from theme_lines(theme, names, several=several, length=length)
    for suggested in found.suggested:
        yield from _suggestion(suggested, names, length)
    if found.suggested:
        phrases = ", ".join(f"{word}*" for word in found.suggested[0].words)
        what = f'`our_theme: {{about: "what belongs to it", phrases: [{phrases}]}}`'
        yield f"{'':11}  To make it one, add to themes.yaml {what}, and restart; what comes then has it."
    if found.unsorted:
        yield "OF NO KIND THAT IS KNOWN, and yet said by many"
    for story in found.unsorted:
        yield from story_lines(story, names, several=several, length=length)


def _suggestion(found: Suggested, names: Names, length: int) -> Iterator[str]:
    words = ", ".join(f"«{word}»" for word in found.words)
    who = people(found.people) if found.sample.authors_known else number(found.people, "post")
    yield f"{'':11}  perhaps a theme of its own: {words} ({who})"
    yield f"{'':11}       {_quoted(found.sample, names, length)}"


def apart_lines(apart: SetApart) -> Iterator[str]:
    """What is ranked nowhere, one line a reason."""
    parts = []
    if apart.officials.posts:
        parts.append(f"{number(apart.officials.posts, 'post')} of newsrooms, public bodies and organisations")
    if apart.official_words.posts:
        parts.append(
            f"{number(apart.official_words.posts, 'post')} that sound like theirs, of accounts that nobody named"
        )
    if parts:
        yield f"not ranked: {' and '.join(parts)}"
    if apart.not_understood.posts:
        yield f"not understood: {_heads(apart.not_understood)} in languages that are not read: {_unread(apart.unread)}"


def tiers_line(tiers: Tiers) -> str:
    """Which tier's word stands of how many posts."""
    waiting = f"; {tiers.waiting} wait, with the default tier's word" if tiers.waiting else ""
    return f"read by the better tier: {number(tiers.better, 'post')}{waiting}"


def _unread(unread: Mapping[str, Counted]) -> str:
    """The platform's names of the languages; nothing is guessed where it has none."""
    return ", ".join(
        f"{LANGUAGES.get(lang, lang) if lang else 'not named'} {counted.posts}" for lang, counted in unread.items()
    )


def ranked_by(rows: Sequence[Row]) -> str:
    known = all(row.authors_known for row in rows)
    return "people" if known else "posts that are no reposts: no authors are known"


def people_of(row: Row) -> str:
    return people(row.people) if row.authors_known else number(row.people, "post")


def platforms(sources: Mapping[str, int]) -> str:
    """Posts on each platform; nothing where there is one."""
    return ", ".join(f"{source} {posts}" for source, posts in sources.items()) if len(sources) > 1 else ""


def people(count: int) -> str:
    return f"{count} {'person' if count == 1 else 'people'}"


def number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def trend(found: Trend) -> str:
    """A small bar for each ten minutes of two hours, and the people of the last hour against the one before."""
    if not any(found.steps):
        return "nobody in the last two hours"
    return f"{sparkline(found.steps)} {found.last_hour} in the last hour, {found.hour_before} before {found.arrow}"


def _heads(counted: Counted) -> str:
    return f"{number(counted.posts, 'post')} ({people(counted.people)})"


def _mark(row: Row) -> str:
    return "ØVELSE " if row.exercise else ""


def _counts(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in _specific(kinds).items())


def _specific(kinds: Mapping[str, int]) -> Mapping[str, int]:
    return {kind: count for kind, count in kinds.items() if kind not in UNSPECIFIC} or kinds


def _quoted(row: RegisterRow, names: Names, length: int) -> str:
    shown = names.shown(row, length)
    return shown if shown in (WITHHELD, REMOVED) else f"«{shown}»"
