"""What the view keeps of texts, beside its rows: digests, by which near copies are joined and quotations are found.

It lags behind the rows, so that whoever needs these waits for no text; whoever reads the register for a person brings
it up to date first. No word of a text is kept, and with a post all goes that was kept of it.
"""

from __future__ import annotations

import sqlite3

from alerts.register import alike
from alerts.register.rows import read_in
from alerts.register.wording import marks
from listener.bus.protocol import Bus, TopicPartition
from listener.model.records import FINDINGS

RECORDS = 500
STORIES = 100
"""At most in one transaction: others who write wait for it, a tenth of a second or so."""

POSITIONS = "SELECT part, next, digested FROM positions WHERE digested + ? < next"


def waits(db: sqlite3.Connection, more_than: int = 0) -> bool:
    """Whether there is any to be made: of more records of a partition than so many, or of a story."""
    return db.execute(f"{POSITIONS} LIMIT 1", (more_than,)).fetchone() is not None or alike.waiting(db) > 0


def make_some(db: sqlite3.Connection, bus: Bus) -> None:
    """In one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for part, end, done in db.execute(POSITIONS, (0,)).fetchall():
            _read(db, bus, part, done, end)
        alike.Alike(db, bus).join(STORIES)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _read(db: sqlite3.Connection, bus: Bus, part: int, done: int, end: int) -> None:
    records = [each for each in bus.read(TopicPartition(FINDINGS.name, part), done, RECORDS) if each.offset < end]
    for record in records:
        finding = read_in(record)
        # What came again, or was purged since, is not there.
        at = (record.key, part, record.offset)
        if finding and db.execute("SELECT 1 FROM findings WHERE key=? AND part=? AND offset=?", at).fetchone():
            db.execute("INSERT OR REPLACE INTO digests VALUES(?,?,?)", (part, record.offset, marks(finding.text)))
            alike.heard(db, record.key, part, record.offset)
    db.execute("UPDATE positions SET digested=? WHERE part=?", (records[-1].offset + 1 if records else end, part))


def forget(db: sqlite3.Connection, key: str) -> None:
    """Of a finding that goes; call it while the row is still there."""
    db.execute("DELETE FROM digests WHERE (part, offset) = (SELECT part, offset FROM findings WHERE key=?)", (key,))
    db.execute(alike.LOST_ONE, (key,))


def forget_before(db: sqlite3.Connection, part: int, offset: int) -> None:
    """Of what the bus has dropped; call it when the rows are gone."""
    db.execute("DELETE FROM digests WHERE part=? AND offset<?", (part, offset))
    db.execute(alike.LOST)
    db.execute(alike.UNANCHORED)
