"""The earlier method as a program: keyset pages, fetched whole, through CSV text in Python.

How a published Airflow pipeline moves rows from Postgres to Postgres, written from its
description: `select * ... where key > last order by key limit 100000`, `fetchall`, every value made
CSV text by Python, one `COPY FROM STDIN` a page, then the next page. A page is a transaction.

One stream: one connection a side, one relation after the other. The pipeline also cuts relations of
a million rows or more into up to 8 key ranges (NTILE) that run side by side; that is left out here,
so the fair comparison is with `--jobs 1`. Left out as well are its scheduler's time, its unlogged
tables and a page size that it adjusts per relation.

    python keyset.py SOURCE TARGET relation=key ...
"""

import csv
import json
import sys
from collections.abc import Iterator
from datetime import date, time
from io import StringIO

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

PAGE_ROWS = 100_000


def main(source: str, target: str, *relations: str) -> None:
    with (
        psycopg.connect(source, autocommit=True) as reading,
        psycopg.connect(target, autocommit=True) as writing,
    ):
        for words in relations:
            relation, _, key = words.partition("=")
            for page in read_pages(reading, relation, key):
                copy_page(writing, relation, page)


def read_pages(connection: psycopg.Connection, relation: str, key: str) -> Iterator[list[TupleRow]]:
    """Read a relation in the order of `key`, a unique column, until a page is not full."""
    names = {"relation": sql.Identifier(relation), "key": sql.Identifier(key)}
    first = sql.SQL("select * from {relation} order by {key} limit {rows}")
    further = sql.SQL("select * from {relation} where {key} > %s order by {key} limit {rows}")
    cursor = connection.execute(first.format(**names, rows=PAGE_ROWS))
    position = [column.name for column in cursor.description or ()].index(key)
    while page := cursor.fetchall():
        yield page
        if len(page) < PAGE_ROWS:
            return
        cursor.execute(further.format(**names, rows=PAGE_ROWS), (page[-1][position],))


def copy_page(connection: psycopg.Connection, relation: str, page: list[TupleRow]) -> None:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([csv_value(v) for v in row] for row in page)
    into = sql.SQL(r"copy {} from stdin (format csv, null '\N')").format(sql.Identifier(relation))
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        copy.write(text.getvalue())


def csv_value(value: object) -> object:
    """What the csv module, which writes `str` of everything else, cannot be given as it is."""
    if value is None:
        return r"\N"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value)
    return value


if __name__ == "__main__":
    main(*sys.argv[1:])
