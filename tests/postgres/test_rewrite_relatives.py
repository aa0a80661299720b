"""A rewrite changes rows of its table alone: where a statement would mean other rows too, or do
something else, it is refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from functions import calling
from rewrites import PRODUCT, done, fill, problems, rows, run
from servers import Database
from windlass.api import rollback
from windlass.model.event import ignore
from windlass.model.outcome import State

Make = Callable[[int], Database]
KID = "create table kid (x int) inherits (message)"
FOREIGN = """
create foreign data wrapper none;
create server files foreign data wrapper none;
create table parted (message_id int, base text, exported_at timestamp) partition by list (base);
create table near partition of parted for values in ('a');
create foreign table far partition of parted for values in ('b')
    server files;
"""


@pytest.fixture
def messages(database: Make) -> Database:
    return fill(database(16))


@pytest.mark.parametrize("words", [{}, {"drop_duplicates": True}, {"select": "message_id = 1"}])
def test_a_table_that_others_inherit_from_is_refused(
    words: dict[str, object], messages: Database
) -> None:
    messages.run(KID)
    messages.run("insert into kid select *, 1 from only message where message_id = 2")
    before = messages.rows("select tableoid::regclass::text, * from message order by 2, 1")
    assert "public.kid inherits from it" in problems(messages, {**PRODUCT, **words})
    assert messages.rows("select tableoid::regclass::text, * from message order by 2, 1") == before


def test_a_table_that_inherits_is_rewritten_alone(messages: Database) -> None:
    messages.run(KID, "insert into kid select *, 1 from only message")
    before = messages.rows("select * from only message order by 1")
    name = done(messages, {"table": "kid", "set": {"body": {"value": "new"}}}).run
    assert messages.rows("select * from only message order by 1") == before
    assert messages.value("select count(*) from kid where body = 'new'") == 20
    assert rollback(messages.url, name, ignore).state is State.ROLLED_BACK
    assert messages.value("select count(*) from kid where body = 'new'") == 0


@pytest.mark.parametrize("heir", ["message", "backup.message"])
def test_a_rollback_neither_reads_nor_writes_rows_of_tables_that_inherit_since(
    heir: str, messages: Database
) -> None:
    name = done(messages, {"set": {"body": {"value": "new"}}}).run
    messages.run(f"create table kid () inherits ({heir})")
    messages.run("insert into kid select * from only message where message_id = 2")
    undone = rollback(messages.url, name, ignore)
    assert undone.state is State.REFUSED
    assert f"{'public.message' if heir == 'message' else heir}: " in str(undone.reason.problems[0])
    assert "inherit" in str(undone.reason.problems[0])
    assert len(rows(messages, where="body = 'new'")) >= 20


def test_foreign_partitions_are_refused(messages: Database) -> None:
    messages.run(FOREIGN)
    said = problems(messages, {**PRODUCT, "table": "parted"})
    assert "public.parted: has partitions that are foreign tables: public.far" in said
    messages.run("insert into parted values ('1', 'a', '9999-12-31')")
    words = {"set": {"base": {"sql": "upper(base)"}}, "table": "near", "select": "false"}
    assert done(messages, words).totals.counts["selected"] == 0


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("on update to message do instead nothing", {}),
        ("on update to message do also notify changed", {}),
        ("on insert to message do instead nothing", {"drop_duplicates": True}),
        ("on delete to message do instead nothing", {"delete": "all_with_key"}),
    ],
)
def test_a_rule_that_replaces_a_statement_is_refused(
    rule: str, words: dict[str, object], messages: Database
) -> None:
    messages.run(f"create rule other as {rule}")
    said = problems(messages, {**PRODUCT, **words})
    assert "has rules, by which its statements do something else: other" in said


def test_a_rule_that_is_disabled_or_does_not_matter_is_no_obstacle(messages: Database) -> None:
    messages.run(
        "create rule off as on update to message do instead nothing",
        "alter table message disable rule off",
        "create rule other as on delete to message do instead nothing",
    )
    assert done(messages).totals.counts["written"] == 20


def test_a_rollback_does_not_insert_through_a_rule(messages: Database) -> None:
    name = done(messages, {**PRODUCT, "drop_duplicates": ["base"]}).run
    after = rows(messages)
    messages.run("create rule other as on insert to message do instead nothing")
    undone = rollback(messages.url, name, ignore)
    assert undone.state is State.REFUSED and "other" in str(undone.reason.problems[0])
    assert rows(messages) == after


@pytest.mark.parametrize(
    "key", ["add primary key (message_id)", "add also int generated always as identity unique"]
)
def test_a_key_that_does_not_hold_for_the_backup_is_not_used(key: str, messages: Database) -> None:
    """As when others have removed doubled rows since, and made a key."""
    messages.run("alter table message drop constraint message_pkey")
    messages.run("insert into message select * from message where message_id = 2")
    words = {"set": {"body": {"value": "new"}}, "id": "base", "stamp": None}
    name = done(messages, words).run
    messages.run("delete from message where ctid = (select max(ctid) from message"
                 " where message_id = 2)", f"alter table message {key}")  # fmt: skip
    now = rows(messages)
    undone = rollback(messages.url, name, ignore, force=True)
    assert undone.state is State.REFUSED and "its key came later" in str(undone.reason.problems[0])
    assert rows(messages) == now


KEYED = (
    "alter table message add k int unique",
    "update message set k = message_id",
    "create table kid (k int default 1 references message (k) on update {}, id int)",
    "insert into kid select k, k from message",
)


@pytest.mark.parametrize("action", ["set null", "set default"])
@pytest.mark.parametrize("calls", [False, True], ids=["set", "function"])
def test_a_change_that_takes_values_from_rows_of_others_is_refused(
    calls: bool, action: str, messages: Database
) -> None:
    """A rollback could not bring them back."""
    messages.run(*(one.format(action) for one in KEYED))
    with calling() as given:
        words = {"set": {"k": {"sql": "k + 1000"}}}
        if calls:
            words = given(lambda rows: rows.assign(k=rows["k"] + 1000), "pandas")
        outcome = run(messages, words)
        assert outcome.state is (State.STOPPED if calls else State.REFUSED)
    said = "\n".join([outcome.reason.message, *map(str, outcome.reason.problems)])
    assert "public.message: changing its key would set values of other tables' rows" in said
    assert "kid_k_fkey of public.kid" in said
    assert messages.value("select count(*) from kid where k = id") == 40
    assert messages.value("select count(*) from message where k > 1000") == 0


def test_a_change_that_cascades_is_undone_with_it(messages: Database) -> None:
    messages.run(*(one.format("cascade") for one in KEYED))
    name = done(messages, {"set": {"k": {"sql": "k + 1000"}}}).run
    assert messages.value("select count(*) from kid where k > 1000") == 20
    messages.run("alter table kid drop constraint kid_k_fkey")
    messages.run("alter table kid add foreign key (k) references message (k) on update set null")
    undone = rollback(messages.url, name, ignore)
    assert undone.state is State.REFUSED and "values of other tables" in str(undone.reason.problems)
    messages.run("alter table kid drop constraint kid_k_fkey")
    messages.run("alter table kid add foreign key (k) references message (k) on update cascade")
    assert rollback(messages.url, name, ignore).state is State.ROLLED_BACK
    assert messages.value("select count(*) from kid where k = id") == 40


PARTED = (
    "create table whole (like message) partition by range (message_id)",
    "alter table whole add primary key (message_id)",
    "alter table whole attach partition message for values from (0) to (1000)",
    "create table kid (message_id bigint references whole on update {} on delete cascade)",
    "insert into kid select message_id from message",
)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"set": {"message_id": {"sql": "message_id + 100"}}}, "would set values of other tables"),
        (
            {"set": {"body": {"value": "new"}}, "drop_duplicates": ["base"]},
            "deleting its rows would change",
        ),
    ],
)
def test_what_refers_to_the_whole_refers_to_its_partitions(
    words: dict[str, Any], said: str, messages: Database
) -> None:
    messages.run(*(one.format("set null") for one in PARTED))
    outcome = run(messages, words)
    assert outcome.state is State.REFUSED and said in str(outcome.reason.problems)
    assert "kid_message_id_fkey" in str(outcome.reason.problems)
    assert messages.value("select count(message_id) from kid") == 40


def test_a_change_that_cascades_may_take_values_further_on(messages: Database) -> None:
    messages.run(
        *(one.format("cascade") for one in KEYED),
        "alter table kid add unique (k)",
        "create table grandkid (k int references kid (k) on update set null)",
        "insert into grandkid select k from kid",
    )
    outcome = run(messages, {"set": {"k": {"sql": "k + 1000"}}})
    assert outcome.state is State.REFUSED
    assert "grandkid_k_fkey of public.grandkid" in str(outcome.reason.problems)
    assert messages.value("select count(k) from grandkid") == 40
