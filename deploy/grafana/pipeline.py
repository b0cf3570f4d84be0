"""The dashboard *Pipeline*: does it hear, judge and tell? It tells a world that says nothing from a deaf listener."""

from __future__ import annotations

from deploy.grafana.panels import (
    BAD_ABOVE_ZERO,
    GOOD_ABOVE_ZERO,
    RATE,
    Rows,
    graph,
    number,
    past_hour,
    per_minute,
    per_second,
)

SOURCES = (
    number(
        "Connected",
        "1 while a source is listened to, counted, or was played to its end. A source that is silent and "
        "connected hears a silent world.",
        "short",
        ('max by (source) (lyttepost_source_state{state=~"listening|counting|finished"})', "{{source}}"),
        width=8,
        words={"0": "no", "1": "yes"},
        colours=GOOD_ABOVE_ZERO,
    ),
    number(
        "State",
        "What each source is doing: idle, counting, connecting, listening, standby, finished, stopped.",
        "short",
        ("max by (source, state) (lyttepost_source_state) == 1", "{{source}}: {{state}}"),
        width=8,
    ),
    number(
        "Last byte",
        "How long ago a source sent anything, a keep-alive included; of one that is asked in rounds, such as feeds, "
        "how long beyond a round. Seconds: it is there, whatever it says. More than a minute in a crisis: we are deaf.",
        "s",
        (
            "clamp_min(time() - max by (source) (lyttepost_source_last_heard_timestamp_seconds)\n"
            "  - max by (source) (lyttepost_source_interval_seconds), 0)",
            "{{source}}",
        ),
        width=8,
        colours=((None, "green"), (30, "orange"), (60, "red")),
    ),
    graph(
        "Delay of posts",
        "From the time that a post bears to its capture, nine of ten, of each source that is heard live. The "
        "platform's part of the wait.",
        "s",
        (
            f"histogram_quantile(0.9, sum by (le, source) (rate(lyttepost_source_delay_seconds_bucket{RATE})))",
            "{{source}}",
        ),
    ),
    graph(
        "Not heard",
        "Seconds of each second that a source was not heard, by cause. What search fills in later stays counted here.",
        "percentunit",
        (per_second("lyttepost_gap_seconds_total", "source, cause"), "{{source}}: {{cause}}"),
        stacked=True,
    ),
    graph(
        "Open gaps",
        "Times of which posts are missing, that last or are not filled in. `lyttepost gaps` lists them.",
        "short",
        ("max by (source) (lyttepost_gaps_open)", "{{source}}"),
    ),
    graph(
        "Connections made anew",
        "How often, in the last hour, by why the last one ended.",
        "short",
        (past_hour("lyttepost_reconnects_total", "source, cause"), "{{source}}: {{cause}}"),
    ),
    graph(
        "Posts that wait to be taken in",
        "In memory, between the connection and the bus. It rises where posts come faster than they are taken.",
        "short",
        ("max by (source) (lyttepost_source_queue_posts)", "{{source}}"),
    ),
    graph(
        "Calls of platforms",
        "What came of calls to our webhook, a minute, and how many hours ago the last good one came. None: no "
        "such source is set up.",
        "cpm",
        (per_minute("lyttepost_webhook_calls_total", "source, outcome"), "{{source}}: {{outcome}}"),
        (
            "(time() - max by (source) (lyttepost_webhook_last_call_timestamp_seconds)) / 3600",
            "{{source}}: hours since the last",
        ),
    ),
)

FLOW = (
    graph(
        "Heard = published + dropped",
        "Posts a minute of all sources: the line is what they offered, the stack what became of it. Where the "
        "stack is lower, posts wait on disk for the bus.",
        "cpm",
        (per_minute("lyttepost_posts_heard_total"), "heard"),
        (per_minute("lyttepost_mentions_published_total", "origin"), "published: {{origin}}"),
        (
            per_minute('lyttepost_posts_dropped_total{reason!="expired"}', "reason"),
            "dropped: {{reason}}",
        ),
        stacked=True,
        line="heard",
        width=12,
    ),
    graph(
        "Not accounted for",
        "Heard, less published and dropped, since the start. 0, or what waits on disk while the bus is away, or "
        "was lost in a gap with a full disk. Anything else is a fault of ours.",
        "short",
        (
            "sum by (source) (lyttepost_posts_heard_total)\n"
            "  - sum by (source) (lyttepost_mentions_published_total)\n"
            '  - (sum by (source) (lyttepost_posts_dropped_total{reason!="expired"})\n'
            "      or 0 * sum by (source) (lyttepost_posts_heard_total))",
            "{{source}}",
        ),
        width=12,
        least=None,
    ),
    graph(
        "Heard, of each source",
        "Posts a minute that a source offered, whether they match or not.",
        "cpm",
        (per_minute("lyttepost_posts_heard_total", "source"), "{{source}}"),
    ),
    graph(
        "Records of each stage",
        "Records a minute that a stage has taken in and committed, ticks included.",
        "cpm",
        (per_minute("lyttepost_stage_records_total", "stage"), "{{stage}}"),
    ),
    graph(
        "Records in a batch",
        "How many a stage takes in one transaction: few in quiet times, up to a thousand when it catches up.",
        "short",
        (
            per_second("lyttepost_stage_records_total", "stage")
            + "\n  / "
            + per_second("lyttepost_stage_batches_total", "stage"),
            "{{stage}}",
        ),
    ),
    graph(
        "Masked before the bus",
        "Identity numbers, telephone numbers, addresses and names of accounts that were masked, a minute.",
        "cpm",
        (per_minute("lyttepost_masks_applied_total", "kind"), "{{kind}}"),
        stacked=True,
    ),
    graph(
        "Could not be used",
        "Records and lines that became dead letters, in the last hour. `lyttepost deadletters` shows where they are.",
        "short",
        (past_hour("lyttepost_deadletters_total", "stage, reason"), "{{stage}}: {{reason}}"),
        bars=True,
    ),
    graph(
        "Mentions that lay too long",
        "Posts that were on the bus, and older than they may be before anybody read them; in the last hour.",
        "short",
        (past_hour('lyttepost_posts_dropped_total{reason="expired"}', "source") + " or vector(0)", "{{source}}"),
    ),
)

LAG = (
    graph(
        "From capture to finding",
        "How long live posts take to be understood and on the bus: half of them, and 99 of 100.",
        "s",
        (f"histogram_quantile(0.5, sum by (le) (rate(lyttepost_pipeline_delay_seconds_bucket{RATE})))", "half"),
        (f"histogram_quantile(0.99, sum by (le) (rate(lyttepost_pipeline_delay_seconds_bucket{RATE})))", "99 of 100"),
    ),
    graph(
        "Lag, in time",
        "How long the oldest record has waited that a worker has not done. Above a minute and rising: ops are told.",
        "s",
        ("max by (group, topic) (lyttepost_consumer_lag_seconds)", "{{group}} on {{topic}}"),
    ),
    graph(
        "Lag, in records",
        "How many records wait for a worker.",
        "short",
        ("max by (group, topic) (lyttepost_consumer_lag_records)", "{{group}} on {{topic}}"),
    ),
    graph(
        "Judged up to",
        "How far behind now the rules have judged. Of an exercise that plays an old recording it is years.",
        "s",
        ("time() - max(lyttepost_rules_watermark_timestamp_seconds)", "behind now"),
    ),
    number(
        "No window closes",
        "Yes while every source of an incident is in a gap: then nothing can be judged by windows.",
        "short",
        ("max(lyttepost_rules_unheard)", ""),
        words={"0": "no", "1": "YES"},
        colours=BAD_ABOVE_ZERO,
    ),
    number(
        "Switches applied",
        "The offset of the last command that every process has applied: the least and the newest. The same: all "
        "follow.",
        "none",
        ("min(lyttepost_control_epoch)", "least"),
        ("max(lyttepost_control_epoch)", "newest"),
    ),
)

RULES = (
    graph(
        "Time of rules",
        "Seconds of each second that judging by a rule takes: the ten slowest.",
        "percentunit",
        (f"topk(10, {per_second('lyttepost_rule_seconds_total', 'rule')})", "{{rule}}"),
    ),
    graph(
        "Failures of rules",
        "How often a rule raised an error or was slow, in the last hour. It is tried again; the log has the error.",
        "short",
        (past_hour("lyttepost_rule_failures_total", "rule"), "{{rule}}"),
        bars=True,
    ),
    number(
        "Rule files",
        "Refused: an edit cannot be read, and the old rules stay in force. `lyttepost rules check` says why.",
        "short",
        ("min(lyttepost_rules_last_reload_successful)", ""),
        words={"0": "REFUSED", "1": "in force"},
        colours=GOOD_ABOVE_ZERO,
    ),
    number(
        "Canaries that were well",
        "The share of the last thirty days in which the newest canary was neither overdue nor took more than a "
        "minute. 95 % is the aim.",
        "percentunit",
        ("1 - avg_over_time(lyttepost:canary_bad:bool[30d])", ""),
        colours=((None, "red"), (0.95, "green")),
        decimals=2,
    ),
)

DELIVERIES = (
    graph(
        "Deliveries",
        "Attempts to tell somebody, in the last hour, by channel and outcome.",
        "short",
        (past_hour("lyttepost_deliveries_total", "channel, outcome"), "{{channel}}: {{outcome}}"),
        bars=True,
    ),
    graph(
        "Failures in a row",
        "Attempts on a channel that failed since the last that got through. Three: who is reached by it alone is "
        "not told.",
        "short",
        ("max by (channel) (lyttepost_channel_consecutive_failures)", "{{channel}}"),
    ),
    graph(
        "Oldest page that waits",
        "How long ago the oldest page was written down that nothing has taken yet. Nothing: none waits.",
        "s",
        ("time() - min(lyttepost_pages_waiting_oldest_timestamp_seconds)", "oldest"),
    ),
    graph(
        "What gateways said later",
        "Receipts in the last hour: delivered or not; and what became of their calls to us.",
        "short",
        (past_hour("lyttepost_receipts_total", "channel, outcome"), "receipt, {{channel}}: {{outcome}}"),
        (past_hour("lyttepost_callbacks_total", "channel, outcome"), "call, {{channel}}: {{outcome}}"),
    ),
    number(
        "Dead-man pings",
        "Pings to the service outside that calls when they stop, since the start; withheld: not all is well here.",
        "short",
        ("sum by (outcome) (lyttepost_deadman_pings_total)", "{{outcome}}"),
        width=5,
        none="not set up",
    ),
    number(
        "Last ping taken",
        "How long ago the service outside took one.",
        "s",
        ("time() - max(lyttepost_deadman_last_ping_timestamp_seconds)", ""),
        width=3,
        none="not set up",
    ),
)

DUTY = (
    number(
        "Roster has a hole in",
        "Until when, within a week, somebody is on duty whom anything wakes. Nothing: there is no hole. "
        "`lyttepost duty check`.",
        "s",
        ("min by (role) (lyttepost_roster_gap_timestamp_seconds) - time()", "{{role}}"),
        width=6,
        colours=((None, "red"), (172800, "green")),
        none="no hole",
    ),
    number(
        "Ever confirmed a message",
        "People of people.yaml, by whether they ever confirmed that a test message arrives.",
        "short",
        ('max(lyttepost_people{confirmed="true"})', "confirmed"),
        ('max(lyttepost_people{confirmed="false"})', "never"),
        width=6,
    ),
    number(
        "Certificates end in",
        "By the setting that names each. Three weeks before ops are told.",
        "s",
        ("min by (setting) (lyttepost_credential_ends_timestamp_seconds) - time()", "{{setting}}"),
        width=6,
        colours=((None, "red"), (172800, "orange"), (1814400, "green")),
        none="none in use",
    ),
    number(
        "Deletions asked for",
        "How long ago a check was begun of which posts held here are gone at their platform. A day: ops are told.",
        "s",
        ("time() - min by (source) (lyttepost_source_deletions_checked_timestamp_seconds)", "{{source}}"),
        colours=((None, "green"), (93600, "red")),
        width=6,
        none="not needed",
    ),
)

MONEY = (
    graph(
        "Spent this month",
        "What a source has cost this calendar month (UTC), against its caps: soft warns, hard pages, ceiling stops.",
        "currencyUSD",
        ('max by (source) (lyttepost_spent_dollars{scope="month"})', "{{source}}"),
        ("max by (source, cap) (lyttepost_budget_dollars)", "{{source}}: {{cap}}"),
    ),
    graph(
        "Spent by incident",
        "What each open incident has cost since it was opened, and what today has (UTC).",
        "currencyUSD",
        ('max by (source, incident) (lyttepost_spent_dollars{scope="incident"})', "{{source}}: {{incident}}"),
        ('max by (source) (lyttepost_spent_dollars{scope="day"})', "{{source}}: today"),
    ),
    graph(
        "Cost an hour",
        "At the rate of the last ten minutes.",
        "currencyUSD",
        ("max by (source) (lyttepost_spending_dollars_per_hour)", "{{source}}"),
    ),
    graph(
        "Requests to platforms",
        "A minute, by endpoint and outcome. 401 and 403: the key; 429: too many.",
        "cpm",
        (
            per_minute("lyttepost_source_calls_total", "source, endpoint, outcome"),
            "{{source}} {{endpoint}}: {{outcome}}",
        ),
    ),
    graph(
        "Used of what a day allows",
        "What our calls have used today, as a share of what the platform allows. At 1 no more is asked today. "
        "Some allow for longer, such as hashtags a week: at 1 a new one must wait.",
        "percentunit",
        ("max by (source) (lyttepost_quota_used_units) / max by (source) (lyttepost_quota_units)", "{{source}}"),
        (
            "max by (source, allowance) (lyttepost_source_allowance_used) "
            "/ max by (source, allowance) (lyttepost_source_allowance)",
            "{{source}} {{allowance}}",
        ),
    ),
    graph(
        "Posts that are paid for",
        "Posts read that count for the bill, a minute; each once a UTC day.",
        "cpm",
        (per_minute("lyttepost_posts_charged_total", "source"), "{{source}}"),
    ),
)

BUS = (
    number(
        "Bus",
        "Whether the bus answers, as each process sees it.",
        "short",
        ("min(lyttepost_bus_up)", ""),
        words={"0": "AWAY", "1": "answers"},
        colours=GOOD_ABOVE_ZERO,
    ),
    number(
        "Room",
        "Full: posts are refused; alerts go out of a reserve.",
        "short",
        ("max(lyttepost_bus_full)", ""),
        words={"0": "there is", "1": "FULL"},
        colours=BAD_ABOVE_ZERO,
    ),
    graph(
        "Free where the bus writes",
        "Below 1 GiB ops are told.",
        "bytes",
        ("min by (instance) (lyttepost_bus_free_bytes)", "{{instance}}"),
    ),
    graph(
        "Kept on disk while the bus is away",
        "Of each source, against how much may be kept; what comes beyond is a gap.",
        "bytes",
        ("max by (source) (lyttepost_spool_bytes)", "{{source}}"),
        ("max by (source) (lyttepost_spool_limit_bytes)", "{{source}}: at most"),
    ),
    graph(
        "Oldest on disk",
        "How long ago the oldest was heard that is not on the bus yet. Nothing: none is kept.",
        "s",
        ("time() - min by (source) (lyttepost_spool_oldest_timestamp_seconds)", "{{source}}"),
    ),
    graph(
        "Writes to the bus that failed",
        "In the last hour: failed, by the error's name, and tried again. Assignments of partitions to workers here.",
        "short",
        (past_hour("lyttepost_bus_producer_errors_total", "reason"), "failed: {{reason}}"),
        (past_hour("lyttepost_bus_retries_total"), "tried again"),
        (past_hour("lyttepost_bus_rebalances_total", "group"), "assigned: {{group}}"),
    ),
    graph(
        "Age against what is allowed",
        "The age of each topic's oldest record, and of the content of sources with a limit of their own, as a "
        "share of how old it may get. Above 1 something is kept too long.",
        "percentunit",
        (
            "(time() - max by (topic) (lyttepost_retention_oldest_record_timestamp_seconds))\n"
            "  / max by (topic) (lyttepost_retention_allowed_seconds)",
            "{{topic}}",
        ),
        (
            "(time() - min by (source) (lyttepost_retention_oldest_content_timestamp_seconds))\n"
            "  / max by (source) (lyttepost_retention_content_allowed_seconds)",
            "content of {{source}}",
        ),
    ),
)

PROCESS = (
    number(
        "Not ready",
        "Parts of processes that say they cannot do their job; `/readyz` tells why.",
        "short",
        ("count by (instance, part) (lyttepost_ready == 0)", "{{instance}}: {{part}}"),
        width=8,
        colours=BAD_ABOVE_ZERO,
        none="all ready",
    ),
    number(
        "Parts that are ready",
        "How many parts of each process can do their job.",
        "short",
        ("sum by (instance) (lyttepost_ready)", "{{instance}}"),
        width=8,
    ),
    number(
        "Runs since",
        "How long ago each process began, and its version.",
        "s",
        (
            "(time() - lyttepost_process_start_time_seconds)\n"
            "  * on (instance) group_left (version) lyttepost_build_info",
            "{{instance}}, {{version}}",
        ),
        width=8,
    ),
    graph(
        "Processor time",
        "Seconds of each second, of each process. 1 is one core.",
        "percentunit",
        (f"rate(lyttepost_process_cpu_seconds_total{RATE})", "{{instance}}"),
    ),
    graph(
        "Memory",
        "What each process has, and the addresses it has asked for.",
        "bytes",
        ("lyttepost_process_resident_memory_bytes", "{{instance}}"),
        ("lyttepost_process_virtual_memory_bytes", "{{instance}}: asked for"),
    ),
    graph(
        "Files and connections",
        "Open ones of each process, as a share of how many it may have.",
        "percentunit",
        ("lyttepost_process_open_fds / lyttepost_process_max_fds", "{{instance}}"),
    ),
    graph(
        "Clocks",
        "How far a process's clock is from that of Prometheus. Ten seconds: ops are told.",
        "s",
        (
            "lyttepost_clock_timestamp_seconds - timestamp(lyttepost_clock_timestamp_seconds)",
            "{{instance}}",
        ),
        least=None,
    ),
    graph(
        "Canary: every so often",
        "How often a canary is posted; 0: none is. Beside it how long ago the newest that arrived was.",
        "s",
        ("max(lyttepost_canary_interval_seconds)", "interval"),
        ("time() - max(lyttepost_canary_last_arrived_timestamp_seconds)", "newest"),
    ),
)

ROWS: Rows = (
    ("Sources: does it hear?", SOURCES),
    ("What comes in, and what becomes of it", FLOW),
    ("How far behind", LAG),
    ("Rules", RULES),
    ("Deliveries", DELIVERIES),
    ("Duty and what ends", DUTY),
    ("What it costs", MONEY),
    ("Bus and disk", BUS),
    ("Processes", PROCESS),
)
