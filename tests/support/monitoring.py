"""Prometheus, node-exporter and a Pushgateway of this machine, and what they are asked."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from awaiting import until
from needs import needs_program
from paths import ROOT
from servers import _die_with_parent, free_port
from windlass.metrics.families import FAMILIES
from windlass.metrics.live import LIVE_FAMILIES

MONITORING = ROOT / "deploy" / "monitoring"
DASHBOARDS = sorted((MONITORING / "dashboards").glob("*.json"))
# of PromQL in our queries, and those of labels
_FUNCTIONS = {"avg_over_time", "by", "count", "increase", "max", "or", "sum", "time", "unless"}
_FUNCTIONS |= {"and", "rate", "vector"}
# of other programs, which a rule may name as well
OTHERS = {"node_textfile_scrape_error"}
OURS = {family.name for family in (*FAMILIES, *LIVE_FAMILIES)}
NAMES = OURS | OTHERS


def rules() -> dict[str, str]:
    """The query of each alert."""
    found = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    return {rule["alert"]: rule["expr"] for group in found["groups"] for rule in group["rules"]}


def queries(path: Path) -> list[tuple[str, str]]:
    """Each query of a dashboard, with the title of its panel."""
    board = json.loads(path.read_text())
    return [(one["title"], to["expr"]) for one in board["panels"] for to in one["targets"]]


def metrics_of(query: str) -> set[str]:
    """The names of metrics in a query: words that are neither labels nor functions."""
    bare = re.sub(r"\"(?:[^\"\\]|\\.)*\"", "", query)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\bby\s*\([^)]*\)|\bon\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)) - _FUNCTIONS


def filled_in(query: str) -> str:
    """A query as Grafana would send it, with everything selected."""
    for variable, value in {
        "$flow": ".*",
        "$target": ".*",
        "$__range": "1h",
        "$__rate_interval": "1m",
    }.items():
        query = query.replace(variable, value)
    assert "$" not in query
    return query


def get(url: str, login: str = "") -> str:
    coded = base64.b64encode(login.encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {coded}"})
    with urllib.request.urlopen(request if login else url, timeout=5) as answer:
        text: bytes = answer.read()
    return text.decode()


class Prometheus:
    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str) -> list[dict[str, Any]]:
        """What a query finds: series with their value."""
        found: list[dict[str, Any]] = self._get(f"query?query={quote(query)}")["result"]
        return found

    def value(self, query: str) -> float | None:
        """Of the one series that it finds."""
        found = self.ask(query)
        assert len(found) < 2, found
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> dict[str, str]:
        """The summary of each alert that fires."""
        alerts = self._get("alerts")["alerts"]
        return {
            one["labels"]["alertname"]: one["annotations"]["summary"]
            for one in alerts
            if one["state"] == "firing"
        }

    def _get(self, what: str) -> Any:
        answer = json.loads(get(f"{self.url}/api/v1/{what}"))
        assert answer["status"] == "success"
        return answer["data"]


def check(*words: str) -> str:
    """What promtool says; it must be content."""
    needs_program("promtool")
    ran = subprocess.run(
        ["promtool", *words], capture_output=True, text=True, cwd=MONITORING, timeout=30
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@contextmanager
def node_exporter(folder: Path) -> Iterator[str]:
    """One that has the textfile collector alone; its address."""
    with _started(
        "prometheus-node-exporter",
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={folder}",
    ) as place:
        yield place


@contextmanager
def pushgateway(*words: str) -> Iterator[str]:
    """Its address."""
    with _started("prometheus-pushgateway", "--persistence.file=", *words) as place:
        yield place


@contextmanager
def prometheus(
    folder: Path, places: Mapping[str, str], tokens: Mapping[str, str] | None = None
) -> Iterator[Prometheus]:
    """One with the example's configuration and rules, in which each job is at another place and
    shows its token, and everything happens each half second."""
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    config["rule_files"] = [str(MONITORING / one) for one in config["rule_files"]]
    jobs = [job for job in config["scrape_configs"] if job["job_name"] in places]
    for job in jobs:
        job["static_configs"] = [{"targets": [places[job["job_name"]]]}]
        if token := (tokens or {}).get(job["job_name"]):
            assert job["authorization"], "the example has a token"
            job["authorization"] = {"credentials": token}
    config["scrape_configs"] = jobs
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    with _started(
        "prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"
    ) as place:
        yield Prometheus(f"http://{place}")


@contextmanager
def _started(program: str, *words: str) -> Iterator[str]:
    needs_program(program)
    place = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [program, *words, f"--web.listen-address={place}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,
    )

    def answers() -> bool:
        assert process.poll() is None, f"{program} has ended"
        with suppress(urllib.error.HTTPError):  # one that wants a login answers, too
            get(f"http://{place}/{'-/ready' if program == 'prometheus' else ''}")
            return True
        return program != "prometheus"

    def is_up() -> bool:
        with suppress(urllib.error.URLError, ConnectionError):
            return answers()
        return False

    try:
        until(is_up, f"{program}'s start")
        yield place
    finally:
        process.terminate()
        process.wait(30)
