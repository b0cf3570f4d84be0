"""The order of the folders: who may import whom, what a switch may cost, and what no file may hold."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import hypothesis
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from alerts.notify.channels.contract import CHANNELS
from alerts.rules.table import TYPES
from listener.bus.kafka.client import VERSIONS
from listener.bus.protocol import BUSES
from listener.plugins import load
from listener.sources.contract import SOURCES
from lyttepost import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 500
"""Lines of a module: enough for one noun, whatever its length; none is cut only to fit."""

SHARED = {"listener.sources.x.payload"}
"""The shape of X's answers, which recordings have too."""

SHARED_BY_CHANNELS = {
    "addresses", "callbacks", "card", "contract", "gateway", "http", "http_settings", "numbers", "sms_text", "template",
    "text",
}  # fmt: skip

ORDER = (
    ("listener.clock", "listener.errors", "listener.units", "listener.plugins", "listener.crashpoints"),
    ("listener.permissions",),
    ("listener.model",),
    ("listener.settings",),
    ("listener.bus",),
    ("listener.privacy",),
    ("listener.runtime",),
    ("listener.webserver",),
    ("listener.webhooks",),
    ("listener.sources",),
    ("listener.ingest",),
    ("listener.maintenance",),
    ("listener.commands",),
    ("alerts.annotate",),
    ("alerts.rules",),
    ("alerts.judge",),
    ("alerts.duty",),
    ("alerts.notify",),
    ("alerts.volumes",),
    ("alerts.register",),
    ("alerts.deletions",),
    ("alerts.highlights",),
    ("alerts.situation",),
    ("alerts.report",),
    ("alerts.board",),
    ("alerts.app",),
    ("alerts.pipeline", "alerts.wiring"),
    ("alerts.replay", "alerts.board_demo"),
    ("alerts.commands",),
)
"""The folders, lowest first: each imports from its own and from those above it in this list, never from those below."""

Sources = Mapping[str, ast.Module]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def paths() -> list[Path]:
    return sorted([ROOT / "lyttepost.py", *ROOT.glob("listener/**/*.py"), *ROOT.glob("alerts/**/*.py")])


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported(tree: ast.Module) -> tuple[str, ...]:
    """Every module that is named in an import, at whatever depth; of `from a import b` both `a` and `a.b`."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            assert node.module
            found += (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    return tuple(found)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.fixture(scope="module")
def modules() -> Sources:
    return {module_name(path): parsed(path) for path in paths()}


def breaches(modules: Sources, inside: str, forbidden: str, but: frozenset[str] = frozenset()) -> list[str]:
    """Imports of `forbidden` by modules of `inside`, itself and `but` excepted."""
    return [
        f"{name} imports {found}"
        for name, tree in modules.items()
        if within(name, inside)
        for found in imported(tree)
        if within(found, forbidden) and not any(within(found, each) for each in but | {name})
    ]


def plug_ins(table: Mapping[str, str]) -> frozenset[str]:
    return frozenset(path.partition(":")[0] for path in table.values())


def test_the_rooms_are_found(modules: Sources) -> None:
    assert {
        "lyttepost",
        "listener.model.incidents",
        "listener.bus.sqlite.bus",
        "alerts.notify.channels.email",
    } <= modules.keys()


def test_listener_never_imports_alerts(modules: Sources) -> None:
    assert breaches(modules, "listener", "alerts") == []


@pytest.mark.parametrize("room", ["listener", "alerts"])
def test_nobody_imports_the_entry_point(modules: Sources, room: str) -> None:
    assert breaches(modules, room, "lyttepost") == []


@pytest.mark.parametrize("room", ["lyttepost", "listener", "alerts"])
@pytest.mark.parametrize("package", ["config", "tests", "deploy"])
def test_data_and_tests_are_no_packages_of_ours(modules: Sources, room: str, package: str) -> None:
    assert breaches(modules, room, package) == []


def test_config_is_data_only() -> None:
    assert [path.name for path in (ROOT / "config").rglob("*.py*")] == []


def folder_of_modules(package: str) -> frozenset[str]:
    return frozenset(
        module_name(path) for path in (ROOT / Path(*package.split("."))).glob("*.py") if path.name != "__init__.py"
    )


def level_of(name: str) -> int:
    (level,) = [n for n, names in enumerate(ORDER) if any(within(name, each) for each in names)]
    return level


def imports_of(modules: Sources) -> dict[str, set[str]]:
    """Module → the modules of ours that it imports. A name taken from a package's own file is that file."""
    return {
        name: {found for found in imported(tree) if found in modules and found != name and not within(name, found)}
        for name, tree in modules.items()
        if name not in ("lyttepost", "listener", "alerts")
    }


def test_imports_run_one_way_through_the_folders(modules: Sources) -> None:
    against = [
        f"{name} imports {found}"
        for name, its in imports_of(modules).items()
        for found in its - {"listener", "alerts"}
        if level_of(found) > level_of(name)
    ]
    assert sorted(against) == []


def circles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """The groups whose members all reach each other."""

    def reach(start: str) -> set[str]:
        found: set[str] = set()
        todo = [start]
        while todo:
            for each in graph.get(todo.pop(), set()) - found:
                found.add(each)
                todo.append(each)
        return found

    reached = {name: reach(name) for name in graph}
    rings = {frozenset({name, *(o for o in its if name in reached.get(o, ()))}) for name, its in reached.items()}
    return [set(ring) for ring in rings if len(ring) > 1]


def test_no_files_import_each_other_in_a_circle(modules: Sources) -> None:
    assert circles(imports_of(modules)) == []


def test_no_folders_import_each_other_in_a_circle(modules: Sources) -> None:
    """A folder's own files are one node, those of a folder within it another."""

    def folder(name: str) -> str:
        return name.rpartition(".")[0] if name.count(".") > 1 else name

    graph: dict[str, set[str]] = {}
    for name, its in imports_of(modules).items():
        graph.setdefault(folder(name), set()).update({folder(found) for found in its} - {folder(name)})
    assert circles(graph) == []


def test_a_circle_would_be_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]


KAFKA_INSIDES = {"listener.bus.kafka.client", "listener.bus.kafka.protocol_client"}
KAFKA_PUBLIC = {"kafka", "kafka.admin", "kafka.structs", "kafka.coordinator.assignors.roundrobin"}
"""The modules of kafka-python from which its documentation imports; all others it may move."""
PATCHING = {"setattr", "delattr", "getattr", "vars", "getLogger"}


def kafka_insides_in(tree: ast.Module) -> Iterator[str]:
    """Where a module reaches for what kafka-python keeps to itself; its own private names are its `self`'s."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if within(alias.name, "kafka") and alias.name != "kafka")
            case ast.ImportFrom(module=str(module), names=names) if within(module, "kafka"):
                if module not in KAFKA_PUBLIC:
                    yield module
                yield from (f"{module}.{alias.name}" for alias in names if alias.name.startswith("_"))
            case ast.Attribute(value=value, attr=attr) if attr.startswith("_") and not attr.startswith("__"):
                if ast.unparse(value) not in ("self", "cls", "super()"):
                    yield ast.unparse(node)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in PATCHING:
                yield ast.unparse(node)


def test_two_files_touch_what_kafka_python_keeps_to_itself(modules: Sources) -> None:
    users = {name for name, tree in modules.items() if any(within(each, "kafka") for each in imported(tree))}
    assert users >= KAFKA_INSIDES
    assert {name for name in users if not within(name, "listener.bus.kafka")} == set()
    found = {name: list(kafka_insides_in(tree)) for name, tree in modules.items() if within(name, "listener.bus.kafka")}
    assert all(found.pop(name) for name in KAFKA_INSIDES)
    assert {name: insides for name, insides in found.items() if insides} == {}


@pytest.mark.parametrize(
    "line",
    [
        "from kafka.net import manager",
        "from kafka.admin import _acls",
        "import kafka.consumer.fetcher",
        "self._consumer._coordinator",
        "producer._sender.wakeup()",
        "vars(errors).update(KafkaError=Mine)",
        "setattr(consumer, name, mine)",
        "logging.getLogger('kafka.net.manager')",
    ],
)
def test_what_kafka_python_keeps_to_itself_would_be_found(line: str) -> None:
    assert list(kafka_insides_in(ast.parse(line)))


def test_kafka_pythons_insides_are_used_on_the_versions_they_were_tried_on() -> None:
    (asked,) = [one for one in ranges() if one.name == "kafka-python"]
    assert asked.specifier == SpecifierSet(VERSIONS)
    assert version("kafka-python") in asked.specifier


def packages_in(package: str) -> frozenset[str]:
    """The folders in a package that hold modules."""
    return frozenset(module_name(path) for path in (ROOT / Path(*package.split("."))).glob("*/__init__.py"))


@pytest.mark.parametrize(
    ("package", "neighbours", "shared"),
    [
        ("listener.sources", packages_in("listener.sources") - {"listener.sources.common"}, SHARED),
        ("alerts.notify.channels", plug_ins(CHANNELS), set()),
        ("alerts.rules.types", folder_of_modules("alerts.rules.types"), set()),
    ],
)
def test_plug_ins_import_nobody_beside_them(
    modules: Sources, package: str, neighbours: frozenset[str], shared: set[str]
) -> None:
    assert neighbours
    # The package too, and what all share: whoever imports one there imports it for all.
    rooms = {name: tree for name, tree in modules.items() if within(name, package)}
    assert [
        f"{name} imports {found}"
        for name, tree in rooms.items()
        for found in imported(tree)
        for other in neighbours
        if within(found, other) and not within(name, other)
        if found in modules and modules[found].body and found not in shared  # an empty package imports nothing
    ] == []


ABOUT_ONE = {
    "listener.commands.x": "listener.sources.x",  # `lyttepost x` asks X by hand
    "alerts.replay": "listener.sources.recording",  # `lyttepost replay` plays one
    "alerts.board_demo": "listener.sources.recording",  # and `lyttepost board demo`
    "listener.maintenance.redrive_line": "listener.sources.recording",  # dead letters of one are read again
    "listener.sources.recording.parser": "listener.sources.x.payload",
}
"""What is about one source, and may import it."""


def test_nobody_but_the_table_knows_one_source(modules: Sources) -> None:
    its_own = packages_in("listener.sources") - {"listener.sources.common"}
    assert [
        f"{name} imports {found}"
        for name, tree in modules.items()
        for found in imported(tree)
        for source in its_own
        if within(found, source) and not within(name, source)
        if not within(found, ABOUT_ONE.get(name, "nothing")) and found != source
    ] == []


@pytest.mark.parametrize(
    ("name", "table"),
    [("BUSES", BUSES), ("SOURCES", SOURCES), ("TYPES", TYPES), ("CHANNELS", CHANNELS), ("COMMANDS", COMMANDS)],
)
def test_what_a_table_of_plug_ins_names_is_there(name: str, table: Mapping[str, str]) -> None:
    assert table, name
    for path in table.values():
        assert load(path) is not None, path


def test_every_channel_rule_type_and_source_is_in_its_table() -> None:
    shared = {f"alerts.notify.channels.{name}" for name in SHARED_BY_CHANNELS}
    assert plug_ins(CHANNELS) == folder_of_modules("alerts.notify.channels") - shared
    folders = {name.rpartition(".")[0] for name in plug_ins(SOURCES)}
    assert folders == packages_in("listener.sources") - {"listener.sources.common"}
    named = {name for name in folder_of_modules("alerts.rules.types") if hasattr(importlib.import_module(name), "TYPE")}
    assert plug_ins(TYPES) == named


def commands_of(package: str) -> set[str]:
    found = (importlib.import_module(name) for name in folder_of_modules(package))
    return {module.__name__ for module in found if hasattr(module, "app")}


def test_every_command_is_in_the_table() -> None:
    assert plug_ins(COMMANDS) == commands_of("listener.commands") | commands_of("alerts.commands")


@pytest.mark.parametrize("path", paths(), ids=module_name)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    tree = parsed(path)
    assert not tree.body or ast.get_docstring(tree), f"{path.relative_to(ROOT)} has no docstring"


def test_modules_are_short() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in paths()}
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}


def test_no_two_test_files_have_one_name() -> None:
    """The folders of the tests are no packages: of two files with one name pytest collects only the first."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


HEAVY = (
    "pydantic",
    "pydantic_core",
    "prometheus_client",
    "phonenumbers",
    "stdnum",
    "ahocorasick_rs",
    "tweepy",
    "kafka",
    "alerts",
    "listener.model.records",
    "listener.settings.schema",
)

RUN = """
import os, sys
listed = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT)
class Listing:
    def find_spec(name, path=None, target=None):
        os.write(listed, name.encode() + b"\\n")
sys.meta_path.insert(0, Listing)
import lyttepost
lyttepost.main()
"""
"""Each import is written down at once: a command may leave without a goodbye."""


def imported_by(tmp_path: Path, *words: str) -> set[str]:
    """Every module that the command imports."""
    listed = tmp_path / "modules"
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(listed), *words],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "LYTTEPOST_DATA": str(tmp_path / "data"),
            "LYTTEPOST_PRIVACY__NAMED_ACCOUNTS__PUBLIC_BODY": "[fjordbysyk]",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(listed.read_text(encoding="utf-8").splitlines())


def heavy(names: set[str]) -> list[str]:
    return sorted(name for name in names if any(within(name, each) for each in HEAVY))


@pytest.mark.parametrize(
    "words",
    [
        ("crisis", "--name", "Brann", "--track", "fjordby*", "--account", "@fjordbysyk", "--why", "røyk", "--no-wait"),
        ("crisis", "--name", "Brann", "--track", "og", "--why", "røyk", "--no-wait"),
        ("calm", "--why", "slukket", "--no-wait"),
        ("history",),
        (),
    ],
    ids=lambda words: words[0] if words else "show",
)
def test_a_mode_switch_imports_nothing_heavy(tmp_path: Path, words: tuple[str, ...]) -> None:
    found = imported_by(tmp_path, "mode", *words)
    assert {"listener.commands.mode", "listener.bus.sqlite.bus"} <= found
    assert heavy(found) == []


def test_what_is_heavy_would_be_seen(tmp_path: Path) -> None:
    assert {"pydantic", "listener.settings.schema"} <= set(heavy(imported_by(tmp_path, "config", "show")))


def tracked() -> list[Path]:
    """What the repository holds, or what it would; outside a repository, whatever is there."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("no git repository")
    return [path for path in (ROOT / name for name in done.stdout.split("\0") if name) if path.is_file()]


OF_A_MACHINE = re.compile(
    r"""(?:^|[\s"'=(:`])/(?:wo[r]k|ro[o]t|ho[m]e/\w|Us[e]rs|m[n]t)/"""  # a path that is right on one machine only
    r"|\b(?:py[p]i|files\.pyth[o]nhosted)\.org\b|index-u[r]l|artifa[c]tory|\bne[x]us\."  # a registry by its address
)


def text_of(path: Path) -> str:
    """What stands in a file; of a packed one, in all that it holds."""
    if path.suffix != ".zip":
        return path.read_text(encoding="utf-8")
    with ZipFile(path) as packed:
        return "\n".join(packed.read(name).decode("latin-1") for name in packed.namelist())


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = []
    for path in tracked():
        if path.suffix in (
            ".bin",
            ".png",
        ):  # numbers, pictures; the former's header is written by tests/corpus/train.py, which is looked through
            continue
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if OF_A_MACHINE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert found == []


@pytest.mark.parametrize("line", ["see " + "/wo" + "rk/x", "'/ro" + "ot/.venv'", "--index" + "-url=x"])
def test_a_machines_path_would_be_found(line: str) -> None:
    assert OF_A_MACHINE.search(line)


def readme_block(name: str) -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"^<!-- {name} -->\n```sh\n(.*?)```\n<!-- /{name} -->$", text, re.MULTILINE | re.DOTALL)
    return str(block).splitlines()


def test_the_readmes_second_command_sets_up_and_tests() -> None:
    (line,) = readme_block("test")
    first, *between, last = line.split(" && ")
    assert first == "python3 -m venv .venv"
    assert last == ".venv/bin/pytest"
    assert any(re.fullmatch(r"\.venv/bin/pip install (-q )?-e '\.\[test\]'", step) for step in between)


CI = ROOT / ".ci"


def test_ci_runs_the_readmes_command_and_none_of_its_own() -> None:
    script = (CI / "run").read_text(encoding="utf-8")
    assert "<!-- test -->" in script
    assert "pip install" not in script
    assert os.access(CI / "run", os.X_OK)


def test_ci_runs_the_unit_tests_on_the_lowest_versions_too() -> None:
    """The README's set-up under the constraints, in an environment of its own, and its pytest on the unit tests."""
    script = (CI / "run").read_text(encoding="utf-8")
    assert '"$PYTHON" .ci/lowest.py >"$work/lowest.txt"' in script
    assert re.search(r"^PIP_CONSTRAINT=\$work/lowest.txt .*here \"\$setup\" lowest", script, re.MULTILINE)
    assert re.search(r"^ *run_tests lowest tests/unit ", script, re.MULTILINE)
    assert re.search(r"^run_tests venv ", script, re.MULTILINE)


def ranges() -> list[Requirement]:
    read = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, build = read["project"], read["build-system"]["requires"]
    extras = chain(*project["optional-dependencies"].values())
    return [Requirement(one) for one in (*build, *project["dependencies"], *extras)]


def test_the_lowest_versions_are_those_of_every_range() -> None:
    done = subprocess.run(
        [sys.executable, str(CI / "lowest.py")], capture_output=True, text=True, check=True, timeout=60
    )
    found = {one.name: one for one in map(Requirement, done.stdout.splitlines())}
    assert found.keys() == {one.name for one in ranges()}
    for one in ranges():
        (floor,) = (spec.version for spec in one.specifier if spec.operator == ">=")
        assert str(found[one.name].specifier) == f"=={floor}"
        assert found[one.name].marker == one.marker


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ('["a>=1", "b<3"]', "'b<3' has no lowest version; write name>=version"),
        ('["a>=1", "a>=2,<3"]', "a has two lowest versions; write the same at each place"),
    ],
)
def test_a_range_without_one_lowest_version_is_an_error(tmp_path: Path, wanted: str, told: str) -> None:
    script = tmp_path / ".ci" / "lowest.py"
    script.parent.mkdir()
    shutil.copy(CI / "lowest.py", script)
    text = f"[build-system]\nrequires = []\n[project]\ndependencies = {wanted}\noptional-dependencies = {{}}\n"
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"pyproject.toml: {told}\n")


FLAKY = """
import pathlib
import pytest

@pytest.mark.parametrize("n", range(FAILING))
def test_late(n):
    tried = pathlib.Path(f"tried-{n}")
    was_there = tried.exists()
    tried.touch()
    assert was_there, "not within 20 s"

def test_wrong():
    assert WRONG

def test_right():
    pass
"""

TRYING = """
work=$PWD bin=$1 tests=$1/pytest retried=$PWD/retried; : >"$retried"
step() { echo "==> $*"; }
within_limit() { "$@"; }
here() { echo "$1"; }
ln -s "$2/.ci" .ci
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the script is bash")
@pytest.mark.parametrize(
    ("failing", "right", "code"),
    [(0, "True", 0), (2, "True", 0), (2, "False", 1), (16, "True", 1)],
    ids=["green", "late", "wrong", "too many"],
)
def test_what_ci_tries_once_more_is_listed_with_both_outcomes(
    tmp_path: Path, failing: int, right: str, code: int
) -> None:
    (function,) = re.findall(
        r"^run_tests\(\) \{.*?^\}$", (CI / "run").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    test = FLAKY.replace("FAILING", str(failing)).replace("WRONG", right)
    (tmp_path / "test_it.py").write_text(test, encoding="utf-8")
    bin = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{TRYING}{function}\nrun_tests venv test_it.py ''", "-", bin, ROOT],
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    listed = (tmp_path / "retried").read_text(encoding="utf-8").splitlines()
    late = [
        f"test_it.py::test_late[{n}] first: failed: AssertionError: not within 20 s assert False second: passed"
        for n in range(failing)
    ]
    wrong = ["test_it.py::test_wrong first: failed: assert False second: failed: assert False"] * (right == "False")
    tried = [" ".join(" ".join(listed[at : at + 3]).split()) for at in range(0, len(listed), 3)]
    assert tried == ([] if failing > 15 else [*late, *wrong])


def test_no_example_of_hypothesis_fails_for_the_time_it_took() -> None:
    assert hypothesis.settings.default is not None
    assert hypothesis.settings.default.deadline is None
    assert hypothesis.HealthCheck.too_slow in hypothesis.settings.default.suppress_health_check


@pytest.mark.skipif(sys.platform == "win32", reason="the script is bash")
def test_the_ci_script_is_sound_bash() -> None:
    done = subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
