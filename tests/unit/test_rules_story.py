"""`story`: how far one story has spread, by how many it is told, how long it lives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from memory_support import held_by
from rules_support import finding, instant, judge, lookback, rule, rules, said, tick

from alerts.rules.engine.engine import Engine
from alerts.rules.spec import RuleSpec
from alerts.rules.verdict import Reason
from listener.errors import ConfigError
from listener.model.records import Finding, Origin, Tick

Said = list[tuple[str, float]]
HOUR = 3600


def story(**options: Any) -> RuleSpec:
    return rule("story", **{"timeframe": "2h", "realert": "0s", **options})


def told(at: float, author: str, **more: Any) -> Finding:
    return finding(at, f"{at}-{author}", author=author, **{"story": "s", **more})


def reposts(count: int, start: float, of: str = "o") -> list[Finding]:
    return [told(start + n, f"r{n}", repost_of=of) for n in range(count)]


STORIES: dict[str, tuple[RuleSpec, Sequence[Finding | Tick], Said]] = {
    "as far as allowed": (story(max_spread=3), [*(told(n, f"a{n}") for n in range(3)), tick(9000)], []),
    "one further, and over when the first leaves at the exact edge": (
        story(max_spread=3),
        [*(told(n, f"a{n}") for n in range(4)), tick(9000)],
        [("fired", 3), ("resolved", 7200)],
    ),
    "reposts spread a story": (story(max_spread=3), [told(0, "a"), *reposts(3, 1), tick(100)], [("fired", 3)]),
    "other stories are others": (
        story(max_spread=1),
        [told(0, "a"), told(1, "b", story="t"), told(2, "c", story="t"), tick(100)],
        [("fired", 2)],
    ),
    "by authors, 2,400 reposts of one account are one person's word": (
        story(max_spread=1, max_authors=1, max_age="10m", count_by="authors"),
        [told(0, "a"), *reposts(2400, 1), tick(3000)],
        [],
    ),
    "by authors, one account that says it again and again is one": (
        story(max_spread=1, max_age="10m", count_by="authors"),
        [*(told(n * 60, "a") for n in range(60)), tick(5000)],
        [],
    ),
    "by authors, the second person fires": (
        story(max_spread=1, count_by="authors"),
        [told(0, "a"), *reposts(40, 1), told(50, "b"), tick(100)],
        [("fired", 50)],
    ),
    "max_authors counts those who said it themselves": (
        story(max_authors=2),
        [told(0, "a"), *reposts(40, 1), told(50, "b"), told(60, "a"), told(70, "c"), tick(100)],
        [("fired", 70)],
    ),
    "exactly as old as allowed": (story(max_age="1h"), [told(0, "a"), told(HOUR, "b"), tick(5000)], []),
    "older, with the post that is still told": (
        story(max_age="1h"),
        [told(0, "a"), told(HOUR + 1, "b"), tick(7199), tick(7201)],
        [("fired", HOUR + 1), ("resolved", 7200)],
    ),
    "a story that nobody tells any more does not grow old": (story(max_age="1h"), [told(0, "a"), tick(9000)], []),
    "by authors, reposts keep no story alive": (
        story(max_age="1h", count_by="authors"),
        [told(0, "a"), told(10, "b"), told(HOUR + 1, "r", repost_of="o"), tick(5000)],
        [],
    ),
    "out of order within the lateness": (
        story(max_spread=2),
        [told(2, "c"), told(0, "a"), told(1, "b"), tick(10)],
        [("fired", 2)],
    ),
    "filter": (
        story(max_spread=1, filter={"kind": "rumour"}),
        [told(0, "a"), told(1, "b", kinds=["rumour"]), told(2, "c", kinds=["rumour"]), tick(10)],
        [("fired", 2)],
    ),
    "the night in which clocks are set": (
        story(max_age="1h"),
        [told(0, "a"), told(2400, "b"), told(3599, "c"), tick(4000)],
        [],
    ),
    "ticks without posts": (story(max_spread=1), [tick(0), tick(100_000)], []),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "records", "wanted"), STORIES.values(), ids=STORIES)
def test_a_story(spec: RuleSpec, records: Sequence[Finding | Tick], wanted: Said) -> None:
    assert said(judge(spec, records)) == wanted


def test_the_key_is_the_story_and_the_count_its_spread() -> None:
    (fired,) = judge(story(max_spread=2), [told(0, "a"), *reposts(2, 1), tick(10)])
    assert (fired.key, fired.key_fields, fired.count, fired.baseline, fired.reposts) == ("s", ("story",), 3, 2.0, 2)
    assert fired.reason is Reason.MAX_PASSED


def test_what_was_retold_before_the_incident_fires_nothing_by_itself() -> None:
    before = [lookback(n, story="s") for n in range(5)]
    verdicts = judge(story(max_spread=2), [*before, tick(10), told(20, "a"), tick(30)])
    assert said(verdicts) == [("suppressed", 2), ("fired", 20)]
    assert verdicts[0].reason is Reason.LOOKBACK_ONLY


def test_a_gap_filled_post_shows_that_a_story_had_spread() -> None:
    late = told(15, "c", origin=Origin.GAP_FILL)
    verdicts = judge(story(max_spread=2), [told(10, "a"), told(20, "b"), tick(60), late, tick(70)])
    assert said(verdicts) == [("fired", 20)]
    assert (verdicts[0].reason, verdicts[0].posted_at) == (Reason.HEARD_LATE, instant(15))


def test_memory_is_bounded_by_the_timeframe() -> None:
    engine = Engine((story(max_spread=3, timeframe="60s"),))
    for n in range(2000):
        if n == 1000:
            before = held_by(engine)
        engine.finding(finding(n), 2 * n)
        engine.tick(tick(n), 2 * n + 1)
    assert held_by(engine) < 1.05 * before


HEAD = "name: a\nwhy: because a test wants it\ntype: story\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "max_spread: it, max_authors or max_age must be set"),
        ("max_spread: 3\nquery_key: source\n", "query_key: the key of a story is the story itself"),
        ("max_spread: 3\ncount_by: stories\n", "count_by: a story is one"),
        ("max_age: 6h\n", "max_age: must be shorter than timeframe"),
        ("max_age: 60\n", "max_age: is no duration"),
        ("max_spread: 3\nnum_events: 3\n", "num_events: no such setting"),
    ],
)
def test_what_is_wrong_in_a_file_is_reported(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rules(tmp_path, HEAD + text)
    assert words in str(caught.value)
