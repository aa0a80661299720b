"""Runs that a real Prometheus sees: by node-exporter's textfile collector and by a Pushgateway."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from awaiting import until
from browsing import TOKEN, serving
from command import BAD_SPEC, DIFFERENT, DONE, REFUSED, migrate, windlass
from monitoring import (
    DASHBOARDS,
    Prometheus,
    filled_in,
    get,
    metrics_of,
    node_exporter,
    prometheus,
    pushgateway,
    queries,
)
from servers import Pair, free_port

ROWS = (
    "create schema s",
    "create table s.t (id int primary key, note text)",
    "insert into s.t select n, 'note ' || n from generate_series(1, 200) n",
)
USER, PASSWORD = "app", "pa55-for-tests"
HASH = "$2b$04$abcdefghijklmnopqrstuuJ/InDVElaBnZsFO/KnLjem.BK/Aiiz6"  # of PASSWORD
LOGIN = {"WINDLASS_PUSHGATEWAY_USER": USER, "WINDLASS_PUSHGATEWAY_PASSWORD": PASSWORD}
EIGHT_DAYS = 8 * 86400 + 60


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[str]:
    """A Pushgateway that wants a login."""
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{{USER}: '{HASH}'}}\n")
    with pushgateway(f"--web.config.file={file}") as place:
        yield place


def pushed(place: str, name: str) -> str:
    """The value of a series, as the Pushgateway shows it to whoever has the login."""
    text = get(f"http://{place}/metrics", f"{USER}:{PASSWORD}")
    (value,) = re.findall(rf"(?m)^{name} (\S+)$", text)
    return str(value)


def later(file: Path, seconds: int) -> None:
    """The file as it is when nothing has run for so long."""
    earlier = f"{time.time() - seconds:.0f}"
    text = file.read_text()
    text = re.sub(
        r"(?m)^(windlass_run_success_timestamp_seconds\{.*\}) .*$", rf"\1 {earlier}", text
    )
    new = file.with_name("new")
    new.write_text(text)
    new.replace(file)


def test_prometheus_sees_runs_fires_alerts_and_answers_the_dashboard(
    pair: Pair, tmp_path: Path
) -> None:
    pair.source.run(*ROWS)
    texts = tmp_path / "texts"
    texts.mkdir()
    file = texts / "windlass.prom"
    told = ("--metrics-file", str(file))
    with ExitStack() as stack:
        places = {"node": stack.enter_context(node_exporter(texts))}
        places["pushgateway"] = stack.enter_context(pushgateway())
        page = stack.enter_context(serving(env={"WINDLASS_TARGET": pair.target.url}))
        places["windlass"] = page.url.removeprefix("http://")
        seen = stack.enter_context(prometheus(tmp_path, places, {"windlass": TOKEN}))
        migrate(pair, *told).expect(DONE)
        until(lambda: seen.value('windlass_runs_total{state="done"}') == 1, "the migration")
        assert seen.value("windlass_run_rows") == 200
        assert seen.value("windlass_rows_total") == 200
        until(lambda: seen.value("windlass_live_rows") == 200, "the page's metrics")
        assert seen.firing() == {}
        (found,) = seen.ask("windlass_run_seconds")
        assert found["metric"]["source"].startswith(f"{pair.source.name} on 127.0.0.1:")

        pair.target.run("update s.t set note = 'other' where id < 4")
        windlass("verify", "--json", *told, pair=pair).expect(DIFFERENT)
        migrate(pair, *told, "--restart").expect(REFUSED)
        until(lambda: len(seen.firing()) > 2, "the alerts")
        assert set(seen.firing()) == {
            "WindlassDifferences",
            "WindlassNeverSucceeded",
            "WindlassRunFailed",
        }
        assert "3 differences between" in seen.firing()["WindlassDifferences"]
        assert "ended as refused" in seen.firing()["WindlassRunFailed"]
        assert seen.value('windlass_runs_total{flow="migrate", state="done"}') == 1
        check_dashboards(seen)

        pair.target.run("update s.t set note = 'note ' || id")
        push = ("--pushgateway", f"http://{places['pushgateway']}", "--metrics-name", "pushed")
        windlass("verify", "--json", *told, pair=pair).expect(DONE)
        windlass("verify", "--json", *push, pair=pair).expect(DONE)
        until(lambda: seen.value('windlass_run_rows{job="windlass"}') == 200, "what was pushed")
        later(file, EIGHT_DAYS)
        until(lambda: "WindlassNoSuccess" in seen.firing(), "the alert of no success")
        assert "has not succeeded for 8d" in seen.firing()["WindlassNoSuccess"]
        until(lambda: "WindlassDifferences" not in seen.firing(), "the end of that alert")
        assert seen.value("node_textfile_scrape_error") == 0


def check_dashboards(seen: Prometheus) -> None:
    """Prometheus understands each query, and finds something for it: except of what a migration
    that does not follow lacks."""
    for path in DASHBOARDS:
        for title, query in queries(path):
            found = seen.ask(filled_in(query))
            if not {"windlass_run_counted_rows"} & metrics_of(query) and "follow_" not in query:
                assert found, f"{path.name}: {title}: {query}"


def test_a_pushgateway_keeps_the_runs_of_each_pair_with_its_login(pair: Pair, gateway: str) -> None:
    pair.source.run(*ROWS)
    told = ("--pushgateway", f"http://{gateway}")
    ran = [migrate(pair, *told, env=LOGIN).expect(DONE) for _ in range(2)]
    ran.append(windlass("verify", "--json", *told, pair=pair, env=LOGIN).expect(DONE))
    assert all(one.result["notices"] == [] for one in ran)
    labels = r'\{flow="%s",instance="",job="windlass",source="[^"]*",%starget="[^"]*"\}'
    done = 'state="done",'
    assert pushed(gateway, "windlass_runs_total" + labels % ("migrate", done)) == "2"
    assert pushed(gateway, "windlass_runs_total" + labels % ("validate", done)) == "1"
    assert pushed(gateway, "windlass_rows_total" + labels % ("migrate", "")) == "200"
    assert pushed(gateway, "windlass_run_rows" + labels % ("validate", "")) == "200"


@pytest.mark.parametrize("what", ["nobody is there", "the login is wrong"])
def test_a_pushgateway_that_takes_nothing_is_a_notice_and_the_run_is_done(
    what: str, pair: Pair, gateway: str
) -> None:
    pair.source.run(*ROWS)
    is_there = what == "the login is wrong"
    url = f"http://{gateway}" if is_there else f"http://127.0.0.1:{free_port()}"
    login = {**LOGIN, "WINDLASS_PUSHGATEWAY_PASSWORD": "pa55-that-is-wrong"}
    ran = migrate(pair, "--pushgateway", url, env=login).expect(DONE)
    (notice,) = ran.result["notices"]
    said = "it answered 401 Unauthorized" if is_there else "connection refused"
    assert notice == f"the metrics were not pushed to {url}: {said}"
    assert "pa55" not in ran.said


def test_a_metrics_file_that_cannot_be_written_is_refused_and_nothing_runs(
    pair: Pair, tmp_path: Path
) -> None:
    pair.source.run(*ROWS)
    refused = migrate(pair, "--metrics-file", str(tmp_path / "none" / "w.prom")).expect(REFUSED)
    assert "--metrics-file" in refused.said and "no such file or directory" in refused.said
    assert pair.target.value("select to_regnamespace('windlass')") is None
    wrong = migrate(pair, "--pushgateway", "http://app:pa55@h:9091").expect(BAD_SPEC)
    assert "WINDLASS_PUSHGATEWAY_USER" in wrong.said and "pa55" not in wrong.said
