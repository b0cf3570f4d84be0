"""The command line of what listens. Data goes to standard output, messages to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.core import TyperGroup

from listener.errors import BadValue, UsageError
from listener.model import entered
from listener.model.codec import LONGEST_NAME, LONGEST_WHY
from listener.settings.zone import DEFAULT_ZONE, shown, zone_or_default
from listener.units import format_instant

if TYPE_CHECKING:
    from datetime import datetime, timedelta, tzinfo

    from listener.bus.protocol import Bus

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Data = Annotated[
    str | None,
    typer.Option("--data", metavar="DIR", help="Folder of all state; else LYTTEPOST_DATA, else the platform's."),
]


@contextmanager
def as_options() -> Iterator[None]:
    """The value of an option that is refused within is refused as the parser does it."""
    try:
        yield
    except BadValue as error:
        raise typer.BadParameter(error.problem, param_hint=error.field) from None


def storable(text: str, name: str, longest: int = LONGEST_NAME) -> str:
    """What a person wrote, without blanks around it."""
    with as_options():
        return entered.storable(text, name, longest)


def reason(why: str) -> str:
    """A reason that says something."""
    with as_options():
        return entered.reason(why, "--why")


def _who(by: str | None) -> str | None:
    return None if by is None else storable(by, "--by")


# Read before the command begins: one that is refused has done nothing.
Why = Annotated[
    str,
    typer.Option(
        "--why",
        metavar="TEXT",
        callback=reason,
        help=f"Why, in at most {LONGEST_WHY:,} characters; it is kept in the history.",
    ),
]
By = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="WHO",
        callback=_who,
        help=f"Who decides, at most {LONGEST_NAME} characters; else the operating system's user.",
    ),
]


class LazyGroup(TyperGroup):
    """A command of commands that makes only the one that is called: each takes a millisecond or two."""

    functions: ClassVar[Mapping[str, Callable[..., None]]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.functions)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.functions:
            return None
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(cmd_name)(self.functions[cmd_name])
        return typer.main.get_command(app)


def out(text: str) -> None:
    """A line of data."""
    sys.stdout.write(text + "\n")


def flush() -> None:
    """Whoever reads the data through a pipe gets it now."""
    sys.stdout.flush()


def say(text: str) -> None:
    """A line for the person."""
    sys.stderr.write(text + "\n")


def progress_line() -> Callable[[str], None]:
    """Shows how far it is, each time in place of the last; on a terminal only."""
    if not sys.stderr.isatty():
        return lambda text: None

    def show(text: str) -> None:
        sys.stderr.write(f"\r{text}\x1b[K\r")
        sys.stderr.flush()

    return show


def say_masked(option: str, words: str) -> None:
    """Of a team's words that stand otherwise than they were written."""
    say(f"{option}: numbers, addresses and account names were masked, as in posts: {words}")


def one_line(text: str) -> str:
    """What somebody wrote, so that it neither breaks the line nor steers the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def out_json(value: Any) -> None:
    ours = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    out(json.dumps(value, ensure_ascii=not ours, default=_plain))


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return format_instant(value)
    return str(value)


def out_table(rows: Iterable[Iterable[str]]) -> None:
    """Columns as wide as their widest cell, two spaces between."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        out("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def local(instant: datetime) -> str:
    """An instant as a person reads it: in the zone of the settings, which is named."""
    return shown(instant, settings_zone())


def settings_zone() -> tzinfo:
    """A setting that is wrong must not keep a time from being shown: `config check` tells of it."""
    from listener.settings.files import raw_settings

    return zone_or_default(raw_settings().get("timezone", DEFAULT_ZONE))


def user(by: str | None) -> str:
    """Who is at the keyboard."""
    if by and by.strip():
        return storable(by, "--by")
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def duration(text: str, name: str) -> timedelta:
    with as_options():
        return entered.duration(text, name)


def say_who_runs(bus: Bus) -> None:
    """On standard error, where a command shows what processes bring: that none does, or which part is missing."""
    from listener.clock import SystemClock
    from listener.model.roles import ROLES, lacking_of
    from listener.runtime.control import Presences

    running = {role for presence in Presences(bus, SystemClock()).refresh() for role in presence.roles}
    lacking = [each for role in ROLES for each in lacking_of(role, running)]
    if not running:
        say("Nothing runs here: start `lyttepost run`; until then nothing new is heard, judged or sent.")
    elif lacking:
        say(f"No process with the role {', '.join(lacking)} runs: what it does is not done.")


def open_live_bus(data: str | None) -> Bus:
    """The bus of the running deployment, by the settings that say where it is.

    A setting that is no setting is told and passed over: it must not stand between a crisis team and its switch.
    """
    from listener.bus.protocol import open_bus
    from listener.clock import SystemClock
    from listener.settings.bus_address import check_url
    from listener.settings.files import data_dir, raw_settings

    raw = raw_settings()
    for stranger in raw.strangers():
        say(f"lyttepost: {stranger}")
    url, kafka = str(raw.get("bus.url", "embedded:")), None
    try:
        scheme = check_url(url)
    except ValueError as error:
        raise raw.error(("bus", "url"), str(error)) from None
    if scheme == "kafka":
        from listener.settings.schema import kafka_settings

        kafka = kafka_settings(raw)
    return open_bus(url, Path(data_dir(data)), SystemClock(), kafka=kafka)


def open_live_topics(data: str | None) -> Bus:
    """The same, with all its topics as the settings want them: made with other retention, one would keep too long."""
    from listener.model.topics import topic_specs
    from listener.settings.schema import load_settings

    settings = load_settings()
    bus = open_live_bus(data)
    bus.ensure(topic_specs(settings.bus.partitions, settings.retention.keep()))
    return bus


def open_written_topics(data: str | None) -> Bus:
    """The same for who looks at what was written: a folder without a log is refused, and none is made there."""
    from listener.bus.history import History
    from listener.settings.bus_address import LOG, embedded_log
    from listener.settings.files import data_dir, raw_settings

    scheme, _, rest = str(raw_settings().get("bus.url", "embedded:")).partition(":")
    if scheme == "embedded":
        folder = data_dir(data)
        try:
            path = embedded_log(rest, folder)
        except ValueError:
            path = folder / LOG  # that the address is wrong is told when it is opened
        if not path.exists() and History(path, folder).lost() is None:
            raise UsageError(
                f"{path.parent}: holds no log, so `lyttepost run` never began there; --data names another folder"
            )
    return open_live_topics(data)
