"""A token as its file has it: read again when it changes, kept when what comes is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from listener.sources.common.key import Key


def replaced(file: Path, content: bytes) -> None:
    """By another file, as secrets are rotated."""
    new = file.with_name("new")
    new.write_bytes(content)
    os.replace(new, file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("first\n", encoding="utf-8")
    return path


def test_a_token_of_the_settings_stays(tmp_path: Path) -> None:
    key = Key("x.bearer_token", "given")
    assert key.reread() is False
    assert (key.token, key.fault) == ("given", None)


def test_a_new_token_is_taken_once(file: Path) -> None:
    key = Key("x.bearer_token", "first", file)
    assert key.reread() is False
    replaced(file, b"\xef\xbb\xbfsecond\r\n")
    assert key.reread() is True
    assert key.token == "second"
    assert key.reread() is False


def test_the_same_token_written_again_is_no_new_one(file: Path) -> None:
    key = Key("x.bearer_token", "first", file)
    replaced(file, b"  first  \n")
    assert key.reread() is False


@pytest.mark.parametrize("content", [b"", b"a\nb\n", "tøken".encode(), b"\xff\xfe"])
def test_a_file_that_is_spoilt_leaves_the_token_before_it_and_says_so(file: Path, content: bytes) -> None:
    key = Key("x.bearer_token", "first", file)
    replaced(file, content)
    assert key.reread() is False
    assert key.token == "first"
    assert key.fault is not None
    assert key.fault.startswith(f"x.bearer_token_file: {file} ")
    replaced(file, b"second")
    assert key.reread() is True
    assert key.fault is None


def test_a_file_that_is_gone_leaves_the_token_and_one_that_comes_back_is_read(file: Path) -> None:
    key = Key("x.bearer_token", "first", file)
    file.unlink()
    assert key.reread() is False
    assert key.token == "first"
    assert "cannot be read" in str(key.fault)
    file.write_text("second", encoding="utf-8")
    assert key.reread() is True
    assert key.fault is None
