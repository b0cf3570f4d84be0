"""`lyttepost board`: who may look at the crisis team's web pages, and the demo's crisis on them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from alerts.commands import board_demo
from listener.commands.shared import Data, Json, local, one_line, out_json, out_table, say
from listener.errors import ConfigError, UsageError
from listener.settings.files import data_dir

if TYPE_CHECKING:
    from alerts.board.access.accounts import Account, Accounts

app = typer.Typer(help="The crisis team's web pages: who may look at them, and a demo.", no_args_is_help=True)
user = typer.Typer(
    help="""Accounts of the board's own: a name, a role and a password each.

    They lie in the data folder, as hashes that nobody can turn back. A running board follows at once: whose password
    or role was changed, and who was removed, is logged out everywhere.
    """,
    no_args_is_help=True,
)
app.add_typer(user, name="user")
app.command()(board_demo.demo)

LONGEST_LINE = 10_000

Name = Annotated[str, typer.Argument(metavar="NAME", help="What stands beside what they decide, for good.")]
RoleName = Literal["crisis_team", "duty_officer", "ops", "communications", "reader"]
Role = Annotated[RoleName, typer.Option("--role", help="What they may do: deploy/README.md says it of each.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from a line of standard input.")]


@user.command()
def add(name: Name, role: Role, password_stdin: Stdin = False, data: Data = None) -> None:
    """Give somebody an account. The password is asked for twice; it is no option, because others could read that."""
    from alerts.board.access.names import fit_name
    from alerts.board.access.passwords import hashed
    from alerts.board.access.roles import BoardRole
    from listener.clock import SystemClock
    from listener.errors import Refused

    try:
        plain = fit_name(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None
    accounts = _accounts(data)
    if (taken := accounts.find(plain)) is not None:
        raise Refused(f"there is an account {taken.name!r} already; `lyttepost board user list` shows them")
    digest = hashed(_password(plain, from_stdin=password_stdin))
    account = accounts.add(plain, BoardRole(role), digest, SystemClock().now())
    say(f"{account.name} may log in as {account.role}.")


@user.command("list")
def show(json: Json = False, data: Data = None) -> None:
    """Who has an account, with which role, and since when the password and the role are what they are."""
    found = sorted(_accounts(data).all().values(), key=lambda account: account.name.casefold())
    if json:
        out_json([{"name": each.name, "role": each.role, "changed": each.changed} for each in found])
    elif found:
        rows = ((one_line(each.name), each.role, local(each.changed)) for each in found)
        out_table([("NAME", "ROLE", "CHANGED"), *rows])
    else:
        say("Nobody has an account: `lyttepost board user add NAME --role crisis_team` makes one.")


@user.command()
def remove(name: Name, data: Data = None) -> None:
    """Take somebody's account away. What they decided keeps their name."""
    account = _accounts(data).remove(name)
    say(f"{account.name} has no account any more, and is logged out.")


@user.command()
def password(name: Name, password_stdin: Stdin = False, data: Data = None) -> None:
    """Set a new password. Who is logged in by the old one is logged out."""
    from alerts.board.access.passwords import hashed
    from listener.clock import SystemClock

    accounts = _accounts(data)
    account = _there(accounts, name)
    digest = hashed(_password(account.name, from_stdin=password_stdin))
    accounts.set_password(account.name, digest, SystemClock().now())
    say(f"{account.name} has a new password, and is logged out.")


@user.command("role")
def set_role(
    name: Name,
    role: Annotated[
        RoleName, typer.Argument(metavar="ROLE", help="crisis_team, duty_officer, ops, communications or reader")
    ],
    data: Data = None,
) -> None:
    """Give somebody another role. Who is logged in with the old one is logged out."""
    from alerts.board.access.roles import BoardRole
    from listener.clock import SystemClock

    account = _accounts(data).set_role(name, BoardRole(role), SystemClock().now())
    say(f"{account.name} may log in as {account.role}, and is logged out.")


def _accounts(data: str | None) -> Accounts:
    from alerts.board.access.accounts import Accounts

    return Accounts(Path(data_dir(data)))


def _there(accounts: Accounts, name: str) -> Account:
    found = accounts.find(name)
    if found is None:
        raise UsageError(f"there is no account {name.strip()!r}; `lyttepost board user list` shows them")
    return found


def _password(name: str, *, from_stdin: bool) -> str:
    """Raises UsageError for one that may not be it. No message holds any of it."""
    from alerts.board.access.passwords import password_problem

    given = _from_stdin() if from_stdin else _asked_twice()
    if why := password_problem(given, name):
        raise UsageError(f"the password {why}")
    return given


def _from_stdin() -> str:
    raw = sys.stdin.buffer.readline(LONGEST_LINE)
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise UsageError("the password is no UTF-8 text") from None


def _asked_twice() -> str:
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on; give the password by --password-stdin")
    import getpass
    import warnings

    with warnings.catch_warnings():
        # Rather not at all than visibly.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            first = getpass.getpass("Password: ")
            again = getpass.getpass("Once more: ")
        except getpass.GetPassWarning:
            raise ConfigError("this terminal cannot hide what is typed; use --password-stdin") from None
        except EOFError:
            raise UsageError("no password was written") from None
    if first != again:
        raise UsageError("the two were not the same; nothing was changed")
    return first
