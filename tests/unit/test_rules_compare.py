"""`blacklist`, `whitelist` and `change`: what a finding says against a list, and against the one before it.

Cases named `EA …` are those of ElastAlert 2's own `tests/rules_test.py`, with the name of the test each comes from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from memory_support import held_by
from rules_support import finding, instant, judge, lookback, rule, rules, said, tick

from alerts.rules.verdict import Reason
from listener.errors import ConfigError
from listener.model.records import Finding, Origin

Said = list[tuple[str, float]]
TERMS = ["good", "bad", "also good", "really bad", None]


def terms(*values: str | None) -> list[Finding]:
    """One finding a second, with or without a field `term`."""
    return [finding(at, fields={} if value is None else {"term": value}) for at, value in enumerate(values)]


BLACK: dict[str, Any] = {"compare_key": "term", "blacklist": ["bad", "really bad"], "realert": "0s"}
WHITE: dict[str, Any] = {"compare_key": "term", "whitelist": ["good", "also good"], "realert": "0s"}

LISTS: dict[str, tuple[str, dict[str, Any], list[Finding], Said]] = {
    "EA test_blacklist": ("blacklist", BLACK, terms(*TERMS), [("fired", 1), ("fired", 3)]),
    "EA test_whitelist": ("whitelist", {**WHITE, "ignore_null": True}, terms(*TERMS), [("fired", 1), ("fired", 3)]),
    "EA test_whitelist_dont_ignore_nulls": (
        "whitelist",
        {**WHITE, "ignore_null": False},
        terms(*TERMS),
        [("fired", 1), ("fired", 3), ("fired", 4)],
    ),
    "unlike ElastAlert, case makes no difference": (
        "whitelist",
        {**WHITE, "ignore_null": True},
        terms("GOOD", "Bad"),
        [("fired", 1)],
    ),
    "of several values one on the blacklist is enough": (
        "blacklist",
        {"compare_key": "hashtag", "blacklist": "kjøpnå"},
        [finding(0, hashtags=("brann", "KjøpNå"))],
        [("fired", 0)],
    ),
    "of several values one stranger to the whitelist is enough": (
        "whitelist",
        {"compare_key": "hashtag", "whitelist": "brann", "ignore_null": True},
        [finding(0, hashtags=("brann",)), finding(1, hashtags=("brann", "nytt"))],
        [("fired", 1)],
    ),
    "the filter comes first": (
        "blacklist",
        {**BLACK, "filter": {"kind": "wish"}},
        [finding(0, fields={"term": "bad"}), finding(1, fields={"term": "bad"}, kinds=["wish"])],
        [("fired", 1)],
    ),
    "realert holds each key by itself, at its exact edge": (
        "blacklist",
        {**BLACK, "query_key": "author", "realert": "60s"},
        [
            finding(at, author=who, fields={"term": "bad"})
            for at, who in ((0, "a"), (59.9, "a"), (59.9, "b"), (60, "a"))
        ],
        [("fired", 0), ("suppressed", 59.9), ("fired", 59.9), ("fired", 60)],
    ),
    "posts from before the incident fire nothing": (
        "blacklist",
        BLACK,
        [lookback(0, fields={"term": "bad"})],
        [],
    ),
}


@pytest.mark.parametrize(("type", "options", "posts", "wanted"), LISTS.values(), ids=LISTS)
def test_a_list(type: str, options: dict[str, Any], posts: list[Finding], wanted: Said) -> None:
    numbered = [post.model_copy(update={"id": f"{n}"}) for n, post in enumerate(posts)]
    assert said(judge(rule(type, **options), numbered)) == wanted


def test_lists_fire_on_arrival_and_say_which_list_it_was() -> None:
    (black,) = judge(rule("blacklist", **BLACK), terms("bad"))
    (white,) = judge(rule("whitelist", ignore_null=True, **WHITE), terms("bad"))
    assert [black.reason, white.reason] == [Reason.BLACKLISTED, Reason.NOT_WHITELISTED]


def test_a_gap_filled_post_on_a_list_is_reported_as_heard_late() -> None:
    late = finding(5, fields={"term": "bad"}, origin=Origin.GAP_FILL)
    (verdict,) = judge(rule("blacklist", **BLACK), [tick(4000), late])
    assert (verdict.reason, verdict.posted_at) == (Reason.HEARD_LATE, instant(5))


CHANGE: dict[str, Any] = {
    "compare_key": ["term", "second"],
    "query_key": "author",
    "ignore_null": True,
    "realert": "0s",
}


def changes(*times: int, null: int | None = None, last: str = "bad") -> list[Finding]:
    """Good ones, one without either field at `null`, and another at the end."""
    out = []
    for at in times:
        value = {"term": "good", "second": "yes"} if at != times[-1] else {"term": last, "second": "no"}
        out.append(finding(at, author="qlo", fields={} if at == null else value))
    return out


TEN = tuple(range(10))
CHANGES: dict[str, tuple[dict[str, Any], list[Finding], Said]] = {
    "EA test_change": (CHANGE, changes(*TEN, null=8), [("fired", 9)]),
    "EA test_change, do not ignore nulls": (
        {**CHANGE, "ignore_null": False},
        changes(*TEN, null=8),
        [("fired", 8), ("fired", 9)],
    ),
    "EA test_change, with timeframe: its very edge counts": (
        {**CHANGE, "timeframe": "2s"},
        changes(*TEN, null=8),
        [("fired", 9)],
    ),
    "EA test_change, with timeframe, does not match": (
        {**CHANGE, "timeframe": "1s"},
        changes(*TEN[:8], 9),
        [],
    ),
    "the first word of a key is no change": (CHANGE, changes(0), []),
    "one of several compare_key is enough": (
        {**CHANGE, "compare_key": ["term", "kind"]},
        [finding(0, author="a", kinds=["wish"], fields={"term": "x"}),
         finding(1, author="a", kinds=["rumour"], fields={"term": "x"})],
        [("fired", 1)],
    ),
    "the order of a list and its case are no change": (
        {**CHANGE, "compare_key": "hashtag"},
        [finding(0, author="a", hashtags=("a", "b")), finding(1, author="a", hashtags=("B", "A"))],
        [],
    ),
    "keys change by themselves": (
        {**CHANGE, "compare_key": "place"},
        [finding(0, author="a", place="Fjellby"), finding(1, author="b", place="Dalby"),
         finding(2, author="a", place="Fjellby"), finding(3, author="b", place="Fjellby")],
        [("fired", 3)],
    ),
    "realert": (
        {**CHANGE, "compare_key": "place", "realert": "60s"},
        [finding(at, author="a", place=place) for at, place in ((0, "F"), (10, "D"), (69, "F"), (70, "D"))],
        [("fired", 10), ("suppressed", 69), ("fired", 70)],
    ),
    "out of order within the lateness": (
        {**CHANGE, "compare_key": "place"},
        [finding(2, author="a", place="D"), finding(0, author="a", place="F"), finding(1, author="a", place="F")],
        [("fired", 2)],
    ),
    "what is said before the incident is remembered, and never told": (
        {**CHANGE, "compare_key": "place"},
        [lookback(0, author="a", place="F"), lookback(1, author="a", place="D"), finding(2, author="a", place="F")],
        [("fired", 2)],
    ),
    "a night in which the clocks are set makes no difference": (
        {**CHANGE, "compare_key": "place", "timeframe": "1h"},
        [finding(1799, author="a", place="F"), finding(1801, author="a", place="D"),
         finding(5402, author="a", place="F")],
        [("fired", 1801)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("options", "posts", "wanted"), CHANGES.values(), ids=CHANGES)
def test_a_change(options: dict[str, Any], posts: list[Finding], wanted: Said) -> None:
    verdicts = judge(rule("change", **options), [*posts, tick(10_000)])
    assert said(verdicts) == wanted
    assert all(v.reason in (Reason.CHANGED, Reason.REALERT) for v in verdicts)


PLACES = rule("change", **{**CHANGE, "compare_key": "place"})


def place(at: float, where: str, **more: Any) -> Finding:
    return finding(at, author="a", place=where, **more)


def test_a_change_shows_both_posts() -> None:
    (verdict,) = judge(PLACES, [place(0, "F"), place(1, "D"), tick(10)])
    assert (verdict.first_seen, verdict.posts, verdict.key) == (instant(0), 2, "a")


def test_a_post_found_late_parts_two_that_are_alike() -> None:
    late = place(5, "D", origin=Origin.GAP_FILL)
    verdicts = judge(PLACES, [place(0, "F"), place(10, "F"), tick(60), late, tick(90)])
    assert said(verdicts) == [("fired", 5), ("fired", 10)]
    assert {v.reason for v in verdicts} == {Reason.HEARD_LATE}


def test_a_post_found_late_withdraws_no_change_and_reports_none_twice() -> None:
    late = place(5, "X", origin=Origin.GAP_FILL)
    verdicts = judge(PLACES, [place(0, "F"), place(10, "D"), tick(60), late, tick(90)])
    assert said(verdicts) == [("fired", 10), ("fired", 5)]


def test_memory_of_a_change_is_bounded_by_its_timeframe() -> None:
    from alerts.rules.engine.engine import Engine

    spec = rule("change", **{**CHANGE, "compare_key": "place", "timeframe": "30s"})
    engine = Engine((spec,))
    for n in range(2000):
        if n == 1000:
            before = held_by(engine)
        engine.finding(finding(n, author=f"a{n}", place="F"), 2 * n)
        engine.tick(tick(n), 2 * n + 1)
    assert held_by(engine) < 1.05 * before


HEAD = "name: a\nwhy: because a test wants it\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type: blacklist\ncompare_key: place\n", "blacklist: must be set"),
        ("type: blacklist\ncompare_key: place\nblacklist: []\n", "blacklist"),
        ("type: blacklist\ncompare_key: author_class\nblacklist: [press]\n", "author_class can never be 'press'"),
        ("type: blacklist\ncompare_key: text\nblacklist: [x]\n", "'text' may not be used by a rule"),
        ("type: whitelist\ncompare_key: place\nwhitelist: [x]\n", "ignore_null: must be set"),
        ("type: whitelist\ncompare_key: place\nwhitelist: [x]\nignore_null: true\nblacklist: [y]\n", "no such setting"),
        ("type: change\ncompare_key: place\nignore_null: true\n", "query_key: must be set"),
        ("type: change\ncompare_key: text\nquery_key: author\nignore_null: true\n", "'text' may not be used"),
        ("type: change\ncompare_key: place\nquery_key: author\nignore_null: true\ntimeframe: 0s\n", "longer than"),
    ],
)
def test_what_is_wrong_in_a_file_is_reported(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rules(tmp_path, HEAD + text)
    assert words in str(caught.value)
