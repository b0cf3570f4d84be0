"""What was tried once more, with both outcomes: two of pytest's XML reports → a line for each test of the second.

python3 .ci/retried.py first.xml second.xml
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

LONGEST = 160


def outcomes(report: Path) -> dict[str, str]:
    """Test → how it ended. A report that is not there has no tests: the run was broken off."""
    found: dict[str, str] = {}
    if not report.is_file():
        return found
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it a moment ago
        name = f"{case.get('file') or case.get('classname')}::{case.get('name')}"
        ended = found.get(name, "passed")
        for each in case:
            if each.tag in ("failure", "error", "skipped"):
                why = " ".join((each.get("message") or "").split())
                what = {"failure": "failed", "error": "error"}.get(each.tag, each.tag)
                ended = f"{what}: {why}" if len(why) <= LONGEST else f"{what}: {why[:LONGEST]}…"
                break
        found[name] = ended
    return found


def retried(first: Path, second: Path) -> Iterator[str]:
    before, after = outcomes(first), outcomes(second)
    asked = [name for name, ended in before.items() if ended.startswith(("failed", "error"))]
    for name in dict.fromkeys([*asked, *after]):
        yield f"{name}\n    first:  {before.get(name, 'not run')}\n    second: {after.get(name, 'not run')}"


if __name__ == "__main__":
    for line in retried(Path(sys.argv[1]), Path(sys.argv[2])):
        print(line)
