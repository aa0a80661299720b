"""No two values of any type share a hash, and a value has the same hash on every version.

Each type gets some hundred neighbours (`near_values`), and a server says which of their hashes
meet: every value is compared with every other one, not only with its neighbour.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import psycopg
import pytest
from psycopg import sql

from near_values import MAKERS, WITHOUT_INPUT, Maker, arrays_of, composites_of, near_values
from servers import Database, Server, bin_folder
from windlass.engines.postgres.catalog import read_catalog
from windlass.engines.postgres.hashing import HashedColumn, Hashing, Method
from windlass.engines.postgres.session import Address, Connection, Role

VERSIONS = [version for version in range(12, 19) if bin_folder(version)]
COUNT = int(os.environ.get("WINDLASS_NEAR_VALUES", "150"))

# made where the server can make it: not every build has ICU, or the extension
MADE = [
    "create schema s",
    "create type s.mood as enum ('low', 'Low', 'low ', 'high')",
    "create type s.pair as (x int8, y text)",
    "create type s.moments as (x timestamp, y interval)",
    "create domain s.exact as numeric",
    "create domain s.days as tsrange",
    "create domain s.code as char(8)",
    "create type s.numbers as range (subtype = numeric)",
    "create collation s.blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
    *(
        f"create extension {name} schema s"
        for name in ("citext", "hstore", "ltree", "cube", "seg", "vector")
    ),
]


def _hstores(source: object) -> Iterator[str]:
    for value in range(1000):
        yield f'"a"=>"{value}"'
        yield f'"a"=>"{value}", "b"=>NULL'
        yield f'"a"=>"{value}", "b"=>"NULL"'
        yield f'"A"=>"{value}"'
        yield f'"{value}"=>"a"'


def _labels(source: object) -> Iterator[str]:
    for value in range(1000):
        yield from (f"a.b{value}", f"a.B{value}", f"a.b.{value}", f"b{value}.a", f"a{value}")


def _cubes(source: object) -> Iterator[str]:
    for value in range(1000):
        yield from (f"({value})", f"({value}),({value}.5)", f"({value},0)", f"({value},-0)")
        yield f"(0,{value})"


def _segments(source: object) -> Iterator[str]:
    for value in range(1, 1000):
        yield from (f"{value}", f"{value}.0", f"~{value}", f"<{value}", f"{value} .. {value + 1}")


def _lists(source: object) -> Iterator[str]:
    for value in range(1000):
        yield from (f"[{value}]", f"[-{value}]", f"[{value},0]", f"[0,{value}]")


OF_USERS: dict[str, Maker] = {
    "s.mood": lambda _: iter(("low", "Low", "low ", "high")),
    "s.mood[]": arrays_of(lambda source: iter(source.choices(("low", "Low", "low "), k=4000))),
    "s.pair": composites_of(MAKERS["int8"], MAKERS["text"]),
    "s.moments": composites_of(MAKERS["timestamp"], MAKERS["interval"]),
    "s.exact": MAKERS["numeric"],
    "s.days": MAKERS["tsrange"],
    "s.code": lambda source: (text[:8] for text in MAKERS["text"](source)),
    "s.numbers": MAKERS["numrange"],
    "character(7)": lambda source: (text[:7] for text in MAKERS["text"](source)),
    "character varying(40)": lambda source: (text[:40] for text in MAKERS["text"](source)),
    "text collate s.blind": MAKERS["text"],
    "s.citext": MAKERS["text"],
    "s.hstore": _hstores,
    "s.ltree": _labels,
    "s.cube": _cubes,
    "s.seg": _segments,
    "s.vector": _lists,
}

Hashes = Mapping[int, tuple[str | None, int]]


def makers(built_in: Sequence[str]) -> Iterator[tuple[str, Maker]]:
    """By the type's name in a statement."""
    for name in built_in:
        quoted = f'pg_catalog."{name}"'
        yield quoted, MAKERS[name]
        yield f"{quoted}[]", arrays_of(MAKERS[name], ";" if name == "box" else ",")
    yield from OF_USERS.items()


class Filled:
    """A database with one relation for each type, of which `hashes` reads what its server makes."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.types: dict[str, str] = {}  # by relation
        with database.connect() as connection:
            for statement in MADE:
                with_what_is_there(connection, statement)
            built_in = [
                name for (name,) in connection.execute(BUILT_IN).fetchall() if name in MAKERS
            ]
            for at, (type_, maker) in enumerate(makers(built_in)):
                if self._fill(connection, f"near.t{at}", type_, maker):
                    self.types[f"t{at}"] = type_
        self.session: Connection = Address.parse("target", database.url).connect(Role.TARGET, "t")
        self.relations = {
            one.name.name: one
            for one in read_catalog(self.session).relations
            if one.name.schema == "near"
        }

    def _fill(
        self,
        connection: psycopg.Connection[tuple[object, ...]],
        name: str,
        type_: str,
        maker: Maker,
    ) -> bool:
        connection.execute(b"create schema if not exists near")
        if not with_what_is_there(connection, f"create table {name} (n int, v {type_})"):
            return False
        values = near_values(type_, maker, COUNT)
        bare = type_.partition(" collate ")[0]
        connection.execute(f"insert into {name} values (0, null)".encode())
        fill = (
            f"insert into {name} select n, w::{bare}"
            " from unnest(%s::text[]) with ordinality as given (w, n)"
        )
        return with_what_is_there(connection, fill, values)

    def hashes(self, relation: str, method: Method) -> dict[int, tuple[str | None, int]]:
        """By the value's number: its text, and its hash."""
        column = next(one for one in self.relations[relation].columns if one.name == "v")
        hashed = HashedColumn("v", column.type, column.hash_by)
        query = sql.SQL("select n, case num_nulls(v) when 0 then concat(v) end, {} from {}").format(
            Hashing(method).of([hashed]), sql.Identifier("near", relation)
        )
        return {n: (text, hash_) for n, text, hash_ in self.session.execute(query)}  # type: ignore[misc]


BUILT_IN = b"""
select typname from pg_type where typnamespace = 'pg_catalog'::regnamespace
   and typtype in ('b', 'r', 'm') and typcategory <> 'A' order by typname"""


def with_what_is_there(
    connection: psycopg.Connection[tuple[object, ...]], statement: str, *parameters: object
) -> bool:
    """Whether the server can do it."""
    try:
        connection.execute(statement.encode(), parameters or None)
    except (
        psycopg.errors.FeatureNotSupported,
        psycopg.errors.UndefinedFile,
        psycopg.errors.UndefinedObject,
        psycopg.errors.InvalidSchemaName,
    ):
        return False
    return True


@pytest.fixture(scope="module")
def filled(server: Callable[[int], Server]) -> Iterator[Callable[[int], Filled]]:
    found: dict[int, Filled] = {}

    def of_version(version: int) -> Filled:
        if version not in found:
            found[version] = Filled(server(version).create_database())
        return found[version]

    yield of_version
    for one in found.values():
        one.session.close()
        one.database.server.drop_database(one.database)


def methods(version: int) -> list[Method]:
    return list(Method) if version >= 14 else [Method.TEXT]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_type_of_the_server_has_neighbours_to_compare(
    server: Callable[[int], Server], version: int
) -> None:
    found = {name for (name,) in server(version).admin.rows(BUILT_IN.decode())}
    assert found - MAKERS.keys() - WITHOUT_INPUT == set()


@pytest.mark.parametrize("version", VERSIONS)
def test_no_two_values_of_a_type_share_a_hash(
    filled: Callable[[int], Filled], version: int
) -> None:
    there = filled(version)
    met = []
    for relation, type_ in there.types.items():
        for method in methods(version):
            texts: dict[int, set[str | None]] = {}
            for text, hash_ in there.hashes(relation, method).values():
                texts.setdefault(hash_, set()).add(text)
            shared = [some for some in texts.values() if len(some) > 1]
            met += [(type_, method, some) for some in shared[:1]]
    assert met == []


@pytest.mark.parametrize(
    ("old", "new"), [(old, new) for old in VERSIONS[:-1] for new in VERSIONS if new > old]
)
def test_a_value_has_the_same_hash_on_two_versions(
    filled: Callable[[int], Filled], old: int, new: int
) -> None:
    here, there = filled(old), filled(new)
    names = {type_: relation for relation, type_ in there.types.items()}
    apart = []
    for relation, type_ in here.types.items():
        if type_ not in names:
            continue
        for method in methods(old):
            one, other = here.hashes(relation, method), there.hashes(names[type_], method)
            apart += [(type_, method, one[n], other[n]) for n in one if one[n][1] != other[n][1]][
                :1
            ]
    assert apart == []
