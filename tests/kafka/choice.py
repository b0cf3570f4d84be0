"""Which broker the tests run on, and whether they may be skipped without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

VARIABLE: Final = "LYTTEPOST_TEST_KAFKA"


class Kind(StrEnum):
    GIVEN = "given"
    APACHE = "apache"
    STAND_IN = "stand-in"
    NONE = "none"


@dataclass(frozen=True)
class Choice:
    """`address` is of a given one only. `must`: being without the real one is a failure."""

    kind: Kind
    says: str
    address: str = ""
    must: bool = False


def choose(environ: Mapping[str, str], lacking: str | None, has_stand_in: bool) -> Choice:
    """A running broker that is named, else Apache Kafka, else off CI what stands in for it, else none.

    `lacking` is what Apache Kafka lacks here, or None.
    """
    must = environ.get("CI", "").lower() not in ("", "0", "false")
    if address := environ.get(VARIABLE, "").removeprefix("kafka://"):
        return Choice(Kind.GIVEN, f"the one at {address} ({VARIABLE})", address, must)
    if lacking is None:
        return Choice(Kind.APACHE, "Apache Kafka, started by the tests", must=must)
    if must:
        return Choice(Kind.NONE, f"none, and CI must have one: {lacking}", must=True)
    if has_stand_in:
        says = f"noida-db stands in, and what needs Apache Kafka itself is skipped: {lacking}"
        return Choice(Kind.STAND_IN, says)
    return Choice(Kind.NONE, f"none, its tests are skipped: {lacking}")
