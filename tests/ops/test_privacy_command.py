"""`lyttepost privacy purge`: a post goes from every byte of the data folder however it is named, or exit 2 says why."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_support import Machine, live_bus

from alerts.annotate.story import story
from alerts.register.view import Register
from listener.bus import spool
from listener.bus.protocol import Bus, Message
from listener.clock import SystemClock
from listener.model.records import Cue, Finding, Kind, Mention, Tick, encode
from listener.privacy.key_fingerprint import live_key

START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
AGREED = ("--why", "krav fra forfatteren", "--by", "Personvernombud")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def messages(id_: str, author: str, text: str, at: datetime) -> list[Message]:
    common: dict[str, Any] = {"source": "x", "id": id_, "at": at, "captured_at": at, "text": text, "author": author}
    mention = Mention(**common, incidents={"brann-0": ("fjord",)})
    finding = Finding(**common, incident="brann-0", story=story(text, None), cues=(Cue(kind=Kind.WISH),))
    return [Message("mentions", mention.post_key, encode(mention)), Message("findings", finding.key, encode(finding))]


def many(bus: Bus, count: int = 600) -> list[tuple[str, str, str]]:
    """(id, pseudonym, word) of so many posts, whose ids come in no order: rows are moved from page to page."""
    rng = random.Random(7)
    posts = []
    for number in range(count):
        id_ = str(rng.randrange(10**18, 2 * 10**18))
        author = "p_" + "".join(rng.choices("abcdefghijklmnopqrstuvwxyz234567", k=16))
        word = f"særord{number:06d}q"
        bus.publish(messages(id_, author, f"Vi trenger vann i Fjord {word}", START + timedelta(seconds=number)))
        posts.append((id_, author, word))
    return posts


def files_with(folder: Path, needles: list[str], but: str = "\0") -> list[tuple[str, str]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(but)]
    return [(path.name, needle) for path in files for needle in needles if needle.encode() in path.read_bytes()]


def decided(machine: Machine) -> list[dict[str, Any]]:
    with live_bus(machine) as bus, closing(bus.reader(["decisions"])) as reader:
        return [json.loads(record.value or b"") for record in reader.poll(0.0, 100)]


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "x:{}",
        "https://x.com/kari_vakt/status/{}?s=20",
    ],
)
def test_after_a_purge_no_byte_of_the_folder_holds_what_a_post_said_or_who_said_it(machine: Machine, form: str) -> None:
    with live_bus(machine) as bus, closing(Register(bus, machine.data / "register.sqlite")) as view:
        posts = many(bus)
        view.catch_up()
        id_, author, word = posts[300]
        waiting = spool.Spool(spool.path_of(machine.data, "x"), 1 << 20, SystemClock())
        waiting.append(START, messages(id_, author, word, START))
        assert {name for name, _ in files_with(machine.data, [author])} >= {"bus.sqlite-wal", "spool-x.jsonl"}
        assert [name for name, _ in files_with(machine.data, [id_], but="bus.")]
        done = machine.run("privacy", "purge", form.format(id_), *AGREED)
        assert done.returncode == 0, done.stderr
        assert "4 records of 1 posts" in done.stderr
        assert files_with(machine.data, [author, word, "kari_vakt"]) == []
        # On the bus the id stays, in the decision and in the tombstones that tell readers to let go of it.
        assert files_with(machine.data, [id_], but="bus.") == []
        view.catch_up()
        assert files_with(machine.data, [id_], but="bus.") == []
        assert sum(entry.posts for entry in view.top(Kind.WISH, limit=1000)) == len(posts) - 1
        waiting.close()


def test_a_link_leaves_no_name_among_the_decisions(machine: Machine) -> None:
    with live_bus(machine) as bus:
        bus.publish(messages("1906123456789012345", "p_a", "vann", START))
    link = "https://x.com/kari_vakt/status/1906123456789012345"
    assert machine.run("privacy", "purge", link, "recording:p1", *AGREED).returncode == 0
    assert [(each["kind"], each["id"]) for each in decided(machine)] == [
        ("purge", "x:1906123456789012345"),
        ("purge", "recording:p1"),
    ]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("1.90E+18", "spreadsheet"),
        (
            "recrding:1906123456789012345",
            "known: bluesky, facebook, feeds, instagram, linkedin",
        ),
        ("https://x.com/kari_vakt", "to no post"),
        ("nosuch", "no post id"),
    ],
)
def test_what_is_no_id_is_a_usage_error_before_anything_is_removed(machine: Machine, bad: str, said: str) -> None:
    with live_bus(machine) as bus:
        bus.publish(messages("1906123456789012345", "p_a", "vann", START))
    done = machine.run("privacy", "purge", "1906123456789012345", bad, *AGREED)
    assert done.returncode == 2
    assert said in done.stderr
    assert "ID 2" in done.stderr
    assert "kari_vakt" not in done.stderr
    assert files_with(machine.data, ["p_a"])
    assert decided(machine) == []


def test_what_looks_like_no_id_is_one_when_a_post_of_it_is_held(machine: Machine) -> None:
    with live_bus(machine) as bus:
        bus.publish(messages("p17", "p_a", "vann", START))
        bus.publish([Message("mentions", "x:tick", encode(Tick(source="x", until=START)))])
    for none in ("p18", "tick"):
        assert machine.run("privacy", "purge", none, *AGREED).returncode == 2
    assert machine.run("privacy", "purge", "p17", *AGREED).returncode == 0
    assert files_with(machine.data, ["p_a"]) == []


def test_a_purge_without_a_reason_removes_nothing(machine: Machine) -> None:
    with live_bus(machine) as bus:
        bus.publish(messages("1906123456789012345", "p_a", "vann", START))
    done = machine.run("privacy", "purge", "1906123456789012345", "--why", " ", "--by", "Personvernombud")
    assert done.returncode == 2
    assert files_with(machine.data, ["p_a"])


def test_a_purge_that_a_reader_kept_from_ending_ends_when_it_is_run_once_more(machine: Machine) -> None:
    with live_bus(machine) as bus:
        (id_, author, word), *_ = many(bus, 5)
        with closing(sqlite3.connect(machine.data / "bus.sqlite")) as holding:
            holding.execute("BEGIN")
            holding.execute("SELECT count(*) FROM topics").fetchone()
            done = machine.run("privacy", "purge", id_, *AGREED)
            assert done.returncode == 1
            assert "run once more" in done.stderr
        assert machine.run("privacy", "purge", id_, *AGREED).returncode == 0
        assert files_with(machine.data, [author, word]) == []


def test_what_retention_drops_leaves_the_register_down_to_the_bytes(machine: Machine) -> None:
    old = datetime.now(UTC) - timedelta(days=40)
    with live_bus(machine) as bus, closing(Register(bus, machine.data / "register.sqlite")) as view:
        posts = many(bus, 200)
        view.catch_up()
        with closing(sqlite3.connect(machine.data / "bus.sqlite")) as db:
            for (number,) in db.execute("SELECT id FROM parts WHERE topic IN ('mentions','findings')").fetchall():
                aged = f"UPDATE log_{number} SET time_ms=? WHERE id<100"  # noqa: S608
                db.execute(aged, (round(old.timestamp() * 1000),))
            db.commit()
        done = machine.run("privacy", "retention")
        assert done.returncode == 0, done.stderr
        assert files_with(machine.data, [author for _, author, _ in posts[:100]]) == []
        assert files_with(machine.data, [id_ for id_, _, _ in posts[:100]]) == []


@pytest.fixture
def keyed(tmp_path: Path) -> Machine:
    return Machine(tmp_path, {"LYTTEPOST_PRIVACY__KEY_FILE": str(tmp_path / "keys" / "pseudonym.key")})


def test_a_lost_key_ends_the_start_until_it_is_restored_or_given_up(keyed: Machine) -> None:
    path = Path(keyed.more["LYTTEPOST_PRIVACY__KEY_FILE"])
    with live_bus(keyed) as bus:
        live_key(path, bus, SystemClock())
        bus.publish(messages("1906123456789012345", "p_abcdefghijklmnop", "vann", START))
    kept = path.read_bytes()
    path.unlink()
    done = keyed.run("run", "--role", "listener")
    assert done.returncode == 4, done.stderr
    assert "is gone" in done.stderr
    assert "rotate-key --lost" in done.stderr
    assert not path.exists()
    found = {each["id"]: each for each in json.loads(keyed.run("doctor", "--json").stdout)["findings"]}
    assert found["privacy.key"]["level"] == "failed"

    path.write_bytes(kept)
    path.chmod(0o600)
    refused = keyed.run("privacy", "rotate-key", "--lost", *AGREED)
    assert refused.returncode == 3
    assert "not lost" in refused.stderr

    path.unlink()
    opened = keyed.run("mode", "crisis", "--name", "Brann", "--track", "fjord", "--why", "røyk", "--no-wait")
    assert opened.returncode == 0, opened.stderr
    assert keyed.run("privacy", "rotate-key", *AGREED).returncode == 3
    given_up = keyed.run("privacy", "rotate-key", "--lost", *AGREED)
    assert given_up.returncode == 0, given_up.stderr
    assert "counts as two" in given_up.stderr
    with live_bus(keyed) as bus:
        assert live_key(path, bus, SystemClock()) != bytes.fromhex(kept.decode())
    assert decided(keyed)[-1]["kind"] == "rotate_key"
