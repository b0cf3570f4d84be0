"""Disks that can be filled: file systems of their own, in memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1 << 20


@contextmanager
def mounted(place: Path, size: int) -> Iterator[Path]:
    """One of so many bytes. Skips where nobody may mount one."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("a disk that can be filled needs the right to mount one")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Take all room but so many bytes; the file to remove to give it back."""
    other = disk / "other-program.bin"
    with other.open("ab", buffering=0) as file:
        for size in (MIB, 4096, 1):
            try:
                while free(disk) >= leave + size:
                    file.write(b"\1" * size)
            except OSError:
                continue
    return other


def free(disk: Path) -> int:
    """Bytes that are left."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize
