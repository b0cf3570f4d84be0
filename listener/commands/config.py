"""`lyttepost config`: look at the configuration, check it, copy it, and print the schemas of our records."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from listener.commands import out, out_json, say
from listener.config import config_dir, packaged_config
from listener.errors import Refused, UsageError

app = typer.Typer(help="Look at the configuration, check it, copy it.", no_args_is_help=True)


@app.command()
def show() -> None:
    """All settings as they are in force, secrets left out."""
    from listener.settings import load_settings

    out_json(load_settings().model_dump(mode="json"))


@app.command()
def init(folder: Annotated[Path, typer.Argument(metavar="DIR")]) -> None:
    """Write a complete configuration to change: then set LYTTEPOST_CONFIG to the folder."""
    if folder.exists() and any(folder.iterdir()):
        raise Refused(f"{folder}: is not empty; nothing was written")
    try:
        shutil.copytree(packaged_config(), folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("demo"))
    except OSError as error:
        raise Refused(f"{folder}: cannot be written: {error.strerror}") from None
    say(f"Wrote {folder}. Set LYTTEPOST_CONFIG={folder.resolve()} to use it.")


@app.command()
def path() -> None:
    """The folder in force."""
    out(str(config_dir()))


@app.command()
def schema(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """The JSON Schema of a record, such as `post`, `mention` or `alert`."""
    from listener.records import SCHEMAS

    if name not in SCHEMAS:
        raise UsageError(f"no record is called {name!r}; known: {', '.join(SCHEMAS)}")
    adapter: Any = SCHEMAS[name]
    out_json(adapter.json_schema(by_alias=True))
