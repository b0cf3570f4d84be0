"""The register: the crisis team's record of what people voice, ranked by people and not by posts.

A SQLite view of `findings`, rebuilt from the bus at will. It holds which post voiced what, and where on the bus the
finding lies; texts stay on the bus alone and are joined when shown, so that purge and retention there are enough. The
position in each partition is kept in the same transaction as the rows: whoever brings it up to date, the running
service or the command that reads it, nothing is counted twice. Of a post that was edited the newest version counts, in
whatever order they came.

How its rows are ranked is `alerts.register.ranking`'s matter, which is pure. Whoever wants the rows themselves asks for
`story` (all posts of a story), `find` (stories and posts by the beginning of their names), `registered` (what a
selection holds) and `finding` (all that the bus has of one of them).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from alerts.notify.samples import Sampled
from alerts.register import alike, digest
from alerts.register.ranking import (
    Found,
    Registered,
    RegisterRow,
    Selection,
    Whose,
    as_ranked,
    newest_of,
    rank_stories,
    words,
)
from alerts.register.rows import EMPTY, INSERT, finding_in, make, read_in, row_of
from alerts.register.wording import perhaps_quoted
from listener.bus.protocol import Bus, Record, TopicPartition
from listener.bus.sqlite.view import ViewFile, connect, is_damage
from listener.errors import BusError, ConfigError
from listener.model.records import Finding, Kind
from listener.model.roles import REGISTER
from listener.runtime.health import IN_ONE_PIECE, Part

T = TypeVar("T")

MOST_FOUND = 10
NEAR = 64
"""Records between two that are wanted which are read along, rather than to ask the bus once more."""

EVERYTHING = Selection(officials=True, not_understood=True)

STANDING = "f.key NOT IN (SELECT key FROM edited)"
"""The newest version of each post."""
OF_STORY = "AND f.story IN (SELECT story FROM stories WHERE together = :story UNION SELECT :story)"
SELECTED = f"""
SELECT * FROM findings f WHERE {STANDING} AND (:incident = '' OR f.incident = :incident) {{}} ORDER BY f.at, f.key
"""  # noqa: S608 -- words of our own
FIRST_OFFICIAL = """
SELECT f.story FROM findings f WHERE f.whose = :official AND NOT f.repost {} GROUP BY f.story
HAVING min(f.at) <= (SELECT min(g.at) FROM findings g WHERE g.story = f.story AND NOT g.repost)
"""
"""Stories that a newsroom or a public body put first: whoever says the same passes their words on."""
SAMPLED = f"""
SELECT f.key, f.part, f.offset, EXISTS(
    SELECT 1 FROM findings g WHERE g.exposed AND (g.story = f.story OR g.story IN (
        SELECT story FROM stories WHERE together = (SELECT together FROM stories WHERE story = f.story)
    ))
) FROM findings f WHERE {STANDING} AND f.post = ? LIMIT 1
"""  # noqa: S608 -- words of our own
"""A post, and whether anything that says the same may show who a patient is, however the machine scored each."""


class Register:
    """One view file on one bus."""

    name = REGISTER

    def __init__(self, bus: Bus, path: Path | str, part: Part | None = None) -> None:
        self._bus = bus
        self._path = path
        self._part = part
        self._file = ViewFile(Path(path))
        self._damaged: sqlite3.Error | None = None
        self._builds = 0
        self._db = self._open()
        self._reader = bus.reader(["findings"])
        self._taken: dict[int, int] = {}
        self._amend: Callable[[Registered], Registered] | None = None
        self._safely(self._seek)

    # --- the file ----------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        """A damaged view is moved aside first. Raises ConfigError."""
        for last in (False, True):
            db = None
            try:
                db = self._file.open()
                make(db)
                return db
            except (sqlite3.Error, OSError) as error:
                if db is not None:
                    db.close()
                if last or not isinstance(error, sqlite3.Error) or not is_damage(error):
                    raise ConfigError(f"{self._path}: the register cannot be written: {error}") from None
                self._file.set_aside(error)
        raise AssertionError

    def _safely(self, work: Callable[[], T]) -> T:
        """On a view that is damaged or gone it is begun anew, caught up, and the work is done once more."""
        if self._damaged is None and not self._file.is_replaced():
            try:
                return work()
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                self._damaged = error
        with suppress(sqlite3.Error):
            self._db.close()
        if self._damaged is not None:
            self._file.set_aside(self._damaged)
        self._db, self._damaged = self._open(), None
        self._builds += 1
        self._seek()
        while records := self._reader.poll(0.0, 5000):
            if self._part is not None:
                self._part.beat()
            self._take(records)
        return work()

    # --- keeping up --------------------------------------------------------------------------------------------

    def step(self, timeout: float) -> bool:
        if self._part is not None:
            self._part.beat()
        records = self._reader.poll(timeout, 5000)
        builds = self._builds
        # Once it was begun anew, these are in it already, and some of them may have been purged since.
        self._safely(lambda: self._take(records) if records and self._builds == builds else None)
        if self._part is not None:
            self._part.problem(None)
        return bool(records)

    def catch_up(self, beat: Callable[[], None] = lambda: None) -> None:
        """Until the end of the bus as it is now, with all that is made of texts."""
        while self.step(0.0):
            beat()
        while self.digest_some():
            beat()

    def digest_some(self) -> bool:
        """A little of what is made of texts, by which quotes and near copies are known; False where nothing waits."""
        if not self._safely(lambda: digest.waits(self._db)):
            return False
        self._safely(lambda: digest.make_some(self._db, self._bus))
        return True

    def close(self) -> None:
        self._reader.close()
        self._db.close()

    def scrub(self) -> None:
        """Make the bytes of deleted rows go, from the file and its write-ahead log. May be called from any thread.

        SQLite overwrites what is deleted, but not the copies that its B-tree left where it moved rows from page to
        page: the file is written anew from what is left. Raises BusError when others keep it from happening.
        """
        with closing(connect(self._file.path)) as db:
            try:
                (purged,) = db.execute("SELECT ifnull(max(id), 0) FROM purged").fetchone()
                db.execute("PRAGMA temp_store=MEMORY")
                db.execute("VACUUM")
                db.execute("DELETE FROM purged WHERE id<=?", (purged,))
                # Waits for whoever reads, as long as the connection waits for locks.
                (busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError as error:
                raise BusError(
                    f"{self._file.path}: what was deleted could not be overwritten: {error}; run once more"
                ) from None
        if busy:
            raise BusError(f"{self._file.path}: a reader keeps old bytes in its -wal; stop it and run once more")

    def _seek(self) -> None:
        """To where the view is. A view of another bus begins anew."""
        positions = {
            part: (offset, last) for part, offset, last in self._db.execute("SELECT part, next, last FROM positions")
        }
        for tp in self._reader.assignment:
            position, last = positions.get(tp.partition, (0, ""))
            if not self._is_of_this_bus(tp, position, last):
                self._db.executescript(EMPTY)
                self._seek()
                return
            self._reader.seek(tp, position)
            self._taken[tp.partition] = position
        # What the bus dropped while nobody ran may be most of a large file.
        with self._part.takes(IN_ONE_PIECE) if self._part is not None else nullcontext():
            self.release()

    def _is_of_this_bus(self, tp: TopicPartition, position: int, last: str) -> bool:
        """The last record taken is where it was. One that was purged or dropped since cannot show it."""
        if position > self._bus.end_offset(tp):
            return False
        found = self._bus.read(tp, position - 1, 1) if position else []
        return not found or found[0].offset != position - 1 or _mark(found[0]) == last

    def release(self) -> None:
        """Let go of what the bus has dropped, and of the bytes of what was purged. May be called from any thread."""
        try:
            self._release()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            # Its own thread begins it anew, at its next step.
            self._damaged = error

    def _release(self) -> None:
        if self._file.is_replaced():
            return
        dropped = False
        with closing(connect(self._file.path)) as db:
            for tp in self._reader.assignment:
                gone = (tp.partition, self._bus.begin_offset(tp))
                old = "SELECT key FROM findings WHERE part=? AND offset<?"
                if db.execute(f"{old} LIMIT 1", gone).fetchone() is not None:
                    db.execute(f"DELETE FROM edited WHERE newer IN ({old})", gone)  # noqa: S608
                    db.execute("DELETE FROM findings WHERE part=? AND offset<?", gone)
                    digest.forget_before(db, *gone)
                    dropped = True
            # Which stories stand together may name a post that went: that is made anew before its bytes go.
            dropped = dropped or db.execute("SELECT 1 FROM purged LIMIT 1").fetchone() is not None
            while dropped and digest.waits(db):
                digest.make_some(db, self._bus)
        if dropped:
            self.scrub()

    def _take(self, records: Sequence[Record]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if not self._is_ours(records):
                self._db.execute("ROLLBACK")
                self._seek()
                return
            for record in records:
                self._row(record)
            self._db.executemany(
                "INSERT INTO positions(part, next, last) VALUES(?,?,?) "
                "ON CONFLICT(part) DO UPDATE SET next=excluded.next, last=excluded.last",
                [
                    (part, record.offset + 1, _mark(record))
                    for part, record in {record.partition: record for record in records}.items()
                ],
            )
            self._db.execute("COMMIT")
            self._taken.update({record.partition: record.offset + 1 for record in records})
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._seek()
            raise

    def _is_ours(self, records: Sequence[Record]) -> bool:
        """Nobody else has moved the view on, or begun it anew, since these were read."""
        stored = dict(self._db.execute("SELECT part, next FROM positions"))
        parts = {record.partition for record in records}
        return all(stored.get(part, 0) == self._taken.get(part, 0) for part in parts)

    def _row(self, record: Record) -> None:
        if record.value is None:
            digest.forget(self._db, record.key)
            self._db.execute("DELETE FROM edited WHERE newer=?", (record.key,))
            if self._db.execute("DELETE FROM findings WHERE key=?", (record.key,)).rowcount:
                self._db.execute("INSERT INTO purged DEFAULT VALUES")
            return
        # Of one that cannot be read the rules' stage has made a dead letter.
        finding = read_in(record)
        if finding is None or finding.synthetic:
            return
        inserted = self._db.execute(INSERT, row_of(finding, record.partition, record.offset)).rowcount
        if inserted and finding.edits:
            earlier = [f"{finding.incident}:{finding.source}:{each}" for each in finding.edits]
            self._db.executemany("INSERT OR IGNORE INTO edited VALUES(?,?)", [(key, finding.key) for key in earlier])

    # --- reading -----------------------------------------------------------------------------------------------

    def amend_with(self, amend: Callable[[Registered], Registered]) -> None:
        """From now on rows are given as `amend` changes them, before they are selected."""
        self._amend = amend

    def registered(self, selection: Selection = EVERYTHING) -> list[Registered]:
        """What is selected, in order of time. Of an edited post the newest version; texts are not in it."""
        return self._safely(lambda: list(self._registered(selection)))

    def _registered(self, selection: Selection) -> Iterator[Registered]:
        every = replace(selection, incident="", story="") == EVERYTHING
        for row in self._amended(selection.incident, selection.story):
            if row.whose == Whose.OFFICIAL_WORDS:
                row = as_ranked(row)
            if every or selection.holds(row):
                yield row

    def _amended(self, incident: str, story: str = "") -> Iterator[Registered]:
        """Rows as people have corrected them, under the story that they are one with."""
        among, asked = (
            OF_STORY if story else "",
            {"incident": incident, "story": story, "official": Whose.OFFICIAL.value},
        )
        passed_on = {its for (its,) in self._db.execute(FIRST_OFFICIAL.format(among), asked)}
        together = self._together()
        for row in map(Registered._make, self._db.execute(SELECTED.format(among), asked)):
            its = row.story
            if its in passed_on:
                row = row._replace(whose=Whose.OFFICIAL)
            if self._amend is not None:
                row = self._amend(row)
            if its in together:
                row = row._replace(story=together[its])
            yield row

    def together(self) -> Mapping[str, str]:
        """Stories whose posts stand under another one, of which they are near copies: that one's name."""
        return self._safely(self._together)

    def _together(self) -> dict[str, str]:
        return dict(self._db.execute(alike.JOINED))

    def story(self, story: str) -> list[Registered]:
        """Every post of a story (its whole name) and of its near copies, officials' too, in order of time.

        Nothing where there is none.
        """
        return self.registered(replace(EVERYTHING, story=self.together().get(story, story)))

    def stories_of(self, story: str) -> list[str]:
        """The stories that stand under this one, itself first."""
        return [story, *(its for its, first in self.together().items() if first == story and its != story)]

    def post(self, post: str) -> list[Registered]:
        """What is registered of a post (`source:id`), in each incident that heard it."""
        asked = "SELECT DISTINCT story FROM findings WHERE post=?"
        stories = self._safely(lambda: [story for (story,) in self._db.execute(asked, (post,))])
        together = self.together()
        of_them = dict.fromkeys(together.get(story, story) for story in stories)
        return [row for story in of_them for row in self.story(story) if row.post == post]

    def perhaps_quoted(self, words: str) -> list[str]:
        """The texts of posts that these words may quote: each that they do quote is among them."""
        asked = "SELECT part, offset, runs FROM digests WHERE length(runs)"
        places = self._safely(lambda: perhaps_quoted(words, self._db.execute(asked)))
        return list(self._texts_at(places).values())

    def find(self, prefix: str) -> Found:
        """Stories and posts (as `source:id`) whose name begins so, at most `MOST_FOUND` of each, in alphabetical order.

        A near copy's story is found as the one that it stands under. A post is found by its id without the source, too.
        """
        return self._safely(lambda: self._find(prefix))

    def _find(self, prefix: str) -> Found:
        stories = self._db.execute(
            "SELECT DISTINCT story FROM findings WHERE substr(story, 1, ?) = ? ORDER BY 1 LIMIT ?",
            (len(prefix), prefix, MOST_FOUND),
        )
        posts = self._db.execute(
            "SELECT DISTINCT post FROM findings "
            "WHERE substr(post, 1, ?1) = ?2 OR substr(post, instr(post, ':') + 1, ?1) = ?2 ORDER BY 1 LIMIT ?3",
            (len(prefix), prefix, MOST_FOUND),
        )
        together = self._together()
        of_them = dict.fromkeys(together.get(story, story) for (story,) in stories)
        return Found(tuple(of_them), tuple(post for (post,) in posts))

    def finding(self, row: Registered) -> Finding | None:
        """All that the bus holds of it, text and the words behind each kind; None when it was purged."""
        return self._finding(row.key, row.part, row.offset)

    def top(self, kind: Kind, *, incident: str = "", limit: int = 20) -> list[RegisterRow]:
        """The stories of a kind that most people voice, most first."""
        rows = self.registered(Selection(incident=incident, kinds=frozenset({kind}), officials=kind is Kind.MEDIA))
        return [self.told(row) for row in rank_stories(rows, newest_of(rows), limit)]

    def texts_of(self, rows: Sequence[Registered]) -> list[str | None]:
        """Their texts, in their order; None for one that was purged. What lies close together is read at once."""
        found = self._texts_at((row.part, row.offset) for row in rows)
        return [found.get((row.part, row.offset, row.key)) for row in rows]

    def _texts_at(self, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int, str], str]:
        """Partition, offset and key → the text that lies there."""
        found: dict[tuple[int, int, str], str] = {}
        wanted = sorted(set(places))
        while wanted:
            part, first = wanted[0]
            last = first
            count = 0
            while count < len(wanted) and wanted[count][0] == part and wanted[count][1] - last <= NEAR:
                last = wanted[count][1]
                count += 1
            at = {offset for _, offset in wanted[:count]}
            del wanted[:count]
            for record in self._bus.read(TopicPartition("findings", part), first, last - first + 1):
                if record.offset in at and (finding := read_in(record)):
                    found[part, record.offset, record.key] = finding.text
        return found

    def told(self, row: RegisterRow) -> RegisterRow:
        """The same with the text of its sample, from the bus."""
        sample = row.sample
        return replace(row, text=self._text(sample.key, sample.part, sample.offset))

    def counts(self, incident: str = "") -> Mapping[str, int]:
        """Kind → posts that voice it, as people have corrected them."""
        return self._safely(lambda: self._counts(incident))

    def _counts(self, incident: str) -> Mapping[str, int]:
        posts: dict[str, set[str]] = {}
        for row in self._amended(incident):
            for kind in words(row.kinds):
                posts.setdefault(kind, set()).add(row.post)
        return {kind: len(its) for kind, its in posts.items()}

    def authors_known(self) -> bool:
        """False when there are findings and none has an author."""
        findings, authors = self._db.execute("SELECT count(*), count(author) FROM findings").fetchone()
        return bool(authors) or not findings

    def texts(self, posts: Iterable[str]) -> Mapping[str, str]:
        """`source:id` → the post's masked text, from the bus; those that were purged are missing.

        May be called from any thread.
        """
        found: dict[str, str] = {}
        if self._file.is_replaced():
            return found
        try:
            with closing(connect(self._file.path)) as db:
                for post in posts:
                    row = db.execute("SELECT key, part, offset FROM findings WHERE post=? LIMIT 1", (post,)).fetchone()
                    text = None if row is None else self._text(*row)
                    if text is not None:
                        found[post] = text
        except sqlite3.Error as error:
            # An alert goes out without them rather than not at all.
            if not is_damage(error):
                raise
            self._damaged = error
        return found

    def samples(self, posts: Iterable[str]) -> Mapping[str, Sampled]:
        """`source:id` → what is held of the post; those that were purged, or edited since, are missing.

        May be called from any thread. Raises BusError and sqlite3.Error: who shows it must know that it is not known.
        """
        if self._file.is_replaced():
            raise BusError(f"{self._path}: the register is being built anew")
        found: dict[str, Sampled] = {}
        with closing(connect(self._file.path)) as db:
            for post in posts:
                row = db.execute(SAMPLED, (post,)).fetchone()
                its = None if row is None else self._finding(*row[:3])
                if its is not None:
                    found[post] = Sampled(its.at, its.kinds, its.text, bool(row[3]))
        return found

    def _text(self, key: str, part: int, offset: int) -> str | None:
        finding = self._finding(key, part, offset)
        return None if finding is None else finding.text

    def _finding(self, key: str, part: int, offset: int) -> Finding | None:
        for record in self._bus.read(TopicPartition("findings", part), offset, 1):
            if record.offset == offset and record.key == key:
                return finding_in(record)
        return None


def _mark(record: Record) -> str:
    """What distinguishes a record from one at the same place of another bus, without the post's id."""
    return blake2b(f"{record.time_ms}:{record.key}".encode(), digest_size=12).hexdigest()
