"""The privacy stage: a post that matched → a mention that may lie on the bus.

Identity numbers, phone numbers and e-mail addresses are masked, authors and all account names become pseudonyms; the
public bodies and media that the settings name keep theirs. Whose account it is and how far it reaches is taken
before. A post id and a link still lead to a person: they stay inside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from listener.model.records import AuthorClass, Mention, Origin, Post, reach_of
from listener.privacy.folding import fold, hints, replace
from listener.privacy.handles import find_handles
from listener.privacy.masking import MaskReason, find_masks
from listener.privacy.profiles import HANDLE
from listener.privacy.pseudonyms import pseudonym, pseudonym_of_handle

Count = Callable[[MaskReason, int], None]

_MAY_KEEP_NAME = (AuthorClass.MEDIA, AuthorClass.PUBLIC_BODY)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z]{2,8}){0,2}")
_TELLING = re.compile(r"[\d_]")
PASSES_BY = re.compile("[A-Za-zÀ-ÖØ-öø-ɏ]+|https://x\\.com/i/web/status/[0-9]{12,20}")
"""One word of letters, as most hashtags are, and X's link to a post: no number, address or account name can be in them,
but for a name that came with the post."""


class Screen:
    """Makes posts safe, all with one key. Holds nothing of a post after it is done.

    `named_accounts`: handle (any case, with or without @) → whose it is; only media and public bodies keep their name.
    `count` gets how many of what were masked in each post that had any.
    """

    def __init__(self, key: bytes, named_accounts: Mapping[str, AuthorClass], count: Count | None = None) -> None:
        self._key = key
        self._named = {_bare(handle): whose for handle, whose in named_accounts.items()}
        self._count = count

    def mention(
        self,
        post: Post,
        *,
        incidents: Mapping[str, tuple[str, ...]],
        origin: Origin,
        captured_at: datetime,
        exercise: bool,
        synthetic: bool = False,
    ) -> Mention:
        """The post made safe; `incidents` maps each incident to the tracks that matched."""
        cleaner = _Cleaner(self._key, self._named, post)
        author = post.author
        safe = {
            "source": post.source,
            "id": post.id,
            "at": post.at,
            "captured_at": captured_at,
            "origin": origin,
            "synthetic": synthetic,
            "exercise": exercise,
            "incidents": incidents,
            "text": cleaner.words(post.text),
            "lang": post.lang if post.lang and _LANGUAGE.fullmatch(post.lang) else None,
            "author": cleaner.author(),
            "author_class": self._named.get(cleaner.handle, author.author_class) if author else AuthorClass.UNKNOWN,
            "reach": reach_of(author.followers if author else None),
            "repost_of": post.repost_of,
            "reply_to": post.reply_to,
            "quote_of": post.quote_of,
            "edits": post.edits,
            "aliases": post.aliases or None,
            "hashtags": tuple(map(cleaner.words, post.hashtags)),
            "links": tuple(map(cleaner.link, post.links)),
            "place": cleaner.words(post.place) if post.place else None,
            "url": cleaner.link(post.url) if post.url else None,
        }
        mention = Mention.model_validate(safe)  # the same checks as `Mention(**safe)`, faster
        if self._count and cleaner.masked:
            for reason in set(cleaner.masked):
                self._count(MaskReason(reason), cleaner.masked.count(reason))
        return mention


class _Cleaner:
    """One post being made safe: its author's and its mentions' ids are at hand."""

    def __init__(self, key: bytes, named: Mapping[str, AuthorClass], post: Post) -> None:
        self._key = key
        self._named = named
        self._source = post.source
        self._post = post
        self.masked: list[str] = []
        self.handle = _bare(post.author.handle) if post.author and post.author.handle else ""
        """The author's own."""
        self._ids = {_bare(handle): author_id for handle, author_id in post.handles.items()} if post.handles else {}
        if post.author and self.handle:
            self._ids.setdefault(self.handle, post.author.id)
        self._secrets = self._known_secrets()

    def author(self) -> str | None:
        author = self._post.author
        if author is None:
            return None
        if self._keeps_name(self.handle):
            return "@" + self.handle
        if author.id:
            return pseudonym(self._key, self._source, author.id)
        return self._new_name(self.handle) if self.handle else None

    def words(self, text: str) -> str:
        return self._clean(text, link=False)

    def link(self, text: str) -> str:
        return self._clean(text, link=True)

    def _clean(self, text: str, link: bool) -> str:
        if PASSES_BY.fullmatch(text):
            return self._without_secrets(text, link)
        folded = fold(text)
        cheap = hints(folded.text)
        spans = find_masks(folded.text, cheap)
        spans.extend(find_handles(folded.text, self._is_known, self._new_name, cheap))
        if spans:
            text, labels = replace(text, folded, spans)
            self.masked += labels
        return self._without_secrets(text, link)

    def _is_known(self, handle: str) -> bool:
        bare = _bare(handle)
        return bare in self._ids or bare in self._named

    def _new_name(self, handle: str) -> str | None:
        bare = _bare(handle)
        if self._keeps_name(bare):
            return None
        if bare in self._ids:
            return pseudonym(self._key, self._source, self._ids[bare])
        return pseudonym_of_handle(self._key, self._source, bare)

    def _keeps_name(self, bare: str) -> bool:
        return self._named.get(bare) in _MAY_KEEP_NAME

    def _known_secrets(self) -> list[tuple[str, str, bool]]:
        """(what must not be shown, author id, only in links) of all names and ids that came with the post."""
        found: list[tuple[str, str, bool]] = []
        ids = set()
        for handle, author_id in self._ids.items():
            if not self._keeps_name(handle):
                ids.add(author_id)
                # A name such as `oslo` is a word of the language: outside a link it stands for the town.
                found.append((handle, author_id, len(handle) < 5 or not _TELLING.search(handle)))
        author = self._post.author
        # Our own account stands in the settings: its number in the link to what it published shows nobody.
        if author and not self._keeps_name(self.handle) and author.author_class is not AuthorClass.OWN:
            ids.add(author.id)
        found += [(author_id.lower(), author_id, False) for author_id in ids if len(author_id) >= 5]
        return found

    def _without_secrets(self, text: str, link: bool) -> str:
        if not self._secrets:
            return text
        lower = text.lower()
        for secret, author_id, only_in_links in self._secrets:
            if secret in lower and (link or not only_in_links):
                new = pseudonym(self._key, self._source, author_id)
                text, count = re.subn(rf"(?i)(?<![^\W_]){re.escape(secret)}(?![^\W_])", new, text)
                self.masked += [HANDLE] * count
        return text


def _bare(handle: str) -> str:
    return handle.strip().removeprefix("@").casefold()
