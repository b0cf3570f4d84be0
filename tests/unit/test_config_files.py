"""The configuration that we ship is true: complete, with the program's own defaults; its comments keep their word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from documents_support import PAGES, README
from documents_support import name as page_name
from pydantic import SecretStr

from alerts.notify.channels.contract import CHANNELS, channel_type
from alerts.notify.recipients import load_people
from alerts.rules.load import load_rules
from listener.plugins import load
from listener.settings.files import YamlFile, load_yaml, packaged_config, parse_yaml
from listener.settings.schema import ReceiverSettings, Settings
from lyttepost import COMMANDS

CONFIG = packaged_config()
FILES = sorted(path for path in CONFIG.rglob("*") if path.is_file())
YAML = [path for path in FILES if path.suffix == ".yaml"]


def name(path: Path) -> str:
    return str(path.relative_to(CONFIG))


def leaves(tree: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", value


@pytest.fixture(scope="module")
def file() -> YamlFile:
    return load_yaml(CONFIG / "settings.yaml")


def test_the_shipped_settings_name_every_setting_with_its_default(file: YamlFile) -> None:
    shipped = Settings.model_validate(file.data)
    assert dict(leaves(shipped.model_dump(mode="json"))) == dict(leaves(Settings().model_dump(mode="json")))
    there, known = ({path for path, _ in leaves(its)} for its in (file.data, Settings().model_dump(mode="json")))
    assert there == known, f"config/settings.yaml lacks {sorted(known - there)}, the schema {sorted(there - known)}"


def test_the_shipped_settings_hold_no_secret(file: YamlFile) -> None:
    shipped = Settings.model_validate(file.data)
    secrets = [
        f"{section}.{key}"
        for section, model in shipped
        if hasattr(model, "model_dump")
        for key, value in model
        if isinstance(value, SecretStr)
    ]
    assert secrets == []


def test_every_section_says_what_it_is_for(file: YamlFile) -> None:
    lines = file.path.read_text(encoding="utf-8").splitlines()
    bare = []
    for section in file.data:
        start = file.line((section,)) - 1
        reporter = [file.line((other,)) - 1 for other in file.data if file.line((other,)) - 1 > start]
        block = lines[max(0, start - 1) : min(reporter, default=len(lines))]
        if not any(line.lstrip().startswith("#") for line in block):
            bare.append(section)
    assert bare == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_is_clean_text(path: Path) -> None:
    text = path.read_bytes().decode("utf-8")
    assert text.endswith("\n")
    assert "\r" not in text
    assert "\t" not in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("path", YAML, ids=name)
def test_a_file_is_yaml_and_begins_with_what_it_is_for(path: Path) -> None:
    assert load_yaml(path).data
    if path.parent.name != "rules":  # a rule says why it is there in `why`
        assert path.read_text(encoding="utf-8").startswith("# ")


def examples(file: YamlFile) -> dict[str, dict[str, Any]]:
    """The channels that the comment above `channels:` shows, the prose before them left out."""
    above = file.path.read_text(encoding="utf-8").splitlines()[: file.line(("channels",)) - 1]
    remarks: list[str] = []
    while above and above[-1].startswith("#"):
        remarks.insert(0, above.pop().removeprefix("#").removeprefix(" "))
    first = next(number for number, line in enumerate(remarks) if re.fullmatch(r"\w+:", line))
    shown = parse_yaml("\n".join(remarks[first:]), Path("examples")).data
    assert isinstance(shown, dict)
    return shown


def test_channels_shown_in_comments_can_be_opened(file: YamlFile, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{'s' * 20}\n", encoding="utf-8")
    shown = examples(file)
    assert shown.keys() == CHANNELS.keys()
    for channel, options in shown.items():
        options = {key: str(secret) if key.endswith("_file") else value for key, value in options.items()}
        assert channel_type(channel).open(options) is not None, channel


def test_every_rule_goes_to_a_route_that_is_there() -> None:
    people = load_people(CONFIG / "people.yaml")
    assert {rule.to for rule in load_rules(CONFIG / "rules")} <= people.routes.keys()


COMMAND = re.compile(r"(?:`|^|)lyttepost ([a-z]+)(?: ([a-z][a-z-]*))?")


def spoken_of() -> list[tuple[str, str, str]]:
    found = []
    for path in [*YAML, *PAGES]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            where = f"{path.name if path in YAML else page_name(path)}:{number}"
            found += [(where, match[1], match[2] or "") for match in COMMAND.finditer(line)]
    return found


def test_every_command_that_a_file_speaks_of_is_there() -> None:
    unknown = []
    for where, command, word in spoken_of():
        if command not in COMMANDS:
            unknown.append(f"{where}: lyttepost {command}")
            continue
        group: Any = typer.main.get_command(load(COMMANDS[command]))
        if word and hasattr(group, "get_command") and group.get_command(typer.Context(group), word) is None:
            unknown.append(f"{where}: lyttepost {command} {word}")
    assert spoken_of()
    assert unknown == [], unknown


def test_the_readme_names_all_that_may_be_changed() -> None:
    text = README.read_text(encoding="utf-8")
    entries = {path.name + ("/" if path.is_dir() else "") for path in CONFIG.iterdir()} - {"demo/"}
    assert [entry for entry in sorted(entries) if f"`{entry}" not in text] == []


VARIABLE = re.compile(r"`?(LYTTEPOST_[A-Z][A-Z_]*__[A-Z_]+)")


def test_every_variable_that_a_file_speaks_of_is_a_setting() -> None:
    whole = Settings(receiver=ReceiverSettings())
    settings = {path for path, _ in leaves(whole.model_dump(mode="json"))}
    spoken = {match for path in [*YAML, *PAGES] for match in VARIABLE.findall(path.read_text(encoding="utf-8"))}
    assert spoken
    paths = {variable: variable.removeprefix("LYTTEPOST_").lower().replace("__", ".") for variable in spoken}
    unknown = {
        variable for variable, path in paths.items() if path not in settings and not path.startswith("channels.")
    }
    assert unknown == set()
