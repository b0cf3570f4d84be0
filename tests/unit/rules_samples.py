"""A few rules of every type, short enough for streams of some minutes: what the property tests run over.

A new type joins with one line. `keyed` is a rule whose keys are many: the memory test counts what is held of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from rules_support import rule

from alerts.rules.spec import RuleSpec

BY_COUNTS = {"burst"}
"""Types that judge counts and no findings: their own tests hold them to the same."""

SAMPLES: Mapping[str, tuple[RuleSpec, ...]] = {
    "any": (
        rule("any", name="every", realert="0s", query_key="author"),
        rule("any", name="every-wish", realert="50s", query_key="author", filter={"kind": "wish"}),
        rule("any", name="every-doubled", realert="10s", exponential_realert="80s"),
        rule("any", name="every-one", realert="0s", query_key="story", aggregation="40s"),
    ),
    "frequency": (
        rule("frequency", name="volume", timeframe="60s", num_events=4, realert="90s"),
        rule("frequency", name="people", timeframe="40s", num_events=2, count_by="authors", query_key=["kind"]),
        rule("frequency", name="stories", timeframe="30s", num_events=2, count_by="stories", query_key="hashtag"),
        rule("frequency", name="doubled", timeframe="5s", num_events=2, realert="10s", exponential_realert="60s"),
        rule("frequency", name="gathered", timeframe="9s", num_events=1, query_key="author", aggregation="50s"),
    ),
    "new_term": (
        rule("new_term", name="tags", fields="hashtag", num_events=2, timeframe="50s", realert="20s", learn="15s"),
        rule("new_term", name="term", fields=["hashtag", "place"], timeframe="20s", terms_window_size="60s"),
        rule("new_term", name="each", query_key="hashtag", timeframe="20s", terms_window_size="60s"),
        rule("new_term", name="within", query_key="source", fields="hashtag", timeframe="20s", terms_window_size="60s"),
    ),
    "spike": (
        rule("spike", name="up", timeframe="20s", spike_height=2, spike_type="up", realert="30s", threshold_cur=2),
        rule("spike", name="both", timeframe="10s", spike_height=1.5, spike_type="both", realert="0s"),
        rule("spike", name="down", timeframe="15s", spike_height=3, spike_type="down", threshold_ref=2, realert="5s"),
        rule(
            "spike", name="new", timeframe="12s", spike_height=2, spike_type="both", query_key="author",
            alert_on_new_data=True, count_by="stories", realert="10s", exponential_realert="40s", aggregation="15s",
        ),
        rule("spike", name="source", timeframe="25s", spike_height=2, spike_type="both", query_key="source"),
    ),
    "flatline": (
        rule("flatline", name="quiet", timeframe="20s", threshold=2, realert="0s"),
        rule("flatline", name="sources", timeframe="30s", threshold=1, query_key="source", realert="60s"),
        rule("flatline", name="x-quiet", timeframe="10s", threshold=1, filter={"source": "x"}, aggregation="40s"),
        rule("flatline", name="gone", timeframe="15s", threshold=1, query_key="author", forget_keys=True),
        rule("flatline", name="keys", timeframe="12s", threshold=2, query_key="place", realert="5s"),
    ),
    "blacklist": (
        rule("blacklist", name="known", compare_key="author", blacklist=["a", "b"], realert="0s"),
        rule("blacklist", name="place", compare_key="place", blacklist="fjellby", realert="30s", query_key="kind"),
    ),
    "whitelist": (
        rule("whitelist", name="strange", compare_key="author", whitelist="a", ignore_null=True, realert="0s"),
        rule("whitelist", name="null", compare_key="hashtag", whitelist="brann", ignore_null=False, realert="20s"),
    ),
    "change": (
        rule(
            "change", name="moved", compare_key=["place", "hashtag"], query_key="author", ignore_null=False,
            timeframe="30s", realert="0s",
        ),
        rule(
            "change", name="other", compare_key="author", query_key="story", ignore_null=True, timeframe="50s",
            realert="20s", exponential_realert="60s",
        ),
    ),
    "cardinality": (
        rule("cardinality", name="many", cardinality_field="author", max_cardinality=2, timeframe="40s", realert="30s"),
        rule("cardinality", name="few", cardinality_field="author", min_cardinality=2, timeframe="40s", realert="50s"),
        rule(
            "cardinality", name="tags", cardinality_field="hashtag", min_cardinality=1, max_cardinality=2,
            timeframe="20s", query_key="kind", realert="10s",
        ),
        rule(
            "cardinality", name="keyed", cardinality_field="place", max_cardinality=0, timeframe="15s",
            query_key="author",
        ),
    ),
    "percentage_match": (
        rule(
            "percentage_match", name="share", match_bucket_filter={"kind": "wish"}, max_percentage=60,
            min_percentage=20, min_denominator=2, timeframe="50s", realert="20s",
        ),
        rule(
            "percentage_match", name="people", match_bucket_filter={"kind": "question"}, min_percentage=50,
            timeframe="30s", query_key="hashtag", count_by="authors", realert="0s",
        ),
    ),
    "metric_aggregation": (
        rule(
            "metric_aggregation", name="values", metric_agg_key="author", metric_agg_type="value_count",
            max_threshold=4, min_threshold=2, timeframe="30s", realert="40s",
        ),
        rule(
            "metric_aggregation", name="mean", metric_agg_key="number", metric_agg_type="avg",
            max_threshold=60, min_threshold=30, timeframe="30s", realert="0s", query_key="source",
        ),
        rule(
            "metric_aggregation", name="least", metric_agg_key="number", metric_agg_type="min",
            min_threshold=20, timeframe="20s", realert="10s",
        ),
    ),
    "story": (
        rule("story", name="wide", max_spread=2, timeframe="60s", realert="30s"),
        rule("story", name="old", max_age="20s", max_authors=1, count_by="authors", timeframe="50s", realert="0s"),
    ),
}  # fmt: skip
