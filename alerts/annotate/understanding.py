"""What a post voices, about what, in which language: the default tier, by cue groups and a small linear model.

The model's weights (`alerts.annotate.weights`) come with the program; `tests/corpus/train.py` made them and says from
what. Every kind gets a probability, and is a label from its own threshold on; `other` stands alone. What the account is
comes before what the words say: a post of a newsroom or a public body is `media`, whatever else it voices, unless it
is clearly `other`, such as a course or a vacancy.

Nothing is inferred about an author: `patient_exposed` and all else are about the text that is there.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.annotate.better import Better
from alerts.annotate.cues import fold
from alerts.annotate.features import MAX_CHARS, Features, Tokens, features, features_of, spread, tokenize
from alerts.annotate.kinds import KINDS, MAX_WORDS, MEDIA, OTHER, PUBLIC, Held, KindCues, by, voiced
from alerts.annotate.persons import Persons
from alerts.annotate.story import story, without_reposters
from alerts.annotate.themes import Themes, themes_file
from alerts.annotate.weights import Bank, Floats, Rows, Scorer, read
from alerts.annotate.words import Phrases, load_words
from listener.errors import ConfigError
from listener.model.normalize import whole
from listener.model.records import UNKNOWN_LANGUAGE, AuthorClass, Cue, Kind, Stance

WEIGHTS = Path(__file__).with_name("weights.bin")
MAX_THEMES = 3
NORWEGIAN = ("nb", "nn")
DIALECT = "dialect"
STANCES = tuple(Stance)
BANKS = {"kinds", "themes", "patient_exposed", "request", "stance", "language"}
NOTHING = 0.9
"""From this chance of `other` on, also what a newsroom or a public body says is nothing."""
_SURE = 30.0
"""Log odds beyond which a chance is none."""
MOST_HINTS = 3
"""So many phrases of a theme in one text make a difference."""
MOST_TOKENS = 5
LEARNED_WORDS = 3
"""Runs of words that the model gives as its reasons, of so many words in all; cue phrases come first."""
REPEATED = 1_000
"""Texts that are kept in memory with what was understood of them: many posts of a crisis pass on what another says."""
AT_ONCE = 8_000
"""Characters of texts that are understood at once: beyond that it takes more memory and no less time."""
LIKELIEST, CLOSE = 3, 0.25
"""So many themes may be the main one; their scores lie no further below the best."""
FIRST = 0.2
"""What the score of the first sentence adds to a theme's, and that of the last takes away: who voices two things mostly
names the main one first. By what it was chosen stands in `tests/bench/README.md`."""
_SENTENCE = re.compile(r"(?<=[.!?…:;])\s+|\n+")
_WORD = re.compile(r"\w\w")
_LATIN, _BEYOND = re.compile("[A-Za-zÀ-\u024f]"), re.compile("[\u0250-\U0010ffff]")
_KIND_NAMES = tuple(f"kind: {kind}" for kind in KINDS)
_NO_KIND = _KIND_NAMES[OTHER]
_QUESTION = KINDS.index(Kind.QUESTION)
_ONLY_OTHER = (OTHER,)


class Understanding(NamedTuple):
    """What was understood of one text.

    `kinds`: the probability of each kind. `cues`: the kinds it is given, each with the words that led to it.
    `themes`: what it is about, the main thing first; none where the only kind is `other`. `theme_sure`: one of them
    reaches its threshold; else the one given is only the likeliest. `patient_exposed` and
    `request` are scores from 0 to 1 whose 0.5 is where they are meant to be cut: the first so that hardly any post that
    names a patient is missed, the second (does it ask for help in a disaster?) so that both mistakes are as many.
    """

    lang: str
    kinds: Mapping[Kind, float]
    cues: tuple[Cue, ...]
    stance: Stance
    themes: tuple[str, ...]
    theme_sure: bool
    patient_exposed: float
    request: float
    story: str

    @property
    def labels(self) -> tuple[Kind, ...]:
        return tuple(cue.kind for cue in self.cues)


class Reading(NamedTuple):
    """A text as the model sees it: its tokens, the names of the cues that hold in it, and what they are made of."""

    tokens: Tokens
    cues: list[str]
    held: list[Held]
    hints: dict[str, int]

    @property
    def features(self) -> Features:
        return features(self.tokens, self.cues)


class Reader:
    """Texts as the model sees them: the same when it is trained and when it is used. Immutable."""

    def __init__(self, cues: KindCues, themes: Themes, words: Phrases, persons: Persons) -> None:
        self.cues = cues
        self.themes = themes
        self._words = words
        self._persons = persons
        self._more_of = {name: [f"theme {most}: {name}" for most in range(1, MOST_HINTS + 1)] for name in themes.themes}
        self._most = {name: f"theme most: {name}" for name in themes.themes}

    @classmethod
    def load(cls, config: Path) -> Reader:
        """Of a folder of configuration. Raises ConfigError with file and line."""
        return cls(
            KindCues.load(config / "cues"), Themes.load(themes_file(config)), load_words(config), Persons.load(config)
        )

    def read(self, text: str) -> Reading:
        return self.read_own(own_words(text))

    def read_own(self, text: str) -> Reading:
        """`text`: the `own_words` of a post."""
        tokens = tokenize(text)
        folded = fold(tokens.text)
        held = self.cues.held(tokens.text, folded)
        names = [group.group for group in held]
        names += [_KIND_NAMES[kind] for kind in voiced(held)] or [_NO_KIND]
        hints, about = self._about(folded)
        names += about
        names += [f"person: {sign}" for sign in sorted(self._persons.signs(tokens))]
        return Reading(tokens, names, held, hints)

    def read_about(self, text: str) -> Reading:
        """Only what says what a part of a post is about, and not how it is said or of whom: in half the time."""
        tokens = tokenize(text)
        hints, names = self._about(fold(tokens.text))
        return Reading(tokens, names, [], hints)

    def _about(self, folded: str) -> tuple[dict[str, int], list[str]]:
        """The phrases of themes in a folded text, and the names of the cues that these and other words make."""
        hints = self.themes.hints(folded)
        names: list[str] = []
        if hints:
            for name, count in hints.items():
                names += self._more_of[name][:count]
            most = max(hints.values())
            names += [self._most[name] for name, count in hints.items() if count == most]
            names.append(f"theme first: {next(iter(hints))}")
        names += [f"word: {name}" for name in self._words.counts(folded)]
        return hints, names


def own_words(text: str) -> str:
    """What a post says: the same in all posts that pass it on by hand, whoever stands before it."""
    return whole(without_reposters(text))


def ends(own: str) -> tuple[str, str] | None:
    """The first and the last sentence, or what a colon or semicolon parts; None where there is but one."""
    found = [part for part in _SENTENCE.split(own[:MAX_CHARS]) if _WORD.search(part)]
    return (found[0], found[-1]) if len(found) > 1 else None


class Said(NamedTuple):
    """What is to be understood. `own`: the `own_words` of a post; `text`: what the better tier reads."""

    own: str
    text: str
    author_class: AuthorClass


class Understander:
    """Cues and weights. Share it between threads. It keeps the last `REPEATED` texts in memory, and nowhere else."""

    def __init__(self, reader: Reader, banks: Mapping[str, Bank], better: Better | None = None) -> None:
        """`banks`: as `alerts.annotate.weights.read` gives them. Raises KeyError if one is missing."""
        self._reader = reader
        self._better = better
        self._scorer = scorer = Scorer(banks)
        self._slope = np.concatenate([_about(bank, "slope", 1.0) for bank in banks.values()])
        self._offset = np.concatenate([_about(bank, "offset", 0.0) for bank in banks.values()])
        self._at = scorer.places
        thresholds = better.thresholds if better else {}
        self._thresholds = thresholds.get("kinds") or _about(banks["kinds"], "threshold", 0.5).tolist()
        self._theme_thresholds = thresholds.get("themes") or _about(banks["themes"], "threshold", 0.5).tolist()
        self._theme_names = banks["themes"].heads
        self._languages = banks["language"].heads
        self._norwegian = [self._languages.index(lang) for lang in NORWEGIAN]
        self._kept: OrderedDict[Said, Understanding] = OrderedDict()
        """The newest last."""

    @classmethod
    def load(cls, config: Path, weights: Path = WEIGHTS, encoder: Path | None = None) -> Understander:
        """Of a folder of configuration and a file of weights. With `encoder`, a file of one, it is the better tier.

        Raises ConfigError with the file, and what is wrong.
        """
        return cls.of(config, read(weights), weights, encoder)

    @classmethod
    def of(cls, config: Path, banks: Mapping[str, Bank], weights: Path, encoder: Path | None = None) -> Understander:
        """The same, of weights that were read already, and the file that they are from."""
        if missing := BANKS - banks.keys():
            raise ConfigError(f"{weights}: lacks {', '.join(sorted(missing))}")
        return cls(Reader.load(config), banks, Better.load(banks, encoder) if encoder else None)

    def understand(
        self, text: str, *, author_class: AuthorClass = AuthorClass.UNKNOWN, repost_of: str | None = None
    ) -> Understanding:
        """What a text voices. `repost_of` names a repost that has no words of its own."""
        said = self._said(text, author_class)
        found = self._known(said)
        if found is None:
            (found,) = self._understand([said])
            if len(text) <= MAX_CHARS:
                self._keep(said, found)
        return found._replace(story=story(text, repost_of))

    def read_ahead(self, texts: Iterable[tuple[str, AuthorClass]]) -> None:
        """Understand up to `REPEATED` texts, all at once, before they are asked for: that takes a third of the time."""
        wanted = dict.fromkeys(self._said(text, whose) for text, whose in texts if len(text) <= MAX_CHARS)
        chunk: list[Said] = []
        size = 0
        for said in [said for said in wanted if self._known(said) is None]:
            if size + len(said.own) > AT_ONCE and chunk:
                self._read(chunk)
                chunk, size = [], 0
            chunk.append(said)
            size += len(said.own)
        if chunk:
            self._read(chunk)

    def _read(self, chunk: Sequence[Said]) -> None:
        for said, found in zip(chunk, self._understand(chunk), strict=True):
            self._keep(said, found)

    def _said(self, text: str, author_class: AuthorClass) -> Said:
        own = own_words(text)
        return Said(own, text if self._better else own, author_class)

    def _known(self, said: Said) -> Understanding | None:
        found = self._kept.get(said)
        if found is not None:
            with suppress(KeyError):  # another thread has just let go of it
                self._kept.move_to_end(said)
        return found

    def _keep(self, said: Said, found: Understanding) -> None:
        self._kept[said] = found
        if len(self._kept) > REPEATED:
            with suppress(KeyError):
                self._kept.popitem(last=False)

    def _understand(self, chunk: Sequence[Said]) -> list[Understanding]:
        """All but the story."""
        read = [self._reader.read_own(said.own) for said in chunk]
        rows = self._rows(read)
        scores = self._scorer.scores(rows)
        odds = self._slope * scores + self._offset
        if self._better:
            odds = np.array([self._better.odds(said.text, its) for said, its in zip(chunk, odds, strict=True)])
        # Rounded, so that no machine's last digit of an exponential shows.
        chances = (1 / (1 + np.exp(np.minimum(_SURE, -odds)))).round(4)
        languages = scores[:, self._at["language"]]
        found = zip(
            chunk,
            read,
            chances.tolist(),
            self._sums([len(each.tokens.low) for each in read], rows[0]),
            _stances(odds[:, self._at["stance"]]),
            languages.argmax(axis=1).tolist(),
            languages[:, self._norwegian].argmax(axis=1).tolist(),
            self._main_themes(chunk, odds),
            strict=True,
        )
        return [self._understood(*each) for each in found]

    def _rows(self, read: Sequence[Reading]) -> list[Rows]:
        return self._scorer.rows(features_of([each.tokens for each in read], [each.cues for each in read]))

    def _main_themes(self, chunk: Sequence[Said], odds: Floats) -> list[int]:
        """Of each text the main theme; where several come near, what it begins with and ends with is read again."""
        at = self._at["themes"]
        slope = self._slope[at]
        of = odds[:, at]
        main: list[int] = of.argmax(axis=1).tolist()
        likeliest = np.sort(of, axis=1)[:, -LIKELIEST:]
        near = of >= np.maximum(likeliest[:, 0], likeliest[:, -1] - CLOSE * slope.max())[:, None]
        asked = {
            text: found for text in np.flatnonzero(near.sum(axis=1) > 1).tolist() if (found := ends(chunk[text].own))
        }
        if asked:
            read = [self._reader.read_about(part) for parts in asked.values() for part in parts]
            scores = self._scorer.scores(self._rows(read))[:, at]
            which = list(asked)
            by = np.where(near[which], of[which] + FIRST * slope * (scores[::2] - scores[1::2]), -np.inf)
            for text, theme in zip(which, by.argmax(axis=1).tolist(), strict=True):
                main[text] = theme
        return main

    def _understood(
        self,
        said: Said,
        read: Reading,
        chances: list[float],
        sums: NDArray[np.int16],
        stance: Stance,
        language: int,
        norwegian: int,
        main: int,
    ) -> Understanding:
        kinds = chances[self._at["kinds"]]
        found = self._labels(kinds, read, said.author_class)
        about = chances[self._at["themes"]]
        themes = () if found == _ONLY_OTHER else self._about(about, main, read.hints)
        return Understanding(
            lang=self._language(language, norwegian, read.tokens.text),
            kinds=dict(zip(KINDS, kinds, strict=True)),
            cues=tuple(self._cue(kind, read, sums, said.author_class) for kind in found),
            stance=stance,
            themes=themes,
            theme_sure=self._is_sure(themes, about),
            patient_exposed=chances[self._at["patient_exposed"]][0],
            request=chances[self._at["request"]][0],
            story="",
        )

    def _sums(self, counts: Sequence[int], rows: Rows) -> list[NDArray[np.int16]]:
        """Of each text how much each token of it, by itself and with its neighbours, speaks for each kind."""
        # A text's first rows are those of its single words and of its pairs.
        mine = [np.arange(start, start + max(0, 2 * n - 1)) for start, n in zip(rows.ends, counts, strict=False)]
        sums = spread(counts, self._scorer.weights(self._at["kinds"], "words", rows.of[np.concatenate(mine)]))
        return np.split(sums, np.cumsum(counts)[:-1])

    def _labels(self, kinds: Sequence[float], read: Reading, author_class: AuthorClass) -> tuple[int, ...]:
        """The kinds from their thresholds on, as places in `KINDS`; `other` only alone."""
        over = [chance / threshold for chance, threshold in zip(kinds, self._thresholds, strict=True)]
        if author_class in PUBLIC:
            # A denial by a private person is nothing; by one of these it is news.
            if kinds[OTHER] >= NOTHING and not self._reader.cues.denies(read.tokens.text):
                return _ONLY_OTHER
            for kind in voiced(read.held, author_class):
                over[kind] = max(over[kind], 1.0)
            # A newsroom's question is a headline or a call for sources, and what it says is seldom nothing.
            over[MEDIA], over[_QUESTION], over[OTHER] = 1.0, 0.0, 0.0
        best = max(over)
        if over.index(best) == OTHER or not read.tokens.low:
            return _ONLY_OTHER
        least = min(1.0, best)
        return tuple([kind for kind, by_how_much in enumerate(over) if by_how_much >= least and kind != OTHER])

    def _cue(self, kind: int, read: Reading, sums: NDArray[np.int16], author_class: AuthorClass) -> Cue:
        """A kind with its reasons: what the account is, cue phrases, and the words with the greatest weight here."""
        words = sorted({group.words for group in read.held if group.kind == kind and group.points > 0})
        if kind == MEDIA and author_class in PUBLIC:
            words.insert(0, by(author_class))
        if len(words) < LEARNED_WORDS:
            taken = " ".join(words).lower()
            words += [word for word in _weightiest(sums[:, kind].tolist(), read.tokens) if word.lower() not in taken]
        return Cue(kind=KINDS[kind], words=tuple(words[:MAX_WORDS]))

    def _about(self, chances: list[float], main: int, hints: Mapping[str, int]) -> tuple[str, ...]:
        """The main theme, and others from their thresholds on; a house's own theme where a phrase of it stands."""
        order = sorted(range(len(chances)), key=lambda theme: (theme == main, chances[theme]), reverse=True)
        heads, thresholds = self._theme_names, self._theme_thresholds
        found = [heads[theme] for theme in order[:MAX_THEMES] if theme == main or chances[theme] >= thresholds[theme]]
        own = [name for name in hints if name not in heads]
        return tuple([*own, *found][:MAX_THEMES])

    def _is_sure(self, themes: Sequence[str], chances: Sequence[float]) -> bool:
        """A house's own theme, whose phrase stands there, or one that reaches its threshold."""
        heads = self._theme_names
        return any(
            theme not in heads or chances[heads.index(theme)] >= self._theme_thresholds[heads.index(theme)]
            for theme in themes
        )

    def _language(self, best: int, norwegian: int, text: str) -> str:
        """`nb`, `nn`, `da`, `sv`, `en`, or `und` for any other. Dialect is `nb` or `nn`, whichever is nearer.

        `best`: the likeliest of the languages; `norwegian`: of `NORWEGIAN`.
        """
        if not _LATIN.search(text):
            return UNKNOWN_LANGUAGE
        beyond = 0 if text.isascii() else sum(map(str.isalpha, _BEYOND.findall(text)))
        if beyond and beyond > len(_LATIN.findall(text)):
            return UNKNOWN_LANGUAGE
        language = self._languages[best]
        return NORWEGIAN[norwegian] if language == DIALECT else language


def _weightiest(sums: list[int], tokens: Tokens) -> list[str]:
    """The words that speak most for a kind in this text, neighbours together, in the order of the text."""
    # Of those with the same weight the first: sorting keeps their order.
    best = sorted(range(len(sums)), key=sums.__getitem__, reverse=True)[:MOST_TOKENS]
    if not best:
        return []
    least = max(1, sums[best[0]] // 3)
    runs: list[tuple[int, int]] = []
    for place in sorted(place for place in best if sums[place] >= least):
        if runs and runs[-1][1] == place - 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    runs.sort(key=lambda run: -sum(sums[run[0] : run[1] + 1]))
    found = [tokens.text[tokens.spans[first][0] : tokens.spans[last][1]] for first, last in runs[:LEARNED_WORDS]]
    return [words for words in found if any(map(str.isalnum, words)) or not words.isascii() or "?" in words]


def _stances(scores: Floats) -> list[Stance]:
    """Of each text: of two that each know one sort of text, and one that says which of them this is."""
    count = len(STANCES)
    ours, reviews = scores[:, :count].argmax(axis=1), scores[:, count : 2 * count].argmax(axis=1)
    return [STANCES[number] for number in np.where(scores[:, -1] > 0, reviews, ours).tolist()]


def _about(bank: Bank, what: str, otherwise: float) -> Floats:
    """One number for each head of a bank."""
    return np.array(bank.about.get(what, [otherwise] * len(bank.heads)), np.float64)
