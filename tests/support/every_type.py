"""A relation for every type that a server has, and for what users make of types."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import psycopg

from composed_values import Maker, arrays_of, composites_of
from near_values import MAKERS

Session = psycopg.Connection[tuple[object, ...]]

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


def _hstores(source: Random) -> Iterator[str]:
    for value in range(1000):
        yield f'"a"=>"{value}"'
        yield f'"a"=>"{value}", "b"=>NULL'
        yield f'"a"=>"{value}", "b"=>"NULL"'
        yield f'"A"=>"{value}"'
        yield f'"{value}"=>"a"'


def _labels(source: Random) -> Iterator[str]:
    for value in range(1000):
        yield from (f"a.b{value}", f"a.B{value}", f"a.b.{value}", f"b{value}.a", f"a{value}")


def _cubes(source: Random) -> Iterator[str]:
    for value in range(1000):
        yield from (f"({value})", f"({value}),({value}.5)", f"({value},0)", f"({value},-0)")
        yield f"(0,{value})"


def _segments(source: Random) -> Iterator[str]:
    for value in range(1, 1000):
        yield from (f"{value}", f"{value}.0", f"~{value}", f"<{value}", f"{value} .. {value + 1}")


def _lists(source: Random) -> Iterator[str]:
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


def makers(connection: Session) -> Iterator[tuple[str, Maker]]:
    """By the type's name in a statement."""
    names = [str(name) for (name,) in connection.execute(BUILT_IN).fetchall()]
    for name in filter(MAKERS.__contains__, names):
        quoted = f'pg_catalog."{name}"'
        yield quoted, MAKERS[name]
        yield f"{quoted}[]", arrays_of(MAKERS[name], ";" if name == "box" else ",")
    yield from OF_USERS.items()


BUILT_IN = b"""
select typname from pg_type where typnamespace = 'pg_catalog'::regnamespace
   and typtype in ('b', 'r', 'm') and typcategory <> 'A' order by typname"""


def with_what_is_there(connection: Session, statement: str, *parameters: object) -> bool:
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


def make_types(connection: Session) -> None:
    """What of `MADE` the server can make."""
    for statement in MADE:
        with_what_is_there(connection, statement)


def fill(connection: Session, relation: str, type_: str, values: list[str]) -> bool:
    """Make it, with a number and a value in each row, and NULL in row 0; False if it cannot be."""
    if not with_what_is_there(connection, f"create table {relation} (n int, v {type_})"):
        return False
    connection.execute(f"insert into {relation} values (0, null)".encode())
    bare = type_.partition(" collate ")[0]
    statement = (
        f"insert into {relation} select n, w::{bare}"
        " from unnest(%s::text[]) with ordinality as given (w, n)"
    )
    return with_what_is_there(connection, statement, values)
