"""Draw both dashboards without Grafana: `python deploy/grafana/draw.py http://127.0.0.1:9090 FOLDER`.

It asks a Prometheus what each panel asks, and lays the panels out as Grafana would: titles, units, numbers and curves,
not Grafana's own hand. Needs the extra `deploy`. `crisis.png` and `pipeline.png` in `deploy/screenshots` show the
service under test of `tests/scenarios/test_dashboards_answer.py`, which LYTTEPOST_DRAWN=deploy/screenshots renews.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from matplotlib.axes import Axes
from matplotlib.figure import Figure

BOARDS = ("crisis", "pipeline")
COLUMNS, COLUMN_INCHES, ROW_INCHES, DPI = 24, 0.62, 0.36, 100
STEPS = 120
"""Points of each curve."""
GAP = 0.4
"""Between panels, in columns and rows."""
CURVES, NUMBERS = 8, 4
"""So many of a panel's curves and numbers are named, the largest first."""
SUFFIXES = {"s": " s", "cpm": "/min", "currencyUSD": " USD", "bytes": " B"}
TIMES = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"))
"""From two of a unit on, seconds are told in it."""
SIZES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))

Series = tuple[str, list[tuple[float, float]]]
"""A name, and what it was when: seconds since 1970."""


def shown(value: float, panel: Mapping[str, Any]) -> str:
    """A number as the panel words it."""
    defaults = panel["fieldConfig"]["defaults"]
    for mapping in defaults.get("mappings", ()):
        if found := mapping["options"].get(f"{value:g}"):
            return str(found["text"])
    unit = defaults.get("unit")
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    for size, name in TIMES if unit == "s" else ():
        if abs(value) >= 2 * size:
            return f"{value / size:.3g} {name}"
    for size, letter in SIZES:
        if abs(value) >= size:
            return f"{value / size:.3g} {letter}{SUFFIXES.get(unit, '').strip()}"
    return f"{value:.3g}{SUFFIXES.get(unit, '')}"


class Prometheus:
    """What it has of the last `seconds`."""

    def __init__(self, address: str, seconds: float, variables: Mapping[str, str]) -> None:
        self._address = address.rstrip("/")
        self._seconds = seconds
        self._variables = variables

    def ask(self, panel: Mapping[str, Any]) -> list[Series]:
        """The series of a panel that have a number. Raises OSError, and ValueError for what Prometheus refuses."""
        end = time.time()
        found: list[Series] = []
        for target in panel["targets"]:
            expression = target["expr"]
            for variable, value in self._variables.items():
                expression = expression.replace(variable, value)
            asked = {"query": expression, "start": end - self._seconds, "end": end, "step": self._seconds / STEPS}
            with urlopen(f"{self._address}/api/v1/query_range?{urlencode(asked)}", timeout=30) as answer:  # noqa: S310
                result = json.load(answer)["data"]["result"]
            for each in result:
                points = [(float(at), float(value)) for at, value in each["values"]]
                if points := [(at, value) for at, value in points if isfinite(value)]:
                    found.append((_name(target.get("legendFormat", ""), each["metric"], expression), points))
        return found


def _name(legend: str, labels: Mapping[str, str], expression: str) -> str:
    if legend != "__auto":
        return re.sub(r"{{\s*(\w+)\s*}}", lambda match: labels.get(match[1], ""), legend)
    return ", ".join(value for name, value in labels.items() if name != "__name__") or expression.partition("(")[0]


def draw_numbers(axes: Axes, panel: Mapping[str, Any], series: list[Series]) -> None:
    axes.set_axis_off()
    lines = [(name, shown(points[-1][1], panel)) for name, points in series][:NUMBERS]
    if len(lines) == 1:
        axes.text(0.5, 0.42, lines[0][1], ha="center", va="center", fontsize=17, transform=axes.transAxes)
        return
    for place, (name, value) in enumerate(lines):
        words = f"{name}: {value}" if name else value
        axes.text(0.04, 0.78 - 0.24 * place, words[:44], va="center", fontsize=8.5, transform=axes.transAxes)
    if not lines:
        nothing = panel["fieldConfig"]["defaults"].get("noValue", "no data")
        axes.text(0.5, 0.42, nothing, ha="center", va="center", color="grey", transform=axes.transAxes)


def draw_curves(axes: Axes, panel: Mapping[str, Any], series: list[Series], seconds: float) -> None:
    end = time.time()
    loudest = sorted(series, key=lambda each: -max(value for _, value in each[1]))
    for place, (name, points) in enumerate(loudest):
        label = (name[:28].lstrip("_") or panel["title"]) if place < CURVES else "_"
        axes.plot([at - end for at, _ in points], [value for _, value in points], linewidth=1.2, label=label)
    axes.set_xlim(-seconds, 0)
    axes.grid(visible=True, linewidth=0.3)
    axes.tick_params(labelsize=6)
    axes.yaxis.set_major_formatter(lambda value, _: shown(value, panel))
    axes.xaxis.set_major_formatter(
        lambda value, _: f"{value:g} s" if seconds < 2 * TIMES[-1][0] else f"{value / 60:g} min"
    )
    if series:
        axes.legend(fontsize=6, loc="upper left", frameon=False, ncols=2 if len(series) > CURVES // 2 else 1)
    else:
        axes.text(0.5, 0.5, "no data", ha="center", va="center", color="grey", transform=axes.transAxes)


def draw(board: Mapping[str, Any], prometheus: Prometheus, seconds: float) -> tuple[Figure, int]:
    """The dashboard, and how many of its panels had a number."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    figure = Figure(figsize=(COLUMNS * COLUMN_INCHES, rows * ROW_INCHES), dpi=DPI, facecolor="white")
    filled = 0
    for panel in board["panels"]:
        place = panel["gridPos"]
        left, top = place["x"] / COLUMNS, 1 - place["y"] / rows
        if panel["type"] == "row":
            figure.text(left + 0.004, top - 0.75 / rows, panel["title"], fontsize=11, fontweight="bold")
            continue
        # Room for the title above and the times below.
        width, height = (place["w"] - 3 * GAP) / COLUMNS, (place["h"] - 2.4) / rows
        axes = figure.add_axes((left + 2 * GAP / COLUMNS, top - (place["h"] - 1.1) / rows, width, height))
        axes.set_title(panel["title"], fontsize=8.5, loc="left")
        series = prometheus.ask(panel)
        filled += bool(series)
        if panel["type"] == "stat":
            draw_numbers(axes, panel, series)
        else:
            draw_curves(axes, panel, series, seconds)
    return figure, filled


def draw_all(address: str, folder: Path, minutes: float, rate: str) -> dict[str, int]:
    """Both, into `folder`; how many panels of each had a number. Raises OSError."""
    variables = {"$__rate_interval": rate, "$__range": f"{max(1, round(minutes))}m", "$track": ".+"}
    prometheus = Prometheus(address, minutes * 60, variables)
    drawn = {}
    for name in BOARDS:
        board = json.loads((Path(__file__).parent / "dashboards" / f"{name}.json").read_text(encoding="utf-8"))
        figure, drawn[name] = draw(board, prometheus, minutes * 60)
        figure.savefig(folder / f"{name}.png")
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw both dashboards without Grafana, by what a Prometheus has.")
    parser.add_argument("prometheus", help="its address, such as http://127.0.0.1:9090")
    parser.add_argument("folder", type=Path, help="where crisis.png and pipeline.png go")
    parser.add_argument("--minutes", type=float, default=15, help="how far back")
    parser.add_argument("--rate", default="1m", help="what $__rate_interval stands for: four scrapes or more")
    options = parser.parse_args()
    for name, count in draw_all(options.prometheus, options.folder, options.minutes, options.rate).items():
        sys.stdout.write(f"{name}.png: {count} panels with data\n")


if __name__ == "__main__":
    main()
