"""A lost or a wrong pseudonym key is found out while posts are held, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from listener.bus.protocol import Bus, Message, open_bus
from listener.clock import ManualClock
from listener.errors import ConfigError
from listener.model.records import Mention, Tick, encode
from listener.model.topics import topic_specs
from listener.privacy.key_fingerprint import (
    fingerprint,
    holds_content,
    key_problem,
    known_fingerprint,
    live_key,
    remember,
)
from listener.privacy.pseudonyms import load_key, rotate_key

START = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
CLOCK = ManualClock(START)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with closing(open_bus("embedded:", tmp_path / "data", CLOCK, durable=False)) as made:
        made.ensure(topic_specs(1, {}))
        yield made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "pseudonym.key"


def take_in(bus: Bus, author: str | None = "p_abcdefghijklmnop", text: str = "vann") -> None:
    said = Mention(
        source="x", id="1", at=START, captured_at=START, text=text, author=author, incidents={"brann-0": ("a",)}
    )
    bus.publish([Message("mentions", said.post_key, encode(said))])


def test_a_key_is_made_on_first_use_and_known_afterwards(bus: Bus, path: Path) -> None:
    assert known_fingerprint(bus) is None
    key = live_key(path, bus, CLOCK)
    assert known_fingerprint(bus) == fingerprint(key) != key.hex()[:16]
    take_in(bus)
    assert live_key(path, bus, CLOCK) == key


def test_a_lost_key_is_not_replaced_while_posts_are_held(bus: Bus, path: Path) -> None:
    key = live_key(path, bus, CLOCK)
    take_in(bus)
    path.unlink()
    with pytest.raises(ConfigError, match="is gone") as refused:
        live_key(path, bus, CLOCK)
    assert not path.exists()
    for said in (str(path), fingerprint(key), "Restore", "rotate-key --lost", "chmod 600"):
        assert said in str(refused.value)
    bus.purge([(record.tp, record.key) for record in bus.reader(["mentions"]).poll(0.0)])
    assert live_key(path, bus, CLOCK) != key, "nothing is held any more"


def test_a_key_lost_before_any_was_written_down_is_found_out_too(bus: Bus, path: Path) -> None:
    take_in(bus)
    assert "is gone" in (key_problem(path, bus) or "")


def test_another_key_is_refused_while_posts_are_held(bus: Bus, path: Path) -> None:
    first = live_key(path, bus, CLOCK)
    kept = path.read_bytes()
    second = rotate_key(path)
    assert key_problem(path, bus) is None
    take_in(bus)
    with pytest.raises(ConfigError, match="is another pseudonym key") as refused:
        live_key(path, bus, CLOCK)
    assert first.hex() not in str(refused.value)
    assert second.hex() not in str(refused.value)
    path.write_bytes(kept)
    assert live_key(path, bus, CLOCK) == first
    remember(bus, rotate_key(path), CLOCK)
    assert live_key(path, bus, CLOCK) == load_key(path, create=False)


def test_a_deployment_from_before_goes_on_with_the_key_it_has(bus: Bus, path: Path) -> None:
    key = load_key(path, create=True)
    take_in(bus)
    assert live_key(path, bus, CLOCK) == key
    assert known_fingerprint(bus) == fingerprint(key)


def test_ticks_and_posts_without_a_pseudonym_are_the_same_with_any_key(bus: Bus) -> None:
    bus.publish([Message("mentions", "x:tick", encode(Tick(source="x", until=START)))])
    take_in(bus, author=None)
    take_in(bus, author="@fjordavisa")
    assert not holds_content(bus)
    take_in(bus, author=None, text="RT @p_abcdefghijklmnop: vann")
    assert holds_content(bus)
