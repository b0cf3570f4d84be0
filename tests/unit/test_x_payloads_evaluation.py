"""X's real answers, as the live listener takes them: as lines of the stream, and as pages of search.

They are outside data; `LYTTEPOST_EVALUATION_DATA` names their folder.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from listener.ingest.matcher import Matcher
from listener.model.records import Author, Post
from listener.sources.common.json import read_json
from listener.sources.contract import DropReason
from listener.sources.x.payload import parse_answer
from listener.sources.x.reading import Read, read_line, read_page
from listener.sources.x.typed_line import read_post

pytestmark = pytest.mark.evaluation


@pytest.fixture(scope="module")
def answers() -> list[tuple[str, bytes]]:
    """(file, line), every one that X gave."""
    folder = os.environ.get("LYTTEPOST_EVALUATION_DATA")
    if not folder:
        pytest.skip("LYTTEPOST_EVALUATION_DATA names no folder; the real payloads of X are not part of the project")
    files = sorted((Path(folder) / "x-payloads").glob("*.json*"))
    found = [(path.name, raw) for path in files for raw in path.read_bytes().splitlines() if raw.strip()]
    assert len(found) > 15
    return found


def test_every_one_becomes_posts_or_is_refused_with_a_reason(answers: list[tuple[str, bytes]]) -> None:
    silent, reasons, posts = [], Counter[DropReason](), 0
    for name, raw in answers:
        read = read_line(raw, "x")
        reasons.update(bad.reason for bad in read.bad)
        posts += len(read.posts)
        if not read.posts and not read.bad:
            silent.append(name)
        assert not read.garbled, f"{name}: JSON taken for garbage"
    assert silent == []
    assert posts > 100
    assert set(reasons) <= {DropReason.NOT_A_POST}


def test_as_pages_of_search_they_give_the_same_posts(answers: list[tuple[str, bytes]]) -> None:
    for name, raw in answers:
        answer: Any = json.loads(raw)
        paged = read_page(answer, "x") if isinstance(answer, dict) else Read()
        if isinstance(answer, dict):
            assert [post.id for post in paged.posts] == [post.id for post in read_line(raw, "x").posts], name


def test_what_they_become_is_whole_and_can_be_matched(answers: list[tuple[str, bytes]]) -> None:
    posts = [post for _, raw in answers for post in read_line(raw, "x").posts]
    matcher = Matcher({"a": ("granvik", "#brann")})
    for post in posts:
        matcher.match(post)
        assert post.id.isdecimal()
        assert post.text
        assert Post.model_validate_json(post.model_dump_json()) == post
    named = sum(isinstance(post.author, Author) for post in posts)
    assert named > len(posts) / 2


def test_as_lines_of_the_stream_most_are_read_straight_into_the_same_post(answers: list[tuple[str, bytes]]) -> None:
    lines = [line for _, raw in answers for line in _lines(json.loads(raw))]
    posts = [post for line in lines for post in parse_answer(read_json(line), "x") if isinstance(post, Post)]
    read = [(post, line) for line in lines if (post := read_post(line, "x")) is not None]
    assert all(parse_answer(read_json(line), "x") == [post] for post, line in read)
    assert len(read) > len(posts) / 2


def _lines(answer: Any) -> list[bytes]:
    """Each post of a page as the stream would give it: beside it only what it refers to."""
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        return []
    lines = []
    for item in answer["data"]:
        said, includes = json.dumps(item), answer.get("includes") or {}
        beside = {
            name: [each for each in includes.get(name, ()) if f'"{each.get("id")}"' in said]
            for name in ("users", "tweets")
        }
        lines.append(json.dumps({"data": item, "includes": beside}).encode())
    return lines
