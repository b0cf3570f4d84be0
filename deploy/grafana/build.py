"""Writes the dashboards: `python -m deploy.grafana.build` makes deploy/grafana/dashboards/*.json anew.

Grafana's JSON is long and says little; what is meant stands in `crisis.py` and `pipeline.py`, and a test holds that the
files are what this makes of them. Needs `grafana-foundation-sdk`, which comes with the extra `test`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync

from deploy.grafana import crisis, pipeline
from deploy.grafana.panels import DATASOURCE, Rows

FOLDER = Path(__file__).parent / "dashboards"


def made() -> dict[str, str]:
    """The name of each file, and what is to stand in it."""
    both = {
        "crisis.json": _dashboard(
            "Lyttepost: crisis", "lyttepost-crisis", "What is going on, and who is told.", crisis.ROWS, "now-6h"
        ).with_variable(crisis.tracks()),
        "pipeline.json": _dashboard(
            "Lyttepost: pipeline", "lyttepost-pipeline", "Does it hear, judge and tell?", pipeline.ROWS, "now-3h"
        ),
    }
    return {name: _as_json(its) for name, its in both.items()}


def _dashboard(title: str, uid: str, description: str, rows: Rows, since: str) -> dashboard.Dashboard:
    board = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["lyttepost"])
        .refresh("10s")
        .time(since, "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(dashboard.DashboardLink("Lyttepost").type("dashboards").tags(["lyttepost"]).keep_time(True))
        .annotation(_alerts())
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for name, panels in rows:
        board = board.with_row(dashboard.Row(name))
        for panel in panels:
            board = board.with_panel(panel)
    return board


def _alerts() -> dashboard.AnnotationQuery:
    """When an alert of Prometheus fired, across all graphs."""
    return (
        dashboard.AnnotationQuery()
        .name("Alerts about Lyttepost itself")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("red")
        .expr('ALERTS{alertname=~"Lyttepost.*",alertname!="LyttepostDeadMan",alertstate="firing"}')
        .title_format("{{alertname}}")
        .text_format("{{instance}} {{source}} {{part}}")
    )


def _as_json(board: dashboard.Dashboard) -> str:
    whole: dict[str, Any] = json.loads(JSONEncoder().encode(board.build()))
    for place, panel in enumerate(whole["panels"], 1):
        panel["id"] = place  # a panel's address; Grafana would number them anew each time
    return json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, text in made().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{FOLDER / name}\n")
