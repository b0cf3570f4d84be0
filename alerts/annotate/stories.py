"""Stories: what was said of late, and which of it says the same.

A post joins a story when it is near the story's wordings (`alerts.annotate.near`) and contradicts none of those that it
resembles; else it begins a story, which bears the name of its own words. Two stories are never made one, and no post
changes its story. So where wordings fall into clear groups, these are the same in whatever order posts come; only the
name, which is that of the first to come, differs.

The memory is bounded: posts are forgotten the oldest first, and a wording with the last of its posts. A text word for
word as one that began a story needs no memory to join it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import product

from alerts.annotate.claims import Claim, claim
from alerts.annotate.facts import FILLERS
from alerts.annotate.near import Relation, relation
from alerts.annotate.story import named

MOST_POSTS = 10_000
"""Posts that are remembered: some 45 MB when each says something else, and hours of a loud crisis."""
MOST_GROUPED = 30_000
"""Different texts that are grouped at once."""
COMPARED = 8
"""Wordings that a new one is compared with: those that share most with it."""
LOOKED_AT = 16
"""Of the wordings that share one thing with a new one, the newest so many are looked at."""
ALIKE = 0.6
"""Of the words of the shorter of two texts that both must have for them to be laid beside each other."""
ENOUGH_COMMON = 8
"""Words that are enough for that, however long the texts."""
MET = 8
"""Wordings of a group that are compared with those of another before the two are joined."""
BEGINNING = 4
"""Letters of a word that are looked up by: most typing errors come later."""


def name_of(its: Claim, text: str, repost_of: str | None = None) -> str:
    """The name of what one text says: 16 hex digits, made of all its words.

    The same text in other letters, with other links, mentions or emoji, other hashtags at either end, or passed on as
    `RT @…`, has the same name; and so has nothing else, so that no two claims are ever one by their names. `repost_of`
    names a repost that has no words of its own.
    """
    return named(" ".join(its.forms) + ("?" if its.asked else ""), text, repost_of)


class Wording:
    """One text, as several posts may say it, and its story."""

    __slots__ = ("claim", "keys", "name", "posts", "story", "words")

    def __init__(self, its: Claim, name: str, begun: Sequence[str], story: str) -> None:
        self.claim = its
        self.words = tuple(begun)
        self.name = name
        self.keys = _keys(begun)
        self.story = story
        self.posts = 0


class Stories:
    """The memory. `most`: how many posts."""

    def __init__(self, most: int = MOST_POSTS) -> None:
        self._most = most
        self._posts: dict[str, Wording] = {}
        self.wordings: dict[str, Wording] = {}
        self._by_key: dict[int, list[Wording]] = {}

    def __len__(self) -> int:
        return len(self._posts)

    def story(self, text: str, repost_of: str | None = None) -> str:
        """The story of a text, as things stand. It is not remembered."""
        its = claim(text)
        return self._story(its, name_of(its, text, repost_of), beginnings(its))

    def add(self, post: str, text: str, repost_of: str | None = None, story: str | None = None) -> str:
        """Remember that a post says this, and give its story: `story`, where that was decided before."""
        its = claim(text)
        name = name_of(its, text, repost_of)
        begun = () if name in self.wordings else beginnings(its)
        if story is None:
            story = self._story(its, name, begun)
        self._forget(post)
        wording = self.wordings.get(name)
        if wording is None:
            begun = begun or beginnings(its)
            wording = self.wordings[name] = Wording(its, name, begun, story)
            for key in wording.keys:
                self._by_key.setdefault(key, []).append(wording)
        wording.story = min(wording.story, story) if wording.posts else story
        wording.posts += 1
        self._posts[post] = wording
        if len(self._posts) > self._most:
            self._forget(next(iter(self._posts)))
        return story

    def _forget(self, post: str) -> None:
        """Of a post that is forgotten no word is kept, unless others say the same."""
        wording = self._posts.pop(post, None)
        if wording is None:
            return
        wording.posts -= 1
        if not wording.posts:
            del self.wordings[wording.name]
            for key in wording.keys:
                here = self._by_key[key]
                here.remove(wording)
                if not here:
                    del self._by_key[key]

    def _story(self, its: Claim, name: str, begun: Sequence[str]) -> str:
        known = self.wordings.get(name)
        if known is not None:
            return known.story
        same: dict[str, int] = {}
        cut: dict[str, int] = {}
        differs: dict[str, int] = {}
        for wording, shared, how in self.near(its, begun):
            if how is not Relation.OTHER:
                votes = differs if how is Relation.DIFFERS else cut if wording.claim.cut else same
                votes[wording.story] = max(shared, votes.get(wording.story, 0))
        joined = {story: shared for story, shared in same.items() if shared >= differs.get(story, 0)}
        # What was cut may be of anything: where nothing else speaks for a story, nothing may speak against it.
        joined |= {story: shared for story, shared in cut.items() if story not in joined and story not in differs}
        return min(joined, key=lambda story: (-joined[story], story)) if joined else name

    def near(self, its: Claim, begun: Sequence[str]) -> Iterator[tuple[Wording, int, Relation]]:
        """The wordings that share most with a text: how many things, and how they stand to it."""
        words = frozenset(begun)
        for wording, shared in self._alike(_keys(begun)):
            its_words = frozenset(wording.words)
            common = len(words & its_words)
            if common >= ENOUGH_COMMON or common >= ALIKE * min(len(words), len(its_words)):
                yield wording, shared, relation(its, wording.claim)

    def _alike(self, keys: Iterable[int]) -> list[tuple[Wording, int]]:
        """The wordings that share most with these keys."""
        shared: Counter[Wording] = Counter()
        for key in keys:
            shared.update(self._by_key.get(key, ())[-LOOKED_AT:])
        return sorted(shared.items(), key=lambda item: (-item[1], item[0].name))[:COMPARED]


def grouped(texts: Iterable[tuple[str, str | None]], most: int = MOST_GROUPED) -> Mapping[str, str]:
    """The stories of texts that are all there, each with what it reposts: by the name of its own words.

    The same in whatever order they are given: what is nearest is joined first, and what was cut last, when it is known
    what it may have been cut from. Of more than `most` different texts the others are missing; which ones does not
    depend on the order either.
    """
    wordings: dict[str, tuple[int, str, str | None]] = {}
    for text, repost_of in texts:
        its = claim(text)
        wordings.setdefault(name_of(its, text, repost_of), (len(its.words), text, repost_of))
        if len(wordings) >= 2 * most:
            wordings = _some(wordings, most)
    wordings = _some(wordings, most)
    stories = Stories(most)
    for name in sorted(wordings, key=lambda name: (-wordings[name][0], name)):
        stories.add(name, *wordings[name][1:], story=name)
    return _joined(stories)


def _joined(stories: Stories) -> Mapping[str, str]:
    """Wordings → stories: of two groups that are near, one is made unless what they say elsewhere differs more."""
    wordings, edges = stories.wordings, []
    for wording in wordings.values():
        for other, shared, how in stories.near(wording.claim, wording.words):
            if how is Relation.SAME and other is not wording:
                one, two = sorted((wording.name, other.name))
                edges.append((wording.claim.cut or other.claim.cut, -shared, one, two))
    groups = {name: [name] for name in wordings}
    for cut, shared, one, two in sorted(set(edges)):
        first, second = sorted((groups[one], groups[two]), key=lambda group: (-len(group), group))
        if first is not second and not _differ(first, second, wordings, 0 if cut else 1 - shared):
            first += second
            for name in second:
                groups[name] = first
    return {name: group[0] for name, group in groups.items()}


def _differ(first: Sequence[str], second: Sequence[str], wordings: Mapping[str, Wording], shared: int) -> bool:
    """Whether two wordings that share so much, or more, differ in the facts."""
    for one, two in product(first[:MET], second[:MET]):
        a, b = wordings[one], wordings[two]
        if len(set(a.keys).intersection(b.keys)) >= shared and relation(a.claim, b.claim) is Relation.DIFFERS:
            return True
    return False


def _some(wordings: dict[str, tuple[int, str, str | None]], most: int) -> dict[str, tuple[int, str, str | None]]:
    return {name: wordings[name] for name in nsmallest(most, wordings)}


def beginnings(its: Claim) -> Sequence[str]:
    """The beginnings of the words that say something."""
    return [form[:BEGINNING] for form in its.forms if form not in FILLERS and (len(form) > 2 or form.isdigit())]


def _keys(begun: Sequence[str]) -> tuple[int, ...]:
    """What a text is looked up by: neighbouring words, and those next but one. Numbers take less room than words."""
    pairs = [hash(pair) for step in (1, 2) for pair in zip(begun, begun[step:], strict=False)]
    return tuple(dict.fromkeys(pairs or map(hash, begun)))
