"""Fields are fitted to columns by their exact names; what does not fit is named, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from windlass.loading.created import types_for
from windlass.loading.document import PlannedLoad
from windlass.loading.kinds import cannot_hold
from windlass.loading.made import LoadPlan, Opened, make
from windlass.model.export import Column, Kind
from windlass.model.load import Field, Identity, Table, TableColumn
from windlass.model.planned import Style
from windlass.model.relation import Name
from windlass.model.wording import spelled, word
from windlass.spec.load import LoadSpec

NAME = Name("shop", "orders")
ORDERS = Table(
    NAME,
    (
        TableColumn("id", "integer", Kind.INT32, not_null=True),
        TableColumn("total", "numeric(12,2)", Kind.DECIMAL),
        TableColumn("created_at", "timestamptz", Kind.INSTANT, has_default=True),
        TableColumn("gone", "boolean", Kind.BOOLEAN),
        TableColumn("double", "integer", Kind.INT32, generated=True),
    ),
    keys=(("id",),),
    primary=("id",),
    rows=3,
)


def plan(
    fields: Sequence[str | Field], table: Table | None = ORDERS, kinds: Any = None, **words: Any
) -> LoadPlan:
    given = {"target": "sqlite:///x", "into": "orders", "from": "a.csv", "load": "append", **words}
    opened = Opened(
        ("a.csv",),
        tuple(Field(one) if isinstance(one, str) else one for one in fields),
        (Identity(123, "sha"),),
    )
    return make(LoadSpec.of(**given).wanted[0], NAME, table, opened, kinds)


def faults(*fields: str | Field, **words: Any) -> str:
    return spelled("; ".join(one.text for one in plan(fields, **words).problems))


def assigned(*fields: str, **words: Any) -> dict[str, str]:
    found = plan(fields, **words)
    assert found.problems == ()
    return {one.column: one.field or one.sql or str(one.mask) for one in found.load.assigned}


def test_a_field_goes_into_the_column_of_its_name() -> None:
    assert assigned("id", "total") == {"id": "id", "total": "total"}


def test_fields_are_renamed_dropped_computed_and_hidden() -> None:
    columns = {
        "nr": "id",
        "note": None,
        "total": {"sql": "round(total, 2)"},
        "gone": {"value": False},
        "created_at": {"mask": "null"},
    }
    found = assigned("nr", "note", "total", columns=columns)
    assert found == {
        "id": "nr", "total": "round(total, 2)", "gone": "false", "created_at": "null",
    }  # fmt: skip


def test_a_masked_column_may_come_from_a_field_of_another_name() -> None:
    columns = {"mail": {"from": "address", "mask": "hash"}}
    table = replace(ORDERS, columns=(*ORDERS.columns, TableColumn("mail", "text", Kind.TEXT)))
    found = assigned("id", "address", table=table, columns=columns)
    assert found == {"id": "id", "mail": "address"}


def test_a_hash_goes_into_text_that_is_long_enough() -> None:
    short = TableColumn("mail", "varchar(63)", Kind.TEXT, longest=63)
    table = replace(ORDERS, columns=(*ORDERS.columns, short))
    columns = {name: {"from": "address", "mask": "hash"} for name in ("mail", "total")}
    found = faults("id", "address", table=table, columns=columns)
    assert "column mail is varchar(63), and a hash is a text of 64 characters" in found
    assert "column total is numeric(12,2), and a hash is a text of 64 characters" in found


FAULTS: list[tuple[list[str], dict[str, Any], str]] = [
    (["ID"], {}, "id differs from ID in case only (to use it: columns='ID=id')"),
    (["id", "totl"], {}, "field totl has no column in the table (columns='totl=total'"),
    (["total"], {}, "column id is NOT NULL without a default, and the input lacks it"),
    (["id", "double"], {}, "column double is computed by the target"),
    (["id", "id"], {}, "two fields of the input are called id"),
    (["id", "nr"], {"columns": {"nr": "id"}}, "column id would be filled by two fields"),
    (["id"], {"columns": {"nr": "total"}}, "names field nr, which the input lacks"),
    (["id"], {"columns": {"totals": {"sql": "1"}}}, "did you mean total?"),
    (["id"], {"columns": {"total": {"from": "x"}}}, "comes from field x, which the input lacks"),
    (["id", "x"], {"schema": "add"}, "its type is not known"),
    (["id"], {"types": {"totals": "text"}}, "did you mean total?"),
    (["id"], {"load": "merge", "key": "nr"}, "the key's column nr is not in the table"),
    (["total"], {"load": "merge", "key": "id"}, "the key's column id is not filled"),
    (["id"], {"load": "merge", "key": "id"}, "nothing could be updated (give load='insert')"),
    (["id", "total"], {"load": "mirror", "key": "id", "mark": "total"}, "the input fills it"),
    (["id", "total"], {"load": "mirror", "key": "id", "mark": "gon"}, "did you mean gone?"),
    (["id"], {"load": "history", "key": "id"}, "a history needs column valid_from"),
    (["id"], {"load": "history", "key": "id"}, "leaves no room for a row's versions"),
    (["id"], {"expect": [{"not-null": "totals"}]}, "column totals is not in the table"),
    (["id"], {"expect": [{"foreign-key": {"id": "other"}}]}, "is not schema.table.column"),
]


@pytest.mark.parametrize(("fields", "words", "fault"), FAULTS)
def test_what_does_not_fit_is_named_with_the_nearest_right_name(
    fields: list[str], words: dict[str, Any], fault: str
) -> None:
    assert fault in faults(*fields, **words)


def test_all_that_does_not_fit_is_named_at_once() -> None:
    found = plan(["ID", "totl", "x"], columns={"y": "z"}).problems
    assert len(found) >= 4


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
@pytest.mark.parametrize("table", [ORDERS, None])
def test_a_file_with_another_delimiter_is_named_as_such(
    delimiter: str, table: Table | None
) -> None:
    (found,) = plan(
        [delimiter.join(("id", "total"))], table, {"x": "text"}, load="merge", key="id", create=True
    ).problems
    assert "has one field" in found.message and found.hint == word("csv", f"delimiter={delimiter}")


def test_one_field_may_have_the_name_of_several_if_it_is_meant() -> None:
    assert assigned("id;nr", columns={"id;nr": "id"}) == {"id": "id;nr"}


def test_without_the_table_only_create_makes_one() -> None:
    assert "there is no such table in the target" in faults("id", table=None)
    made = plan(
        ["id", "at"], None, {"id": "bigint", "at": "date"}, create=True, load="merge", key="id"
    )
    assert made.problems == ()
    assert [(one.name, one.type) for one in made.load.table.columns] == [
        ("id", "bigint"),
        ("at", "date"),
    ]
    assert made.load.creates and made.load.table.primary == ("id",)


def test_columns_that_the_table_lacks_are_added_only_if_asked() -> None:
    assert "has no column in the table" in faults("id", "x")
    added = plan(["id", "x"], schema="add", types={"x": "text"})
    assert added.problems == ()
    assert [one.name for one in added.load.adds] == ["x"]


HELD = [
    (Kind.INT64, Kind.INT32, True),
    (Kind.FLOAT64, Kind.DECIMAL, True),
    (Kind.TEXT, Kind.DATE, True),
    (Kind.INT32, Kind.TEXT, True),
    (Kind.DATE, Kind.TIMESTAMP, True),
    (Kind.TIMESTAMP, Kind.DATE, False),
    (Kind.TIMESTAMP, Kind.INSTANT, False),
    (Kind.INSTANT, Kind.TIMESTAMP, False),
    (Kind.BYTES, Kind.TEXT, False),
    (Kind.BOOLEAN, Kind.INT32, False),
    (Kind.JSON, Kind.JSON, True),
]


@pytest.mark.parametrize(("given", "column", "held"), HELD)
def test_a_type_that_would_change_values_is_refused(given: Kind, column: Kind, held: bool) -> None:
    why = cannot_hold(TableColumn("a", str(column), column), Column("a", str(given), given))
    assert (why == "") is held


def test_a_typed_field_that_does_not_fit_is_named_with_both_types() -> None:
    typed = Field("created_at", Column("created_at", "timestamp", Kind.TIMESTAMP))
    assert "field created_at is timestamp, and column created_at is timestamptz" in faults(
        "id", typed
    )


def test_types_are_of_typed_fields_or_by_a_census_or_not_known() -> None:
    def census() -> list[Field]:
        money = Column("b", "text", Kind.DECIMAL, precision=3, scale=2)
        return [Field("a", Column("a", "text", Kind.INT64)), Field("b", money), typed]

    typed = Field("c", Column("c", "int", Kind.INT64))
    fields = [Field("a"), Field("b"), typed]
    words = {"target": "x", "into": "t", "from": "a.csv", "load": "append", "create": True}
    alone, counted = (LoadSpec.of(**words, census=one).wanted[0] for one in (False, True))
    assert types_for(alone, fields, None, "duckdb", census) == {"c": "BIGINT"}
    found = types_for(counted, fields, None, "postgresql", census)
    assert found == {"a": "bigint", "b": "numeric(38,2)", "c": "bigint"}


def test_the_plan_says_what_will_happen_in_each_of_its_forms() -> None:
    made = plan(["id", "total"], load="mirror", key="id", expect=["total >= 0"])
    planned = PlannedLoad("shop", [made], made.problems)
    style = Style(next_command="windlass load")
    for text in (planned.as_text(style), planned.as_markdown(style)):
        assert "a row whose id is in the table is updated where it differs" in text
        assert "rows of the table that the input lacks are deleted" in text
        assert "column gone is not in the input: new rows get NULL" in text
        assert "expects sql(total >= 0)" in text
        assert "windlass load" in text
    (load,) = planned.as_json()["loads"]
    assert (load["table"], load["load"], load["words"]["key"]) == ("shop.orders", "mirror", ["id"])
