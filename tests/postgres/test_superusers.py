"""Objects that only superusers can create are left out by name if nothing needs them, and stay
theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from command import DIFFERENT, DONE, REFUSED, migrate, windlass
from servers import PASSWORD, Pair

OWNER = "corpus_plain_owner"
ONLY_SUPERUSERS = (
    "create table t (id int primary key)",
    "create function e() returns event_trigger language plpgsql as 'begin end'",
    "create event trigger guard on sql_drop execute function e()",
    "alter event trigger guard disable",
    "comment on event trigger guard is 'of drops'",
    "create publication every for all tables",
)
LEFT_OUT = {"event trigger guard", "comment EVENT TRIGGER guard", "publication every"}


@pytest.fixture
def plain(pair: Pair) -> Iterator[dict[str, str]]:
    """Environment in which the target's user owns its database, and is no superuser."""
    admin = pair.target.server.admin
    admin.run(f"create role {OWNER} login password '{PASSWORD}'")
    pair.target.run(f'alter database "{pair.target.name}" owner to {OWNER}')
    yield {"WINDLASS_TARGET": pair.target.url_for(OWNER)}
    pair.target.run(f'alter database "{pair.target.name}" owner to postgres',
                    f"reassign owned by {OWNER} to postgres", f"drop owned by {OWNER}")  # fmt: skip
    admin.run(f"drop role {OWNER}")


def test_what_a_user_may_not_create_is_a_loss_that_can_be_accepted(
    pair: Pair, plain: dict[str, str]
) -> None:
    pair.source.run(*ONLY_SUPERUSERS)
    problems = migrate(pair, env=plain).expect(REFUSED).result["problems"]
    assert {one["object"] for one in problems} == LEFT_OUT
    assert all("--accept objects" in one["hint"] for one in problems)
    done = migrate(pair, "--accept", "objects", env=plain).expect(DONE).result
    lost = {one["object"]: one["message"] for one in done["losses"] if one["class"] == "objects"}
    assert lost.keys() == LEFT_OUT
    assert f"{OWNER} may not create it" in lost["event trigger guard"]
    assert pair.target.value("select count(*) from pg_event_trigger") == 0
    assert pair.target.value("select to_regproc('e') is not null")
    found = windlass("verify", "--json", pair=pair, env=plain).expect(DIFFERENT).result
    said = {one["object"] for one in found["differences"]}
    assert LEFT_OUT >= said >= {"event trigger guard", "publication every"}


def test_where_the_target_has_it_already_nothing_is_lost(pair: Pair, plain: dict[str, str]) -> None:
    for database in (pair.source, pair.target):
        database.run(*ONLY_SUPERUSERS[1:])
    pair.source.run(ONLY_SUPERUSERS[0])
    done = migrate(pair, "--existing", "fill", env=plain).expect(DONE).result
    assert [one for one in done["losses"] if one["class"] == "objects"] == []


def test_what_superusers_own_stays_theirs(pair: Pair) -> None:
    """One of the source's is none on the target, and could not be made the owner."""
    pair.source.run(*ONLY_SUPERUSERS)
    source, target = pair.source.server.admin, pair.target.server.admin
    source.run("create role corpus_chief superuser")
    target.run("create role corpus_chief")
    try:
        pair.source.run(
            "alter event trigger guard owner to corpus_chief",
            "alter publication every owner to corpus_chief",
            "alter table t owner to corpus_chief",
        )
        (loss,) = migrate(pair).expect(DONE).result["losses"]
        assert loss["object"] == "role corpus_chief" and loss["class"] == "owners"
        assert "event trigger guard" in loss["message"] and "table" not in loss["message"]
        owner = "select tableowner from pg_tables where tablename = 't'"
        assert pair.target.value(owner) == "corpus_chief"
    finally:
        pair.source.run("reassign owned by corpus_chief to postgres")
        pair.target.run("reassign owned by corpus_chief to postgres")
        source.run("drop role corpus_chief")
        target.run("drop role corpus_chief")
