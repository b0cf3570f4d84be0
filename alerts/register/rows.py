"""The file of the register's view: its tables, and a finding as it stands in them.

No text is in it. `findings` has a row for each; `stories` and what belongs to it is `alerts.register.alike`'s,
`digests` is `alerts.register.wording`'s. `purged` has a row for each that was purged, until its bytes are gone.
"""

from __future__ import annotations

import re
import sqlite3

from alerts.annotate.story import NAMED_REPOST, is_repost
from alerts.register.ranking import NONE_OF_THESE, Registered, Whose
from listener.bus.protocol import Record
from listener.model.quick import FINDING
from listener.model.records import (
    EXPOSED,
    FINDINGS,
    SURELY_EXPOSED,
    UNKNOWN_LANGUAGE,
    AuthorClass,
    BadRecord,
    Finding,
    Kind,
    decode,
)
from listener.units import to_ms

SCHEMA = """
CREATE TABLE IF NOT EXISTS findings(
    key TEXT PRIMARY KEY, part INTEGER NOT NULL, offset INTEGER NOT NULL, incident TEXT NOT NULL, post TEXT NOT NULL,
    at INTEGER NOT NULL, author TEXT, repost INTEGER NOT NULL, story TEXT NOT NULL, exercise INTEGER NOT NULL,
    whose INTEGER NOT NULL, kinds TEXT NOT NULL, themes TEXT NOT NULL, stance TEXT NOT NULL, language TEXT NOT NULL,
    lang TEXT NOT NULL, exposed INTEGER NOT NULL, length INTEGER NOT NULL, tier INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_post ON findings(post);
CREATE INDEX IF NOT EXISTS by_story ON findings(story);
CREATE TABLE IF NOT EXISTS edited(key TEXT NOT NULL, newer TEXT NOT NULL, PRIMARY KEY(key, newer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions(
    part INTEGER PRIMARY KEY, next INTEGER NOT NULL, last TEXT NOT NULL, digested INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS digests(
    part INTEGER NOT NULL, offset INTEGER NOT NULL, runs BLOB NOT NULL, PRIMARY KEY(part, offset)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stories(
    id INTEGER PRIMARY KEY, story TEXT NOT NULL UNIQUE, key TEXT NOT NULL, part INTEGER NOT NULL,
    offset INTEGER NOT NULL, repost INTEGER NOT NULL, at INTEGER NOT NULL, anchors BLOB NOT NULL DEFAULT x'',
    together TEXT NOT NULL, todo INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS to_do ON stories(todo) WHERE todo;
CREATE INDEX IF NOT EXISTS joined ON stories(together, story) WHERE together != story;
CREATE TABLE IF NOT EXISTS anchors(hash INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(hash, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS purged(id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS near(one INTEGER NOT NULL, two INTEGER NOT NULL, PRIMARY KEY(one, two)) WITHOUT ROWID;
"""
VERSION = 6
"""Of the view. Another version is dropped and built anew."""
TABLES = ("findings", "edited", "positions", "digests", "stories", "anchors", "near")
DROP = "".join(f"DROP TABLE IF EXISTS {table};" for table in (*TABLES, "kinds"))
"""Those of this version and of those before it."""
EMPTY = "".join(f"DELETE FROM {table};" for table in TABLES)  # noqa: S608 -- words of our own
_PLACES = ",".join("?" * len(Registered._fields))
INSERT = f"INSERT OR IGNORE INTO findings VALUES({_PLACES})"
REPLACE = f"REPLACE INTO findings VALUES({_PLACES})"

OFFICIAL = frozenset({AuthorClass.MEDIA, AuthorClass.PUBLIC_BODY, AuthorClass.OWN, AuthorClass.ORGANISATION})
NO_WORDS = re.compile(r"(?:https?://|www\.)\S*|[@#]\w+|‹[^‹›]*›|[^\w]|[\d_]")
"""What is in no language."""


def make(db: sqlite3.Connection) -> None:
    """The tables, once; those of another version are dropped."""
    db.execute("BEGIN EXCLUSIVE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for statement in (SCHEMA if version == VERSION else DROP + SCHEMA).split(";"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version={VERSION}")
    db.execute("COMMIT")


def finding_in(record: Record) -> Finding | None:
    """The finding of a record; None where it holds something else, or was purged."""
    if record.value is None:
        return None
    try:
        found = decode(FINDINGS, record.value)
    except BadRecord:
        return None
    return found if isinstance(found, Finding) else None


def read_in(record: Record) -> Finding | None:
    """The same, read in a third of the time: what stands for the finding, and is no instance of it."""
    if record.value is None:
        return None
    return FINDING.read(record.value) or finding_in(record)


def row_of(finding: Finding, part: int, offset: int, tier: int = 0) -> tuple[object, ...]:
    """As it stands in the view. Whole numbers: for each bool and enumeration sqlite3 would look for an adapter."""
    language = finding.language or ""
    if language == UNKNOWN_LANGUAGE and not NO_WORDS.sub("", finding.text):
        language = ""
    return (
        finding.key,
        part,
        offset,
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
        _exposed(finding.patient_exposed or 0.0),
        len(finding.text),
        tier,
    )


def _exposed(score: float) -> int:
    return (score >= EXPOSED) + (score >= SURELY_EXPOSED)


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
