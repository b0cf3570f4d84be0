"""The entry point: composes the command line and imports each command when it is used. Nothing imports it.

Commands are found by name in one table and imported when used, so that a mode switch pays for nothing else.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from listener.errors import LyttepostError
from listener.plugins import load

COMMANDS: Mapping[str, str] = {
    "mode": "listener.commands.mode:app",
    "run": "alerts.commands.run:app",
    "demo": "alerts.commands.demo:app",
    "replay": "alerts.commands.replay:app",
    "alerts": "alerts.commands.alerts:app",
    "ledger": "alerts.commands.ledger:app",
    "duty": "alerts.commands.duty:app",
    "register": "alerts.commands.register:app",
    "report": "alerts.commands.report:app",
    "highlights": "alerts.commands.highlights:app",
    "rules": "alerts.commands.rules:app",
    "volumes": "alerts.commands.volumes:app",
    "privacy": "alerts.commands.privacy:app",
    "gaps": "listener.commands.gaps:app",
    "deadletters": "alerts.commands.deadletters:app",
    "x": "listener.commands.x:app",
    "fake": "listener.commands.fake:app",
    "doctor": "alerts.commands.doctor:app",
    "bus": "listener.commands.bus:app",
    "board": "alerts.commands.board:app",
    "backup": "alerts.commands.backup:app",
    "restore": "alerts.commands.backup:restore_app",
    "config": "alerts.commands.config:app",
}
"""Command → the module and attribute that hold it."""


class CommandTable(TyperGroup):
    """Knows every command by name; imports only the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        group = load(COMMANDS[cmd_name])
        # As the top level itself: plain help, and no options for shells. Typer has no public way to say the latter.
        group.rich_markup_mode, group._add_completion = None, False
        command: Any = typer.main.get_command(group)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        try:
            # A crash point that is none is reported by every command, whether or not it comes past one.
            import listener.crashpoints  # noqa: F401

            return super().invoke(ctx)
        except LyttepostError as error:
            sys.stderr.write(f"lyttepost: {error}\n")
            raise typer.Exit(error.exit_code) from None
        except BrokenPipeError:
            _discard_output()
            raise typer.Exit(0) from None


app = typer.Typer(
    cls=CommandTable,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        from listener import __version__

        typer.echo(f"lyttepost {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A hospital's listening post: hears what people say in a crisis, judges it, wakes the duty officer."""


def main() -> None:
    """Run a command; turn what went wrong into one message and the documented exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a letter must not make a switch that stands look failed.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="lyttepost")
    except SystemExit as done:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _discard_output()
        if sys.argv[1:2] == ["mode"] and isinstance(done.code, int) and _is_whole_program(sys._getframe(1)):
            # A switch is on disk before it is reported. To take the interpreter down piece by piece, the log's file
            # with it, would only make a hand wait at the keyboard, for a sixth of the switch's time; the next to open
            # the log finds it as after a `kill -9`, which it is made for.
            os._exit(done.code)
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        import traceback

        # Its class and place, never its words: they may be somebody's post.
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(last.filename)}:{last.lineno}"
        sys.stderr.write(f"lyttepost: a fault of ours, {type(error).__name__} at {where}; please report it\n")
        sys.exit(1)


def _is_whole_program(caller: FrameType) -> bool:
    """Nothing comes after us: we were called by the script itself."""
    return caller.f_back is None and caller.f_globals.get("__name__") == "__main__"


def _discard_output() -> None:
    """Send standard output to nowhere: its reader has closed the pipe, and flushing it at exit must not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
