"""Owners, grants and policies of an archive, where the target lacks roles or the user rights."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archives import Archive
from windlass.engines.postgres.archive import (
    owner_statement,
)
from writing import HERE, one, reported, write

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
    assert reported(written) == [
        "role gone: does not exist on the target: mover will own"
        " table shop.t0, table shop.t1, table shop.t2 and 2 more (owners)"
    ]
    assert not any("gone" in statement.sql for statement in written.statements)


def test_an_owner_that_the_mover_is_no_member_of_is_one_loss_with_the_grant_that_helps() -> None:
    written = write(five("other"))
    assert reported(written) == [
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
def test_what_has_no_separate_owner_loses_none(kind: str, tag: str) -> None:
    archive = one(kind, tag, owner="gone", definition="select 1;\n", drop="DROP x;\n")
    assert owner_statement(archive.entries[0]) == ""
    assert reported(write(archive)) == []


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
    assert reported(write(archive)) == [
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
