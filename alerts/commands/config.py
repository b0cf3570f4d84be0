"""`lyttepost config`: look at the configuration, check it, copy it, and print the schemas of our records."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from listener.commands.shared import Data, out, out_json, say
from listener.errors import ConfigError, Refused, UsageError
from listener.settings.files import config_dir, data_dir, load_yaml, packaged_config, raw_settings
from listener.units import format_duration

if TYPE_CHECKING:
    from datetime import timedelta

    from alerts.rules.spec import RuleSpec
    from listener.settings.files import RawSettings

app = typer.Typer(help="Look at the configuration, check it, copy it.", no_args_is_help=True)


@app.command()
def show() -> None:
    """All settings as they are in force, secrets left out."""
    from listener.settings.schema import load_settings

    out_json(load_settings().model_dump(mode="json"))


@app.command()
def check(data: Data = None) -> None:
    """Read everything, channels, secrets and rules' examples included, and list every mistake: file, line, what to do.

    No server is contacted; `lyttepost doctor` does that. Warnings go to standard error and change no exit code.
    """
    from alerts.annotate.kinds import KindCues
    from alerts.annotate.persons import Persons
    from alerts.annotate.themes import Themes, themes_file
    from alerts.annotate.words import load_words
    from alerts.commands.rules import references
    from alerts.judge.examples import judge_examples
    from alerts.notify.channels.contract import channel_doubts, open_channels
    from alerts.notify.deadman import address
    from alerts.notify.diagnostics import left_of_example
    from alerts.notify.messages import load_messages
    from alerts.notify.people_doubts import people_doubts
    from alerts.notify.reachable import callback_doubts, report_doubts, unreachable
    from alerts.notify.recipients import load_people
    from alerts.rules.load import load_rules
    from listener.maintenance.preflight import doubts, mistakes
    from listener.settings.followed import check_standing
    from listener.settings.schema import load_settings, nobody_named
    from listener.settings.standing_tracks import load_standing

    raw = raw_settings()
    folder = raw.folder
    problems: list[str] = []
    kept: list[timedelta] = []

    def tried(read: Callable[[], object]) -> None:
        try:
            read()
        except ConfigError as error:
            problems.append(str(error))

    def rules() -> None:
        specs = load_rules(folder / "rules")
        problems.extend(references(specs, folder))
        for spec in specs:
            problems.extend(judge_examples(spec))
        if kept:
            _mind_memory(raw, kept[0], specs)

    def settings() -> None:
        typed = load_settings(raw)
        kept.append(typed.retention.content)
        problems.extend(mistakes(raw, typed, data_dir(data)))
        tracks = load_yaml(folder / "tracks.yaml")
        tried(lambda: check_standing(tracks, load_standing(tracks), typed.privacy.may_be_followed))
        for doubt in doubts(raw, typed, load_standing(load_yaml(folder / "tracks.yaml"))):
            say(f"lyttepost: {doubt}")
        if (unnamed := nobody_named(raw, typed)) is not None:
            say(f"lyttepost: {unnamed}")
        if typed.receiver is not None and typed.receiver.links is not None:
            tried(typed.receiver.links.key)
        if not problems:
            address(typed.deadman)

    def channels() -> None:
        people = load_people(folder / "people.yaml")
        opened = open_channels(people.channels() | set(raw.get("channels", {})), raw)
        problems.extend(unreachable(people, opened, folder / "people.yaml"))
        file = load_yaml(folder / "people.yaml")
        doubts_of_people = people_doubts(people, load_rules(folder / "rules"), file)
        doubts_of_channels = (*channel_doubts(opened, raw), *callback_doubts(opened, raw))
        for doubt in (*doubts_of_channels, *report_doubts(people, opened, raw), *doubts_of_people):
            say(f"lyttepost: {doubt}")

    tried(settings)
    tried(channels)
    tried(lambda: KindCues.load(folder / "cues"))
    tried(lambda: Themes.load(themes_file(folder)))
    tried(lambda: load_words(folder))
    tried(lambda: Persons.load(folder))
    for language in ("nb", "en"):
        tried(partial(load_messages, folder, language))
    tried(rules)
    if problems:
        raise ConfigError("\n".join(problems))
    for left in left_of_example(raw, load_standing(load_yaml(folder / "tracks.yaml"))):
        say(f"lyttepost: {left.says}; {left.fix}")
    out(f"{folder}: no mistakes found")


def _mind_memory(raw: RawSettings, kept: timedelta, specs: Sequence[RuleSpec]) -> None:
    """A rule that starts anew reads its window from the bus again, as far as content is kept."""
    spans = {spec.name: spec.span for spec in specs if spec.span is not None}
    name = max(spans, key=lambda name: spans[name], default=None)
    if name is not None and spans[name] > kept:
        problem = (
            f"is kept for {format_duration(kept)}, but the rule {name} looks {format_duration(spans[name])} back, and "
            "loses at a restart what was deleted; keep content longer, or shorten the rule"
        )
        say(f"lyttepost: {raw.error(('retention', 'content'), problem)}")


@app.command()
def init(folder: Annotated[Path, typer.Argument(metavar="DIR")]) -> None:
    """Write a complete configuration to change: then set LYTTEPOST_CONFIG to the folder."""
    try:
        if folder.exists() and any(folder.iterdir()):
            raise Refused(f"{folder}: is not empty; nothing was written")
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
    from listener.model.schemas import SCHEMAS

    if name not in SCHEMAS:
        raise UsageError(f"no record is called {name!r}; known: {', '.join(SCHEMAS)}")
    adapter: Any = SCHEMAS[name]
    out_json(adapter.json_schema(by_alias=True))
