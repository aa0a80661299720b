"""Keys, foreign keys, access methods and tablespaces as statements for this target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from archives import Archive
from windlass.engines.postgres.catalog import ForeignKey, KeyConstraint
from windlass.model.relation import Name
from windlass.model.statement import Phase
from windlass.planning.postgres.two_steps import VALIDATION
from writing import ORDERS, TABLE, one, reported, write

# keys

KEY = KeyConstraint(
    oid=77,
    relation_oid=7,
    relation=ORDERS,
    name="orders_pkey",
    is_primary=True,
    definition="CREATE UNIQUE INDEX orders_pkey ON shop.orders USING btree (id)",
    timing="",
)
ADD_KEY = "ALTER TABLE ONLY shop.orders\n    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);\n"


def key_entry(**facts: Any) -> Archive:
    archive = Archive()
    orders = archive.add("TABLE", "orders", owner="")
    more: dict[str, Any] = {
        "definition": ADD_KEY,
        "oid": 77,
        "owner": "",
        "drop": "DROP CONSTRAINT;\n",
    } | facts
    archive.add("CONSTRAINT", "orders orders_pkey", orders, **more)
    return archive


KEYS = [
    (KEY, 'ALTER TABLE ONLY "shop"."orders" ADD CONSTRAINT "orders_pkey" PRIMARY KEY'
     ' USING INDEX "orders_pkey";\n'),
    (replace(KEY, is_primary=False, name="Once", timing=" DEFERRABLE INITIALLY DEFERRED"),
     'ALTER TABLE ONLY "shop"."orders" ADD CONSTRAINT "Once" UNIQUE USING INDEX "Once"'
     " DEFERRABLE INITIALLY DEFERRED;\n"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "attach"), KEYS)
def test_a_key_is_built_as_an_index_and_then_attached(key: KeyConstraint, attach: str) -> None:
    _, *made = write(key_entry(), apart={77: key}).statements
    assert [(one.kind, one.sql) for one in made] == [
        ("UNIQUE INDEX", f"{KEY.definition};\n"),
        ("CONSTRAINT", attach),
    ]
    assert {one.phase for one in made} == {Phase.KEYS}
    assert {one.relation for one in made} == {ORDERS}


def test_a_key_that_is_not_to_be_built_apart_is_made_at_once() -> None:
    _, made = write(key_entry(), apart={78: KEY}).statements
    assert (made.kind, made.sql) == ("CONSTRAINT", ADD_KEY)


def test_what_else_a_key_says_is_said_after_it() -> None:
    more = "ALTER TABLE shop.orders CLUSTER ON orders_pkey;\n"
    again = "ALTER TABLE ONLY shop.orders REPLICA IDENTITY USING INDEX orders_pkey;\n"
    archive = key_entry(definition=f"{ADD_KEY}\n\n{more}\n{again}")
    *_, index, attach = write(archive, apart={77: KEY}).statements
    assert index.sql == f"{KEY.definition};\n"
    assert attach.sql.endswith(f";\n{more}{again}")


def test_the_tablespace_of_a_key_is_its_index_s() -> None:
    *_, index, attach = write(key_entry(tablespace="fast"), apart={77: KEY}).statements
    assert index.sql.startswith("SET LOCAL \"default_tablespace\" = 'fast';\n")
    assert "default_tablespace" not in attach.sql


# foreign keys

FOREIGN_KEY = ForeignKey(88, Name("shop", "Lines"), "order_fkey", True, False)
ADD_FOREIGN_KEY = (
    'ALTER TABLE ONLY shop."Lines"\n'
    "    ADD CONSTRAINT order_fkey FOREIGN KEY (order_id) REFERENCES shop.orders(id);\n"
)


def foreign_key_entry(definition: str = ADD_FOREIGN_KEY) -> Archive:
    archive = Archive()
    lines = archive.add("TABLE", "Lines", owner="")
    archive.add(
        "FK CONSTRAINT",
        "Lines order_fkey",
        lines,
        definition=definition,
        oid=88,
        owner="",
        drop="DROP CONSTRAINT;\n",
    )
    return archive


def test_a_foreign_key_is_added_not_valid_and_validated_afterwards() -> None:
    _, add, validate = write(foreign_key_entry(), foreign_keys={88: FOREIGN_KEY}).statements
    assert add.sql == ADD_FOREIGN_KEY.removesuffix(";\n") + " NOT VALID;\n"
    assert add.phase is Phase.FOREIGN_KEYS
    assert validate.kind == VALIDATION
    assert validate.sql == 'ALTER TABLE "shop"."Lines" VALIDATE CONSTRAINT "order_fkey";\n'
    assert validate.phase is Phase.VALIDATE
    assert validate.relation == Name("shop", "Lines")


@pytest.mark.parametrize(
    "foreign_key",
    [replace(FOREIGN_KEY, validated=False), replace(FOREIGN_KEY, is_partitioned=True)],
    ids=["not valid on the source", "of a partitioned relation"],
)
def test_some_foreign_keys_are_made_as_the_archive_says(foreign_key: ForeignKey) -> None:
    _, *made = write(foreign_key_entry(), foreign_keys={88: foreign_key}).statements
    assert [(one.kind, one.sql) for one in made] == [("FK CONSTRAINT", ADD_FOREIGN_KEY)]


PLACES = [
    ({}, TABLE),
    (
        {"tablespace": "fast"},
        f"SET LOCAL \"default_tablespace\" = 'fast';\n{TABLE}"
        "SET LOCAL \"default_tablespace\" = '';\n",
    ),
    (
        {"access_method": "columnar"},
        f"SET LOCAL \"default_table_access_method\" = 'columnar';\n{TABLE}"
        "SET LOCAL \"default_table_access_method\" = 'heap';\n",
    ),
]


@pytest.mark.parametrize(("facts", "text"), PLACES)
def test_a_relation_is_made_where_it_was(facts: dict[str, str], text: str) -> None:
    written = write(one("TABLE", "orders", definition=TABLE, owner="", **facts))
    assert [statement.sql for statement in written.statements] == [text]
    assert written.losses == ()


def test_an_access_method_that_the_target_lacks_is_a_loss() -> None:
    written = write(one("TABLE", "orders", definition=TABLE, owner="", access_method="odd"))
    assert [statement.sql for statement in written.statements] == [TABLE]
    assert reported(written) == [
        "table shop.orders: access method odd does not exist on the target (storage)"
    ]


def test_an_access_method_that_the_archive_makes_is_none() -> None:
    archive = one("ACCESS METHOD", "odd", definition="CREATE ACCESS METHOD odd;\n", owner="")
    archive.add("TABLE", "orders", definition=TABLE, owner="", access_method="odd")
    assert write(archive).losses == ()


def test_a_partitioned_relation_is_given_its_access_method_afterwards() -> None:
    text = "CREATE TABLE shop.orders (a int)\nPARTITION BY LIST (a);\n"
    written = write(one("TABLE", "orders", definition=text, owner="", access_method="heap"))
    assert [statement.sql for statement in written.statements] == [
        f'{text}ALTER TABLE "shop"."orders" SET ACCESS METHOD "heap";\n'
    ]


def test_a_tablespace_that_the_target_lacks_is_a_loss() -> None:
    written = write(one("TABLE", "orders", definition=TABLE, owner="", tablespace="slow"))
    assert [statement.sql for statement in written.statements] == [TABLE]
    assert reported(written) == [
        "table shop.orders: tablespace slow does not exist on the target (storage)"
    ]
