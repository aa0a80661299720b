"""The contents of a database, to find contestants that did not copy everything."""

from itertools import islice

import psycopg
from psycopg import sql

from bench.data import SQL

Census = dict[str, str]
"""Fact to value, e.g. `index events_pkey` to its definition."""


def read_census(connection: psycopg.Connection) -> Census:
    """Read every relation, index, constraint, sequence, and the rows of every table."""
    census: Census = dict(connection.execute((SQL / "census.sql").read_text()).fetchall())
    for relation in read_relations(connection):
        census[f"rows of {relation}"] = _read_rows(connection, relation)
    return census


def read_relations(connection: psycopg.Connection) -> list[str]:
    found = connection.execute("select tablename from pg_tables where schemaname = 'public'")
    return [name for (name,) in found]


def _read_rows(connection: psycopg.Connection, relation: str) -> str:
    query = sql.SQL("select count(*), sum(hash_record_extended(t, 0)) from public.{} as t")
    rows, fingerprint = connection.execute(query.format(sql.Identifier(relation))).fetchall()[0]
    return f"{rows} with fingerprint {fingerprint}"


def difference(source: Census, target: Census) -> str:
    """Name the first facts that differ; the empty string if all are equal."""
    facts = (fact for fact in sorted(source | target) if source.get(fact) != target.get(fact))
    return "; ".join(
        f"{fact}: {source.get(fact)}, on the target {target.get(fact)}" for fact in islice(facts, 3)
    )
