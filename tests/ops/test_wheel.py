"""The wheel, as it is installed: complete, and unharmed by a distribution called `config` beside it."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest

from listener.commands.fake import FAKES
from listener.units import parse_instant

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
STRANGER = "language: klingon\nbus: {url: 'nowhere:'}\nmode: {lookback: 1s, review_after: 1s}\n"

pytestmark = pytest.mark.slow


def run(words: Sequence[str | Path], *, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, source: Path, out: Path) -> Path:
    """One distribution, made by the backend alone: no network, no build environment."""
    run([sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", out], cwd=source)
    (made,) = out.iterdir()
    return made


def strangers_wheel(folder: Path) -> Path:
    """A distribution `config` with an import package `config`, as there is one, and a settings.yaml in it."""
    path = folder / "config-9.9-py3-none-any.whl"
    info = "config-9.9.dist-info"
    with ZipFile(path, "w") as wheel:
        wheel.writestr("config/__init__.py", "raise RuntimeError('a stranger was imported')\n")
        wheel.writestr("config/settings.yaml", STRANGER)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: config\nVersion: 9.9\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


@dataclass(frozen=True)
class Installed:
    """A folder with our wheel and the stranger's in it, and how to start our command there."""

    target: Path
    elsewhere: Path

    def lyttepost(self, *words: str) -> str:
        libraries = sysconfig.get_path("purelib")
        env = {name: value for name, value in os.environ.items() if not name.startswith(("LYTTEPOST_", "PYTHON"))}
        env |= {
            "PYTHONPATH": os.pathsep.join([str(self.target), libraries]),
            "LYTTEPOST_DATA": str(self.elsewhere / "data"),
        }
        return run([self.target / "bin" / "lyttepost", *words], cwd=self.elsewhere, env=env)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    target, elsewhere = folder / "site", folder / "elsewhere"
    elsewhere.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--no-index"]
    run([*pip, "--target", target, wheel, strangers_wheel(folder)], cwd=elsewhere)
    return Installed(target, elsewhere)


def files_of(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}


def test_the_wheel_holds_all_code_and_all_configuration(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    code = {f"{room}/{name}" for room in ("listener", "alerts") for name in files_of(ROOT / room)} | {"lyttepost.py"}
    config = {f"listener/_config/{name}" for name in files_of(CONFIG)}
    assert "listener/_config/demo/crisis.jsonl" in config
    metadata = {name for name in names if ".dist-info/" in name}
    fakes, there = {"listener/_fakes/__init__.py"}, ROOT / "tests" / "fakes"
    for platform in ("platform", "graph", "x", *FAKES):
        fakes |= {f"listener/_fakes/{platform}/{name}" for name in files_of(there / platform)}
    assert names - metadata == code | config | fakes
    assert any(name.endswith("licenses/LICENSE") for name in metadata)


def test_the_wheel_has_one_command_and_says_what_not_everyone_needs(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (info,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        metadata = archive.read(f"{info}/METADATA").decode().splitlines()
        scripts = configparser.ConfigParser()
        scripts.read_string(archive.read(f"{info}/entry_points.txt").decode())
    assert dict(scripts["console_scripts"]) == {"lyttepost": "lyttepost:main"}
    assert "Requires-Python: >=3.11" in metadata
    assert [line for line in metadata if line.startswith("Provides-Extra: ")] == [
        "Provides-Extra: apprise",
        "Provides-Extra: better",
        "Provides-Extra: deploy",
        "Provides-Extra: oidc",
        "Provides-Extra: test",
        "Provides-Extra: train",
    ]
    always = [line for line in metadata if line.startswith("Requires-Dist: ") and "extra ==" not in line]
    assert always
    assert not any(name in line for line in always for name in ("noida", "pytest"))


def test_a_wheel_of_the_source_distribution_is_the_same(wheel: Path, tmp_path: Path) -> None:
    sdist = build("sdist", ROOT, tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"} <= files_of(source)
    again = build("wheel", source, tmp_path / "again")
    with ZipFile(wheel) as ours, ZipFile(again) as theirs:
        assert {i.filename: i.CRC for i in ours.infolist()} == {i.filename: i.CRC for i in theirs.infolist()}


def test_the_stranger_is_really_beside_us(installed: Installed) -> None:
    assert (installed.target / "config" / "settings.yaml").read_text(encoding="utf-8") == STRANGER
    assert (installed.target / "config-9.9.dist-info").is_dir()


def test_our_own_configuration_is_used_beside_a_distribution_called_config(installed: Installed) -> None:
    assert installed.lyttepost("config", "path").strip() == str(installed.target / "listener" / "_config")
    assert json.loads(installed.lyttepost("config", "show"))["language"] == "nb"
    assert files_of(installed.target / "listener" / "_config") == files_of(CONFIG)


def test_the_rules_that_came_along_keep_their_promises(installed: Installed) -> None:
    assert "all as they say" in installed.lyttepost("rules", "check")


def test_a_switch_works_as_installed(installed: Installed) -> None:
    assert json.loads(installed.lyttepost("mode", "--json"))["mode"] == "calm"
    installed.lyttepost("mode", "crisis", "--name", "Brann", "--track", "fjordby*", "--why", "røyk", "--no-wait")
    said = json.loads(installed.lyttepost("mode", "--json"))
    (incident,) = said["incidents"]
    assert (said["mode"], incident["name"], incident["tracks"]) == ("crisis", "Brann", ["fjordby*"])
    # The stranger's settings would have it reviewed a second later.
    assert parse_instant(incident["review_at"]) - parse_instant(incident["opened_at"]) == timedelta(hours=4)


def test_config_init_writes_out_what_came_along(installed: Installed) -> None:
    installed.lyttepost("config", "init", "mine")
    written = files_of(installed.elsewhere / "mine")
    assert written == {name for name in files_of(CONFIG) if not name.startswith("demo/")}
