"""Texts that may name a renamed schema: named as a loss, or refused where they cannot be read."""

from __future__ import annotations

import pytest

from windlass.engines.postgres.rename import rename_schemas
from windlass.errors import WindlassError

# What stays, and is said


@pytest.mark.parametrize(
    ("sql", "loss"),
    [
        (
            "create function app.f() returns trigger language plpgsql as $$\nbegin insert into "
            "old.log values (1); return new; end $$",
            "`create function app.f() returns trigger language plpgsql as` has a body in plpgsql"
            ' that mentions "old"; the body is kept as it is',
        ),
        (
            "create function app.f() returns int language plperl as 'query(\"from OLD.t\")'",
            'has a body in plperl that mentions "old"',
        ),
        ("do $$ begin perform old.f(); end $$", 'has a body in plpgsql that mentions "old"'),
        (
            "create function app.f() returns int language sql as 'select broken from from old.t'",
            "holds the string 'select broken from from old.t', which may name schema \"old\"",
        ),
        (
            "create function app.f() returns text language sql as $$ select 'old.t' $$",
            "has in its body: `select` holds the string 'old.t'",
        ),
        ("create view app.v as select 'old'::text", "holds the string 'old'"),
        ("create view app.v as select query('select * from \"old\".t')", "holds the string"),
        ("select '{old.t,old..u}'::regclass[]", "holds the string 'old..u'"),
        ("select 'old..t'::regclass", "holds the string 'old..t'"),
        (
            "create trigger t before insert on app.t execute function app.f('old', 'a')",
            "holds the string 'old'",
        ),
        ("alter table app.t alter column a set default 'old.t'", "holds the string 'old.t'"),
    ],
)
def test_text_that_may_name_the_schema_is_kept_and_named_as_a_loss(sql: str, loss: str) -> None:
    renamed = rename_schemas(sql, {"old": "new"})
    assert renamed.sql == sql.replace("{old.t,", "{new.t,")
    assert len(renamed.losses) == 1 and loss in renamed.losses[0]


@pytest.mark.parametrize(
    "sql",
    [
        "create function app.f() returns int language plpgsql as $$ begin return older(); end $$",
        "create function app.f() returns int language plpgsql as $$ begin return app.old; end $$",
        "create function app.f() returns int language sql as $$ select a from old.t $$",
        "create function app.f() returns int language c as 'old', 'old'",
        "create view app.v as select 'bold.t', 'so old', 'older.t', 'older', 'old_t'",
        "select pg_catalog.setval('old.s'::regclass, 1)",
        "set search_path to 'old'",
        "create view app.v as select 'old'::app.mood, 'old'::jsonb",
    ],
)
def test_a_loss_is_not_said_where_there_is_none(sql: str) -> None:
    assert rename_schemas(sql, {"old": "new"}).losses == ()


def test_a_password_is_in_no_sentence() -> None:
    sql = "create subscription s connection 'password=sesame' publication p; do 'old.f(); sesame'"
    losses = rename_schemas(sql, {"old": "new"}).losses
    assert losses and "sesame" not in "".join(losses)


def test_a_name_with_capitals_is_mentioned_only_with_its_capitals() -> None:
    body = "create function app.f() returns int language plpgsql as $$ begin return {}.f(); end $$"
    assert rename_schemas(body.format('"Old"'), {"Old": "new"}).losses
    assert not rename_schemas(body.format("old"), {"Old": "new"}).losses


# What is refused


def test_sql_that_cannot_be_parsed_is_refused_if_it_names_the_schema() -> None:
    with pytest.raises(WindlassError, match="in `create tabel old"):
        rename_schemas("--\n\ncreate tabel old.t", {"old": "new"})


@pytest.mark.parametrize("name", ["", "x" * 64, "é" * 32])
def test_a_name_that_the_server_would_not_keep_whole_is_refused(name: str) -> None:
    with pytest.raises(WindlassError, match="a schema cannot be called"):
        rename_schemas("select 1", {"old": name})


def test_a_splice_that_does_not_mean_the_same_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("windlass.engines.postgres.splicing._locate", lambda *_: {})
    with pytest.raises(WindlassError, match="would not mean the same"):
        rename_schemas("create table old.t (a integer)", {"old": "new"})
