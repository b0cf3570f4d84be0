"""The front door: composes the command line and wires the parts. Nothing imports it.

Commands are found by name in one table and imported when used, so that a mode switch pays for nothing else.
"""

from __future__ import annotations

import gc

# Nothing that a switch imports is garbage, and looking for it takes a tenth of the switch's time.
gc.disable()

import os
import sys
from collections.abc import Mapping
from typing import Any

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
    "register": "alerts.commands.register:app",
    "rules": "alerts.commands.rules:app",
    "privacy": "alerts.commands.privacy:app",
    "bus": "listener.commands.bus:app",
    "config": "listener.commands.config:app",
}
"""Command → where it lives."""


class FrontDoor(TyperGroup):
    """Knows every command's name; imports the one that is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        if cmd_name != "mode":
            gc.enable()
        command: Any = typer.main.get_command(load(COMMANDS[cmd_name]))
        command.name = cmd_name
        return command


app = typer.Typer(cls=FrontDoor, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def _front() -> None:
    """A hospital's listening post: hears what people say in a crisis, judges it, wakes the duty officer."""


def main() -> None:
    """Run a command; turn what went wrong into one message and the documented exit code."""
    try:
        app()
    except LyttepostError as error:
        sys.stderr.write(f"lyttepost: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os._exit(0)  # whoever read us has gone; there is nobody left to complain to
    except Exception as error:
        import traceback

        # Its class and place, never its words: they may be somebody's post.
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(last.filename)}:{last.lineno}"
        sys.stderr.write(f"lyttepost: a fault of ours, {type(error).__name__} at {where}; please report it\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
