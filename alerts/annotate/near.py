"""Whether two texts say the same: one is a copy of the other but for typos, fillers, a cut, and what stands around it.

Two texts are laid beside each other word by word. What they share is the *core*. Within it nothing may differ but
typing errors and words that say nothing; so another number, place, ward, person or day, or a negation, is another
claim. What stands before and behind the core may be anyone's comment, as long as it does not deny what the core says,
and as long as it is parted from it: words that go on in the core's own sentence belong to the claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from enum import Enum
from itertools import pairwise
from typing import Any, NamedTuple

from alerts.annotate.claims import COLON, COMMA, NOT, SENTENCE, Claim, Word
from alerts.annotate.facts import ATTACHED, DENIALS, FACTS, FILLERS, HEARSAY, LIMITS, OPENERS, SIGNING


class Relation(Enum):
    """How two texts stand to each other."""

    SAME = "the same claim"
    DIFFERS = "a claim that looks alike and differs in the facts"
    OTHER = "something else"


LEAST_WORDS = 3
LEAST_LETTERS = 14
"""Of the core: below it nothing was said that two people would not say by chance."""
LEAST_COMMENTED = 22
"""Letters of the core where one text has more around it than the other."""
LEAST_BETWEEN = 5
"""Words of the core where both have something of their own on the same side, or one has more than the core."""
LEAST_SPOKEN = 4
"""Words before the core that are somebody's own though nothing parts them from it."""
LEAST_SHARE = 0.6
"""Of the letters of the shorter text that the core is, unless the core has `ENOUGH` letters by itself."""
ENOUGH = 50
CHANCE = 1 / 3
"""Of the words of two comments, how many they may have in common by chance."""
LEAST_MISTYPED = 6
"""Letters of a word that may have been mistyped twice."""
FITTED = 10
"""Words beside what is the same, beyond which no fit is looked for."""
SLACK = 3
"""By so many words two stretches that fit may differ in length."""
LEAST_EXACT = 0.25
"""Of the shorter text's words that must be the same to the letter, and in the same order."""
ALIKE = 0.5
"""Of the shorter text's words that are shared, from which on two texts are alike at all."""


def relation(one: Claim, other: Claim) -> Relation:
    """The same whichever of them comes first."""
    if one.forms == other.forms:
        return Relation.SAME if bool(one.asked) == bool(other.asked) else Relation.DIFFERS
    if (len(one.words), one.forms) > (len(other.words), other.forms):
        one, other = other, one
    pairs = _core(_aligned(one.words, other.words, one, other), one.words, other.words)
    if not pairs:
        return Relation.OTHER
    a, b = one.words, other.words
    matched = sum(pair.a_end - pair.a for pair in pairs)
    letters = sum(_letters(a[pair.a : pair.a_end]) for pair in pairs)
    if matched < LEAST_WORDS or letters < LEAST_LETTERS:
        return Relation.OTHER
    apart = Relation.DIFFERS if matched >= ALIKE * len(a) else Relation.OTHER
    first, last = pairs[0], pairs[-1]
    if _denied(a) != _denied(b) or (first.a in one.asked) != (first.b in other.asked):
        return apart
    gaps = [(a[p.a_end : q.a], b[p.b_end : q.b]) for p, q in pairwise(pairs)]
    if any(_contradict(*gap) for gap in gaps):
        return apart
    lead, tail = (a[: first.a], b[: first.b]), (a[last.a_end :], b[last.b_end :])
    if (any(lead) or any(tail)) and letters < LEAST_COMMENTED:
        return Relation.OTHER
    sizes = sorted((_letters(a), _letters(b)))
    if letters < ENOUGH and letters < LEAST_SHARE * sizes[0]:
        return Relation.OTHER
    if matched < LEAST_BETWEEN and letters < LEAST_SHARE * sizes[1]:
        return Relation.OTHER
    if not (
        _lead_is_free(*lead, a[first.a], b[first.b], one, other, matched)
        and _tail_is_free(a, last.a_end, b, last.b_end, one, other, matched)
    ):
        before = _end_of(lead[0], a[first.a]), _end_of(lead[1], b[first.b])
        behind = _beginning_of(tail[0]), _beginning_of(tail[1])
        cut = one.cut or other.cut
        return apart if _contradict(*before) or (_contradict(*behind) and not cut) else Relation.OTHER
    return Relation.SAME if all(_says_nothing(words) for gap in gaps for words in gap) else Relation.OTHER


def _contradict(one: Sequence[Word], other: Sequence[Word]) -> bool:
    """Whether two claims that are otherwise the same differ in facts, when one says this and the other that."""
    if _says_nothing(one) and _says_nothing(other):
        return False
    if len(one) == len(other) and all(map(_may_be_typos, one, other)):
        return False
    return bool(one and other) or _has_facts(one) or _has_facts(other)


def _may_be_typos(one: Word, other: Word) -> bool:
    """Whether one word may have been mistyped twice; too little to say that it is the same, or that it is not."""
    if alike(one, other):
        return True
    name, short = one.name and other.name, min(len(one.form), len(other.form))
    known = one.form in FACTS and other.form in FACTS
    return short >= LEAST_MISTYPED and not name and not known and slips(one.form, other.form) <= 2


def _letters(words: Sequence[Word]) -> int:
    return sum(len(word.form) for word in words)


class _Pair(NamedTuple):
    """A run of words that both have: places in the one and the other, half open."""

    a: int
    a_end: int
    b: int
    b_end: int


def _aligned(a: Sequence[Word], b: Sequence[Word], one: Claim, other: Claim) -> list[_Pair]:
    blocks = SequenceMatcher(None, one.forms, other.forms, autojunk=False).get_matching_blocks()
    if sum(block.size for block in blocks) < LEAST_EXACT * len(a):
        return []
    pairs: list[_Pair] = []
    i = j = 0
    for block in blocks:
        if i < block.a and j < block.b:
            pairs += _fitted(a, i, block.a, b, j, block.b, one.cut, other.cut)
        if block.size:
            pairs.append(_Pair(block.a, block.a + block.size, block.b, block.b + block.size))
        i, j = block.a + block.size, block.b + block.size
    return pairs


_Fit = tuple[int, tuple[Any, ...]]
"""How much fits from here on, and the pairs that do: a pair and the rest."""
_NO_FIT: _Fit = (0, ())
_ACCENTED = "æøåäö"


def _core(pairs: list[_Pair], a: Sequence[Word], b: Sequence[Word]) -> list[_Pair]:
    """Without what people's own comments before and behind have in common by chance."""
    for k in range(1, len(pairs)):
        i, j = pairs[k - 1].a_end, pairs[k - 1].b_end
        if a[i].before >= COLON <= b[j].before and _by_chance(pairs[k:], a[i:], b[j:]):
            pairs = pairs[:k]
            break
    for k in range(len(pairs) - 1, 0, -1):
        i, j = pairs[k].a, pairs[k].b
        if a[i].before >= COMMA <= b[j].before and _by_chance(pairs[:k], a[:i], b[:j]):
            return pairs[k:]
    return pairs


def _by_chance(pairs: Sequence[_Pair], a: Sequence[Word], b: Sequence[Word]) -> bool:
    """Whether two stretches have so little in common that they are not one sentence with another fact."""
    common = sum(pair.a_end - pair.a for pair in pairs)
    return common <= CHANCE * max(len(a), len(b)) and not any(word.form.isdigit() for word in (*a, *b))


def _fitted(
    a: Sequence[Word], i: int, i_end: int, b: Sequence[Word], j: int, j_end: int, a_cut: bool, b_cut: bool
) -> list[_Pair]:
    """What fits of two stretches that are not the same: words with typos, two written as one, the last one cut."""
    # Near the neighbours that are the same: a stretch at an end may be somebody's long comment.
    near = min(i_end - i, j_end - j, FITTED) + SLACK
    if i == 0 or j == 0:
        i, j = max(i, i_end - near), max(j, j_end - near)
    else:
        i_end, j_end = min(i_end, i + near), min(j_end, j + near)
    n, m = i_end - i, j_end - j
    if (n == 1) != (m == 1) and _as_one(a[i:i_end], b[j:j_end]):
        return [_Pair(i, i_end, j, j_end)]
    best: list[list[_Fit]] = [[_NO_FIT] * (m + 1) for _ in range(n + 1)]
    for x in range(n - 1, -1, -1):
        at, row, below = a[i + x], best[x], best[x + 1]
        first = at.written[0]
        for y in range(m - 1, -1, -1):
            fit = below[y] if below[y][0] >= row[y + 1][0] else row[y + 1]
            to = b[j + y]
            if (
                first == to.written[0]
                or at.written[:2] == to.written[1::-1]
                or first in _ACCENTED
                or to.written[0] in _ACCENTED
            ):
                if fit[0] < below[y + 1][0] + 2 and (
                    alike(at, to) or _is_cut(a, i + x, to, a_cut) or _is_cut(b, j + y, at, b_cut)
                ):
                    fit = below[y + 1][0] + 2, (_Pair(i + x, i + x + 1, j + y, j + y + 1), below[y + 1][1])
                if x + 1 < n and fit[0] < best[x + 2][y + 1][0] + 3 and _joined(at, a[i + x + 1], to):
                    fit = best[x + 2][y + 1][0] + 3, (_Pair(i + x, i + x + 2, j + y, j + y + 1), best[x + 2][y + 1][1])
                if y + 1 < m and fit[0] < below[y + 2][0] + 3 and _joined(to, b[j + y + 1], at):
                    fit = below[y + 2][0] + 3, (_Pair(i + x, i + x + 1, j + y, j + y + 2), below[y + 2][1])
            row[y] = fit
    pairs: list[_Pair] = []
    chain = best[0][0][1]
    while chain:
        pair, chain = chain
        pairs.append(pair)
    return pairs


def _is_cut(words: Sequence[Word], place: int, whole: Word, marked: bool = False) -> bool:
    """Whether the last word of a text is the beginning of another: cut in two. `marked`: by a mark that says so."""
    if place != len(words) - 1 or place == 0:
        return False
    part = words[place]
    missing = len(whole.written) - len(part.written)
    if missing <= 0 or not whole.written.startswith(part.written) or part.form.isdigit():
        return False
    return marked or ((part.form not in FACTS or missing >= 3) and not (part.name and whole.name))


def _as_one(a: Sequence[Word], b: Sequence[Word]) -> bool:
    """Whether they differ in blanks alone."""
    one, other = ("".join(word.written for word in words) for words in (a, b))
    return one == other and not one.isdigit()


def _joined(first: Word, second: Word, both: Word) -> bool:
    form = first.form + second.form
    if first.form.isdigit() or second.form.isdigit():
        return form == both.form and not form.isdigit()
    return form == both.form or (len(form) >= 8 and form[0] == both.form[:1] and slips(form, both.form) <= 1)


def alike(one: Word, other: Word) -> bool:
    """The same word, perhaps mistyped. Numbers and words of facts are not mistaken for each other."""
    a, b = one.form, other.form
    if a == b:
        return True
    same_fact = a not in FACTS or b not in FACTS or FACTS[a] == FACTS[b]
    if (len(a) + len(b) >= 10 or "aa" in a + b or "oe" in a + b) and _plain(a) == _plain(b) and same_fact:
        return True
    if a.isdigit() or b.isdigit() or a == NOT or b == NOT or abs(len(a) - len(b)) > 2:
        return False
    short = min(len(a), len(b))
    if short < 2 or (short == 2 and _undoubled(a) != _undoubled(b)) or (a[0] != b[0] and a[:2] != b[1::-1]):
        return False
    if a in FACTS and b in FACTS:
        return same_fact
    count = slips(a, b)
    if count > 2:
        return False
    if count == 2:
        if one.name and other.name:
            return False
        return (short >= 9 and a[:2] == b[:2]) or (short >= 5 and sorted(a) == sorted(b))
    if sorted(a) == sorted(b) or _undoubled(a) == _undoubled(b):
        return True
    if len(a) != len(b):  # a letter is missing
        return short >= 4 if not (one.name and other.name) else short >= 6
    if one.name and other.name:
        return False
    wrong = next((x, y) for x, y in zip(a, b, strict=True) if x != y)
    return len(a) >= 5 and wrong in NEIGHBOURS


_ROWS = ("qwertyuiopå", "asdfghjkløæ", "zxcvbnm")
_SOUNDS = ("aå", "oå", "oø", "eæ", "äæ", "öø", "äe", "ck", "sz", "iy", "ji", "dt", "bp", "gk", "ea", "eo", "vw", "uo")


def _neighbours() -> frozenset[tuple[str, str]]:
    pairs = {(pair[0], pair[1]) for pair in _SOUNDS}
    for row in _ROWS:
        pairs.update(pairwise(row))
    for upper, lower in pairwise(_ROWS):
        pairs.update((upper[n], below) for n in range(len(upper)) for below in lower[max(0, n - 1) : n + 1])
    return frozenset(pairs | {(two, one) for one, two in pairs})


NEIGHBOURS = _neighbours()
"""Pairs of letters of which a finger or an ear takes one for the other."""


def _undoubled(word: str) -> str:
    return "".join(letter for n, letter in enumerate(word) if n == 0 or word[n - 1] != letter)


def _plain(word: str) -> str:
    """As one writes without æ, ø and å."""
    for pair, letter in ("aa", "a"), ("å", "a"), ("oe", "o"), ("ø", "o"), ("ae", "e"), ("æ", "e"):
        word = word.replace(pair, letter)
    return word


def slips(a: str, b: str) -> int:
    """Letters missing, too many, wrong or swapped that lead from one word to the other; 3: three or more."""
    if abs(len(a) - len(b)) > 2:
        return 3
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    a, b = a[start : len(a) - end], b[start : len(b) - end]
    if not a or not b:
        return min(3, len(a) + len(b))
    if min(len(a), len(b)) > 6:
        return 3
    before: list[int] = []
    row = list(range(len(b) + 1))
    for x, letter in enumerate(a, 1):
        older, before, row = before, row, [x]
        for y, its in enumerate(b, 1):
            cost = min(before[y] + 1, row[y - 1] + 1, before[y - 1] + (letter != its))
            if x > 1 and y > 1 and letter == b[y - 2] and a[x - 2] == its:
                cost = min(cost, older[y - 2] + 1)
            row.append(cost)
    return min(3, row[-1])


def _end_of(lead: Sequence[Word], first: Word) -> Sequence[Word]:
    """What of a lead belongs to the sentence that the core begins."""
    if not lead or first.before >= COMMA or (lead[-1].form in HEARSAY and NOT not in {word.form for word in lead}):
        return ()
    begin = max((n for n, word in enumerate(lead) if word.before >= COMMA), default=0)
    return lead[begin:]


def _beginning_of(tail: Sequence[Word]) -> Sequence[Word]:
    """What of a tail belongs to the sentence that the core ends."""
    if not tail or tail[0].form in SIGNING or tail[0].form in OPENERS:
        return ()
    return tail[: next((n for n, word in enumerate(tail) if word.before >= COMMA), len(tail))]


def _says_nothing(words: Sequence[Word]) -> bool:
    return len(words) <= 4 and all(word.form in FILLERS for word in words)


def _denied(words: Sequence[Word]) -> bool:
    said = f" {' '.join(word.form for word in words)} "
    return DENIALS.search(said) is not None


def _has_facts(words: Sequence[Word]) -> bool:
    return any(word.form == NOT or word.form.isdigit() or word.form in FACTS for word in words)


def _lead_is_free(
    a: Sequence[Word], b: Sequence[Word], a_first: Word, b_first: Word, one: Claim, other: Claim, core: int
) -> bool:
    """Whether what stands before the core is no part of the claim."""
    if a and b:
        return core >= LEAST_BETWEEN and _parted(a, a_first) and _parted(b, b_first)
    if not a and not b:
        return True
    lead, first, bare = (a, a_first, one) if a else (b, b_first, other)
    bare = other if a else one
    return bare.headless or _parted(lead, first) or (first.name and len(lead) >= 2 and not _has_facts(lead))


def _parted(lead: Sequence[Word], first: Word) -> bool:
    """Whether a lead is no part of the sentence that the core begins."""
    if first.before >= COLON:
        return True
    if any(word.form == NOT or word.form.isdigit() for word in lead):
        return lead[-1].form in HEARSAY and not any(word.form == NOT for word in lead[-4:])
    if lead[-1].form in HEARSAY:
        return True
    if first.before == COMMA:
        return len(lead) <= 8
    if all(word.form in OPENERS for word in lead) or (lead[0].form in OPENERS and not _has_facts(lead)):
        return True
    return len(lead) >= LEAST_SPOKEN and lead[-1].form not in ATTACHED and not any(w.form in LIMITS for w in lead)


def _tail_is_free(a: Sequence[Word], i: int, b: Sequence[Word], j: int, one: Claim, other: Claim, core: int) -> bool:
    """Whether what stands behind the core is no part of the claim."""
    if _ends_cut(a, i, one) or _ends_cut(b, j, other):
        return True
    if (i == len(a) and _is_cut(a, i - 1, b[j - 1])) or (j == len(b) and _is_cut(b, j - 1, a[i - 1])):
        return True
    if i < len(a) and j < len(b):
        return core >= LEAST_BETWEEN and a[i].before == SENTENCE and b[j].before == SENTENCE
    if i == len(a) and j == len(b):
        return True
    tail = a[i:] if i < len(a) else b[j:]
    if tail[0].before >= COLON:
        return True
    same_sentence = tail[: next((n for n, word in enumerate(tail) if word.before >= COLON), len(tail))]
    if tail[0].before == COMMA:
        return tail[0].form not in LIMITS and not any(word.form.isdigit() for word in same_sentence)
    if tail[0].form in SIGNING or (tail[0].form in OPENERS and not _has_facts(same_sentence)):
        return True
    return all(word.form in FILLERS for word in same_sentence)


def _ends_cut(words: Sequence[Word], end: int, text: Claim) -> bool:
    """Whether the core reaches to where a text was cut."""
    return text.cut and end == len(words)
