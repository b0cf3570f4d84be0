"""Rules: what makes an alert. One file a type, read from `config/rules/*.yaml`, judged on event time.

    load       rule files → specs, or a ConfigError that names file, line and what to do
    spec       what every rule may say; each type in `types/` adds its own options
    fields     how filters and keys read a finding
    entry      what a rule's windows keep of a finding
    judge      what every type implements, and what it knows of the incident
    verdict    one thing that a rule says, and why (`lyttepost rules reasons` lists the reasons)
    answers    what people answered, and whether it has grown many times over since; `bearing`: what that is to a rule
    report     makes verdicts from a window's posts, and alerts from verdicts
    past       how the numbers of a key stood at any time, for posts that are found late; on `steps`
    engine/engine         findings, ticks and gaps in → verdicts out; one engine for each incident
    engine/index          which rules a finding may concern
    engine/watermark      until when everything is heard
    engine/aggregation    several alarms of a rule in one
    conditions/early      alarms that are told before late posts have been waited for
    conditions/window     posts of the last timeframe, counted as posts, authors or stories
    conditions/level      conditions that time alone can bring or end, on the windows of `conditions/stages`
    conditions/episodes   what a rule has said, and how long it is quiet after an alarm

A rule's own examples are run through the same engine (`alerts.judge.examples`).

Why level and not every match: a person is called when a condition begins and notified when it has passed. ElastAlert
forgets a window's posts after a match and so matches again at every multiple of `num_events`; at 3 a.m. that is
noise. Why event time: a shuffled, late or replayed stream must give the alerts of an ordered one.

What we do otherwise than ElastAlert, on purpose:
- windows and `realert` run on event time; a window is half open: (t - timeframe, t].
- `frequency` fires on the rising edge and resolves on the falling one. A rise within `realert` of the last
  alarm is suppressed, and fires at the first post after `realert` if the level still stands.
- `spike` and `flatline` are levels too, judged at the very instant at which a window changes and not with the next
  query; there each query matches again, and `spike` forgets its windows. Both windows of a spike are as long as
  `timeframe` says; there the reference ends with the newest post that has left the current one. From none to none is
  no spike. A hole in our hearing is not silence: they stay silent over gaps. A key that has a silence is
  remembered while it stands; `forget_keys` forgets it, as there.
- `aggregation` sends the first alarm at once and holds those that join it; there all wait until the time is over. It
  has passed when all that joined it has. `exponential_realert` doubles as there, but its exponent is never below 0.
- `cardinality`, `percentage_match`, `metric_aggregation` are levels as well: there each further value and each
  `bucket_interval` matches again. Too low is reported only of a timeframe that was heard in full; a key is held to a
  minimum once it was seen for a timeframe, and forgotten after two without a post.
- `blacklist` and `whitelist` mind no case and read no `!file`; of a list one value is enough. `change` always has a
  timeframe. None of a hundred is a share of 0 %. `metric_aggregation` knows no scripts and percentiles; what is no
  finite number is left aside.
- what people answered or dismissed is held, and what stands of it is over, unless it grows many times over.
- reposts are no authors, and all posts that say the same are one story (`count_by`).
- a rule that fails or is slow is reported to ops and tried again; there it is disabled.
- `new_term` asks for `num_events` persons before a term is news, and for `new_term` `realert` holds the whole rule.
- `any` and `new_term` are events and no states: they resolve nothing.
- a list (kinds, hashtags, tracks) as `query_key` gives one key for each entry; a finding without the key is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping

TYPES: Mapping[str, str] = {
    "any": "alerts.rules.types.any:TYPE",
    "blacklist": "alerts.rules.types.blacklist:TYPE",
    "burst": "alerts.rules.types.burst:TYPE",
    "cardinality": "alerts.rules.types.cardinality:TYPE",
    "change": "alerts.rules.types.change:TYPE",
    "flatline": "alerts.rules.types.flatline:TYPE",
    "frequency": "alerts.rules.types.frequency:TYPE",
    "metric_aggregation": "alerts.rules.types.metric_aggregation:TYPE",
    "new_term": "alerts.rules.types.new_term:TYPE",
    "percentage_match": "alerts.rules.types.percentage_match:TYPE",
    "spike": "alerts.rules.types.spike:TYPE",
    "story": "alerts.rules.types.story:TYPE",
    "whitelist": "alerts.rules.types.whitelist:TYPE",
}
"""`type:` in a rule file → its module's RuleType, imported when used."""
