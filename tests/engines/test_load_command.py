"""`windlass load` as its users run it, into a table in use of each engine."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from load_targets import LoadTarget, target
from web_server import serving, with_ranges
from windlass.engines.registry import open_landing

__all__ = ["target"]  # fixtures

NEW = "id,total,note\n2,20,b\n3,33,cc\n4,40,d\n"  # one row equal, one changed, one new
BEFORE = ["1 10 a", "2 20 b", "3 30 c"]


WORDS = [
    (
        ["--load", "insert", "--key", "id"],
        {"read": 3, "inserted": 1, "unchanged": 2},
        ["1 10 a", "2 20 b", "3 30 c", "4 40 d"],
    ),
    (
        ["--load", "merge", "--key", "id"],
        {"read": 3, "inserted": 1, "updated": 1, "unchanged": 1},
        ["1 10 a", "2 20 b", "3 33 cc", "4 40 d"],
    ),
    (
        ["--load", "mirror", "--key", "id"],
        {"read": 3, "inserted": 1, "updated": 1, "unchanged": 1, "deleted": 1},
        ["2 20 b", "3 33 cc", "4 40 d"],
    ),
    (
        ["--load", "replace", "--key", "id"],
        {"read": 3, "inserted": 1, "updated": 1, "unchanged": 1, "deleted": 1},
        ["2 20 b", "3 33 cc", "4 40 d"],
    ),
    (
        ["--load", "slice", "--slice", "id >= 2"],
        None,
        ["1 10 a", "2 20 b", "3 33 cc", "4 40 d"],
    ),
    (["--load", "replace"], None, ["2 20 b", "3 33 cc", "4 40 d"]),
    (
        ["--key", "id", "--matched", "skip", "--missing", "delete"],
        {"read": 3, "inserted": 1, "unchanged": 2, "deleted": 1},
        ["2 20 b", "3 30 c", "4 40 d"],
    ),
]


@pytest.mark.parametrize(("words", "counts", "after"), WORDS, ids=lambda one: str(one)[:40])
def test_a_load_word_leaves_the_rows_that_it_says_and_is_undone(
    target: LoadTarget, words: list[str], counts: dict[str, int] | None, after: list[str]
) -> None:
    file = target.file("orders.csv", NEW)
    found = target.counts(file, "--into", "orders", *words)
    assert counts is None or found == counts
    assert target.orders() == after
    target.windlass("rollback", target.newest_run(), "--yes").expect(0)
    assert target.orders() == BEFORE


def test_append_adds_every_row(target: LoadTarget) -> None:
    file = target.file("more.csv", "id,total,note\n5,50,e\n6,60,f\n")
    assert target.counts(file, "--into", "orders", "--load", "append") == {
        "read": 2,
        "inserted": 2,
    }
    assert target.orders()[3:] == ["5 50 e", "6 60 f"]


def test_what_has_not_changed_is_not_loaded_again_unless_asked(target: LoadTarget) -> None:
    words = (target.file("orders.csv", NEW), "--into", "orders", "--load", "merge", "--key", "id")
    first = target.load(*words).expect(0).result
    again = target.load(*words).expect(0).result
    assert again["already"] and again["run"] == first["run"]
    assert "nothing to do: orders.csv is as run" in again["message"]
    asked = target.load(*words, "--again").expect(0).result
    assert (asked["already"], asked["counts"]["unchanged"]) == (False, 3)
    target.file("orders.csv", NEW.replace("33", "34"))
    assert target.counts(*words) == {"read": 3, "updated": 1, "unchanged": 2}


def test_after_a_rollback_the_same_file_is_loaded_again(target: LoadTarget) -> None:
    words = (target.file("orders.csv", NEW), "--into", "orders", "--load", "merge", "--key", "id")
    target.load(*words).expect(0)
    target.windlass("rollback", target.newest_run(), "--yes").expect(0)
    assert target.counts(*words) == {"read": 3, "inserted": 1, "updated": 1, "unchanged": 1}


def test_a_bad_value_stops_the_load_with_its_place_and_is_not_shown(target: LoadTarget) -> None:
    words = (
        target.file("orders.csv", 'id,total,note\n4,40,"x\ny"\n5,secret,e\n'),
        *("--into", "orders", "--load", "merge", "--key", "id"),
    )
    ran = target.load(*words).expect(3)
    (problem,) = ran.result["problems"]
    assert problem["object"] == "orders.csv"
    assert "line 4, column total" in problem["message"]
    assert "secret" not in ran.said
    assert target.orders() == BEFORE
    assert "secret" in target.load(*words, "--show-values").expect(3).said


def test_an_empty_field_that_is_no_number_says_how_to_make_it_null(target: LoadTarget) -> None:
    words = (
        target.file("orders.csv", "id,total,note\n4,,d\n"),
        *("--into", "orders", "--load", "merge", "--key", "id"),
    )
    assert "--csv 'null='" in target.load(*words).expect(3).said
    assert target.counts(*words, "--csv", "null=") == {"read": 1, "inserted": 1}


def test_up_to_so_many_bad_records_are_put_aside_with_their_reason(target: LoadTarget) -> None:
    words = (
        target.file("orders.csv", "id,total,note\n4,40,d\n5,x,e\nsix,60,f\n"),
        *("--into", "orders", "--load", "merge", "--key", "id"),
    )
    target.load(*words, "--max-bad", "1").expect(3)
    ran = target.load(*words, "--max-bad", "2").expect(0).result
    assert (ran["counts"]["inserted"], ran["counts"]["refused"]) == (1, 2)
    assert any("orders.csv: line 3, column total" in one for one in ran["notices"])
    assert target.orders()[3:] == ["4 40 d"]


RAGGED = """id,total,note
4,40,"d
e"
5,50
6,60,2" pipe
7,x,f
8,80,"g" h
9,90,i,j
10,100,k
"""


@pytest.mark.parametrize("dialect", [(), ("--csv", "comment=#")])  # read in blocks, and by rows
def test_records_that_are_none_are_put_aside_with_their_lines(
    target: LoadTarget, dialect: tuple[str, ...]
) -> None:
    words = (
        target.file("orders.csv", RAGGED),
        *("--into", "orders", "--load", "merge", "--key", "id", *dialect),
    )
    target.load(*words, "--max-bad", "4").expect(3)
    assert target.orders() == BEFORE
    ran = target.load(*words, "--max-bad", "5").expect(0).result
    assert (ran["counts"]["read"], ran["counts"]["refused"]) == (7, 5)
    said = "\n".join(ran["notices"])
    for line, why in (
        (4, "2 values, expected 3"),
        (5, "a quote inside of a value that is not quoted"),
        (7, "something follows a closing quote"),
        (8, "4 values, expected 3"),
    ):
        assert f"orders.csv: line {line}: {why}" in said
    assert "orders.csv: line 6, column total" in said
    assert target.orders()[3:] == ["4 40 d\ne", "10 100 k"]
    assert [row[0] for row in target.refused() if row[1] == 5] == ['"6,60,2\\" pipe"']


def test_lines_that_are_not_json_are_put_aside(target: LoadTarget) -> None:
    lines = ['{"id": 4, "total": 40}', '{"id": 5', "[1]", '{"id": 6, "total": 60}']
    words = (
        target.file("orders.jsonl", "\n".join(lines)),
        *("--into", "orders", "--load", "merge", "--key", "id"),
    )
    target.load(*words, "--max-bad", "1").expect(3)
    ran = target.load(*words, "--max-bad", "2").expect(0).result
    assert (ran["counts"]["inserted"], ran["counts"]["refused"]) == (2, 2)
    assert any("orders.jsonl: line 3: not an object" in one for one in ran["notices"])
    assert [row[0] for row in target.refused()] == ['"{\\"id\\": 5"', '"[1]"']


def test_a_quote_that_is_never_closed_is_not_put_aside(target: LoadTarget) -> None:
    """All of the rest would be."""
    file = target.file("orders.csv", 'id,total,note\n4,40,"d\n5,50,e\n')
    words = (file, "--into", "orders", "--load", "append", "--max-bad", "9")
    assert "line 2: a quote is not closed" in target.load(*words).expect(3).said


def test_rows_with_one_key_are_refused_or_the_last_is_taken(target: LoadTarget) -> None:
    words = (
        target.file("orders.csv", "id,total,note\n4,40,d\n4,41,e\n"),
        *("--into", "orders", "--load", "merge", "--key", "id"),
    )
    (problem,) = target.load(*words).expect(3).result["problems"]
    assert "unique(id)" in problem["message"] and "--duplicates last" in problem["hint"]
    assert target.orders() == BEFORE
    target.load(*words, "--duplicates", "last").expect(0)
    assert target.orders()[3:] == ["4 41 e"]


def test_a_key_that_is_null_is_refused(target: LoadTarget) -> None:
    words = (
        target.file("orders.csv", "id,total,note\n,40,d\n"),
        *("--into", "orders", "--load", "merge", "--key", "id", "--csv", "null="),
    )
    assert "id" in str(target.load(*words).expect(3).result["problems"])
    assert target.orders() == BEFORE


def test_an_empty_text_is_null_only_if_asked(target: LoadTarget) -> None:
    words = (
        target.file("orders.csv", "id,total,note\n4,40,\n"),
        *("--into", "orders", "--load", "merge", "--key", "id"),
    )
    target.load(*words).expect(0)
    assert target.rows("select note from orders where id = 4") == [("",)]
    target.load(*words, "--csv", "null=").expect(0)
    assert target.rows("select note from orders where id = 4") == [(None,)]


def test_expectations_stop_a_load_or_only_warn(target: LoadTarget) -> None:
    file = target.file("orders.csv", "id,total,note\n4,-1,d\n")
    words = (file, "--into", "orders", "--load", "merge", "--key", "id")
    (problem,) = target.load(*words, "--expect", "total >= 0").expect(3).result["problems"]
    assert "total >= 0" in problem["message"] and "4" in problem["message"]
    assert target.orders() == BEFORE
    target.file(
        "load.yaml",
        f"flow: load\nfrom: {file}\ninto: orders\nload: merge\nkey: id\n"
        "expect: [{sql: total >= 0, severity: warn}]\n",
    )
    ran = target.load("-f", "load.yaml").expect(0).result
    assert any("total >= 0" in one for one in ran["notices"])


def test_an_input_without_rows_empties_no_table_unasked(target: LoadTarget) -> None:
    file = target.file("orders.csv", "id,total,note\n")
    words = (file, "--into", "orders", "--load", "mirror", "--key", "id")
    (problem,) = target.load(*words).expect(3).result["problems"]
    assert "the input has no rows" in problem["message"]
    assert target.orders() == BEFORE
    assert target.counts(*words, "--allow-empty") == {"deleted": 3}


def test_a_rollback_leaves_what_others_have_changed_unless_asked(target: LoadTarget) -> None:
    words = (target.file("orders.csv", NEW), "--into", "orders", "--load", "merge", "--key", "id")
    target.load(*words).expect(0)
    run = target.newest_run()
    target.run("update orders set note = 'mine' where id = 3")
    refused = target.windlass("rollback", run, "--yes", "--json").expect(3)
    assert "3" in str(refused.result["problems"])
    target.windlass("rollback", run, "--yes", "--skip-changed").expect(0)
    assert target.orders() == ["1 10 a", "2 20 b", "3 33 mine"]


def test_a_forced_rollback_loses_what_others_have_changed(target: LoadTarget) -> None:
    words = (target.file("orders.csv", NEW), "--into", "orders", "--load", "merge", "--key", "id")
    target.load(*words).expect(0)
    target.run("update orders set note = 'mine' where id = 3")
    target.windlass("rollback", target.newest_run(), "--yes", "--force").expect(0)
    assert target.orders() == BEFORE


def test_status_and_clean_know_the_runs(target: LoadTarget) -> None:
    words = (target.file("orders.csv", NEW), "--into", "orders", "--load", "merge", "--key", "id")
    target.load(*words).expect(0)
    (run,) = target.windlass("status", "--json").expect(0).result["runs"]
    assert (run["flow"], run["state"], run["rows"]) == ("load", "done", 3)
    detail = target.windlass("status", run["run"]).expect(0).stdout
    assert run["run"] in detail and "orders" in detail
    target.windlass("clean", "--yes").expect(0)
    assert target.windlass("status", "--json").expect(0).result["runs"] == []
    refused = target.windlass("rollback", run["run"], "--yes", "--json").expect(3).result
    assert refused["problems"]


def test_a_plan_says_what_would_happen_and_writes_nothing(target: LoadTarget) -> None:
    file = target.file("orders.csv", NEW)
    words = (file, "--into", "orders", "--load", "mirror", "--key", "id", "--dry-run")
    said = target.windlass("load", *words).expect(0).stdout
    assert "a row whose id is in the table is updated where it differs" in said
    assert "rows of the table that the input lacks are deleted" in said
    assert target.orders() == BEFORE
    assert target.windlass("status", "--json").expect(0).result["runs"] == []


def test_all_that_is_wrong_is_refused_at_once(target: LoadTarget) -> None:
    file = target.file("orders.csv", "ID,totl,x\n1,2,3\n")
    ran = target.load(file, "--into", "orders", "--load", "merge").expect(3)
    said = str(ran.result["problems"])
    for fault in ("finds rows by a key", "differs from ID in case only", "totl", "field x has no"):
        assert fault in said


def test_a_table_is_created_only_if_asked_and_goes_with_a_rollback(target: LoadTarget) -> None:
    file = target.file("new.csv", "id,day,price\n1,2026-01-31,1.50\n2,2026-02-01,20.25\n")
    words = (file, "--into", "prices", "--load", "merge", "--key", "id")
    assert "there is no such table" in target.load(*words).expect(3).said
    assert "--census" in target.load(*words, "--create").expect(3).said
    assert target.counts(*words, "--create", "--census") == {"read": 2, "inserted": 2}
    assert target.orders("select id, day, price from prices order by id") == [
        "1 2026-01-31 1.50",
        "2 2026-02-01 20.25",
    ]
    target.windlass("rollback", target.newest_run(), "--yes").expect(0)
    assert "there is no such table" in target.load(*words).expect(3).said


def test_columns_are_added_only_if_asked_and_a_vanished_field_is_refused(
    target: LoadTarget,
) -> None:
    file = target.file("orders.csv", "id,total,note,channel\n4,40,d,web\n")
    words = (file, "--into", "orders", "--load", "merge", "--key", "id")
    assert "field channel has no column" in target.load(*words).expect(3).said
    added = ("--schema", "add", "--type", "channel=varchar(20)")
    target.load(*words, *added).expect(0)
    assert target.orders("select id, channel from orders where id > 2 order by id") == [
        "3 -",
        "4 web",
    ]


def test_a_column_that_is_there_keeps_its_type_and_another_one_is_refused(
    target: LoadTarget,
) -> None:
    file = target.file("orders.csv", "id,total,note\n4,40,d\n")
    words = (file, "--into", "orders", "--load", "append")
    found = target.load(*words, "--type", "total=numeric(9,2)", "--type", "id=float").expect(3)
    messages = [one["message"].lower() for one in found.result["problems"]]
    assert "column total is integer, and --type says numeric(9,2)" in messages
    assert "column id is integer, and --type says float" in messages
    other = {"postgresql": "INT4", "duckdb": "int4", "sqlite": "INTEGER"}[target.engine]
    assert target.counts(*words, "--type", f"total={other}") == {"read": 1, "inserted": 1}


def test_types_that_have_created_a_column_are_no_fault_in_the_next_load(target: LoadTarget) -> None:
    for number in (4, 5):
        file = target.file("new.csv", f"id,price,channel\n{number},1.50,web\n")
        given = ("--type", "id=int", "--type", "price=decimal(9, 2)", "--type", "channel=text")
        target.load(file, "--into", "made", "--load", "append", "--create", *given).expect(0)
    assert target.orders("select id, channel from made order by id") == ["4 web", "5 web"]


def test_a_field_that_is_gone_is_refused(target: LoadTarget) -> None:
    words = (target.file("orders.csv", NEW), "--into", "orders", "--load", "merge", "--key", "id")
    target.load(*words).expect(0)
    target.file("orders.csv", "id,total\n5,50\n")
    assert (
        "field note, which the last load had, is missing from the input"
        in target.load(*words).expect(3).said
    )


def test_what_a_killed_process_has_fetched_is_removed_by_the_next_run(target: LoadTarget) -> None:
    """That of a process that still runs stays, and of runs into other targets."""
    file = target.file("orders.csv", NEW)
    with open_landing(target.url) as landing:
        place = landing.place
    script = (
        "import sys; from windlass.flows.load.fetched import Fetched\n"
        "(Fetched(sys.argv[1], target=sys.argv[2]).made() / 'part').write_text('x')\n"
        "print('made', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script]
    env = {**os.environ, **target.env}
    pipes: Any = {"env": env, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    subprocess.run([*command, "killed", place], env=env, input=b"", check=True)
    subprocess.run([*command, "other", "elsewhere"], env=env, input=b"", check=True)
    with subprocess.Popen([*command, "alive", place], **pipes) as alive:
        assert alive.stdout and alive.stdout.readline() == b"made\n"
        target.load(file, "--into", "orders", "--load", "merge", "--key", "id").expect(0)
        left = sorted(one.name for one in (target.folder / "cache/windlass/loads").iterdir())
        assert left == ["alive", "other"]
        alive.communicate(b"")


def test_a_file_of_the_web_with_the_same_strong_etag_is_not_downloaded_again(
    target: LoadTarget,
) -> None:
    with serving(with_ranges(NEW.encode())) as server:
        words = (f"{server.url}/rows.csv", "--into", "orders", "--load", "merge", "--key", "id")
        target.load(*words).expect(0)
        server.script = with_ranges(NEW.encode(), '"1"')
        before = len(server.asked)
        said = target.load(*words).expect(0).said
        assert "nothing to do" in said and "the server has the same ETag" in said
        (asked,) = server.asked[before:]
        assert asked.headers["if-none-match"] == '"1"'
        server.script = with_ranges(NEW.replace("33", "34").encode(), '"2"')
        assert target.counts(*words) == {"read": 3, "updated": 1, "unchanged": 2}
        server.script = with_ranges(NEW.encode(), 'W/"3"')
        assert target.counts(*words) == {"read": 3, "updated": 1, "unchanged": 2}
        assert "the server has" not in target.load(*words).expect(0).said


def test_several_loads_run_in_their_order_and_are_undone_together(target: LoadTarget) -> None:
    target.run("create table lines (id integer primary key, order_id integer references orders)")
    target.file("orders.csv", "id,total,note\n4,40,d\n")
    target.file("lines.csv", "id,order_id\n1,4\n")
    target.file(
        "loads.yaml",
        "load: merge\nkey: id\nloads:\n  - {from: orders.csv, into: orders}\n"
        "  - {from: lines.csv, into: lines}\n",
    )
    plan = target.windlass("plan", "-f", "loads.yaml", "--json").expect(0).result
    assert [one["load"] for one in plan["loads"]] == ["merge", "merge"]
    assert target.counts("-f", "loads.yaml") == {"read": 2, "inserted": 2}
    assert target.orders("select id, order_id from lines") == ["1 4"]
    target.file("lines.csv", "id,order_id\n1,4\n2,4\n")
    ran = target.load("-f", "loads.yaml").expect(0).result
    assert [one["target"].rpartition(".")[2] for one in ran["relations"]] == ["lines"]
    target.windlass("rollback", ran["run"], "--yes").expect(0)
    target.windlass("rollback", plan["unfinished"] or _first_run(target), "--yes").expect(0)
    assert target.orders() == BEFORE and target.rows("select * from lines") == []


def _first_run(target: LoadTarget) -> str:
    runs = target.windlass("status", "--json").expect(0).result["runs"]
    name: str = runs[-1]["run"]
    return name
