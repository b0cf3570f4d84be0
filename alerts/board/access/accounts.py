"""Accounts of the board's own: who may log in with a password, as a private file in the data folder.

Commands write it, whole or not at all, one at a time; the board reads it anew when it has changed. An account's `stamp`
is new with each password and role: a log-in that knows another one has ended.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from alerts.board.access.names import fit_name, folded
from alerts.board.access.roles import BoardRole
from listener.errors import ConfigError, Refused, UsageError
from listener.permissions import make_folder, open_private, open_regular, write_whole
from listener.runtime.checks import Check, warning, well
from listener.settings.board import BoardSettings
from listener.units import format_instant, parse_instant

log = logging.getLogger(__name__)

NAME = "board-accounts.json"
LOCK = ".board-accounts.lock"
LARGEST = 4_000_000
"""Bytes of the file: of thousands of accounts."""
_FIX = "restore it from a backup, or move it away and add the accounts anew"


@dataclass(frozen=True)
class Account:
    """`digest`: of the password, in argon2's own form. `changed`: when the password or role was last set."""

    name: str
    role: BoardRole
    digest: str
    stamp: str
    changed: datetime

    def __repr__(self) -> str:
        return f"Account({self.name!r}, {self.role})"


class Accounts:
    """The file in a data folder. May be read by one thread and written by another."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._mark: tuple[int, int, int] | None = None
        self._known: Mapping[str, Account] = {}

    def find(self, name: str) -> Account | None:
        return self.all().get(folded(name))

    def all(self) -> Mapping[str, Account]:
        """Folded name → account. What turned bad while it was in use is told once, and the last good one holds."""
        mark = self._look()
        if mark == self._mark:
            return self._known
        if self._mark is None:
            self._known = self.read()
        else:
            try:
                self._known = self.read()
            except ConfigError as error:
                log.error("board: %s; until then the accounts it held before stand", error)
        self._mark = mark
        return self._known

    def read(self) -> Mapping[str, Account]:
        """What the file holds now. Raises ConfigError."""
        try:
            with open_regular(self.path) as file:
                raw = file.read(LARGEST + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror}") from None
        try:
            if len(raw) > LARGEST:
                raise ValueError
            found = [_account(each) for each in json.loads(raw)["accounts"]]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ConfigError(f"{self.path}: is no list of accounts any more; {_FIX}") from None
        known = {folded(each.name): each for each in found}
        if len(known) < len(found):
            raise ConfigError(f"{self.path}: one name stands there twice; {_FIX}")
        return known

    def add(self, name: str, role: BoardRole, digest: str, now: datetime) -> Account:
        """Raises ValueError for a name that can be none, Refused for one that is taken, ConfigError."""
        made = Account(fit_name(name), role, digest, _stamp(), now)
        with self._writing() as known:
            if (taken := known.get(folded(made.name))) is not None:
                raise Refused(f"there is an account {taken.name!r} already; `lyttepost board user list` shows them")
            known[folded(made.name)] = made
        return made

    def set_password(self, name: str, digest: str, now: datetime) -> Account:
        return self._change(name, digest=digest, stamp=_stamp(), changed=now)

    def set_role(self, name: str, role: BoardRole, now: datetime) -> Account:
        return self._change(name, role=role, stamp=_stamp(), changed=now)

    def remove(self, name: str) -> Account:
        with self._writing() as known:
            return known.pop(folded(_there(known, name).name))

    def renew_digest(self, account: Account, digest: str) -> None:
        """The same password by new parameters: nobody is logged out. Nothing where it was changed meanwhile."""
        with self._writing() as known:
            if known.get(folded(account.name)) == account:
                known[folded(account.name)] = replace(account, digest=digest)

    def _change(self, name: str, **new: Any) -> Account:
        with self._writing() as known:
            account = replace(_there(known, name), **new)
            known[folded(account.name)] = account
        return account

    @contextmanager
    def _writing(self) -> Iterator[dict[str, Account]]:
        """The accounts, to be changed by one process at a time; written when the block ends well."""
        try:
            make_folder(self.path.parent)
            lock = open_private(self.path.parent / LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                before = self.read()
                known = dict(before)
                yield known
                if known != before:
                    self._write(known)
            finally:
                os.close(lock)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written: {error.strerror}; nothing was changed") from None

    def _write(self, known: Mapping[str, Account]) -> None:
        told = [
            {
                "name": each.name,
                "role": each.role,
                "digest": each.digest,
                "stamp": each.stamp,
                "changed": format_instant(each.changed),
            }
            for each in sorted(known.values(), key=lambda each: folded(each.name))
        ]
        write_whole(self.path, json.dumps({"accounts": told}, ensure_ascii=False, indent=1).encode() + b"\n")

    def _look(self) -> tuple[int, int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return (0, 0, 0)
        return found.st_ino, found.st_mtime_ns, found.st_size


def examine_accounts(folder: Path, board: BoardSettings) -> Check:
    """Whether somebody of the crisis team can log in, as `lyttepost doctor` finds it. Raises ConfigError."""
    known = Accounts(folder).all()
    if any(each.role is BoardRole.CRISIS_TEAM for each in known.values()):
        return well("board.accounts", f"{len(known)} have accounts on the board")
    if board.oidc is not None or (board.proxy is not None and board.proxy.user_header is not None):
        return well("board.accounts", "people log in to the board by the house's log-in or the proxy's word")
    makes = "`lyttepost board user add NAME --role crisis_team` makes one"
    return warning("board.accounts", "nobody of the crisis team has an account on the board", makes)


def _there(known: Mapping[str, Account], name: str) -> Account:
    found = known.get(folded(name))
    if found is None:
        raise UsageError(f"there is no account {name.strip()!r}; `lyttepost board user list` shows them")
    return found


def _account(data: Mapping[str, Any]) -> Account:
    texts = [data[key] for key in ("name", "digest", "stamp")]
    if not all(isinstance(each, str) for each in texts):
        raise ValueError
    name, digest, stamp = texts
    return Account(fit_name(name), BoardRole(data["role"]), digest, stamp, parse_instant(data["changed"]))


def _stamp() -> str:
    return secrets.token_hex(8)
