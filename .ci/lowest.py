"""The lowest version of every range in pyproject.toml, as constraints for pip: `name==floor`, one a line.

    python3 .ci/lowest.py >lowest.txt && PIP_CONSTRAINT=lowest.txt pip install -e '.[test]'

What our dependencies bring with them stays at its newest: their ranges are theirs. pip builds from this list with the
README's own command, so nothing more has to be there than for any other set-up. A resolver that looks for the lowest
itself (uv's `lowest-direct`) would be a second tool with settings of its own, and would pass over a floor that was
never published; here such a floor is an error.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?(?P<range>[^;]*)(?P<marker>;.*)?")


def constraints(pyproject: str) -> Iterator[str]:
    """Raises ValueError for a range without a floor, and for two floors of one name."""
    read = tomllib.loads(pyproject)
    project = read["project"]
    lowest: dict[str, str] = {}
    for written in chain(
        read["build-system"]["requires"], project["dependencies"], *project["optional-dependencies"].values()
    ):
        parts = REQUIREMENT.fullmatch(written)
        floor = re.search(r">=\s*([^\s,]+)", parts["range"]) if parts else None
        if parts is None or floor is None:
            raise ValueError(f"pyproject.toml: {written!r} has no lowest version; write name>=version")
        if lowest.setdefault(parts["name"], floor[1]) != floor[1]:
            raise ValueError(f"pyproject.toml: {parts['name']} has two lowest versions; write the same at each place")
        yield f"{parts['name']}=={floor[1]}{parts['marker'] or ''}"


if __name__ == "__main__":
    try:
        found = list(constraints((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")))
    except ValueError as error:
        sys.exit(str(error))
    print("\n".join(dict.fromkeys(found)))
