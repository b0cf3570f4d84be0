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

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from alerts.annotate.story import NAMED_REPOST, is_repost
from alerts.register.ranking import (
    NONE_OF_THESE,
    Found,
    Registered,
    RegisterRow,
    Selection,
    Whose,
    as_ranked,
    newest_of,
    rank_stories,
)
from listener.bus.protocol import Bus, Record, TopicPartition
from listener.bus.sqlite.view import ViewFile, connect, is_damage
from listener.errors import BusError, ConfigError
from listener.model.records import EXPOSED, FINDINGS, UNKNOWN_LANGUAGE, AuthorClass, BadRecord, Finding, Kind, decode
from listener.model.roles import REGISTER
from listener.runtime.health import Part
from listener.units import to_ms

T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS findings(
    key TEXT PRIMARY KEY, part INTEGER NOT NULL, offset INTEGER NOT NULL, incident TEXT NOT NULL, post TEXT NOT NULL,
    at INTEGER NOT NULL, author TEXT, repost INTEGER NOT NULL, story TEXT NOT NULL, exercise INTEGER NOT NULL,
    whose INTEGER NOT NULL, kinds TEXT NOT NULL, themes TEXT NOT NULL, stance TEXT NOT NULL, language TEXT NOT NULL,
    lang TEXT NOT NULL, exposed INTEGER NOT NULL, length INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_post ON findings(post);
CREATE INDEX IF NOT EXISTS by_story ON findings(story);
CREATE TABLE IF NOT EXISTS edited(key TEXT NOT NULL, newer TEXT NOT NULL, PRIMARY KEY(key, newer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions(part INTEGER PRIMARY KEY, next INTEGER NOT NULL, last TEXT NOT NULL);
"""
VERSION = 5
"""Of the view. Another version is dropped and built anew."""
TABLES = ("findings", "kinds", "edited", "positions")
"""Of this version and of those before it."""
DROP = "".join(f"DROP TABLE IF EXISTS {table};" for table in TABLES)
EMPTY = "DELETE FROM findings; DELETE FROM edited; DELETE FROM positions;"
INSERT = f"INSERT OR IGNORE INTO findings VALUES({','.join('?' * len(Registered._fields))})"

OFFICIAL = frozenset({AuthorClass.MEDIA, AuthorClass.PUBLIC_BODY, AuthorClass.ORGANISATION})
NO_WORDS = re.compile(r"(?:https?://|www\.)\S*|[@#]\w+|‹[^‹›]*›|[^\w]|[\d_]")
"""What is in no language."""
MOST_FOUND = 10
NEAR = 64
"""Records between two that are wanted which are read along, rather than to ask the bus once more."""

EVERYTHING = Selection(officials=True, not_understood=True)

STANDING = "f.key NOT IN (SELECT key FROM edited)"
"""The newest version of each post."""
SELECTED = f"""
SELECT * FROM findings f WHERE {STANDING} AND (?1 = '' OR f.incident = ?1) AND (?2 = '' OR f.story = ?2)
ORDER BY f.at, f.key
"""  # noqa: S608 -- words of our own
FIRST_OFFICIAL = """
SELECT f.story FROM findings f WHERE f.whose = ? AND NOT f.repost GROUP BY f.story
HAVING min(f.at) <= (SELECT min(g.at) FROM findings g WHERE g.story = f.story AND NOT g.repost)
"""
"""Stories that a newsroom or a public body put first: whoever says the same passes their words on."""


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
                _make(db)
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

    def catch_up(self) -> None:
        """Until the end of the bus as it is now."""
        while self.step(0.0):
            pass

    def close(self) -> None:
        self._db.close()

    def scrub(self) -> None:
        """Make the bytes of deleted rows go, from the file and its write-ahead log. May be called from any thread.

        SQLite overwrites what is deleted, but not the copies that its B-tree left where it moved rows from page to
        page: the file is written anew from what is left. Raises BusError when others keep it from happening.
        """
        with closing(connect(self._file.path)) as db:
            try:
                db.execute("PRAGMA temp_store=MEMORY")
                db.execute("VACUUM")
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
        positions = {part: (offset, last) for part, offset, last in self._db.execute("SELECT * FROM positions")}
        for tp in self._reader.assignment:
            position, last = positions.get(tp.partition, (0, ""))
            if not self._is_of_this_bus(tp, position, last):
                self._db.executescript(EMPTY)
                self._seek()
                return
            self._reader.seek(tp, position)
            self._taken[tp.partition] = position
        self.release()

    def _is_of_this_bus(self, tp: TopicPartition, position: int, last: str) -> bool:
        """The last record taken is where it was. One that was purged or dropped since cannot show it."""
        if position > self._bus.end_offset(tp):
            return False
        found = self._bus.read(tp, position - 1, 1) if position else []
        return not found or found[0].offset != position - 1 or _mark(found[0]) == last

    def release(self) -> None:
        """Let go of what the bus has dropped, down to the bytes. May be called from any thread."""
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
                    dropped = True
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
                "INSERT OR REPLACE INTO positions VALUES(?,?,?)",
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
            self._db.execute("DELETE FROM edited WHERE newer=?", (record.key,))
            self._db.execute("DELETE FROM findings WHERE key=?", (record.key,))
            return
        finding = _finding_in(record)  # of one that cannot be read the rules' stage has made a dead letter
        if finding is None or finding.synthetic:
            return
        inserted = self._db.execute(INSERT, _row_of(finding, record)).rowcount
        if inserted:
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
        passed_on = {story for (story,) in self._db.execute(FIRST_OFFICIAL, (Whose.OFFICIAL,))}
        every = replace(selection, incident="", story="") == EVERYTHING
        asked = self._db.execute(SELECTED, (selection.incident, selection.story))
        for row in map(Registered._make, asked):
            if row.story in passed_on:
                row = row._replace(whose=Whose.OFFICIAL)
            if self._amend is not None:
                row = self._amend(row)
            if row.whose == Whose.OFFICIAL_WORDS:
                row = as_ranked(row)
            if every or selection.holds(row):
                yield row

    def story(self, story: str) -> list[Registered]:
        """Every post of a story (its whole name), officials' too, in order of time; nothing where there is none."""
        return self.registered(replace(EVERYTHING, story=story))

    def find(self, prefix: str) -> Found:
        """Stories and posts (as `source:id`) whose name begins so, at most `MOST_FOUND` of each, in alphabetical order.

        A post is found by its id without the source, too.
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
        return Found(tuple(story for (story,) in stories), tuple(post for (post,) in posts))

    def finding(self, row: Registered) -> Finding | None:
        """All that the bus holds of it, text and the words behind each kind; None when it was purged."""
        return self._finding(row.key, row.part, row.offset)

    def top(self, kind: Kind, *, incident: str = "", limit: int = 20) -> list[RegisterRow]:
        """The stories of a kind that most people voice, most first."""
        rows = self.registered(Selection(incident=incident, kinds=frozenset({kind}), officials=kind is Kind.MEDIA))
        return [self.told(row) for row in rank_stories(rows, newest_of(rows), limit)]

    def texts_of(self, rows: Sequence[Registered]) -> list[str | None]:
        """Their texts, in their order; None for one that was purged. What lies close together is read at once."""
        found: dict[str, str] = {}
        wanted = sorted({(row.part, row.offset) for row in rows})
        keys = {row.key for row in rows}
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
                if record.offset in at and record.key in keys and (finding := _finding_in(record)):
                    found[finding.key] = finding.text
        return [found.get(row.key) for row in rows]

    def told(self, row: RegisterRow) -> RegisterRow:
        """The same with the text of its sample, from the bus."""
        sample = row.sample
        return replace(row, text=self._text(sample.key, sample.part, sample.offset))

    def counts(self, incident: str = "") -> Mapping[str, int]:
        """Kind → posts."""
        return self._safely(lambda: self._counts(incident))

    def _counts(self, incident: str) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        rows = self._db.execute(
            "SELECT f.kinds, count(DISTINCT f.post) FROM findings f "  # noqa: S608 -- words of our own
            f"WHERE (?1 = '' OR f.incident = ?1) AND {STANDING} GROUP BY 1",
            (incident,),
        )
        for kinds, posts in rows:
            for kind in kinds.split():
                counts[kind] = counts.get(kind, 0) + posts
        return counts

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

    def _text(self, key: str, part: int, offset: int) -> str | None:
        finding = self._finding(key, part, offset)
        return None if finding is None else finding.text

    def _finding(self, key: str, part: int, offset: int) -> Finding | None:
        for record in self._bus.read(TopicPartition("findings", part), offset, 1):
            if record.offset == offset and record.key == key:
                return _finding_in(record)
        return None


def _finding_in(record: Record) -> Finding | None:
    if record.value is None:
        return None
    try:
        found = decode(FINDINGS, record.value)
    except BadRecord:
        return None
    return found if isinstance(found, Finding) else None


def _make(db: sqlite3.Connection) -> None:
    """The tables, once; those of another version are dropped."""
    db.execute("BEGIN EXCLUSIVE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for statement in (SCHEMA if version == VERSION else DROP + SCHEMA).split(";"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version={VERSION}")
    db.execute("COMMIT")


def _row_of(finding: Finding, record: Record) -> tuple[object, ...]:
    """As it stands in the view. Whole numbers: for each bool and enumeration sqlite3 would look for an adapter."""
    language = finding.language or ""
    if language == UNKNOWN_LANGUAGE and not NO_WORDS.sub("", finding.text):
        language = ""
    return (
        finding.key,
        record.partition,
        record.offset,
        finding.incident,
        finding.post_key,
        to_ms(finding.at),
        finding.author,
        int(is_repost(finding.text, finding.repost_of)),
        finding.story,
        int(finding.exercise),
        int(whose(finding)),
        " ".join(cue.kind.value for cue in finding.cues),
        " ".join(_themes(finding)),
        finding.stance.value if finding.stance else "",
        language,
        finding.lang or "",
        int((finding.patient_exposed or 0.0) >= EXPOSED),
        len(finding.text),
    )


def _themes(finding: Finding) -> list[str]:
    """Those that can be told; what voices something about none of them is about none of these."""
    told = [theme for theme in finding.themes if theme != NONE_OF_THESE and finding.theme_sure is not False]
    return told or ([] if finding.kinds == (Kind.OTHER,) else [NONE_OF_THESE])


def whose(finding: Finding) -> Whose:
    """Whose voice it is, by what source and settings say of the account, else by what the words are.

    Only accounts that the settings name keep their name in a text: so a repost of one is known.
    """
    if finding.author_class in OFFICIAL or NAMED_REPOST.match(finding.text):
        return Whose.OFFICIAL
    return Whose.OFFICIAL_WORDS if Kind.MEDIA in finding.kinds else Whose.PUBLIC


def _mark(record: Record) -> str:
    """What distinguishes a record from one at the same place of another bus, without the post's id."""
    return blake2b(f"{record.time_ms}:{record.key}".encode(), digest_size=12).hexdigest()
