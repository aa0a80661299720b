"""Archive entries as statements for this target: when, whose, and without what it cannot take."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import Archive
from windlass.engines.postgres.archive import (
    PARTS,
    Entry,
    owner_statement,
    phases,
    without_private_options,
)
from windlass.engines.postgres.catalog import Existing, ForeignKey, KeyConstraint
from windlass.model.relation import Name
from windlass.model.statement import Phase, Statement
from windlass.planning.postgres.statements import Written, write_statements
from windlass.planning.postgres.surroundings import Surroundings
from windlass.planning.postgres.two_steps import VALIDATION

ORDERS = Name("shop", "orders")
HERE = Existing(
    frozenset({("ACCESS METHOD", "", "columnar", "")}),
    roles=frozenset({"mover", "app", "other", "two words"}),
    memberships=frozenset({"app", "two words"}),
    schemas=frozenset({"public"}),
    extensions=frozenset({"plpgsql"}),
    tablespaces=frozenset({"fast"}),
)


def write(
    archive: Archive,
    existing: Existing = HERE,
    *,
    schemas: Mapping[str, str] | None = None,
    superuser: bool = False,
    skip: Collection[int] = (),
    apart: Mapping[int, KeyConstraint] | None = None,
    foreign_keys: Mapping[int, ForeignKey] | None = None,
) -> Written:
    return write_statements(
        archive.entries,
        Surroundings(existing, "mover", schemas or {}, superuser),
        skip=skip,
        apart=apart or {},
        foreign_keys=foreign_keys or {},
    )


def one(kind: str, tag: str, **facts: Any) -> Archive:
    archive = Archive()
    archive.add(kind, tag, **facts)
    return archive


def told(written: Written) -> list[str]:
    return [str(loss) for loss in written.losses]


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


# owners

OWNERS = [
    ("TABLE", "orders", "", 'ALTER TABLE "shop"."orders" OWNER TO "app";'),
    ("VIEW", "sales", "", 'ALTER VIEW "shop"."sales" OWNER TO "app";'),
    ("MATERIALIZED VIEW", "t", "", 'ALTER MATERIALIZED VIEW "shop"."t" OWNER TO "app";'),
    ("SEQUENCE", "s", "", 'ALTER SEQUENCE "shop"."s" OWNER TO "app";'),
    ("TYPE", "Mood", "", 'ALTER TYPE "shop"."Mood" OWNER TO "app";'),
    ("DOMAIN", 'od"d', "", 'ALTER DOMAIN "shop"."od""d" OWNER TO "app";'),
    (
        "FUNCTION", "f(integer)", "DROP FUNCTION shop.f(integer);\n",
        'ALTER FUNCTION shop.f(integer) OWNER TO "app";',
    ),
    (
        "AGGREGATE", "a(integer)", "DROP AGGREGATE shop.a(integer);\n",
        'ALTER AGGREGATE shop.a(integer) OWNER TO "app";',
    ),
    (
        "OPERATOR CLASS", "ops", "DROP OPERATOR CLASS shop.ops USING btree;\n",
        'ALTER OPERATOR CLASS shop.ops USING btree OWNER TO "app";',
    ),
    ("INDEX", "orders_at", "DROP INDEX shop.orders_at;\n", ""),
    ("TRIGGER", "orders stamp", "DROP TRIGGER stamp ON shop.orders;\n", ""),
    ("COMMENT", "TABLE orders", "", ""),
    ("DEFAULT", "orders id", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "tag", "drop", "line"), OWNERS)
def test_an_object_is_given_to_its_owner(kind: str, tag: str, drop: str, line: str) -> None:
    archive = one(kind, tag, **({"drop": drop} if drop else {}))
    (statement,) = write(archive).statements
    definition = archive.entries[0].definition
    assert statement.sql == definition + (f"{line}\n" if line else "")


def test_a_schema_is_given_to_its_owner() -> None:
    archive = Archive()
    archive.schema("shop")
    (statement,) = write(archive).statements
    assert statement.sql == 'CREATE SCHEMA shop;\nALTER SCHEMA "shop" OWNER TO "app";\n'


def test_an_owner_with_an_odd_name_is_quoted() -> None:
    (statement,) = write(one("TABLE", "orders", owner="two words")).statements
    assert statement.sql.endswith('OWNER TO "two words";\n')


@pytest.mark.parametrize("owner", ["", "mover"])
def test_what_the_mover_owns_is_given_to_nobody(owner: str) -> None:
    written = write(one("TABLE", "orders", owner=owner))
    assert "OWNER TO" not in written.statements[0].sql
    assert written.losses == ()


def test_a_superuser_gives_to_roles_that_it_is_no_member_of() -> None:
    archive = one("TABLE", "orders", owner="other")
    assert 'OWNER TO "other"' in write(archive, superuser=True).statements[0].sql


def five(owner: str) -> Archive:
    archive = Archive()
    for number in range(5):
        archive.add("TABLE", f"t{number}", owner=owner)
    return archive


def test_a_missing_owner_is_one_loss_whatever_it_owns() -> None:
    written = write(five("gone"))
    assert told(written) == [
        "role gone: does not exist on the target: mover will own"
        " table shop.t0, table shop.t1, table shop.t2 and 2 more (owners)"
    ]
    assert not any("gone" in statement.sql for statement in written.statements)


def test_an_owner_that_the_mover_is_no_member_of_is_one_loss_with_the_grant_that_helps() -> None:
    written = write(five("other"))
    assert told(written) == [
        'role other: exists, but mover is not a member (GRANT "other" TO "mover"): mover will own'
        " table shop.t0, table shop.t1, table shop.t2 and 2 more (owners)"
    ]
    assert not any("other" in statement.sql for statement in written.statements)


@pytest.mark.parametrize(
    ("kind", "tag"),
    [
        ("TRIGGER", "orders stamp"),
        ("FK CONSTRAINT", "lines order_fkey"),
        ("POLICY", "orders mine"),
        ("RULE", "orders logged"),
        ("INDEX", "orders_at"),
        ("CONSTRAINT", "orders orders_pkey"),
    ],
)
def test_what_has_no_owner_of_its_own_loses_none(kind: str, tag: str) -> None:
    archive = one(kind, tag, owner="gone", definition="select 1;\n", drop="DROP x;\n")
    assert owner_statement(archive.entries[0]) == ""
    assert told(write(archive)) == []


# grants

GRANTS = [
    # what the archive says, what is left of it, the roles that are named as lost
    ("GRANT SELECT ON TABLE shop.t TO app;\n", "GRANT SELECT ON TABLE shop.t TO app;\n", []),
    ("GRANT SELECT ON TABLE shop.t TO PUBLIC;\n", "GRANT SELECT ON TABLE shop.t TO PUBLIC;\n", []),
    ("GRANT SELECT ON TABLE shop.t TO gone;\n", None, ["gone"]),
    (
        'GRANT SELECT ON TABLE shop.t TO "two words";\n',
        'GRANT SELECT ON TABLE shop.t TO "two words";\n',
        [],
    ),
    (
        "REVOKE ALL ON TABLE shop.t FROM app;\nGRANT SELECT ON TABLE shop.t TO gone;\n"
        "GRANT SELECT(id) ON TABLE shop.t TO app;\nGRANT INSERT ON TABLE shop.t TO lost;\n",
        "REVOKE ALL ON TABLE shop.t FROM app;\nGRANT SELECT(id) ON TABLE shop.t TO app;\n",
        ["gone", "lost"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "left", "lost"), GRANTS)
def test_grants_to_roles_that_the_target_lacks_are_left_out_and_named(
    text: str, left: str | None, lost: list[str]
) -> None:
    written = write(one("ACL", "TABLE t", definition=text))
    assert [statement.sql for statement in written.statements] == ([left] if left else [])
    assert [loss.object for loss in written.losses] == [f"role {role}" for role in lost]


def test_lost_grants_are_one_loss_for_each_role() -> None:
    archive = Archive()
    for number in range(5):
        text = f"GRANT SELECT ON TABLE shop.t{number} TO gone;\nGRANT ALL ON TABLE t TO gone;\n"
        archive.add("ACL", f"TABLE t{number}", definition=text)
    assert told(write(archive)) == [
        "role gone: does not exist on the target: its grants on"
        " table shop.t0, table shop.t1, table shop.t2 and 2 more are lost (grants)"
    ]


DEFAULT_PRIVILEGES = (
    "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA shop GRANT SELECT ON TABLES TO {};\n"
)


@pytest.mark.parametrize(
    ("of", "to", "is_kept"), [("app", "app", True), ("gone", "app", False), ("app", "gone", False)]
)
def test_default_privileges_need_both_roles(of: str, to: str, is_kept: bool) -> None:
    text = DEFAULT_PRIVILEGES.format(of, to)
    written = write(one("DEFAULT ACL", "DEFAULT PRIVILEGES FOR TABLES", definition=text))
    assert [statement.sql for statement in written.statements] == ([text] if is_kept else [])
    assert [loss.object for loss in written.losses] == ([] if is_kept else ["role gone"])


def test_default_privileges_of_a_role_that_the_mover_may_not_act_for_are_a_loss() -> None:
    """The server refuses ALTER DEFAULT PRIVILEGES FOR ROLE to those who are no members of it."""
    text = DEFAULT_PRIVILEGES.format("other", "app")
    archive = one("DEFAULT ACL", "DEFAULT PRIVILEGES FOR TABLES", definition=text)
    assert write(archive).statements == ()
    assert [loss.object for loss in write(archive).losses] == ["role other"]
    assert write(archive, superuser=True).losses == ()


# pg_dump 16's own words for what alice granted further
GRANTED_BY_ALICE = """GRANT SELECT ON TABLE shop.orders TO app WITH GRANT OPTION;
SET SESSION AUTHORIZATION alice;
GRANT SELECT ON TABLE shop.orders TO other;
RESET SESSION AUTHORIZATION;
"""


def test_grants_by_a_role_that_the_target_lacks_are_left_out_and_named() -> None:
    written = write(one("ACL", "TABLE orders", definition=GRANTED_BY_ALICE), superuser=True)
    assert not any("alice" in statement.sql for statement in written.statements)
    assert not any("TO other" in statement.sql for statement in written.statements)
    assert [loss.object for loss in written.losses] == ["role alice"]


def test_grants_by_another_role_are_a_loss_where_only_a_superuser_may_act_as_it() -> None:
    existing = replace(HERE, roles=HERE.roles | {"alice"})
    archive = one("ACL", "TABLE orders", definition=GRANTED_BY_ALICE)
    written = write(archive, existing)
    assert not any("AUTHORIZATION" in statement.sql for statement in written.statements)
    assert [loss.object for loss in written.losses] == ["role alice"]
    assert write(archive, existing, superuser=True).statements[0].sql == GRANTED_BY_ALICE


def test_a_policy_for_a_role_that_the_target_lacks_is_a_problem() -> None:
    text = 'CREATE POLICY mine ON shop.orders TO "Gone One", app USING (true);\n'
    written = write(one("POLICY", "orders mine", definition=text))
    assert list(map(str, written.problems)) == [
        "role Gone One: does not exist on the target, and is needed by policy shop.orders mine"
        ' (CREATE ROLE "Gone One")'
    ]


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


# where it lives

TABLE = "CREATE TABLE shop.orders ();\n"
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
    assert told(written) == [
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
    assert told(written) == [
        "table shop.orders: tablespace slow does not exist on the target (storage)"
    ]


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
    assert told(written) == [
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


# islands


def test_tables_that_may_want_the_same_name_for_a_constraint_keep_their_order() -> None:
    """Version 18: the server names droppk's constraint as child has named its own, if it may."""
    archive = Archive()
    archive.add("TABLE", "droppk", definition="CREATE TABLE shop.droppk (a int NOT NULL);\n")
    text = "CREATE TABLE shop.child (a int CONSTRAINT droppk_a_not_null NOT NULL);\n"
    archive.add("TABLE", "child", definition=text)
    archive.add("TABLE", "free", definition="CREATE TABLE shop.free (a int NOT NULL);\n")
    own = "CREATE TABLE shop.own (a int CONSTRAINT own_b_not_null NOT NULL);\n"
    archive.add("TABLE", "own", definition=own)
    islands = {one.name.name: one.island for one in write(archive).statements}
    assert [name for name, island in islands.items() if not island] == ["droppk", "child"]
