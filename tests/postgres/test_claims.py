"""A result claims what was compared and no more, and names everything that differs."""

from __future__ import annotations

import json
from pathlib import Path

from command import DIFFERENT, DONE, REFUSED, migrate, verify, windlass
from servers import Pair


def two_tables(pair: Pair) -> None:
    pair.source.run(
        "create table a (id int primary key, v text not null default 'q', check (v <> ''))",
        "create index on a (v)",
        "insert into a select i, i from generate_series(1, 10) i",
        "create table b (id int primary key)",
        "insert into b values (1)",
    )


def test_definitions_of_tables_that_were_filled_are_said_to_differ(pair: Pair) -> None:
    two_tables(pair)
    pair.target.run("create table a (id int, v text)")
    ran = migrate(pair, "--existing", "fill").expect(DONE).result
    (notice,) = [one for one in ran["notices"] if "keep their definitions" in one]
    assert "table public.a" in notice
    assert ran["compared"] == ["schema", "sequences", "row counts", "the content of every row"]


def test_a_partitioned_table_that_was_filled_is_said_to_differ(pair: Pair) -> None:
    two_tables(pair)
    pair.target.run(
        "create table a (id int primary key, v text) partition by range (id)",
        "create table a_1 partition of a for values from (0) to (100)",
    )
    ran = migrate(pair, "--existing", "fill").expect(DONE).result
    assert "table public.a" in str(ran["notices"])


def test_rows_alone_claim_no_schema(pair: Pair) -> None:
    two_tables(pair)
    pair.target.run("create table a (id int, v text)", "create table b (id int)")
    done = windlass("migrate", "--data-only", pair=pair).expect(DONE)
    said = " ".join(done.stdout.split())
    assert "Verified: sequences, row counts and the content of every row are equal." in said
    assert "Definitions were not compared." in said


def test_definitions_alone_claim_no_rows(pair: Pair) -> None:
    two_tables(pair)
    ran = migrate(pair, "--schema-only").expect(DONE).result
    assert ran["verified"] == "schema"
    assert ran["compared"] == ["schema"]
    assert {one["verified"] for one in ran["relations"]} == {"schema"}
    said = windlass("verify", "--schema-only", pair=pair).expect(DONE).stdout
    assert "Verified: schema is equal. Rows were not compared." in said
    assert "2 compared, all equal" in said


def test_a_relation_is_verified_only_where_it_is_equal(pair: Pair) -> None:
    two_tables(pair)
    migrate(pair).expect(DONE)
    pair.target.run("drop table b", "update a set v = 'x' where id = 3")
    found = verify(pair).expect(DIFFERENT).result["relations"]
    assert {one["source"]: (one["verified"], one["differs"]) for one in found} == {
        "public.a": ("", "rows"),
        "public.b": ("", "missing"),
    }
    said = windlass("verify", pair=pair).expect(DIFFERENT).stdout
    assert "2 compared, 2 differ" in said
    assert "✗ missing" in said and "✗ rows differ" in said
    assert "✓ full" not in said
    brief = windlass("verify", "-q", pair=pair).expect(DIFFERENT).stdout
    assert "public.a" in brief and "public.b" in brief
    assert "--json" in brief


def test_a_relation_is_verified_only_where_all_of_its_definition_is_equal(pair: Pair) -> None:
    two_tables(pair)
    migrate(pair).expect(DONE)
    pair.target.run("drop index a_v_idx")
    ran = verify(pair).expect(DIFFERENT).result
    assert [(one["object"], one["relation"]) for one in ran["differences"]] == [
        ("index public.a_v_idx", "public.a")
    ]
    assert {one["source"]: (one["verified"], one["differs"]) for one in ran["relations"]} == {
        "public.a": ("", "definition"),
        "public.b": ("full", ""),
    }
    assert "2 compared, 1 differs" in windlass("verify", pair=pair).expect(DIFFERENT).stdout


def test_a_database_is_not_called_equal_to_itself(pair: Pair) -> None:
    two_tables(pair)
    pair.source.run("create schema copy", "create table copy.b as table b")
    same = Pair(pair.source, pair.source)
    (problem,) = verify(same).expect(REFUSED).result["problems"]
    assert "is the same database as the source" in problem["message"]
    words = ("--include", "public.b", "--map-schema", "public=copy", "--data-only")
    verify(same, *words).expect(DONE)


def test_what_is_not_carried_over_is_no_part_of_the_claim(pair: Pair) -> None:
    two_tables(pair)
    pair.source.run("create view v as select * from b")
    words = ("--include", "public.v", "--include", "public.a", "--exclude", "public.b")
    done = windlass("migrate", *words, "--accept", "objects", pair=pair).expect(DONE)
    said = " ".join(done.stdout.split())
    assert "the content of every row are equal, apart from what is not carried over." in said


def test_all_rows_that_differ_are_named_in_the_file_and_in_json(pair: Pair, tmp_path: Path) -> None:
    many = "from generate_series(1, 2000) i"
    pair.source.run(
        "create table a (id int primary key, v int)",
        f"insert into a select i, i {many}",
        "create table keyless (v int)",
        f"insert into keyless select i {many}",
    )
    migrate(pair).expect(DONE)
    pair.target.run(
        "update a set v = -v where id <= 1500",
        "delete from a where id = 1800",
        "update keyless set v = -v where v <= 1100",
    )
    file = tmp_path / "differences"
    ran = verify(pair, "--differences", str(file)).expect(DIFFERENT)
    assert file.stat().st_mode & 0o077 == 0
    listed = [json.loads(line) for line in file.read_text().splitlines()]
    for found in (listed, ran.result["differences"]):
        changed = [one for one in found if one["kind"] == "changed"]
        assert {int(one["key"]["id"]) for one in changed} == set(range(1, 1501))
        assert {tuple(one["columns"]) for one in changed} == {("v",)}
        of_a = [one for one in found if one["object"] == "public.a"]
        assert [one["key"] for one in of_a if one["kind"] == "missing"] == [{"id": "1800"}]
        assert len([one for one in found if one["object"] == "public.keyless"]) == 2200
    assert ran.result["differing_rows"] == {"changed": 1500, "extra": 1100, "missing": 1101}
    said = windlass("verify", pair=pair).expect(DIFFERENT).stdout
    assert "--differences FILE lists all" in said
    assert "updates 1,500, inserts 1,101, deletes 1,100" in said


def test_a_file_that_cannot_be_written_is_said_before_anything_is_compared(
    pair: Pair, tmp_path: Path
) -> None:
    ran = windlass("verify", "--differences", str(tmp_path / "no" / "file"), pair=pair)
    assert ran.code == 2
    assert "No such file" in ran.said


def test_the_journal_holds_no_more_rows_than_a_result_should(pair: Pair) -> None:
    pair.source.run(
        "create table a (id int primary key, v int)",
        "insert into a select i, i from generate_series(1, 3000) i",
    )
    pair.target.run(
        "create table a (id int primary key, v int)",
        "create function f() returns trigger language plpgsql as"
        " 'begin new.v = -new.v; return new; end'",
        "create trigger t before insert on a for each row execute function f()",
        "alter table a enable always trigger t",
    )
    ran = migrate(pair, "--existing", "fill").expect(DIFFERENT)
    assert len([one for one in ran.result["differences"] if one["kind"] == "changed"]) == 3000
    (outcome,) = pair.target.rows("select outcome from windlass.run")[0]
    kept = [one for one in outcome["differences"] if one["kind"] == "changed"]
    assert len(kept) == 1001 and kept[-1]["rows"] == 2000
