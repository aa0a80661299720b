"""Rows hashed as they are copied, and the same rows hashed by PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

from psycopg import sql

from servers import Database
from windlass.engines.hashed_lines import LineDigest
from windlass.engines.origin import Origin
from windlass.engines.postgres.foreign.digests import ALL_OF_IT, Part, Proven
from windlass.engines.postgres.foreign.sent import read_sent
from windlass.engines.postgres.session import Address
from windlass.engines.postgres.sessions import Sessions
from windlass.model.chunk import Whole
from windlass.model.relation import Name
from windlass.model.translation import Digest, Reading


def send(origin: Origin, reading: Reading, database: Database | None = None) -> Digest | None:
    """Its lines, hashed, and into the table if a database is given. None if they cannot be."""
    if not origin.can_hash(reading):
        return None
    digest = LineDigest(len(reading.fields))
    blocks = list(origin.lines(replace(reading, is_hashed=True), Whole()))
    for block in blocks:
        digest.add(block)
    if database:
        table = sql.Identifier("public", reading.table.name)
        with (
            database.connect() as session,
            session.cursor().copy(sql.SQL("copy {} from stdin").format(table)) as copy,
        ):
            copy.write(b"".join(blocks))
    return digest.hashed.digest if digest.hashed else None


def arrived(database: Database, reading: Reading, part: Part = ALL_OF_IT) -> Digest:
    names = tuple(one.name for one in reading.fields)
    name = Name("public", reading.table.name)
    there = Proven(name, names, reading.fields, reading.key, "bits")
    address = Address.parse("target", database.url)
    sessions = Sessions(address, address, "")
    try:
        return read_sent(sessions, there, part)
    finally:
        sessions.close()
