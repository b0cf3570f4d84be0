"""The pages of the repository, and where each of them stands."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

README = ROOT / "README.md"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
RULES = ROOT / "alerts" / "rules" / "README.md"
GATEWAYS = ROOT / "alerts" / "notify" / "channels" / "README.md"
OPERATING = ROOT / "deploy" / "README.md"
PRIVACY = ROOT / "listener" / "privacy" / "README.md"
SOURCES = ROOT / "listener" / "sources" / "README.md"
RUNBOOKS = ROOT / "deploy" / "runbooks.md"
SPEED = ROOT / "tests" / "bench" / "README.md"

CORPUS = ROOT / "tests" / "corpus" / "README.md"
PAGES = (README, ARCHITECTURE, CONTRIBUTING, RULES, GATEWAYS, OPERATING, RUNBOOKS, SOURCES, PRIVACY, SPEED, CORPUS)
"""Every page that tells how it is now. CHANGELOG.md tells how it was, and is none of them."""

FOLDERS = ("alerts", "config", "deploy", "listener", "tests")


def every_page() -> list[Path]:
    """All Markdown files of the repository, CHANGELOG.md too."""
    return sorted([*ROOT.glob("*.md"), *(path for name in FOLDERS for path in (ROOT / name).rglob("*.md"))])


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def block(page: Path, title: str) -> str:
    """What stands between `<!-- title -->` and `<!-- /title -->`, once in the page."""
    found = re.findall(
        rf"^<!-- {title} -->\n(.*?)\n?^<!-- /{title} -->$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(found) == 1, f"{name(page)} needs the markers <!-- {title} --> and <!-- /{title} --> once"
    return str(found[0])


def section(page: Path, heading: str) -> str:
    """What stands under a heading, up to the next one of its rank or above."""
    rank = len(heading.partition(" ")[0])
    within = rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{rank}}} |\Z)"
    found = re.search(within, page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found, f"{name(page)} has no heading {heading!r}"
    return found[1]


def rows(markdown: str) -> list[list[str]]:
    """The cells of a table, its head and its line of dashes left out."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines[2:]]
