"""Rules: what makes an alert. One file a type, read from `config/rules/*.yaml`, judged on event time.

    load.py      rule files → specs, or a ConfigError that names file, line and mend
    spec.py      what every rule may say; each type adds its own options
    fields.py    how filters and keys read a finding
    engine.py    findings, ticks and gaps in → verdicts out; one engine for each incident
    watermark.py until when everything is heard
    window.py    posts of the last timeframe, counted as posts, authors or stories
    verdict.py   what a rule says, and why: the enum of reasons
    examples.py  a rule's own examples, run through the same engine

Why level and not every match: a person is called when a condition begins and told when it has passed. ElastAlert
forgets a window's posts after a match and so matches again at every multiple of `num_events`; at 3 a.m. that is
noise. Why event time: a shuffled, late or replayed stream must give the alerts of an ordered one.

What we do otherwise than ElastAlert, on purpose:
- windows and `realert` run on event time; a window is half open: (t - timeframe, t].
- `frequency` fires on the rising edge and resolves on the falling one. A rise within `realert` of the last
  alarm is suppressed, and fires at the first post after `realert` if the level still stands.
- `new_term` asks for `num_events` persons before a term is news, and for `new_term` `realert` holds the whole rule.
- `any` and `new_term` are events and no states: they resolve nothing.
- a list (kinds, hashtags, tracks) as `query_key` gives one key for each entry; a finding without the key is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping

TYPES: Mapping[str, str] = {
    "any": "alerts.rules.any:TYPE",
    "frequency": "alerts.rules.frequency:TYPE",
    "new_term": "alerts.rules.new_term:TYPE",
}
"""`type:` in a rule file → its module's RuleType, imported when used."""
