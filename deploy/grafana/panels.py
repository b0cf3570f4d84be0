"""What both dashboards are made of: panels of one or more expressions, each with title, unit and what it tells.

A thin layer over `grafana_foundation_sdk`, which knows Grafana's JSON; what is said here is only what all panels share.
Expressions take the highest over processes where each tells the same (`max by`), and the sum where each tells its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
"""Chosen at the top of the dashboard, so that it can be put into any Grafana."""
RATE = "[$__rate_interval]"
"""Over how long a rate is taken: Grafana fills it in, as long as the steps of what is shown."""

Panel = stat.Panel | timeseries.Panel
Rows = tuple[tuple[str, tuple[Panel, ...]], ...]
"""The rows of a dashboard: the heading of each, and its panels."""
Query = tuple[str, str]
"""An expression, and the name of its lines: `{{label}}` in it is filled by Grafana."""
Colours = Sequence[tuple[float | None, str]]
"""From which value on which colour; the first has none."""

BAD_ABOVE_ZERO: Colours = ((None, "green"), (1, "red"))
GOOD_ABOVE_ZERO: Colours = ((None, "red"), (1, "green"))
NEUTRAL: Colours = ((None, "blue"),)


def per_second(counter: str, by: str = "") -> str:
    """How much a counter gains each second, summed over all labels but `by`, names with commas between them."""
    return _sum(f"rate({counter}{RATE})", by)


def per_minute(counter: str, by: str = "") -> str:
    """As `per_second`: people count posts by the minute."""
    return "60 * " + per_second(counter, by)


def past_hour(counter: str, by: str = "") -> str:
    """How much a counter gained in the last hour, summed as by `per_second`."""
    return _sum(f"increase({counter}[1h])", by)


def number(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 4,
    colours: Colours = NEUTRAL,
    words: Mapping[str, str] | None = None,
    none: str = "none",
    decimals: int = 0,
) -> stat.Panel:
    """The newest value, large. `words`: value → what stands there instead; `none`: where there is none."""
    panel = (
        stat.Panel()
        .height(4)
        .no_value(none)
        .decimals(decimals)
        .graph_mode(models.BigValueGraphMode.NONE)
        .text_mode(models.BigValueTextMode.VALUE_AND_NAME if len(queries) > 1 or queries[0][1] else _VALUE)
        .color_mode(models.BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_thresholds(colours))
    )
    if words:
        options = {value: ValueMappingResult(text=text, index=n) for n, (value, text) in enumerate(words.items())}
        panel = panel.mappings([ValueMap(options=options)])
    for query in _queries(queries):
        panel = panel.with_target(query)
    return panel.title(title).description(description).unit(unit).datasource(DATASOURCE).span(width)


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 8,
    stacked: bool = False,
    bars: bool = False,
    band: tuple[str, str] | None = None,
    line: str | None = None,
    least: float | None = 0,
) -> timeseries.Panel:
    """Values over time. `stacked`: they add up; `line` is then the name of the one that is their sum and stands by
    itself. `band`: the names of an upper and a lower line between which it is shaded."""
    panel = (
        timeseries.Panel()
        .height(8)
        .legend(
            common.VizLegendOptions()
            .display_mode(models.LegendDisplayMode.LIST)
            .placement(models.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(models.TooltipDisplayMode.MULTI))
        .line_width(1)
        .fill_opacity(30 if stacked or bars else 5)
        .show_points(models.VisibilityMode.NEVER)
        .draw_style(models.GraphDrawStyle.BARS if bars else models.GraphDrawStyle.LINE)
    )
    if least is not None:
        panel = panel.min(least)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(models.StackingMode.NORMAL).group("A"))
    if line is not None:
        alone = {"group": "A", "mode": "none"}
        values = {"custom.stacking": alone, "custom.lineWidth": 3, "custom.fillOpacity": 0, "custom.drawStyle": "line"}
        panel = panel.override_by_name(line, [DynamicConfigValue(id_val=key, value=its) for key, its in values.items()])
    if band is not None:
        upper, lower = band
        shaded = {"custom.fillBelowTo": lower, "custom.fillOpacity": 15, "custom.lineWidth": 0, "color": _GREY}
        edge = {"custom.fillOpacity": 0, "custom.lineWidth": 0, "color": _GREY}
        for name, values in ((upper, shaded), (lower, edge)):
            its = [DynamicConfigValue(id_val=key, value=value) for key, value in values.items()]
            panel = panel.override_by_name(name, its)
    for query in _queries(queries):
        panel = panel.with_target(query)
    return panel.title(title).description(description).unit(unit).datasource(DATASOURCE).span(width)


_VALUE = models.BigValueTextMode.VALUE
_GREY = {"mode": "fixed", "fixedColor": "gray"}


def _sum(of: str, by: str) -> str:
    return f"sum by ({by}) ({of})" if by else f"sum({of})"


def _queries(queries: Sequence[Query]) -> list[prometheus.Dataquery]:
    return [
        prometheus.Dataquery().expr(expression).legend_format(legend or "__auto").ref_id(chr(ord("A") + place))
        for place, (expression, legend) in enumerate(queries)
    ]


def _thresholds(colours: Colours) -> dashboard.ThresholdsConfig:
    steps = [Threshold(color=colour, value=value) for value, colour in colours]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
