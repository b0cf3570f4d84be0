"""Make `deploy/requirements.lock` and `deploy/bom.json`: `python deploy/lock.py`, with the network.

The lock names every distribution that the image installs, in one version, with the SHA-256 of each of its files for the
image's machines (x86-64 and ARM); pip installs nothing else then. The bill of materials (CycloneDX) names the same with
their licences. Both come from what pip would install today into an empty environment; the library itself stays open to
the ranges of `pyproject.toml`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import metadata as installed
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK, BOM = ROOT / "deploy" / "requirements.lock", ROOT / "deploy" / "bom.json"
PYTHON = "3.11"
"""Of the image."""
MACHINES = {
    "x86_64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "aarch64": ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
}
EXTRAS = "oidc"
"""What the image has beyond what everybody installs: the house's own log-in on the board."""


@dataclass(frozen=True)
class Locked:
    """A distribution: name, version, licence as it says itself, and the SHA-256 of its file for each machine."""

    name: str
    version: str
    licence: str
    hashes: tuple[str, ...]


def resolved(platforms: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """What pip would install for such a machine: name → its entry in pip's report."""
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    words += ["--only-binary", ":all:", "--python-version", PYTHON, "--implementation", "cp", "--abi", "cp311"]
    words += ["--abi", "abi3", "--abi", "none", "--target", str(ROOT / "unused")]
    for platform in platforms:
        words += ["--platform", platform]
    done = subprocess.run([*words, *requirements()], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(f"pip found no answer:\n{done.stderr}")
    return {
        str(each["metadata"]["name"]).lower().replace("_", "-"): each for each in json.loads(done.stdout)["install"]
    }


def requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"][EXTRAS]]


def locked() -> list[Locked]:
    """What every machine gets, in the same versions; where they differ the program ends and says in what."""
    found = {machine: resolved(platforms) for machine, platforms in MACHINES.items()}
    first, *others = found.values()
    for machine, other in zip(list(found)[1:], others, strict=True):
        if _versions(first) != _versions(other):
            different = _versions(first).items() ^ _versions(other).items()
            sys.exit(f"{machine} would get other versions: {', '.join(f'{n} {v}' for n, v in sorted(different))}")
    return [
        Locked(name, version, _licence(first[name]["metadata"]), _hashes(name, found.values()))
        for name, version in sorted(_versions(first).items())
    ]


def _versions(found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: str(entry["metadata"]["version"]) for name, entry in found.items()}


def _hashes(name: str, found: Iterable[Mapping[str, Mapping[str, Any]]]) -> tuple[str, ...]:
    return tuple(sorted({str(its[name]["download_info"]["archive_info"]["hashes"]["sha256"]) for its in found}))


def _licence(metadata: Mapping[str, Any]) -> str:
    said = metadata.get("license_expression") or ""
    if not said:
        # Older versions of pip leave it out; what is installed here tells it too.
        with suppress(PackageNotFoundError):
            said = installed(str(metadata["name"])).get("License-Expression", "")
    if not said:
        classes = [c.rpartition(" :: ")[2] for c in metadata.get("classifier", ()) if c.startswith("License ::")]
        said = " AND ".join(classes) or str(metadata.get("license", "")).partition("\n")[0]
    return said[:120] or "not said"


def lock_text(all_: Sequence[Locked]) -> str:
    lines = ["# Made by deploy/lock.py; what the image installs, and nothing else."]
    for each in all_:
        hashes = " ".join(f"\\\n    --hash=sha256:{digest}" for digest in each.hashes)
        lines.append(f"{each.name}=={each.version} {hashes}")
    return "\n".join(lines) + "\n"


def bom_text(all_: Sequence[Locked]) -> str:
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{each.name}@{each.version}",
            "name": each.name,
            "version": each.version,
            "purl": f"pkg:pypi/{each.name}@{each.version}",
            "hashes": [{"alg": "SHA-256", "content": digest} for digest in each.hashes],
            "licenses": [{"license": {"name": each.licence}}],
        }
        for each in all_
    ]
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "lyttepost"}},
        "components": components,
    }
    return json.dumps(bom, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    argparse.ArgumentParser(description=str(__doc__).partition("\n")[0]).parse_args()
    all_ = locked()
    LOCK.write_text(lock_text(all_), encoding="utf-8")
    BOM.write_text(bom_text(all_), encoding="utf-8")
    sys.stderr.write(f"{len(all_)} distributions\n")


if __name__ == "__main__":
    main()
