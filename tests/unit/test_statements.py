"""Archive entries as statements for this target: phase, owner, and without what it does not
support."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import Archive
from windlass.engines.postgres.archive import (
    PARTS,
    Entry,
    phases,
    without_private_options,
)
from windlass.engines.postgres.catalog import Existing
from windlass.model.relation import Name
from windlass.model.statement import Phase, Statement
from writing import ORDERS, TABLE, one, reported, write

# phases

PHASES = [
    ("SCHEMA shop", Phase.SCHEMA),
    ("COMMENT SCHEMA shop", Phase.SCHEMA),
    ("EXTENSION citext", Phase.SCHEMA),
    ("TYPE mood", Phase.SCHEMA),
    ("FUNCTION early()", Phase.SCHEMA),
    ("TABLE orders", Phase.TABLES),
    ("COMMENT TABLE orders", Phase.REST),
    ("ACL TABLE orders", Phase.GRANTS),
    ("SEQUENCE orders_id_seq", Phase.TABLES),
    ("FUNCTION between()", Phase.TABLES),
    ("VIEW sales", Phase.TABLES),
    ("MATERIALIZED VIEW totals", Phase.TABLES),
    ("TABLE ATTACH events_1", Phase.TABLES),
    ("DEFAULT orders id", Phase.TABLES),
    ("CONSTRAINT orders orders_pkey", Phase.KEYS),
    ("INDEX orders_at", Phase.KEYS),
    ("STATISTICS orders_st", Phase.KEYS),
    ("INDEX ATTACH events_1_pkey", Phase.ATTACH),
    ("VIEW postponed", Phase.REST),
    ("CHECK CONSTRAINT orders positive", Phase.REST),
    ("RULE orders logged", Phase.REST),
    ("TRIGGER orders stamp", Phase.REST),
    ("FK CONSTRAINT lines order_fkey", Phase.FOREIGN_KEYS),
    ("POLICY orders mine", Phase.REST),
    ("ROW SECURITY orders", Phase.REST),
    ("PUBLICATION feed", Phase.REST),
    ("PUBLICATION TABLE feed orders", Phase.REST),
    ("EVENT TRIGGER guard", Phase.LAST),
    ("DEFAULT ACL DEFAULT PRIVILEGES FOR TABLES", Phase.GRANTS),
]
KIND_WORDS = sorted(
    {"FK CONSTRAINT", "CHECK CONSTRAINT", "INDEX ATTACH", "TABLE ATTACH", "ROW SECURITY"}
    | {"PUBLICATION TABLE", "EVENT TRIGGER", "DEFAULT ACL", "MATERIALIZED VIEW"}
)


def parted(text: str) -> tuple[str, str]:
    """Kind and tag."""
    kind = next((kind for kind in KIND_WORDS if text.startswith(kind)), text.split()[0])
    return kind, text.removeprefix(kind).strip()


def test_entries_run_in_the_phase_of_their_kind() -> None:
    archive = Archive()
    for text, _ in PHASES:
        archive.add(*parted(text))
    found = phases(archive.entries)
    assert [(text, found[at]) for at, (text, _) in enumerate(PHASES, 1)] == PHASES


def test_what_needs_a_later_entry_waits_for_it() -> None:
    archive = Archive()
    orders = archive.add("TABLE", "orders")
    key = archive.add("CONSTRAINT", "orders orders_pkey", orders)
    grouped = archive.add("VIEW", "grouped", orders, key)
    kept = archive.add("MATERIALIZED VIEW", "kept", grouped)
    index = archive.add("INDEX", "kept_index", kept)
    guard = archive.add("EVENT TRIGGER", "guard")
    comment = archive.add("COMMENT", "EVENT TRIGGER guard", guard)
    found = phases(archive.entries)
    assert [found[entry.id] for entry in (grouped, kept, index)] == [Phase.REST] * 3
    assert found[comment.id] == Phase.LAST


def test_entries_about_the_archive_and_without_text_do_not_run() -> None:
    archive = Archive()
    for kind in ("ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "TABLE DATA"):
        archive.add(kind, "x")
    archive.add("TABLE", "silent", definition="")
    assert phases(archive.entries) == {}
    assert write(archive).statements == ()


ALL_KINDS = sorted(
    {*PARTS, *(parted(text)[0] for text, _ in PHASES), "TABLE DATA", "AGGREGATE", "DOMAIN"}
    - {"USER MAPPING"}
)


@st.composite
def graphs(draw: st.DrawFn) -> Archive:
    """Entries of any kind, each needing any of those before it."""
    archive = Archive()
    for number in range(draw(st.integers(0, 25))):
        needs = draw(st.lists(st.sampled_from(archive.entries), max_size=4)) if number else []
        definition = draw(st.sampled_from(["select 1;\n"] * 4 + [""]))
        kind = draw(st.sampled_from(ALL_KINDS))
        archive.add(kind, f"x{number}", *needs, schema="shop", definition=definition)
    return archive


@settings(deadline=None)
@given(graphs())
def test_nothing_runs_before_what_it_depends_on(archive: Archive) -> None:
    """An earlier phase, or the same one and earlier in the archive."""
    found, order = phases(archive.entries), list(Phase)
    for entry in archive.entries:
        for need in set(entry.depends_on) & found.keys():
            if entry.id in found:
                assert need < entry.id
                assert order.index(found[need]) <= order.index(found[entry.id])


@settings(deadline=None)
@given(graphs())
def test_statements_are_in_the_order_of_the_archive(archive: Archive) -> None:
    ids = [statement.id for statement in write(archive).statements]
    assert ids == sorted(phases(archive.entries))


@settings(deadline=None)
@given(graphs(), st.sets(st.integers(1, 25)))
def test_what_is_skipped_is_not_written(archive: Archive, skip: set[int]) -> None:
    ids = {statement.id for statement in write(archive, skip=skip).statements}
    assert ids == phases(archive.entries).keys() - skip


# what is there anyway


def test_schemas_and_extensions_that_the_target_has_are_not_made() -> None:
    archive = Archive()
    public = archive.schema("public")
    archive.add("COMMENT", "SCHEMA public", public, schema="")
    extension = archive.add("EXTENSION", "plpgsql", schema="")
    archive.add("COMMENT", "EXTENSION plpgsql", extension, schema="")
    other = archive.add("EXTENSION", "citext", schema="", owner="")
    archive.add("COMMENT", "EXTENSION citext", other, schema="")
    written = write(archive)
    assert [(made.kind, made.name.name) for made in written.statements] == [
        ("COMMENT", "SCHEMA public"),
        ("EXTENSION", "citext"),
        ("COMMENT", "EXTENSION citext"),
    ]


@pytest.mark.parametrize(("there", "made"), [("shop", ["CREATE SCHEMA store;\n"]), ("store", [])])
def test_a_renamed_schema_is_made_unless_its_new_name_is_there(there: str, made: list[str]) -> None:
    archive = one("SCHEMA", "shop", schema="", definition="CREATE SCHEMA shop;\n", owner="")
    written = write(
        archive, Existing(frozenset(), schemas=frozenset({there})), schemas={"shop": "store"}
    )
    assert [statement.sql for statement in written.statements] == made


def test_a_renamed_schema_is_another_in_names_and_in_text() -> None:
    archive = Archive()
    shop = archive.schema("shop")
    orders = archive.add("TABLE", "orders", shop, schema="shop", definition=TABLE, owner="app")
    index = "CREATE INDEX orders_at ON shop.orders USING btree (at);\n"
    archive.add("INDEX", "orders_at", orders, definition=index, owner="")
    made = write(archive, schemas={"shop": "store"}).statements
    assert [str(statement.name) for statement in made[1:]] == ["store.orders", "store.orders_at"]
    assert made[0].name == Name("", "store")
    assert {statement.relation for statement in made[1:]} == {Name("store", "orders")}
    assert not any("shop" in statement.sql + statement.drop for statement in made)


# secrets

MAPPING = "CREATE USER MAPPING FOR app SERVER far OPTIONS (\n    {}\n);\n"


def mapping_entry(options: str) -> Archive:
    return one(
        "USER MAPPING", "USER MAPPING app SERVER far",
        schema="", definition=MAPPING.format(options), owner="",
    )  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        "password 'hunter2'",
        "password 'hunter2',\n    \"user\" 'u'",
        "\"user\" 'u',\n    password 'hunter2'",
        "\"Password\" 'hunter2'",
        "\"user\" 'u',\n    sslkey 'k',\n    sslpassword 'hunter2'",
    ],
)
def test_a_user_mapping_leaves_its_passwords_behind(options: str) -> None:
    written = write(mapping_entry(options))
    assert not any("hunter2" in statement.sql for statement in written.statements)
    assert reported(written) == [
        "user mapping app SERVER far: its password is not carried over: set it again (secrets)"
    ]


def test_a_user_mapping_without_a_password_is_made_as_it_is() -> None:
    written = write(mapping_entry("\"user\" 'u'"))
    assert [statement.sql for statement in written.statements] == [MAPPING.format("\"user\" 'u'")]
    assert written.losses == ()


def test_a_user_mapping_of_a_role_that_the_target_lacks_is_a_problem() -> None:
    text = "CREATE USER MAPPING FOR gone SERVER far;\n"
    archive = one("USER MAPPING", "USER MAPPING gone SERVER far", schema="", definition=text)
    assert [problem.object for problem in write(archive).problems] == ["role gone"]


ATTVER = [
    ("CREATE TABLE t ();\n", "CREATE TABLE t ();\n"),
    ("ALTER TABLE ONLY s.t ALTER COLUMN a SET (pg_attver=1);\n", ""),
    (
        "CREATE TABLE s.t (a integer);\nALTER TABLE ONLY s.t ALTER COLUMN a SET (pg_attver='1');\n",
        "CREATE TABLE s.t (a integer);\n",
    ),
    (
        "ALTER TABLE ONLY s.t ALTER COLUMN a SET (n_distinct=5, pg_attver=1);\n",
        "ALTER TABLE ONLY s.t ALTER COLUMN a SET (n_distinct=5);\n",
    ),
    ("COMMENT ON TABLE s.t IS 'a pg_attver';\n", "COMMENT ON TABLE s.t IS 'a pg_attver';\n"),
]


@pytest.mark.parametrize(("definition", "left"), ATTVER)
def test_a_column_s_private_option_stays_behind(definition: str, left: str) -> None:
    found = without_private_options(definition)
    assert found.lower() == left.lower()


# what a statement says of itself

NAMES = [
    (Statement(1, "TABLE", ORDERS, "", "", Phase.TABLES), "table shop.orders"),
    (Statement(1, "SCHEMA", Name("", "shop"), "", "", Phase.SCHEMA), "schema shop"),
    (
        Statement(1, "FK CONSTRAINT", Name("shop", "a b_fkey"), "", "", Phase.FOREIGN_KEYS),
        "fk constraint shop.a b_fkey",
    ),
]


@pytest.mark.parametrize(("statement", "text"), NAMES)
def test_a_statement_is_named_as_people_say_it(statement: Statement, text: str) -> None:
    assert str(statement) == text


def related(kind: str, tag: str, *needs: Entry, archive: Archive) -> Name | None:
    archive.add(kind, tag, *needs)
    return write(archive).statements[-1].relation


def test_a_statement_knows_the_relation_that_it_is_part_of() -> None:
    archive = Archive()
    sequence = archive.add("SEQUENCE", "ids")
    orders = archive.add("TABLE", "orders", sequence)
    assert related("INDEX", "orders_at", orders, archive=archive) == ORDERS
    assert related("DEFAULT", "orders id", sequence, orders, archive=archive) == ORDERS
    assert related("VIEW", "sales", orders, archive=archive) == Name("shop", "sales")
    assert related("FUNCTION", "f()", archive=archive) is None


# components


def test_tables_that_may_want_the_same_name_for_a_constraint_keep_their_order() -> None:
    """Version 18: the server names droppk's constraint as child has named its own, if it may."""
    archive = Archive()
    archive.add("TABLE", "droppk", definition="CREATE TABLE shop.droppk (a int NOT NULL);\n")
    text = "CREATE TABLE shop.child (a int CONSTRAINT droppk_a_not_null NOT NULL);\n"
    archive.add("TABLE", "child", definition=text)
    archive.add("TABLE", "free", definition="CREATE TABLE shop.free (a int NOT NULL);\n")
    own = "CREATE TABLE shop.own (a int CONSTRAINT own_b_not_null NOT NULL);\n"
    archive.add("TABLE", "own", definition=own)
    components = {one.name.name: one.component for one in write(archive).statements}
    assert [name for name, component in components.items() if not component] == ["droppk", "child"]
