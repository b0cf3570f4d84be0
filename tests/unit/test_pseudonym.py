"""The key and what it makes."""

from __future__ import annotations

import hmac
import os
import re
import stat
from base64 import b32encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from listener.errors import ConfigError
from listener.privacy.pseudonyms import check_key_outside, load_key, pseudonym, pseudonym_of_handle, rotate_key

KEY = bytes(range(32))


def test_a_pseudonym_is_short_readable_and_the_same_each_time() -> None:
    assert re.fullmatch(r"p_[a-z2-7]{16}", pseudonym(KEY, "x", "17"))
    assert pseudonym(KEY, "x", "17") == pseudonym(KEY, "x", "17")


def test_source_author_and_key_each_make_another_pseudonym() -> None:
    made = {pseudonym(KEY, "x", "17"), pseudonym(KEY, "y", "17"), pseudonym(KEY, "x", "18")}
    made |= {pseudonym(KEY[::-1], "x", "17"), pseudonym(KEY, "x1", "7"), pseudonym_of_handle(KEY, "x", "17")}
    assert len(made) == 6


def test_a_handle_is_one_in_upper_and_lower_case() -> None:
    assert pseudonym_of_handle(KEY, "x", "Ola_N") == pseudonym_of_handle(KEY, "x", "ola_n")


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "pseudonym.key"
    key = load_key(path, create=True)
    assert len(key) == 32
    assert load_key(path, create=False) == load_key(path, create=True) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["pseudonym.key"]


def test_all_who_make_the_key_at_the_same_instant_agree(tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: load_key(path, create=True), range(64)))
    assert len(keys) == 1
    assert os.listdir(tmp_path) == ["pseudonym.key"]


def test_a_rotated_key_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    old = load_key(path, create=True)
    new = rotate_key(path)
    assert old != new == load_key(path, create=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["pseudonym.key"]


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        ("", 0o600, "is empty"),
        ("\n", 0o600, "is empty"),
        ("ab" * 31, 0o600, "31 bytes"),
        ("not a key, but secret", 0o600, "not hexadecimal"),
        ("å" * 64, 0o600, "not hexadecimal"),
        ("ab" * 32, 0o640, "chmod 600"),
        ("ab" * 32, 0o604, "chmod 600"),
        ("ab" * 32, 0o620, "chmod 600"),
    ],
)
def test_a_bad_key_is_refused_with_file_and_fix_and_without_its_content(
    tmp_path: Path, content: str, mode: int, said: str
) -> None:
    path = tmp_path / "pseudonym.key"
    path.write_text(content, encoding="utf-8")
    path.chmod(mode)
    with pytest.raises(ConfigError, match=said) as refused:
        load_key(path, create=True)
    assert str(path) in str(refused.value)
    assert not content.strip() or content not in str(refused.value)
    assert path.read_text(encoding="utf-8") == content


def test_a_missing_key_is_not_made_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    with pytest.raises(ConfigError, match="openssl rand -hex 32"):
        load_key(path, create=False)
    assert not path.exists()


def test_a_key_that_cannot_be_read_or_written_is_a_configuration_error(tmp_path: Path) -> None:
    folder = tmp_path / "pseudonym.key"
    folder.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_key(folder, create=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be"):
        load_key(tmp_path / "file" / "pseudonym.key", create=True)


def test_a_key_inside_the_data_folder_is_refused_also_through_links(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir()
    (tmp_path / "link").symlink_to(data)
    (data / "out").symlink_to(elsewhere)
    for inside in (
        data / "k",
        data / "a" / "k",
        tmp_path / "link" / "k",
        data / "out" / "k",
        elsewhere / ".." / "data" / "k",
    ):
        with pytest.raises(ConfigError, match="data folder"):
            check_key_outside(inside, data)
    with pytest.raises(ConfigError, match="data folder"):
        check_key_outside(data / "k", tmp_path / "link")
    check_key_outside(elsewhere / "k", data)
    check_key_outside(tmp_path / "data2" / "k", data)


@pytest.mark.parametrize("length", [32, 64, 65, 200])
def test_a_pseudonym_is_the_beginning_of_an_hmac(length: int) -> None:
    key = bytes(range(length))
    digest = hmac.digest(key, b"x\0" + "ærlig".encode(), "sha256")
    assert pseudonym(key, "x", "ærlig") == "p_" + b32encode(digest[:10]).decode().lower()
