"""The pages are true: links lead somewhere, tables say what the code says, every invariant names a test that exists."""

from __future__ import annotations

import ast
import re
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from documents_support import (
    ARCHITECTURE,
    CONTRIBUTING,
    OPERATING,
    PAGES,
    PRIVACY,
    README,
    ROOT,
    SPEED,
    block,
    every_page,
    name,
    rows,
    section,
)
from test_structure import ORDER

from listener import __version__, errors
from listener.bus.kafka.cluster import Cluster
from listener.bus.kafka.topics import LEASES, config_of
from listener.model.topics import TOPICS, Retention, topic_specs
from listener.settings.files import raw_settings
from listener.settings.kafka import KafkaSettings
from listener.settings.schema import Settings, load_settings

LONGEST_README = 149
"""Lines: what a newcomer reads in five minutes, a table of sources among them."""
LONGEST_STEPS = 29
"""Lines of one section of CONTRIBUTING.md."""

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The names by which a link can lead to a heading, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", prose(page), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading).lower()).strip().replace(" ", "-")
        number = next(n for n in range(len(found) + 1) if (f"{plain}-{n}" if n else plain) not in found)
        found.add(f"{plain}-{number}" if number else plain)
    return found


def dead_links(page: Path) -> list[str]:
    dead = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or ROOT not in (target, *target.parents) or (anchor and anchor not in anchors(target)):
            dead.append(link)
    return dead


def test_the_pages_are_those_of_the_repository() -> None:
    assert set(every_page()) == {*PAGES, ROOT / "CHANGELOG.md", ROOT / "config" / "demo" / "README.md"}


@pytest.mark.parametrize("page", every_page(), ids=name)
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    assert dead_links(page) == []


def test_a_link_that_leads_nowhere_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# The `one` here\n## Two\n## Two\n[a](#the-one-here) [b](#two-1) [c](page.md#two) [d](https://x.example/gone)\n"
        "```\n[e](in-code.md)\n# No heading\n```\n"
        "[f](gone.md) [g](#no-heading) [h](page.md#three) [i](../) [j](#two-2)\n",
        encoding="utf-8",
    )
    assert dead_links(page) == ["gone.md", "#no-heading", "page.md#three", "../", "#two-2"]


@pytest.mark.parametrize("page", PAGES[1:], ids=name)
def test_a_reader_of_the_readme_finds_every_page(page: Path) -> None:
    assert name(page) in LINK.findall(prose(README))


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LONGEST_README


@pytest.mark.parametrize(
    "heading", ["## Add a channel", "## Add a rule type", "## Add a source that is read from files", "## Add a source"]
)
def test_how_to_add_something_is_short(heading: str) -> None:
    assert len(section(CONTRIBUTING, heading).strip().splitlines()) < LONGEST_STEPS


def test_how_to_add_a_source_names_all_that_a_source_can_be() -> None:
    contract = ast.parse((ROOT / "listener" / "sources" / "contract.py").read_text(encoding="utf-8"))
    protocols = {
        node.name
        for node in contract.body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)
    }
    told = section(CONTRIBUTING, "## Add a source")
    assert protocols
    assert [name for name in sorted(protocols) if f"`{name}`" not in told] == []


def test_the_version_is_the_same_wherever_it_stands() -> None:
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert next(head for head in heads if head != "Unreleased") == __version__
    assert heads.index(__version__) <= 1
    deployed = (ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text(encoding="utf-8")
    assert f"newTag: {__version__}\n" in deployed


PATH = re.compile(r"`((?:tests|listener|alerts|config|deploy)/[\w./-]+?)(?:::(\w+))?`")


def found_tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_and_every_test_that_a_page_names_is_there(page: Path) -> None:
    missing = []
    for path, test in PATH.findall(page.read_text(encoding="utf-8")):
        if "NAME" in path:
            continue
        there = (ROOT / path).exists() or (ROOT / f"{path}.py").exists()
        if not there or (test and test not in found_tests(ROOT / path)):
            missing.append(f"{path}::{test}" if test else path)
    assert missing == []


def test_every_invariant_names_a_test_that_exists() -> None:
    """That each named test is there is held for all pages; here, that none is without one."""
    invariants = re.split(r"^\d+\. ", section(ARCHITECTURE, "## Invariants"), flags=re.MULTILINE)[1:]
    assert len(invariants) == 10
    named = [[(path, test) for path, test in PATH.findall(each) if test] for each in invariants]
    assert [number for number, tests in enumerate(named, 1) if not tests] == []
    assert all(test in found_tests(ROOT / path) for tests in named for path, test in tests)


def test_the_page_shows_what_each_topic_is_made_with_on_three_brokers() -> None:
    keep = load_settings(raw_settings()).retention.keep()
    with closing(Cluster("//kafka:9092", KafkaSettings(replication=3))) as cluster:
        configs = {spec.name: (spec.partitions, config_of(cluster, spec)) for spec in (*topic_specs(4, keep), LEASES)}
    columns = [
        ["cleanup.policy"],
        ["retention.ms"],
        ["segment.ms", "max.compaction.lag.ms"],
        ["delete.retention.ms", "file.delete.delay.ms"],
    ]
    wanted = [
        [f"`{name}`", str(partitions), *(", ".join(config[key] for key in keys if key in config) for keys in columns)]
        for name, (partitions, config) in configs.items()
    ]
    assert rows(block(OPERATING, "kafka-topics")) == wanted
    shown = {key for keys in columns for key in keys}
    of_all = {f"`{key}={value}`" for _, config in configs.values() for key, value in config.items() if key not in shown}
    assert [each for each in sorted(of_all) if each not in OPERATING.read_text(encoding="utf-8")] == []


def test_the_folders_stand_in_the_order_of_their_imports() -> None:
    told = [set(re.findall(r"`([\w/.]+)`", row[0])) for row in rows(block(ARCHITECTURE, "folders"))]
    assert told == [{module.replace(".", "/") for module in level} for level in ORDER]


KEPT = {
    Retention.FOREVER: "for ever",
    Retention.PRIVACY: "`retention.content`",
    Retention.BASELINE: "`retention.baseline`",
    Retention.ARCHIVE: "`retention.archive`",
    Retention.DEADLETTERS: "`retention.deadletters`",
    Retention.COMPACTED: "newest of each key",
}


def test_every_topic_stands_in_the_table_with_its_key_and_how_long_it_is_kept() -> None:
    told = {row[0].strip("`"): (row[1], row[3]) for row in rows(block(ARCHITECTURE, "topics"))}
    assert told == {topic: (spec.key, KEPT[spec.retention]) for topic, spec in TOPICS.items()}


def test_how_long_things_are_kept_is_what_the_settings_say() -> None:
    told = re.findall(r"`retention\.(\w+)` \((\d+) days\)", PRIVACY.read_text(encoding="utf-8"))
    retention = Settings().retention
    assert {name for name, _ in told} == set(type(retention).model_fields) - {"sources"}
    assert [name for name, days in told if getattr(retention, name) != timedelta(days=int(days))] == []


def test_every_exit_code_is_told() -> None:
    raised = {each.exit_code for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "exit_code")}
    assert {int(row[0]) for row in rows(section(OPERATING, "## Exit codes"))} == {0, *raised}


BENCHES = ROOT / "tests" / "bench"


def test_every_bench_stands_in_the_table() -> None:
    told = [row[0].strip("`") for row in rows(section(SPEED, "# Speed").partition("\n## ")[0])]
    docstrings = {path: ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "" for path in BENCHES.rglob("*.py")}
    runnable = {run for text in docstrings.values() for run in re.findall(r"^ *python -m ([\w.]+)", text, re.MULTILINE)}
    assert sorted(told) == sorted(runnable)


STIFF = re.compile(
    r"\b(?:mend(?:s|ed|ing)?|hold(?:s)? (?:its|their) tongue|heard throughout|look(?:s|ed)? after|as it comes)\b"
)
"""Words that people who read the first pages stumbled over."""


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_is_plain_english(page: Path) -> None:
    assert STIFF.findall(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(("name", "width"), [("now.png", 1400), ("phone.png", 390)])
def test_the_pictures_of_the_readme_are_there_and_of_the_size_that_their_script_makes(name: str, width: int) -> None:
    picture = (ROOT / "deploy" / "screenshots" / name).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20], "big") == width
    assert 20_000 < len(picture) < 1_000_000
    assert f"deploy/screenshots/{name}" in README.read_text(encoding="utf-8")
    assert f'"{name}": (' in (ROOT / "deploy" / "screenshots" / "make.py").read_text(encoding="utf-8")
