"""The metrics of a run: what they say, in a text that Prometheus reads, in a file of many runs."""

from __future__ import annotations

import json
import math
import os
import stat
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client.parser import text_string_to_metric_families

from moves import OUTCOME
from windlass import api
from windlass.airflow import metrics as on_airflow
from windlass.engines.names import name_of
from windlass.errors import BadSpec
from windlass.flows.registry import flow_named
from windlass.metrics import pushgateway
from windlass.metrics.families import ENDS, FAMILIES, after, is_of, numbers
from windlass.metrics.file import MetricsFile
from windlass.metrics.text import NotOurs, read, read_ours, written
from windlass.model.outcome import Course, Outcome, Reason, State, Totals
from windlass.model.report import Problem
from windlass.run.accounting import asked_of
from windlass.run.measuring import labels_of, measured, send
from windlass.spec.export import ExportSpec
from windlass.spec.load import LoadSpec
from windlass.spec.migrate import Spec
from windlass.spec.rewrite import RewriteSpec

SOURCE, TARGET = "postgresql://app:pa55@old:5432/shop", "host=new dbname=shop password=pa55"
SHOP = {"flow": "migrate", "source": "shop on old:5432", "target": "shop on new:5432"}
DIFFERENT = replace(OUTCOME, state=State.DIFFERENT)
STOPPED = replace(OUTCOME, state=State.STOPPED)
REFUSED = Outcome("", State.REFUSED, reason=Reason(problems=(Problem("t", "is there"),)))


def values(text: str, **labels: str) -> dict[str, float]:
    """Each series with these labels, as Prometheus' own library reads it, by its name and its other
    label."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if labels.items() <= sample.labels.items():
                others = {"state", "what"} & sample.labels.keys()
                found[" ".join([sample.name, *(sample.labels[one] for one in others)])] = (
                    sample.value
                )
    return found


def ended(*outcomes: Outcome, labels: Mapping[str, str] = SHOP) -> dict[str, float]:
    """The metrics of runs, one after the other, at the seconds 1, 2 and so on."""
    samples: Mapping[Any, float] = {}
    for second, outcome in enumerate(outcomes, 1):
        samples = after(outcome, labels, samples, float(second))
    return values(written(samples), **labels)


def spec_for(folder: Path, **words: Any) -> Spec:
    words = {"source": SOURCE, "target": TARGET, "metrics_file": f"{folder}/w.prom", **words}
    return Spec.of(**words)


# what they say


def test_every_number_of_a_run_is_there() -> None:
    found = ended(replace(OUTCOME, totals=Totals(counts={"written": 7, "deleted": 2})))
    assert found["windlass_run_rows"] == found["windlass_rows_total"] == OUTCOME.rows
    assert found["windlass_run_bytes"] == found["windlass_bytes_total"] == OUTCOME.bytes
    assert found["windlass_run_seconds"] == 41.3
    assert found["windlass_run_relations"] == 30
    assert found["windlass_run_losses"] == 1
    assert found["windlass_run_counted_rows written"] == 7
    assert found["windlass_run_counted_rows deleted"] == 2
    assert found["windlass_run_success_timestamp_seconds"] == 1
    assert ended(REFUSED)["windlass_run_problems"] == 1


def test_a_state_is_one_and_all_others_are_zero() -> None:
    found = ended(OUTCOME, STOPPED)
    states = {state: found[f"windlass_run_state {state}"] for state in ENDS}
    assert states == {state: float(state is State.STOPPED) for state in ENDS}


def test_runs_are_counted_by_their_state() -> None:
    found = ended(OUTCOME, STOPPED, OUTCOME, DIFFERENT)
    counts = [found[f"windlass_runs_total {state}"] for state in ("done", "stopped", "different")]
    assert (counts, found["windlass_runs_total refused"]) == ([2, 1, 1], 0)


def test_the_last_success_stays_when_later_runs_fail() -> None:
    found = ended(OUTCOME, STOPPED, REFUSED)
    assert found["windlass_run_success_timestamp_seconds"] == 1
    assert found["windlass_run_timestamp_seconds"] == 3
    assert "windlass_run_success_timestamp_seconds" not in ended(DIFFERENT)


def test_rows_are_counted_once_however_often_a_run_is_resumed_or_asked_for_again() -> None:
    found = ended(STOPPED, STOPPED, OUTCOME, replace(OUTCOME, course=Course(already=True)))
    assert found["windlass_rows_total"] == OUTCOME.rows
    assert found["windlass_run_success_timestamp_seconds"] == 4


def test_counts_that_the_last_run_did_not_have_are_gone() -> None:
    counted = (Totals(counts={what: 1}) for what in ("written", "deleted"))
    first, second = (replace(OUTCOME, totals=one) for one in counted)
    found = ended(first, second)
    assert [name for name in found if "counted" in name] == ["windlass_run_counted_rows deleted"]


def test_airflow_has_the_same_names_with_dots() -> None:
    ours = {family.name for family in FAMILIES}
    sent = [getattr(on_airflow, name) for name in dir(on_airflow) if name.startswith("RUN_")]
    assert {one.replace(".", "_") for one in sent} <= ours
    assert {f"{one.replace('.', '_')}_total" for one in (on_airflow.ROWS, on_airflow.BYTES)} <= ours
    assert {one.rpartition(".")[2] for one in sent} <= numbers(OUTCOME).keys()


# the text


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


@given(
    some.dictionaries(some.sampled_from(["flow", "source", "target"]), some.text()), some.floats()
)
def test_any_label_and_number_is_read_as_it_was_written(
    labels: dict[str, str], number: float
) -> None:
    labels = {name: value.replace("\x00", "") for name, value in labels.items()}
    key = ("windlass_run_rows", tuple(sorted((k, v) for k, v in labels.items() if v)))
    text = written({key: number})
    ((found, value),) = read(text).items()
    assert found == key and same(value, number)
    (family,) = text_string_to_metric_families(text)
    (sample,) = family.samples
    assert sample.labels == dict(key[1]) and same(sample.value, number)
    assert family.documentation and family.type == "gauge"


@pytest.mark.parametrize(
    "text",
    ["hello", "other_metric 1", "windlass_x{a=b} 1", 'windlass_x{a="b} 1', "windlass_x one",
     'windlass_x{a="b"c="d"} 1', "windlass_x"],
)  # fmt: skip
def test_what_is_no_text_of_ours_is_refused(text: str) -> None:
    with pytest.raises(NotOurs):
        read(f"# HELP windlass_x y\n{text}\n")


def test_of_the_series_of_others_only_ours_with_the_same_labels_are_read() -> None:
    text = (
        'go_gc_seconds{quantile="0.5"} 1e-05\n'
        'windlass_rows_total{flow="export",job="windlass",instance=""} 5\n'
        'windlass_rows_total{flow="export",job="windlass",name="nightly"} 6\n'
        'windlass_rows_total{flow="export",job="other"} 7 1700000000000\n'
    )
    found = read_ours(text, {"job": "windlass", "flow": "export", "name": ""})
    assert list(found.values()) == [5]


# the file


def test_a_run_changes_its_own_series_and_no_others(tmp_path: Path) -> None:
    other = spec_for(tmp_path, target="postgresql://app:pa55@newer/shop")
    assert send("migrate", spec_for(tmp_path), OUTCOME) == ()
    assert send("migrate", other, STOPPED) == ()
    assert send("validate", spec_for(tmp_path), DIFFERENT) == ()
    assert send("migrate", spec_for(tmp_path, metrics_name="nightly"), REFUSED) == ()
    assert send("migrate", spec_for(tmp_path), OUTCOME) == ()
    text = (tmp_path / "w.prom").read_text()
    assert values(text, **SHOP, name="nightly")["windlass_runs_total refused"] == 1
    mine = {key: value for key, value in read(text).items() if is_of(key, {**SHOP, "name": ""})}
    assert values(written(mine))["windlass_runs_total done"] == 2
    assert values(text, target="shop on newer:5432")["windlass_runs_total stopped"] == 1
    assert values(text, flow="validate")["windlass_runs_total different"] == 1
    assert "pa55" not in text
    assert [one.name for one in tmp_path.iterdir()] == ["w.prom"]


def test_series_of_a_newer_windlass_stay(tmp_path: Path) -> None:
    (tmp_path / "w.prom").write_text('windlass_moons{flow="migrate",target="x"} 4\n')
    send("migrate", spec_for(tmp_path), OUTCOME)
    assert values((tmp_path / "w.prom").read_text())["windlass_moons"] == 4


def test_runs_that_end_at_once_are_all_counted_and_no_reader_sees_a_part(tmp_path: Path) -> None:
    spec, file = spec_for(tmp_path), tmp_path / "w.prom"
    send("migrate", spec, OUTCOME)
    is_over, sizes = threading.Event(), set()

    def look() -> None:
        while not is_over.is_set():
            sizes.add(len(values(file.read_text())))

    with ThreadPoolExecutor(9) as pool:
        looking = pool.submit(look)
        faults = list(pool.map(lambda _: send("migrate", spec, OUTCOME), range(40)))
        is_over.set()
        looking.result()
    assert set(faults) == {()}
    assert values(file.read_text())["windlass_runs_total done"] == 41
    assert len(sizes) == 1


def test_the_mode_of_the_file_and_a_link_to_it_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "real.prom", tmp_path / "w.prom"
    file.touch()
    file.chmod(0o664)
    link.symlink_to(file)
    send("migrate", spec_for(tmp_path), OUTCOME)
    assert link.is_symlink() and stat.S_IMODE(file.stat().st_mode) == 0o664
    assert "windlass_runs_total" in file.read_text()


def test_what_a_killed_run_has_left_is_never_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / ".w.prom.new").symlink_to(precious)
    assert send("migrate", spec_for(tmp_path), OUTCOME) == ()
    assert precious.read_text() == "mine"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["precious", "w.prom"]


def make_others(path: Path) -> None:
    path.write_text("user:x:0:0\n")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "it is not a file"),
        (os.mkfifo, "it is not a file"),
        (make_others, "line 1 is not a sample"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "it is not text"),
        (lambda path: path.parent.rmdir(), "no such file or directory"),
    ],
)
def test_a_file_that_cannot_be_written_is_found_before_the_run(
    make: Any, said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder / "w.prom")

    def run() -> Outcome:
        raise AssertionError("it has run")

    outcome = measured("migrate", spec_for(folder), run)
    assert outcome.state is State.REFUSED and outcome.notices == ()
    (problem,) = outcome.reason.problems
    assert said in problem.message and problem.hint
    if make is make_others:
        assert (folder / "w.prom").read_text() == "user:x:0:0\n"


def test_looking_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "w.prom"
    assert MetricsFile(file).fault() == "" and list(tmp_path.iterdir()) == []
    send("migrate", spec_for(tmp_path), OUTCOME)
    before = file.stat()
    assert MetricsFile(file).fault() == ""
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_file_that_breaks_during_the_run_is_a_notice(tmp_path: Path) -> None:
    def run() -> Outcome:
        make_others(tmp_path / "w.prom")
        return OUTCOME

    outcome = measured("migrate", spec_for(tmp_path), run)
    assert outcome.state is State.DONE
    (notice,) = outcome.notices
    assert "the metrics were not written" in notice and "line 1" in notice


# labels


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("postgresql://app:pa55@example.com:5416/shop?sslmode=allow", "shop on example.com:5416"),
        ("postgresql+psycopg://app:pa55@db/shop", "shop on db:5432"),
        ("host=db port=5416 dbname=shop password='pa 55'", "shop on db:5416"),
        ("shop_old", "shop_old"),
        ("dbname=shop", "shop on local:5432"),
        ("postgresql://app:pa@55@db/shop", ""),  # libpq takes `55@db` for the host
        ("postgresql://app:p/a55@db/shop", ""),
        ("postgresql://[", ""),
        ("s3://KEY:pa55@lake/shop/", "s3://lake/shop"),
        ("duckdb:///srv/shop.duckdb?token=pa55", "duckdb:///srv/shop.duckdb"),
        ("iceberg+postgresql://app:pa55@db/c?warehouse=s3://w&token=pa55", "iceberg+postgresql://db/c"),
        ("http://[pa55", ""),
    ],
)  # fmt: skip
def test_a_name_has_no_secret(address: str, name: str) -> None:
    assert name_of(address) == name
    assert "55" not in name_of(address).replace(":5432", "").replace(":5416", "")


def test_the_labels_say_which_databases_and_what_of_them() -> None:
    assert labels_of("migrate", Spec.of(source=SOURCE, target=TARGET)) == {**SHOP, "name": ""}
    files = {"source": "sqlite:///a.db", "to": "s3://lake/shop"}
    assert labels_of("export", ExportSpec.of(**files))["target"] == "s3://lake/shop"
    both = labels_of("export", ExportSpec.of(**files, warehouse="duckdb:///w.duckdb"))
    assert (both["source"], both["target"]) == ("sqlite:///a.db", "duckdb:///w.duckdb")
    table = RewriteSpec.of(connection=TARGET, table="t", select="true", set={"a": {"value": 1}})
    for url in ("sqlite:////data/a/shop.db", "duckdb:////data/b/shop.duckdb", TARGET):
        load = LoadSpec.of(**{"from": ["a.csv"], "into": "shop.orders", "target": url})
        assert labels_of("load", load)["target"] == f"shop.orders in {name_of(url)}"
        assert asked_of(flow_named("load"), load).target == name_of(url)
    assert labels_of("rewrite", table)["target"] == "public.t in shop on new:5432"


def test_a_label_is_short_and_has_nothing_that_a_terminal_obeys() -> None:
    spec = Spec.of(source="sqlite:///" + "a" * 500, target=TARGET, metrics_name="a\x1b[2Jb")
    found = labels_of("migrate", spec)
    assert len(found["source"]) == 200 and found["name"] == "a?[2Jb"


# the Pushgateway, as far as it needs none


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("pushgateway:9091", "not a URL"),
        ("ftp://h:9091", "not a URL"),
        ("http://h:pa55", "not a URL"),
        ("http://h:9091?token=pa55", "not a URL"),
        ("http://app:pa55@h:9091", "holds a login"),
    ],
)
def test_a_pushgateway_s_url_is_checked_and_never_repeated(url: str, said: str) -> None:
    with pytest.raises(BadSpec) as error:
        Spec.of(source=SOURCE, target=TARGET, pushgateway=url)
    assert said in str(error.value) and "pa55" not in str(error.value)


@pytest.mark.parametrize(
    "login",
    [
        {pushgateway.USER: "app", pushgateway.TOKEN: "pa55"},
        {pushgateway.PASSWORD: "pa55"},
        {pushgateway.TOKEN: "pa\n55"},
        {pushgateway.TOKEN: "pa55ü"},
    ],
)
def test_a_login_that_cannot_work_is_found_before_the_run(
    login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in login.items():
        monkeypatch.setenv(name, value)
    spec = Spec.of(source=SOURCE, target=TARGET, pushgateway="http://127.0.0.1:1")
    (problem,) = api.migrate(spec).reason.problems
    assert "WINDLASS_PUSHGATEWAY" in problem.message and "55" not in str(problem)


def test_without_metrics_a_spec_is_the_same_to_the_journal(tmp_path: Path) -> None:
    plain = Spec.of(source=SOURCE, target=TARGET)
    assert spec_for(tmp_path).config() == plain.config()
    assert json.dumps(plain.options()) == "{}"
