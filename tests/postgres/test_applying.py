"""Changes of a source arrive on the target, by their net change and in the source's order."""

from __future__ import annotations

import pytest

from oracle import content_difference
from servers import Pair
from streamed import streamed
from windlass.errors import Conflict, SchemaChanged, WindlassError
from windlass.flows.follow.lanes import stopped_by

HOW = pytest.mark.parametrize("in_order", [False, True], ids=["net", "in-order"])


def made(pair: Pair, *statements: str) -> Pair:
    """Both sides with the same relations and rows."""
    for side in (pair.source, pair.target):
        side.run(*statements)
    return pair


def difference(pair: Pair) -> list[str]:
    """Of rows: sequences are not part of a stream."""
    found = content_difference(pair.source, pair.target)
    return [line for line in found if not line.startswith("sequence ")]


@HOW
def test_inserts_updates_and_deletes_arrive(pair: Pair, in_order: bool) -> None:
    made(
        pair,
        "create table t (id int primary key, a text, b int)",
        "insert into t select i, 'a' || i, i from generate_series(1, 300) i",
    )
    with streamed(pair) as stream:
        pair.source.run(
            "insert into t select i, null, i from generate_series(301, 500) i",
            r"update t set a = E'\t\n\\.\r\\N', b = null where id % 3 = 0",
            "delete from t where id % 5 = 0",
            "update t set a = '' where id % 2 = 0",
            "insert into t values (5, 'again', 5)",
            "delete from t where id = 7",
        )
        assert stream.apply(in_order=in_order).in_order is in_order
        assert difference(pair) == []
        pair.source.run("update t set b = 8 where id < 4", "delete from t where id = 4")
        assert stream.apply(in_order=in_order).in_order is in_order
        assert difference(pair) == []


@HOW
def test_a_batch_in_portions_is_one_transaction(pair: Pair, in_order: bool) -> None:
    made(pair, "create table t (id int primary key, a text)")
    with streamed(pair) as stream:
        pair.source.run(
            "begin; insert into t select i, 'a' from generate_series(1, 400) i;"
            " update t set a = a || id; delete from t where id > 300; commit"
        )
        whole = stream.batch()
        applier = stream.applier(in_order=in_order)
        with stream.target.transaction():
            for portion in stream.portions(whole, 150):
                assert applier.apply(portion).in_order is in_order
            assert pair.target.value("select count(*) from t") == 0
        assert difference(pair) == []


@HOW
def test_keys_that_change_and_values_that_are_swapped_arrive(pair: Pair, in_order: bool) -> None:
    made(
        pair,
        "create table t (id int primary key, u int unique deferrable, n numeric unique)",
        "insert into t select i, i, i from generate_series(1, 200) i",
    )
    with streamed(pair) as stream:
        pair.source.run(
            "update t set id = -id where id % 2 = 0",
            "update t set u = 201 - u",
            "update t set n = -1 where id = 1",
            "update t set n = 1 where id = 3",
            "update t set n = 3 where id = 1",
            "insert into t values (2, 900, 900)",
        )
        stream.apply(in_order=in_order)
        assert difference(pair) == []


def test_a_net_change_that_breaks_a_unique_key_is_applied_in_order(pair: Pair) -> None:
    made(
        pair,
        "create table t (id int primary key, u int unique)",
        "insert into t values (1, 1), (2, 2)",
    )
    with streamed(pair) as stream:
        pair.source.run(
            "update t set u = 0 where id = 1",
            "update t set u = 1 where id = 2",
            "update t set u = 2 where id = 1",
        )
        assert stream.apply().in_order
        assert difference(pair) == []


@HOW
def test_equal_rows_without_a_key_stay_as_many(pair: Pair, in_order: bool) -> None:
    made(
        pair,
        "create table t (a numeric, j json, p point, c char(4))",
        "alter table t replica identity full",
        "insert into t select 1.0, '{\"a\": 1}', '(1,2)', 'x' from generate_series(1, 3)",
        "insert into t select 1.00, null, null, null from generate_series(1, 3)",
    )
    with streamed(pair) as stream:
        pair.source.run(
            "delete from t where ctid = '(0,2)'",
            "update t set a = 7 where ctid = '(0,1)'",
            "update t set j = '{\"a\":  1}' where ctid in ('(0,4)', '(0,5)')",
            "insert into t values (1.0, null, null, null)",
        )
        stream.apply(in_order=in_order)
        assert difference(pair) == []


@HOW
@pytest.mark.parametrize("identity", ["default", "full", "using index t_k"])
def test_values_that_did_not_change_are_kept(pair: Pair, identity: str, in_order: bool) -> None:
    made(
        pair,
        "create table t (id int primary key, k text not null, big text, other text, n int)",
        "alter table t alter big set storage external, alter other set storage external",
        "create unique index t_k on t (k)",
        "insert into t select i, 'k' || i, repeat('x', 5000) || i, repeat('y', 5000), 0"
        " from generate_series(1, 120) i",
        f"alter table t replica identity {identity}",
    )
    with streamed(pair) as stream:
        pair.source.run(
            "update t set n = 1",
            "update t set other = null where id < 70",
            "update t set big = 'short' where id > 110",
            "update t set n = 2 where id % 3 = 0",
            "update t set id = -id, k = 'k-' || id where id = 100",
            "begin; insert into t values (500, 'new', repeat('z', 9000), null, 1);"
            " update t set n = 5 where id = 500; commit",
        )
        stream.apply(in_order=in_order)
        assert difference(pair) == []


@HOW
def test_generated_and_identity_columns_are_right(pair: Pair, in_order: bool) -> None:
    made(
        pair,
        "create table t (id bigint generated always as identity primary key, a int,"
        " twice int generated always as (a * 2) stored, b int generated by default as identity)",
        "insert into t (a) select i from generate_series(1, 100) i",
    )
    with streamed(pair) as stream:
        pair.source.run(
            "insert into t (a) select i from generate_series(1, 100) i",
            "insert into t (id, a) overriding system value values (-1, 5)",
            "update t set a = a + 1, b = b + 1000 where id > 20",
            "delete from t where id = 3",
            "update t set id = default where id = 4",
        )
        stream.apply(in_order=in_order)
        assert difference(pair) == []


@HOW
def test_truncate_arrives_where_it_was(pair: Pair, in_order: bool) -> None:
    made(
        pair,
        "create table a (id int primary key generated by default as identity)",
        "create table b (id int primary key, a int references a)",
        "create table c (id int primary key)",
        "insert into a select i from generate_series(1, 60) i",
        "insert into b select i, i from generate_series(1, 60) i",
        "insert into c values (1)",
    )
    with streamed(pair) as stream:
        pair.source.run(
            "insert into a values (100)",
            "truncate a restart identity cascade",
            "insert into a values (101)",
            "update c set id = 2",
            "truncate only c",
            "insert into b values (1, 101)",
            "insert into a default values",
        )
        stream.apply(in_order=in_order)
        assert difference(pair) == []
        assert pair.target.rows("select last_value, is_called from a_id_seq") == [(1, False)]


@HOW
def test_a_table_that_only_the_target_has_is_not_emptied_by_a_cascade(
    pair: Pair, in_order: bool
) -> None:
    made(pair, "create table a (id int primary key)", "insert into a values (1)")
    pair.target.run("create table mine (a int references a)", "insert into mine values (1)")
    with streamed(pair) as stream:
        pair.source.run("truncate a cascade")
        with pytest.raises(WindlassError, match="referenced in a foreign key"):
            stream.apply(in_order=in_order)
    assert pair.target.rows("select a from mine") == [(1,)]


@HOW
def test_partitioned_and_inherited_relations_arrive(pair: Pair, in_order: bool) -> None:
    made(
        pair,
        "create table p (id int, r text, n int, primary key (id, r)) partition by list (r)",
        "create table p_a partition of p for values in ('a')",
        "create table p_b partition of p for values in ('b')",
        "create table f (a int, b text) partition by list (b)",
        "create table f_a partition of f for values in ('a')",
        "create table f_b partition of f for values in ('b')",
        "alter table f replica identity full",
        "alter table f_a replica identity full",
        "alter table f_b replica identity full",
        "create table parent (id int primary key, a text)",
        "create table child (primary key (id)) inherits (parent)",
        "insert into p select i, case i % 2 when 0 then 'a' else 'b' end, 0"
        " from generate_series(1, 200) i",
        "insert into f select 1, r from unnest(array['a', 'a', 'b', 'b']) r",
        "insert into parent select i, 'parent' from generate_series(1, 100) i",
        "insert into child select i, 'child' from generate_series(1, 100) i",
    )
    with streamed(pair) as stream:
        pair.source.run(
            "update p set n = 1",
            "update p set r = 'a' where id < 50 and r = 'b'",
            "delete from p where id > 150",
            "update f set b = 'b' where ctid = '(0,1)' and b = 'a'",
            "delete from f_b where ctid = '(0,2)'",
            "update only parent set a = 'x' where id > 30",
            "update child set a = 'y' where id < 60",
            "delete from only parent where id = 7",
            "truncate only parent",
            "insert into parent values (1, 'again')",
        )
        stream.apply(in_order=in_order)
        assert difference(pair) == []


OLD, NEW = '"Old %s ""schema"""', '"New {} schema"'
ODD = '"Tåble %d $1"'


@HOW
def test_schemas_and_names_of_every_kind_are_found(pair: Pair, in_order: bool) -> None:
    columns = '"Key %s" int primary key, "ta\\tb" text, "a.b" text, "%" int, "$2" int'
    made(pair, f"create schema {OLD}", f"create table {OLD}.{ODD} ({columns})")
    pair.target.run(f"alter schema {OLD} rename to {NEW}")
    with streamed(pair, renamed={'Old %s "schema"': "New {} schema"}) as stream:
        pair.source.run(
            f"insert into {OLD}.{ODD} select i, 'é', null, 1, 2 from generate_series(1, 80) i",
            f'update {OLD}.{ODD} set "%" = 3 where "Key %s" < 70',
            f'delete from {OLD}.{ODD} where "Key %s" < 60',
            f'update {OLD}.{ODD} set "$2" = 9, "Key %s" = 500 where "Key %s" = 80',
        )
        stream.apply(in_order=in_order)
        found = pair.target.rows(f"select * from {NEW}.{ODD} order by 1")
        assert found == pair.source.rows(f"select * from {OLD}.{ODD} order by 1")
        assert len(found) == 21


def test_without_the_right_to_temporary_relations_changes_arrive(pair: Pair) -> None:
    made(
        pair,
        "create table t (id int primary key, a text)",
        "insert into t select i, 'a' from generate_series(1, 100) i",
    )
    with streamed(pair) as stream:
        name = pair.target.name
        pair.target.run(
            f"revoke temporary on database {name} from public",
            f"create role app_{name} in role pg_write_all_data, pg_read_all_data",
        )
        try:
            stream.target.execute(f"set role app_{name}".encode())
            pair.source.run("update t set a = 'b'", "delete from t where id > 40")
            counts = stream.apply()
            assert (counts.updated, counts.deleted, counts.in_order) == (40, 60, False)
            assert difference(pair) == []
        finally:
            stream.target.execute("reset role")
            pair.target.run(f"drop role app_{name}")


def test_a_right_that_is_missing_is_what_stops_a_stream(pair: Pair) -> None:
    made(pair, "create table t (id int primary key, a text)", "insert into t values (1, 'a')")
    with streamed(pair) as stream:
        name = pair.target.name
        pair.target.run(f"create role app_{name}", f"grant select on t to app_{name}")
        try:
            stream.target.execute(f"set role app_{name}".encode())
            pair.source.run("update t set a = 'b'")
            with pytest.raises(WindlassError, match="permission denied") as caught:
                stream.apply()
        finally:
            stream.target.execute("reset role")
            pair.target.run(f"drop owned by app_{name}", f"drop role app_{name}")
    assert stopped_by(caught.value) == "rights"


@HOW
def test_a_row_that_is_missing_is_named_and_nothing_is_applied(pair: Pair, in_order: bool) -> None:
    made(
        pair,
        "create schema shop",
        "create table shop.orders (id int, line text, note text, primary key (id, line))",
        "insert into shop.orders select i, 'a', 'secret' from generate_series(1, 100) i",
    )
    with streamed(pair) as stream:
        pair.target.run("delete from shop.orders where id = 77")
        pair.source.run(
            "update shop.orders set note = 'changed' where id < 50",
            "update shop.orders set note = 'changed' where id >= 50",
        )
        batch = stream.batch()
        with pytest.raises(Conflict) as caught:
            stream.apply(batch, in_order=in_order)
        assert caught.value.where["relation"] == "shop.orders"
        assert caught.value.where["key"] == "(id, line) = (77, a)"
        assert str(caught.value.where["lsn"]) in str(caught.value)
        assert batch.changes[caught.value.where["index"]].new[0] == b"77"  # type: ignore
        assert "secret" not in str(caught.value) and "changed" not in str(caught.value)
        assert pair.target.value("select count(*) from shop.orders where note <> 'secret'") == 0


@HOW
def test_a_row_that_breaks_a_constraint_of_the_target_is_named(pair: Pair, in_order: bool) -> None:
    made(pair, "create table t (id int primary key, a text)")
    with streamed(pair) as stream:
        pair.target.run("alter table t add check (a <> 'private')")
        pair.source.run("insert into t values (1, 'fine'), (2, 'private')")
        with pytest.raises(Conflict, match=r"cannot insert the row \(id\) = \(2\)") as caught:
            stream.apply(in_order=in_order)
        assert "'private'" not in str(caught.value)
        assert pair.target.value("select count(*) from t") == 0


CHANGED = {
    "alter table t add column c int": "the target has no column c",
    "alter table t drop column b": "column b is no longer sent by the source",
    "alter table t rename column b to c": "the target has no column c; column b is no longer sent",
    "alter table t alter column b type varchar(9)": "column b has type character varying\\(9\\)",
    "alter table t rename to u": "it is now called public.u",
    "alter table t replica identity full": "by all columns, before by \\(id\\)",
    "alter table t replica identity using index t_b": "by \\(b\\), before by \\(id\\)",
}


@pytest.mark.parametrize("statement", CHANGED)
def test_a_changed_schema_stops_at_the_change(pair: Pair, statement: str) -> None:
    made(
        pair,
        "create table t (id int primary key, b varchar(5) not null)",
        "create unique index t_b on t (b)",
    )
    with streamed(pair) as stream:
        pair.source.run("insert into t values (1, 'x')")
        stream.apply()
        pair.source.run(
            statement, "update t set id = 2" if " to u" not in statement else "delete from u"
        )
        with pytest.raises(SchemaChanged, match=CHANGED[statement]) as caught:
            stream.apply()
        assert caught.value.where["relation"] == "public.t"
        assert caught.value.where["lsn"]
        assert pair.target.rows("select id from t") == [(1,)]
