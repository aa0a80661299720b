"""Every change of a value is found, of every type, with a key and without; and nothing else is.

What differs is said by the servers' own text of each value, read by psycopg.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import pytest

from command import DIFFERENT, DONE, migrate, verify
from every_type import MADE, fill, makers, with_what_is_there
from near_values import near_values
from servers import Database, Pair

COUNT = 40
SAMPLED = 7  # every so many types
SESSION = (
    "set search_path = ''; set extra_float_digits = 3; set datestyle = 'ISO, YMD';"
    " set intervalstyle = 'postgres'; set timezone = 'UTC'; set bytea_output = 'hex';"
    " set lc_monetary = 'C'"
)


def planted(pair: Pair, *, every: int = 1, first: int = 0) -> dict[str, str]:
    """Relations with values of every type on both sides, of which the target's differ then. Their
    types, by name."""
    found = {}
    trial = pair.target.server.create_database()
    with pair.source.connect() as source, trial.connect() as trying:
        for statement in (*MADE, "create schema p"):
            if with_what_is_there(trying, statement):
                with_what_is_there(source, statement)
        for at, (type_, maker) in enumerate(list(makers(source))[first::every]):
            values = near_values(f"planted {type_}", maker, COUNT)
            name = f"p.k{at}"
            if fill(trying, name, type_, values) and fill(source, name, type_, values):
                source.execute(f"create table p.n{at} as table {name}".encode())
                source.execute(f"alter table {name} add primary key (n)".encode())
                source.execute(f"alter table p.n{at} drop column n".encode())
                found[name] = found[f"p.n{at}"] = type_
            else:
                source.execute(f"drop table if exists {name}".encode())
    pair.target.server.drop_database(trial)
    migrate(pair, "--verify", "none").expect(DONE)
    with pair.target.connect() as target:
        for name in found:
            for statement in CHANGES if name.startswith("p.k") else KEYLESS_CHANGES:
                target.execute(statement.format(name).encode())
    return found


# each row but every third becomes what another one is, which is next to it
CHANGES = (
    "create table p.other as table {0}",
    "update {0} set v = other.v from p.other where other.n = {0}.n + 1 and {0}.n % 3 <> 0",
    "update {0} set v = null where n = 9",
    "delete from {0} where n = 12",
    "insert into {0} select 1000, v from p.other where n = 3",
    "drop table p.other",
)
KEYLESS_CHANGES = (
    "delete from {0} where ctid = any (array(select ctid from {0} order by ctid limit 5))",
    "insert into {0} select v from {0} limit 3",
    "insert into {0} values (null)",
)


def texts(database: Database, names: Mapping[str, str]) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    with database.connect() as connection:
        connection.execute(SESSION.encode())
        for name in names:
            key = "n" if name.startswith("p.k") else "0"
            query = f"select {key}, case num_nulls(v) when 0 then concat(v) end from {name}"
            found[name] = connection.execute(query.encode()).fetchall()
    return found


def expected(pair: Pair, names: Mapping[str, str]) -> dict[str, set[Any]]:
    """By relation: the keys that differ; without a key, how many rows have other copies."""
    here, there = texts(pair.source, names), texts(pair.target, names)
    found: dict[str, set[Any]] = {}
    for name in names:
        if name.startswith("p.k"):
            one, other = dict(here[name]), dict(there[name])
            missing = object()
            found[name] = {
                str(key)
                for key in one.keys() | other.keys()
                if one.get(key, missing) != other.get(key, missing)
            }
        else:
            copies, others = (Counter(text for _, text in side[name]) for side in (here, there))
            found[name] = {sum(copies[t] != others[t] for t in copies | others)}
    return found


def reported(pair: Pair, names: Mapping[str, str]) -> dict[str, set[Any]]:
    differences = verify(pair).expect(DIFFERENT).result["differences"]
    rows: dict[str, list[Any]] = defaultdict(list)
    for one in differences:
        if one["kind"] in ("changed", "missing", "extra"):
            rows[one["object"]].append(one["key"].get("n"))
    return {
        name: set(rows[name]) if name.startswith("p.k") else {len(rows[name])} for name in names
    }


def compare(pair: Pair, names: Mapping[str, str]) -> None:
    wanted, found = expected(pair, names), reported(pair, names)
    assert sum(map(len, wanted.values())) > len(names)
    wrong = [
        (names[name], wanted[name] ^ found[name]) for name in names if wanted[name] != found[name]
    ]
    assert wrong == []


@pytest.mark.parametrize("pair", [(15, 18)], indirect=True)
def test_planted_values_of_some_types_are_found_and_nothing_else(pair: Pair) -> None:
    compare(pair, planted(pair, every=SAMPLED))


@pytest.mark.full
@pytest.mark.parametrize("pair", [(15, 15), (15, 18), (12, 18), (18, 18)], indirect=True)
@pytest.mark.parametrize("first", range(4))
def test_planted_values_of_every_type_are_found_and_nothing_else(pair: Pair, first: int) -> None:
    compare(pair, planted(pair, every=4, first=first))
