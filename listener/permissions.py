"""Permissions: every file of ours is made for our eyes alone, and a data folder that others may look into is named.

A folder that others may write to lets them put a symbolic link where we are about to open a file; no such link is
followed when we open a file of our own for writing.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

FILE_MODE = 0o600
FOLDER_MODE = 0o700
OTHERS = stat.S_IRWXG | stat.S_IRWXO
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def open_private(path: Path, flags: int) -> int:
    """A file of ours, made when it is missing, with mode 0600. Raises OSError for a link and for what is no file.

    A file of an earlier version, which may have been readable for others, is closed to them.
    """
    try:
        # O_NONBLOCK: a named pipe in its place must not make us wait for ever.
        handle = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, FILE_MODE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a symbolic link, which is not followed; remove it", str(path)) from None
        raise
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file; remove it", str(path))
        if found.st_mode & OTHERS and found.st_uid == os.geteuid():
            os.fchmod(handle, FILE_MODE)
    except BaseException:
        os.close(handle)
        raise
    return handle


class NoRegularFile(OSError):
    """A pipe, a device or the like, which may never give an end."""


def open_regular(path: Path) -> BinaryIO:
    """A file that somebody names, for reading. Raises OSError, NoRegularFile among them."""
    # O_NONBLOCK: opening a named pipe that nobody writes to would wait for ever.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise NoRegularFile(errno.EINVAL, "it is no regular file but a pipe, device or the like", str(path))
    return os.fdopen(handle, "rb")


def create_private(path: Path) -> bool:
    """An empty file with mode 0600 where there is none; True when it was made just now. Raises OSError.

    For SQLite's files: one that is there is not opened, because closing it would drop the locks that SQLite has on it.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    except FileExistsError:
        if not os.path.exists(path):
            raise OSError(errno.ENOENT, "it is a link that leads nowhere; is a disk not mounted?", str(path)) from None
        return False
    return True


def write_whole(path: Path, content: bytes, place: Callable[[Path], None] | None = None) -> None:
    """Write a file whole or not at all, with mode 0600, and on the disk when this returns. Raises OSError.

    It is made beside `path`, and `place` then gives it its name; without one it takes the place of what is there.
    """
    new = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), FILE_MODE)  # whatever the umask takes away
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if place is None:
            new.replace(path)
        else:
            place(new)
    finally:
        new.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """What a file holds, or what is named in a folder, is on the disk when this returns. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """With mode 0700. A folder that is there keeps its mode: who made it may have had a reason; `exposed` names it."""
    folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)


def exposed(folder: Path) -> Iterator[str]:
    """What others than its owner may read or change in a data folder, one sentence each, with what to do."""
    try:
        found = folder.stat()
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return
    if found.st_uid not in (os.geteuid(), 0):
        yield f"{folder}: belongs to another user (uid {found.st_uid}), who may change it; `chown` it to who runs this"
    if not found.st_mode & OTHERS:
        return
    may = "read and change" if found.st_mode & OTHERS_WRITE else "read"
    yield f"{folder}: others may {may} it ({stat.filemode(found.st_mode)}); `chmod 700 {folder}`"
    for path in files:
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if mode & OTHERS:
            may = "read and change" if mode & OTHERS_WRITE else "read"
            yield f"{path}: others may {may} it ({stat.filemode(mode)}); `chmod 600 {path}`"
