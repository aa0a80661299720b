"""What patterns mean, and what tables are called in a warehouse: known before anything is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from command import Ran, windlass
from exporting import export, files, rows
from servers import Database


def problems(ran: Ran) -> list[str]:
    found = ran.expect(3).result["problems"]
    return [f"{one['object']}: {one['message']} → {one['hint']}" for one in found]


@pytest.fixture
def source(database: Callable[[int], Database]) -> Database:
    return database(16)


def test_backups_of_rewrites_are_no_data(source: Database, tmp_path: Path) -> None:
    source.run(
        "create table messages (id int primary key, body text)",
        "insert into messages values (1, 'a')",
        "create schema backup; create table backup.others as select 1 as id",
    )
    spec = {"table": "messages", "select": "true", "set": {"body": {"sql": "upper(body)"}}}
    path = tmp_path / "rewrite.yaml"
    path.write_text(yaml.safe_dump(spec))
    windlass("rewrite", "-f", str(path), env={"WINDLASS_TARGET": source.url}).expect(0)
    ran = export(source, tmp_path).expect(0).result
    assert [one["source"] for one in ran["relations"]] == ["backup.others", "public.messages"]
    assert any("backup.messages: made by Windlass" in notice for notice in ran["notices"])
    named = ["backup.others", {"name": "backup.messages", "table": "old"}]
    ran = export(source, tmp_path, relations=named).expect(0).result
    assert ran["notices"] == []
    assert rows(tmp_path, "select body from old") == [("a",)]


def test_a_template_gives_tables_of_two_schemas_names_of_their_own(
    source: Database, tmp_path: Path
) -> None:
    source.run("create schema a; create schema b")
    source.run(*(f"create table {one}.t as select '{one}' as v" for one in ("a", "b")))
    assert problems(export(source, tmp_path)) == [
        "t: 2 relations would be loaded into this table: a.t, b.t"
        " → give `table`, or --table-names '{schema}_{name}' for all"
    ]
    query = {"name": "q", "query": "select 1 as v"}
    relations = ["*", {"name": "b.t", "table": "{name}_of_{schema}"}, query]
    export(source, tmp_path, table_names="{schema}_{name}", relations=relations).expect(0)
    assert rows(tmp_path, "select v from a_t union all select v from t_of_b") == [("a",), ("b",)]
    assert rows(tmp_path, "select v from q") == [(1,)]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ({"table_names": "all"}, "table-names: without {name}, all tables have one name"),
        ({"table_names": "{name}_{database}"}, "{database}: there are {schema} and {name}"),
        ({"relations": {"name": "a.t", "table": "{nam}"}}, "{nam}: there are {schema} and {name}"),
    ],
)
def test_a_template_that_cannot_be_meant_is_refused(
    words: dict[str, Any], fault: str, source: Database, tmp_path: Path
) -> None:
    assert fault in export(source, tmp_path, **words).expect(2).said


def test_names_that_differ_by_case_are_refused_where_they_are_one(
    source: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    source.run(
        'create table t as select 1 as a; create table "T" as select 2 as a',
        'create table c as select 1 as id, 2 as "ID"',
    )
    assert problems(export(source, tmp_path)) == [
        "public.c: columns ID and id have one name in DuckDB, which ignores case → ",
        "T and t: 2 relations would be loaded into this table, as DuckDB ignores case:"
        " public.\"T\", public.t → give `table`, or --table-names '{schema}_{name}' for all",
    ]
    assert files(tmp_path) == []
    there = database(18)
    export(source, tmp_path, warehouse=there.url).expect(0)
    assert there.rows('select t.a, "T".a, c.id, c."ID" from t, "T", c') == [(1, 2, 1, 2)]


def test_a_name_that_postgres_would_cut_is_refused(source: Database, tmp_path: Path) -> None:
    source.run(f"create table {'long' * 15} as select 1 as a")
    words = {"warehouse": source.url, "into": "lake", "table_names": "{schema}_{name}"}
    found = problems(export(source, tmp_path, **words))
    assert any("too long for a table's name in PostgreSQL" in one for one in found)


def test_lists_of_texts_that_duckdb_cannot_read_are_known_in_the_plan(
    source: Database, tmp_path: Path
) -> None:
    source.run("create table v as select 1 as n, array['a,b', null] as a")
    (problem,) = problems(export(source, tmp_path, format="csv"))
    assert problem.startswith("public.v: a is a list of texts, which DuckDB cannot read from CSV")
    assert files(tmp_path) == []
    words = {"name": "v", "text": "a"}
    export(source, tmp_path, format="csv", relations=words).expect(0)
    export(source, tmp_path, format="csv", warehouse=None).expect(0)


def test_a_table_without_columns_does_not_stop_the_others(source: Database, tmp_path: Path) -> None:
    source.run("create table nothing (); insert into nothing default values",
               "create table t as select 1 as a")  # fmt: skip
    ran = export(source, tmp_path).expect(0).result
    assert [one["source"] for one in ran["relations"]] == ["public.t"]
    assert ran["notices"] == ["public.nothing has no columns, and is left out"]
    named = problems(export(source, tmp_path, relations=["public.t", "public.nothing"]))
    assert named == ["public.nothing: has no columns → "]
    hidden = problems(export(source, tmp_path, leave_out="t.a"))
    assert hidden[0].startswith("public.t: has no columns left to export")
