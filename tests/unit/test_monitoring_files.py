"""The files of deploy/monitoring/: Prometheus takes them, and queries name metrics that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from grafana import Dashboard
from monitoring import DASHBOARDS, NAMES, OTHERS, OURS, check, metrics_of, queries, rules
from paths import DOCS
from windlass.metrics.families import ENDS

QUERIES = [(path.name, *query) for path in DASHBOARDS for query in queries(path)]
QUERIES += [("alerts.yml", *rule) for rule in rules().items()]


@pytest.mark.parametrize(("file", "title", "query"), QUERIES)
def test_a_query_names_metrics_that_exist(file: str, title: str, query: str) -> None:
    found = metrics_of(query)
    assert found and found <= NAMES


def test_a_metric_that_is_none_is_found() -> None:
    query = 'sum by (state) (increase(windlass_run_total{flow=~"a|b"}[1h])) or time() - windlass_x'
    assert metrics_of(query) == {"windlass_run_total", "windlass_x"}


def test_every_metric_is_in_a_dashboard_or_an_alert_and_on_the_page() -> None:
    page = (DOCS / "monitoring.md").read_text()
    used = {name for _, _, query in QUERIES for name in metrics_of(query)}
    assert used == OURS | OTHERS
    assert {name for name in OURS if f"`{name}`" not in page} == set()
    assert set(re.findall(r"`(windlass_\w+)`", page)) <= OURS
    assert all(alert in page for alert in rules())


def test_every_state_that_a_query_names_is_one() -> None:
    named = {
        state
        for _, _, query in QUERIES
        for states in re.findall(r'state=~?"([^"]*)"', query)
        for state in states.split("|")
    }
    assert named and named <= {str(state) for state in ENDS}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_a_dashboard_s_panels_have_their_own_place_and_number(path: Path) -> None:
    board: dict[str, Any] = json.loads(path.read_text())
    panels = board["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}  # fmt: skip
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
        assert len({one["refId"] for one in panel["targets"]}) == len(panel["targets"])
    variables = {one["name"] for one in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(board)))
    assert used == variables


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_a_dashboard_is_one_by_grafana_s_schema(path: Path) -> None:
    found = Dashboard.model_validate_json(path.read_text())
    assert found.panels


@pytest.mark.parametrize(
    ("name", "value"), [("schemaVersion", "39"), ("graphTooltip", 3), ("panel", []), ("time", {})]
)
def test_a_dashboard_that_is_none_by_that_schema_is_found(name: str, value: object) -> None:
    board = {**json.loads(DASHBOARDS[0].read_text()), name: value}
    with pytest.raises(ValidationError):
        Dashboard.model_validate_json(json.dumps(board))


@pytest.mark.parametrize(
    "words",
    [
        ("check", "rules", "alerts.yml"),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_accepts_it(words: tuple[str, ...]) -> None:
    assert "SUCCESS" in check(*words)
