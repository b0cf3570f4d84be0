"""A platform that is read from files is a parser: what `RecordedSource` makes of it, and privacy of its names."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from listener.clock import ManualClock
from listener.model.records import Author, Origin, Post
from listener.privacy.screen import Screen
from listener.sources.common.fields import Unusable, as_text, build, text_of, time_of
from listener.sources.common.recorded_source import RecordedSource
from listener.sources.contract import Batch, DropReason

START = datetime(2026, 3, 1, 20, tzinfo=UTC)


def parse(raw: Any, source: str) -> Iterable[Post | Unusable]:
    """A platform that keeps a post's id when it is edited, and names people by their server."""
    if not isinstance(raw, dict):
        raise Unusable(DropReason.WRONG_TYPE)
    name = text_of(raw, "who")
    yield build(
        source=source,
        id=text_of(raw, "id"),
        at=time_of(raw, "when"),
        text=text_of(raw, "says"),
        version=as_text(raw.get("edited")),
        author=Author(id="4711", handle=name),
        handles={name.lower(): "4711", name.lower().partition("@")[0]: "4711"},
        url=as_text(raw.get("link")),
    )


def line(number: int, minute: int = 0, **more: Any) -> dict[str, Any]:
    when = START.replace(minute=minute).isoformat()
    return {"id": str(number), "when": when, "says": "brann", "who": "Kari_Nordmann@fjordby.example", **more}


def played(path: Path, *lines: Any) -> list[Batch]:
    path.write_text("".join(f"{json.dumps(each)}\n" for each in lines), encoding="utf-8")
    source = RecordedSource("fjordby", parse, str(path), None, ManualClock(START))
    source.open(None)
    found = []
    while source.state()["state"] != "ended":
        if (batch := source.read(1.0)) is not None:
            found.append(batch)
    source.close()
    return found


def test_an_edit_that_kept_its_id_is_given_and_what_is_repeated_is_not(tmp_path: Path) -> None:
    edited = line(1, 1, says="brann i havna", edited="2")
    (batch,) = played(tmp_path / "file", line(1), edited, line(1), edited)
    assert [(post.id, post.version) for post in batch.posts] == [("1", None), ("1", "2")]
    assert batch.duplicates == 2
    assert {post.source for post in batch.posts} == {"fjordby"}


def test_what_the_parser_refuses_and_a_lone_date_are_named(tmp_path: Path) -> None:
    late = line(4, when="2098-01-01T00:00:00Z")
    lines = (line(1), line(2, 1), line(3, when="i går"), {"id": "5"}, late, line(6, 2))
    (batch,) = played(tmp_path / "file", *lines)
    assert [post.id for post in batch.posts] == ["1", "2", "6"]
    assert [bad.reason for bad in batch.bad] == [DropReason.BAD_DATE, DropReason.MISSING_FIELD, DropReason.LONE_DATE]
    assert batch.until == START.replace(minute=2)


def test_no_name_in_its_handles_is_left_in_text_or_url(tmp_path: Path) -> None:
    says = "brann, sier kari_nordmann og @Kari_Nordmann@fjordby.example"
    (batch,) = played(tmp_path / "file", line(1, says=says, link="https://fjordby.example/@Kari_Nordmann/1"))
    (post,) = batch.posts
    safe = Screen(b"k" * 32, {}).mention(post, incidents={}, origin=Origin.LIVE, captured_at=START, exercise=True)
    assert "nordmann" not in f"{safe.text} {safe.url}".lower()
    assert safe.text.startswith("brann, sier ")
