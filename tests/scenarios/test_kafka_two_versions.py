"""Two versions of the workers side by side on Kafka: replaced one after the other under load, and taken back.

The later one writes a field into every record that the present one does not know. All that was offered is captured,
nothing is there twice or set aside, and every alert is the one that an undisturbed run of the present version gives:
`cast.py` says what that means.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from broker import Cluster
from cast import Cast, play
from harness import Deployment, Running, until
from installing import NEXT, Installation, installed
from spread import Spread, has_begun

ADDED = "of_the_next_release"
"""The field."""
BASE = "    v: Literal[1] = SCHEMA_VERSION\n"
STEPS = (
    *(("annotate", 1, True), ("judge", 1, True), ("listener", 1, True), ("annotate", 2, True), ("judge", 2, True)),
    *(("judge", 1, False), ("annotate", 2, False), ("listener", 1, False)),
)
"""Who is replaced, in this order: by the later version, or by the present one again. No order of roles is needed."""
CROSSED = {("annotate", 1, True): (False, True), ("listener", 1, True): (True, False)}
"""After which of these steps a mention of the one version is annotated by the other: whether each is of the later."""


def add_field(source: Path) -> None:
    """To whatever lies on the bus, and filled in."""
    base = source / "listener" / "model" / "base.py"
    text = base.read_text(encoding="utf-8")
    assert text.count(BASE) == 1
    base.write_text(text.replace(BASE, f'{BASE}    {ADDED}: str | None = "yes"\n'), encoding="utf-8")


def replace_one_after_the_other(cast: Cast, site: Path) -> str:
    """Each in good order, and the next when it works: the two versions are side by side all the time."""
    deployment = cast.spread.deployment
    later, present = Installation(deployment, site), deployment.entry

    def begin_later(role: str, name: str) -> Running:
        return later.start("--role", role, "--name", name, wait=False)

    def begin_present(role: str, name: str) -> Running:
        deployment.entry = present
        return cast.spread.start(role, name)

    for role, number, is_later in STEPS:
        code, _ = cast.players[role, number].terminate()
        assert code == 0, cast.players[role, number].said
        cast.begin = begin_later if is_later else begin_present
        cast.raise_(role, number)
        until(lambda its=cast.players[role, number]: has_begun(its), 120, f"{role} {number} begins")
        if (wanted := CROSSED.get((role, number, is_later))) is not None:
            # Which member of a group gets a partition, and when, is the group's affair.
            until(lambda wanted=wanted: wanted in crossed(cast.spread), 60, f"after {role} {number}: {wanted}", 0.5)
    return " ".join(f"{role}{number}{'+' if is_later else '-'}" for role, number, is_later in STEPS)


def crossed(spread: Spread) -> set[tuple[bool, bool]]:
    """Of each finding: whether the later version captured its mention, and whether it made the finding."""
    later = {json.dumps(v["id"]): ADDED in v for v in spread.values("mentions", "mention")}
    found = ((json.dumps(v["id"]), ADDED in v) for v in spread.values("findings", "finding"))
    return {(later[id_], made) for id_, made in found if id_ in later}


def both_wrote(spread: Spread) -> None:
    """There are mentions, findings and alerts of each version, and alerts that one made of what the other wrote."""
    for topic, type_ in (("mentions", "mention"), ("findings", "finding"), ("alerts", "alert")):
        written = Counter(ADDED in value for value in spread.values(topic, type_))
        assert written[True] > 10, topic
        assert written[False] > 10, topic
    assert len(crossed(spread)) == 4, "each annotates what either has captured"


@pytest.mark.long
def test_two_versions_work_side_by_side_and_the_later_one_can_be_taken_back(
    three_brokers: Cluster, tmp_path: Path, deploy: Callable[..., Deployment], capsys: pytest.CaptureFixture[str]
) -> None:
    site = installed(NEXT, tmp_path / "later", add_field)
    played = play(
        1, three_brokers, tmp_path / "played", deploy, lambda cast: replace_one_after_the_other(cast, site),
        without=[ADDED], look=both_wrote,
    )  # fmt: skip
    with capsys.disabled():
        print("", played.HEAD, played, sep="\n", flush=True)
    assert played.alerts > 100
    assert (played.missing, played.twice, played.differing, played.deadletters, played.lag) == (0, 0, 0, 0, 0)
