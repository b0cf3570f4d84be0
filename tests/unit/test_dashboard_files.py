"""The dashboards as files: what their script makes, readable by Grafana's own types, and complete."""

from __future__ import annotations

import json
import os
import re
from itertools import chain
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from listener.runtime.metrics import Metrics

if not os.environ.get("CI"):
    pytest.importorskip("grafana_foundation_sdk", reason="comes with the extra `test`: pip install -e '.[test]'")

from documents_support import ROOT
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana import build

NAMES = ("crisis.json", "pipeline.json")
NOT_SHOWN: dict[str, str] = {}
"""Metric → why it is on no dashboard. None is at present."""


def board(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((build.FOLDER / name).read_text(encoding="utf-8"))
    return found


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in board(name)["panels"] if panel["type"] != "row"]


def expressions(name: str) -> list[str]:
    return [target["expr"] for panel in panels(name) for target in panel["targets"]]


ALL = [*chain.from_iterable(expressions(name) for name in NAMES)]


def test_the_files_are_what_the_script_makes() -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in build.FOLDER.glob("*.json")}
    assert files == build.made(), "run `python -m deploy.grafana.build`"


def test_the_script_makes_the_same_each_time() -> None:
    assert build.made() == build.made()


@pytest.mark.parametrize("name", NAMES)
def test_grafanas_own_types_read_a_file_and_lose_nothing_of_it(name: str) -> None:
    register_default_plugins()
    read = Dashboard.from_json(board(name))
    assert json.loads(JSONEncoder().encode(read)) == board(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_what_it_is_in_which_unit_and_what_it_tells(name: str) -> None:
    for panel in panels(name):
        title = panel["title"]
        assert title, panel
        assert panel["fieldConfig"]["defaults"]["unit"], title
        assert re.fullmatch(r"[A-Z0-9].{20,}\.", panel["description"], re.DOTALL), title
        assert panel["targets"], title
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, title
    titles = [panel["title"] for panel in panels(name)]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_addresses_of_their_own_and_do_not_lie_on_each_other(name: str) -> None:
    placed = board(name)["panels"]
    assert len({panel["id"] for panel in placed}) == len(placed)
    taken: set[tuple[int, int]] = set()
    for panel in placed:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def metrics_of(expression: str) -> set[str]:
    return set(re.findall(r"\blyttepost_[a-z_]+", expression))


def test_every_metric_is_on_a_dashboard_or_says_why_not() -> None:
    specs = Metrics(CollectorRegistry(), "0").specs
    shown = {name.removesuffix("_bucket") for expression in ALL for name in metrics_of(expression)}
    known = {spec.name for spec in specs}
    assert shown <= known
    assert known - shown == NOT_SHOWN.keys()


def test_no_panel_goes_by_the_name_of_a_source_a_rule_or_a_channel() -> None:
    named = re.compile(r'\b(?:source|rule|channel|topic|group|stage|instance)\s*!?=~?\s*"')
    assert [expression for expression in ALL if named.search(expression)] == []


def test_the_runbooks_name_no_panel_that_is_gone() -> None:
    page = (ROOT / "deploy" / "runbooks.md").read_text(encoding="utf-8")
    told = set(re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", page))
    titles = {panel["title"] for name in NAMES for panel in panels(name)} | {"Crisis", "Pipeline"}
    assert told - titles == {"Critical", "Targets"}  # a severity, and a page of Prometheus


def test_compose_hands_grafana_the_dashboards_and_the_way_to_prometheus() -> None:
    deploy = ROOT / "deploy"
    compose = yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    mounted = {
        inside: deploy / outside.removeprefix("./")
        for name in ("prometheus", "alertmanager", "grafana")
        for outside, inside, *_ in (volume.split(":") for volume in services[name]["volumes"])
        if outside.startswith("./")
    }
    assert [str(path) for path in mounted.values() if not path.exists()] == []
    provisioning = mounted["/etc/grafana/provisioning"]
    (source,) = yaml.safe_load((provisioning / "datasources" / "lyttepost.yaml").read_text("utf-8"))["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "lyttepost.yaml").read_text("utf-8"))["providers"]
    assert source["url"] == "http://prometheus:9090"
    assert mounted[provider["options"]["path"]] == build.FOLDER
    scraped = yaml.safe_load(mounted["/etc/prometheus/prometheus.yml"].read_text("utf-8"))["scrape_configs"][0]
    hosts = {target.partition(":")[0] for target in scraped["static_configs"][0]["targets"]}
    assert hosts == {name for name, its in services.items() if its["image"] == "lyttepost"}
