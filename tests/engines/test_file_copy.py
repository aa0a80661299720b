"""What COPY reads of a file's bytes is what the file's own reader reads, on a real server."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from servers import Database
from windlass.engines.inputs import open_inputs
from windlass.engines.landing import Input
from windlass.errors import BadRecord
from windlass.model.inputs import Csv, FilesFrom

LETTERS = [*b'ab,,"""\n\n\n\r\\.;', 0xC3, 0xA9]
PIECES = [bytes([letter]) for letter in LETTERS]
PIECES += [b'"a","b"\n', b"\\.\n", b"a,\n", b'"",b\n', b'"a""b",\n', b'a,"b\n\\.\nc"\r\n']
COUNT = 120


def opened(path: Path, data: bytes, dialect: Csv) -> Input:
    path.write_bytes(data)
    (one,) = open_inputs(FilesFrom((str(path),), csv=dialect))
    return one


def batched(source: Input) -> list[tuple[str | None, ...]] | str:
    try:
        return [tuple(row.values()) for batch in source.batches() for row in batch.to_pylist()]
    except BadRecord:
        return "bad"


def copied(
    connection: psycopg.Connection, source: Input, columns: Sequence[str]
) -> list[tuple[str | None, ...]] | str:
    raw = source.raw()
    assert raw is not None
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    nulls = (
        sql.SQL("force_not_null ({})").format(names)
        if raw.null is None
        else sql.SQL("null {}").format(raw.null)
    )
    statement = sql.SQL("copy t ({}) from stdin (format csv, delimiter {}, quote {}, {})").format(
        names, raw.delimiter, raw.quote, nulls
    )
    connection.execute("truncate t")
    try:
        with (
            connection.transaction(),
            connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            for block in raw.blocks:
                copy.write(block)
    except BadRecord:
        return "bad"
    query = sql.SQL("select {} from t order by ctid").format(names)
    return connection.execute(query).fetchall()


@pytest.mark.parametrize("columns", [("x",), ("x", "y")])
@pytest.mark.parametrize("nulls", [(), ("",), ("a",)])
@pytest.mark.parametrize("version", [13, 18])
def test_copy_reads_what_the_reader_reads_and_nothing_that_it_refuses(
    version: int, nulls: tuple[str, ...], columns: tuple[str, ...],
    database: Callable[[int], Database], tmp_path: Path,
) -> None:  # fmt: skip
    chosen = random.Random(f"{nulls}{columns}")
    read = 0
    with psycopg.connect(database(version).url, autocommit=True) as connection:
        connection.execute("create unlogged table t (x text, y text)")
        for _ in range(COUNT):
            data = b"".join(chosen.choices(PIECES, k=chosen.randrange(12)))
            dialect = Csv(header=False, names=columns, nulls=nulls)
            source = opened(tmp_path / "rows.csv", data, dialect)
            expected = batched(source)
            assert copied(connection, source, columns) == expected, data
            read += expected != "bad"
    assert read > COUNT / 20  # not all are refused
