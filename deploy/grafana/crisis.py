"""The dashboard *Crisis*: what is going on, for whoever leads through it and for who keeps the program running."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import VariableRefresh

from deploy.grafana.panels import (
    BAD_ABOVE_ZERO,
    DATASOURCE,
    GOOD_ABOVE_ZERO,
    Rows,
    graph,
    number,
    past_hour,
    per_minute,
)

LOUDEST = "query_result(topk(6, max by (track) (lyttepost_track_posts_per_minute)))"


def tracks() -> dashboard.QueryVariable:
    """The six loudest tracks, unless others are chosen."""
    return (
        dashboard.QueryVariable("track")
        .label("Track")
        .description("A graph for each: the six loudest, unless others are chosen.")
        .query(LOUDEST)
        .regex('/track="([^"]+)"/')
        .datasource(DATASOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
    )


NOW = (
    number(
        "Mode",
        "Crisis while any incident is open, exercises included. `lyttepost mode` says which, since when and why.",
        "none",
        ("max(lyttepost_crisis)", ""),
        words={"0": "calm", "1": "CRISIS"},
        colours=BAD_ABOVE_ZERO,
    ),
    number(
        "Open incidents",
        "Real ones and exercises; canaries are none.",
        "short",
        ('max(lyttepost_incidents_open{exercise="false"})', "real"),
        ('max(lyttepost_incidents_open{exercise="true"})', "exercise"),
        colours=BAD_ABOVE_ZERO,
    ),
    number(
        "Review due in",
        "When the crisis team is asked whether it still is a crisis; red is overdue. Nothing while no incident is "
        "open.",
        "s",
        ('min(lyttepost_review_due_timestamp_seconds{exercise="false"}) - time()', "real"),
        ('min(lyttepost_review_due_timestamp_seconds{exercise="true"}) - time()', "exercise"),
        colours=((None, "red"), (0, "green")),
    ),
    number(
        "On duty now",
        "People who are on duty in each role, by rosters, swaps and calendars. 0 is a hole: `lyttepost duty`.",
        "short",
        ("max by (role) (lyttepost_on_duty)", "{{role}}"),
        colours=GOOD_ABOVE_ZERO,
        none="no roles",
    ),
    number(
        "Sources that are heard",
        "Listened to now, counted in calm, or a recording that was played. 0 in a crisis: nobody hears anything.",
        "short",
        ('sum(max by (source) (lyttepost_source_state{state=~"listening|counting|finished"}))', ""),
        colours=GOOD_ABOVE_ZERO,
    ),
    number(
        "Canary posted",
        "How long ago the newest synthetic post was made that went the whole way to a receiver. More than two of "
        "its intervals: somewhere alerts stand still.",
        "s",
        ("time() - max(lyttepost_canary_last_arrived_timestamp_seconds)", ""),
        colours=((None, "green"), (7320, "red")),
    ),
)

LOUD = (
    graph(
        "Posts about $track",
        "Posts a minute of each source, the mean of five minutes, and between the grey lines what is usual at "
        "this hour (by the rule burst; learned in calm alone). Above it is loud. A line that ends was not "
        "counted: that is no silence.",
        "cpm",
        ('max by (source) (lyttepost_track_posts_per_minute{track=~"$track"})', "{{source}}"),
        ('max(lyttepost_track_usual_posts_per_minute{track=~"$track",bound="most"})', "usual, most"),
        ('min(lyttepost_track_usual_posts_per_minute{track=~"$track",bound="least"})', "usual, least"),
        band=("usual, most", "usual, least"),
    )
    .repeat("track")
    .max_per_row(3),
    graph(
        "Tracks against what is usual",
        "How many times the most that would be ordinary the ten loudest tracks are. Above 1 is out of the ordinary.",
        "none",
        (
            "topk(10, max by (source, track) (lyttepost_track_posts_per_minute)\n"
            '  / max by (source, track) (lyttepost_track_usual_posts_per_minute{bound="most"}))',
            "{{track}} ({{source}})",
        ),
    ),
    graph(
        "Posts that match",
        "Posts a minute that matched a track of an open incident, of each source; none in calm.",
        "cpm",
        (per_minute("lyttepost_posts_matched_total", "source"), "{{source}}"),
        stacked=True,
    ),
    graph(
        "Kinds",
        "What the posts voice, a minute, as the machine read it. A post of several kinds counts for each.",
        "cpm",
        (per_minute("lyttepost_findings_total", "kind"), "{{kind}}"),
        stacked=True,
    ),
    graph(
        "Themes",
        "The ten main themes of the last hour, posts a minute. `none_of_these` is about none we know, `none` "
        "voices nothing.",
        "cpm",
        (f"topk(10, {past_hour('lyttepost_findings_by_theme_total', 'theme')}) / 60", "{{theme}}"),
        stacked=True,
    ),
    number(
        "Tracks counted",
        "How many tracks of each source are counted and judged. The loudest 50 of a source have lines of their "
        "own here.",
        "short",
        ("max by (source) (lyttepost_tracks_counted)", "{{source}}"),
        width=8,
    ),
)

ALERTS = (
    number(
        "Nobody has it",
        "Alerts that wait for an answer, exercises apart. They are sent again and again: `lyttepost alerts`.",
        "short",
        ('max by (severity) (lyttepost_alerts_open{exercise="false"})', "{{severity}}"),
        ('sum(max by (severity) (lyttepost_alerts_open{exercise="true"}))', "exercise"),
        width=8,
        colours=BAD_ABOVE_ZERO,
    ),
    number(
        "Somebody has it",
        "Alerts that somebody acknowledged and nobody has closed, exercises apart.",
        "short",
        ('max by (severity) (lyttepost_alerts_acknowledged{exercise="false"})', "{{severity}}"),
        ('sum(max by (severity) (lyttepost_alerts_acknowledged{exercise="true"}))', "exercise"),
        width=8,
    ),
    number(
        "Longest unanswered",
        "How long ago the oldest alert fired that nobody has; after a quarter of an hour ops are told.",
        "s",
        ("time() - min(lyttepost_alerts_oldest_open_timestamp_seconds)", ""),
        colours=((None, "green"), (300, "orange"), (900, "red")),
    ),
    number(
        "Reached nobody",
        "Open alerts that have reached nobody of their own route, and pages that nothing has taken yet. Call them "
        "yourself.",
        "short",
        ("max(lyttepost_alerts_undelivered)", "alerts"),
        ("max(lyttepost_pages_waiting)", "pages"),
        colours=BAD_ABOVE_ZERO,
    ),
    graph(
        "Alerts since the start, by rule",
        "How often each rule has fired since its process began, exercises included. A step is an alert.",
        "short",
        ('sum by (rule) (lyttepost_alerts_total{event="fired"}) > 0', "{{rule}}"),
    ),
    graph(
        "Held back since the start",
        "Verdicts of the rules that were not passed on, by reason: said before, answered, one of many.",
        "short",
        ("sum by (reason) (lyttepost_alerts_suppressed_total)", "{{reason}}"),
    ),
    graph(
        "Told at once since the start",
        "Alarms that were told before late posts were waited for, and what became of them. Told and settled are soon "
        "as many; what was withdrawn did not hold: posts were purged, a rule edited, or people answered.",
        "short",
        ("sum by (state) (lyttepost_alerts_early_total)", "{{state}}"),
    ),
    graph(
        "Time to acknowledge",
        "From an alert's firing to a person's word, within the time shown: half of the alerts, and nine of ten.",
        "s",
        (
            "histogram_quantile(0.5, sum by (le) (increase(lyttepost_acknowledge_seconds_bucket[$__range])))",
            "half",
        ),
        (
            "histogram_quantile(0.9, sum by (le) (increase(lyttepost_acknowledge_seconds_bucket[$__range])))",
            "nine of ten",
        ),
    ),
    graph(
        "Time to the first message",
        "From an alert on the bus to the first delivery to somebody of its own route, within the time shown.",
        "s",
        (
            "histogram_quantile(0.5, sum by (le) (increase(lyttepost_dispatch_latency_seconds_bucket[$__range])))",
            "half",
        ),
        (
            "histogram_quantile(0.99, sum by (le) (increase(lyttepost_dispatch_latency_seconds_bucket[$__range])))",
            "99 of 100",
        ),
    ),
    graph(
        "Open alerts",
        "Alerts that nobody has, of each severity, over time.",
        "short",
        ('max by (severity) (lyttepost_alerts_open{exercise="false"})', "{{severity}}"),
        ('sum(max by (severity) (lyttepost_alerts_open{exercise="true"}))', "exercise"),
    ),
    graph(
        "Canary round trips",
        "How long the newest canary took from its post to the outcome of its delivery. More than a minute is late.",
        "s",
        ("max(lyttepost_canary_round_trip_seconds)", "round trip"),
    ),
)

CALM = (
    number(
        "Counted up to",
        "How long ago the newest minute is that was counted in calm, of each source. Minutes are well; nothing in "
        "a crisis.",
        "s",
        ("time() - max by (source) (lyttepost_source_counted_timestamp_seconds)", "{{source}}"),
        width=6,
        colours=((None, "green"), (2700, "red")),
    ),
    number(
        "Highlights",
        "The hospital's own news for X, by how they stand. Held ones wait for a person after a crisis.",
        "short",
        ("max by (stage) (lyttepost_highlights)", "{{stage}}"),
        width=10,
        none="not set up",
    ),
    number(
        "Published",
        "What came of highlights that were to be published, since the start.",
        "short",
        ("sum by (outcome) (lyttepost_highlight_sends_total)", "{{outcome}}"),
        width=4,
        none="not set up",
    ),
    number(
        "Feeds read",
        "How long ago every feed of the highlights was read without a fault.",
        "s",
        ("time() - max(lyttepost_highlights_feeds_read_timestamp_seconds)", ""),
        none="not set up",
    ),
)

ROWS: Rows = (
    ("Now", NOW),
    ("How loud it is", LOUD),
    ("Who is told, and who answers", ALERTS),
    ("In calm", CALM),
)
