"""Near copies in the register: which stories say the same, though their texts begin otherwise.

The story of a finding is made of how its text begins (`alerts.annotate.story`), and rules go on by it. Here stories are
joined that say the same with a comment before it, a typing error, another link, or cut (`alerts.annotate.stories`).
What differs in a number, a place, a person or a negation is never joined.

For each story one text is compared: that of its first post that is no repost. Kept of it are *anchors*: of the hashes
of its neighbouring words the `ANCHORS` least. A copy has mostly the same ones, whatever stands around it, so that
stories which share some are found by them and laid beside each other on the bus. Which ones say the same is kept too;
stories that hang together by it are grouped anew when one comes to them or goes. All of that follows from the texts
alone: it can be built again at any time, and is the same in whatever order posts came, as long as no text has more than
`COMPARED` others like it and no group more than `MOST_TOGETHER` stories.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Mapping, Sequence
from zlib import crc32

from alerts.annotate.claims import Claim, claim
from alerts.annotate.near import Relation, relation
from alerts.annotate.stories import beginnings, grouped, name_of
from alerts.register.rows import read_in
from listener.bus.protocol import Bus, TopicPartition
from listener.model.records import FINDINGS, Finding

ANCHORS = 12
SHARED = 2
"""So many anchors two texts must share to be compared: 315 of the corpus' 317 near copies do, and in recordings of one
event two or three other texts in a thousand."""
COMPARED = 16
"""Of the stories that share anchors with a new one, so many are compared with it: those that share most."""
MOST_TOGETHER = 200
"""Stories that are grouped anew; one that comes to more joins what it is near to."""
MET = 8
"""Stories of so great a group that a new one is compared with before it joins."""

ANEW, REGROUP = 1, 2
"""What there is to do with a story: its text is to be compared, or only the group is to be made anew."""

HEARD = """
INSERT INTO stories(story, key, part, offset, repost, at, together, todo)
SELECT story, key, part, offset, repost, at, story, 1 FROM findings WHERE key=? AND part=? AND offset=?
ON CONFLICT(story) DO UPDATE SET
    key=excluded.key, part=excluded.part, offset=excluded.offset, repost=excluded.repost, at=excluded.at, todo=1
WHERE (excluded.repost, excluded.at, excluded.key) < (repost, at, key)
"""
STANDS_FOR = "SELECT key, part, offset, repost, at FROM findings WHERE story=? ORDER BY repost, at, key LIMIT 1"
LOST = """
UPDATE stories SET todo=1, anchors=x'' WHERE NOT EXISTS(SELECT 1 FROM findings f WHERE f.key = stories.key)
"""
UNANCHORED = "DELETE FROM anchors WHERE id IN (SELECT id FROM stories WHERE todo=1 AND anchors=x'')"
"""Of all, for when many posts went: nothing is left of their texts, and another post is to stand for their stories."""
LOST_ONE = "UPDATE stories SET todo=1 WHERE story=(SELECT story FROM findings WHERE key=?1) AND key=?1"
JOINED = "SELECT story, together FROM stories WHERE together != story"


def heard(db: sqlite3.Connection, key: str, part: int, offset: int) -> None:
    """A post that is in the view now, and may be the first of its story."""
    db.execute(HEARD, (key, part, offset))


def waiting(db: sqlite3.Connection) -> int:
    """Stories with which there is something to do."""
    (count,) = db.execute("SELECT count(*) FROM stories WHERE todo").fetchone()
    return int(count)


class Alike:
    """Does it, some stories at a time; for one transaction of the view."""

    def __init__(self, db: sqlite3.Connection, bus: Bus) -> None:
        self._db = db
        self._bus = bus
        self._found: dict[int, Finding | None] = {}
        self._claims: dict[int, Claim | None] = {}

    def join(self, most: int) -> None:
        """Of what there is to do, as many stories at each step."""
        for id_, story, key in self._todo(ANEW, most):
            self._compare(id_, story, key)
        for _ in range(most):
            for id_, story, _ in self._todo(REGROUP, 1):
                self._regroup(id_, story)

    def _todo(self, what: int, most: int) -> list[tuple[int, str, str]]:
        asked = "SELECT id, story, key FROM stories WHERE todo=? ORDER BY id LIMIT ?"
        return self._db.execute(asked, (what, most)).fetchall()

    def _compare(self, id_: int, story: str, key: str) -> None:
        """Its text with those that it resembles."""
        self._let_go(id_)
        first = self._db.execute(STANDS_FOR, (story,)).fetchone()
        if first is None:
            self._db.execute("DELETE FROM stories WHERE id=?", (id_,))
            return
        if first[0] != key:
            self._db.execute("UPDATE stories SET key=?, part=?, offset=?, repost=?, at=? WHERE id=?", (*first, id_))
        found = self._finding(id_)
        own = anchors(found.text) if found is not None else array("I")
        self._db.execute("UPDATE stories SET anchors=?, todo=2 WHERE id=?", (own.tobytes(), id_))
        self._db.executemany("INSERT OR IGNORE INTO anchors VALUES(?,?)", [(each, id_) for each in own])
        for other in self._like(id_, own):
            if self._relation(id_, other) is Relation.SAME:
                self._db.executemany("INSERT OR IGNORE INTO near VALUES(?,?)", [(id_, other), (other, id_)])

    def _let_go(self, id_: int) -> None:
        """Of all that is kept of its text; what hung together by it is grouped anew."""
        self._found.pop(id_, None)
        self._claims.pop(id_, None)
        (own,) = self._db.execute("SELECT anchors FROM stories WHERE id=?", (id_,)).fetchone()
        self._db.executemany("DELETE FROM anchors WHERE hash=? AND id=?", [(each, id_) for each in array("I", own)])
        near = self._near(id_)
        self._db.executemany("UPDATE stories SET todo=2 WHERE id=? AND todo=0", [(each,) for each in near])
        self._db.executemany("DELETE FROM near WHERE one=? AND two=?", [(each, id_) for each in near])
        self._db.execute("DELETE FROM near WHERE one=?", (id_,))

    def _like(self, id_: int, own: Sequence[int]) -> list[int]:
        """The stories that share most anchors with it."""
        if not own:
            return []
        asked = (
            "SELECT a.id FROM anchors a JOIN stories s ON s.id = a.id "  # noqa: S608 -- question marks
            f"WHERE a.hash IN ({','.join('?' * len(own))}) AND a.id != ? "
            "GROUP BY a.id HAVING count(*) >= min(?, length(s.anchors) / 4) ORDER BY count(*) DESC, s.story LIMIT ?"
        )
        return [other for (other,) in self._db.execute(asked, (*own, id_, min(SHARED, len(own)), COMPARED))]

    def _near(self, id_: int) -> list[int]:
        return [two for (two,) in self._db.execute("SELECT two FROM near WHERE one=? ORDER BY two", (id_,))]

    def _regroup(self, id_: int, story: str) -> None:
        members = self._hanging_together(id_)
        if len(members) > MOST_TOGETHER:
            self._set({id_: self._nearest(id_) or story})
            return
        self._set(self._groups(members))

    def _set(self, together: Mapping[int, str]) -> None:
        self._db.executemany(
            "UPDATE stories SET together=?, todo=CASE todo WHEN 2 THEN 0 ELSE todo END WHERE id=?",
            [(name, id_) for id_, name in together.items()],
        )

    def _hanging_together(self, id_: int) -> list[int]:
        """A story and all that are near to it, at whatever remove; one more than `MOST_TOGETHER` at most."""
        members = [id_]
        known = {id_}
        for each in members:
            new = [two for two in self._near(each) if two not in known]
            members += new
            known.update(new)
            if len(members) > MOST_TOGETHER:
                break
        return members

    def _groups(self, members: Iterable[int]) -> dict[int, str]:
        """Each of these stories → the first of those that it is one with."""
        names: dict[str, list[int]] = {}
        for id_ in members:
            found = self._finding(id_)
            wording = "" if found is None else name_of(claim(found.text), found.text, found.repost_of)
            names.setdefault(wording, []).append(id_)
        texts = [each for each in map(self._finding, members) if each is not None]
        groups: dict[str, list[int]] = {}
        for wording, group in grouped((each.text, each.repost_of) for each in texts).items():
            groups.setdefault(group, []).extend(names[wording])
        found_groups = [*groups.values(), *([each] for each in names.get("", ()))]
        return {id_: first for group in found_groups for first in [self._first(group)] for id_ in group}

    def _first(self, group: Sequence[int]) -> str:
        asked = "SELECT repost, at, key, story FROM stories WHERE id=?"
        return str(min(self._db.execute(asked, (id_,)).fetchone() for id_ in group)[3])

    def _nearest(self, id_: int) -> str | None:
        """The group of a story that it is near to, where it differs from none of those that it meets there."""
        for other in self._near(id_)[:MET]:
            (group,) = self._db.execute("SELECT together FROM stories WHERE id=?", (other,)).fetchone()
            met = self._db.execute(
                "SELECT id FROM stories WHERE (story=?1 OR together=?1) AND id != ?2 LIMIT ?3", (group, id_, MET)
            )
            if all(self._relation(id_, each) is not Relation.DIFFERS for (each,) in met.fetchall()):
                return str(group)
        return None

    def _relation(self, one: int, other: int) -> Relation:
        a, b = self._claim(one), self._claim(other)
        return Relation.OTHER if a is None or b is None else relation(a, b)

    def _claim(self, id_: int) -> Claim | None:
        if id_ not in self._claims:
            found = self._finding(id_)
            self._claims[id_] = None if found is None else claim(found.text)
        return self._claims[id_]

    def _finding(self, id_: int) -> Finding | None:
        """What the bus has of the post that stands for a story; None when it was purged."""
        if id_ not in self._found:
            key, part, offset = self._db.execute("SELECT key, part, offset FROM stories WHERE id=?", (id_,)).fetchone()
            records = self._bus.read(TopicPartition(FINDINGS.name, part), offset, 1)
            its = [each for each in records if each.offset == offset and each.key == key]
            self._found[id_] = read_in(its[0]) if its else None
        return self._found[id_]


def anchors(text: str) -> array[int]:
    """The least hashes of three neighbouring words, or of three out of four, by their beginnings."""
    begun = beginnings(claim(text))
    threes = (
        trio
        for first, second, third in ((0, 1, 2), (0, 1, 3), (0, 2, 3))
        for trio in zip(begun[first:], begun[second:], begun[third:], strict=False)
    )
    found = {crc32(" ".join(trio).encode()) for trio in threes} or {crc32(" ".join(begun).encode())}
    return array("I", sorted(found)[:ANCHORS] if begun else ())
