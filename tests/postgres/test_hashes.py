"""No two values of any type share a hash, and a value has the same hash on every version.

Each type gets some hundred neighbours (`near_values`), and a server says which of their hashes
meet: every value is compared with every other one, not only with its neighbour.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from psycopg import sql

from every_type import BUILT_IN, fill, make_types, makers
from near_values import MAKERS, WITHOUT_INPUT, near_values
from servers import Database, Server, bin_folder
from windlass.engines.postgres.catalog import read_catalog
from windlass.engines.postgres.hashing import HashedColumn, Hashing, Method
from windlass.engines.postgres.session import Address, Connection, Role

VERSIONS = [version for version in range(12, 19) if bin_folder(version)]
COUNT = int(os.environ.get("WINDLASS_NEAR_VALUES", "150"))


class Filled:
    """A database with one relation for each type, of which `hashes` reads what its server makes."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.types: dict[str, str] = {}  # by relation
        self._hashes: dict[tuple[str, Method], dict[int, tuple[str | None, int]]] = {}
        with database.connect() as connection:
            make_types(connection)
            connection.execute(b"create schema near")
            for at, (type_, maker) in enumerate(makers(connection)):
                if fill(connection, f"near.t{at}", type_, near_values(type_, maker, COUNT)):
                    self.types[f"t{at}"] = type_
        self.session: Connection = Address.parse("target", database.url).connect(Role.TARGET, "t")
        self.relations = {
            one.name.name: one
            for one in read_catalog(self.session).relations
            if one.name.schema == "near"
        }

    def hashes(self, relation: str, method: Method) -> dict[int, tuple[str | None, int]]:
        """By the value's number: its text, and its hash."""
        if (relation, method) not in self._hashes:
            self._hashes[relation, method] = self._read(relation, method)
        return self._hashes[relation, method]

    def _read(self, relation: str, method: Method) -> dict[int, tuple[str | None, int]]:
        column = next(one for one in self.relations[relation].columns if one.name == "v")
        hashed = HashedColumn("v", column.type, column.hash_by)
        query = sql.SQL("select n, case num_nulls(v) when 0 then concat(v) end, {} from {}").format(
            Hashing(method).of([hashed]), sql.Identifier("near", relation)
        )
        return {n: (text, hash_) for n, text, hash_ in self.session.execute(query)}  # type: ignore[misc]


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


@pytest.mark.parametrize("old", VERSIONS[:-1])
def test_a_value_has_the_same_hash_on_the_newest_version(
    filled: Callable[[int], Filled], old: int
) -> None:
    here, there = filled(old), filled(VERSIONS[-1])
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
