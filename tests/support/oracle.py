"""The contents of a database, read without windlass: the second opinion on every migration.

`schema_difference` asks pg_dump, `content_difference` hashes every row on this side of the wire,
and `half_made` is what neither shows. Where PostgreSQL itself cannot say on a newer version what
it said on an older one, the comparison knows, and says so here.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq, sql

from servers import Database, Server, tool

HEADER = re.compile(r"^-- (?:Data for )?Name: .*; Type: ([A-Z ]+); Schema: .*; Owner: ?.*$")
# the journal, and what `--existing replace` set aside under a run's name
NOT_MOVED = ("windlass", "windlass_2*")
USER_SCHEMA = (
    "nspname !~ '^pg_' and nspname <> 'information_schema' and nspname !~ '^windlass($|_2)'"
)
SETTINGS = {
    "search_path": "",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "row_security": "off",
    "lc_monetary": "C",
}
# before 17, what 17 calls ALL: MAINTAIN is new
ALL_BEFORE_17 = "SELECT,INSERT,REFERENCES,DELETE,TRIGGER,TRUNCATE,UPDATE"
# roles whose names hold no blank; others stay where they are
ROLES_OF_POLICY = re.compile(r"(?<= TO )[^ ,]+(?:, [^ ,]+)+(?=;| USING | WITH CHECK )")
# 18 names every NOT NULL, and cuts a long name elsewhere than pg_dump thinks
NAMED_NOT_NULL = re.compile(r' CONSTRAINT (?:"(?:[^"]|"")*"|\w+) NOT NULL')


# what minor releases since November 2026 note beside a column for themselves, and what a pg_dump
# that does not know of it takes for an option of the column's
_NAME = r'(?:"(?:[^"]|"")*"|[\w$])+'
OWN_BOOKKEEPING = re.compile(
    rf"ALTER (?:FOREIGN )?TABLE ONLY {_NAME}\.{_NAME} ALTER COLUMN {_NAME} SET \(pg_attver=\d+\);\n"
    r"|(?<=SET \()pg_attver=\d+, "
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a dump: pg_dump's word for its kind, its header line, its statements."""

    kind: str
    header: str
    lines: tuple[str, ...]


def schema_dump(database: Database, *options: str) -> list[Entry]:
    """pg_dump --schema-only of one fixed pg_dump, the newest, in a fixed order.

    Two databases with the same definitions give the same list, however they came to be:
    entries are sorted, and what depends on the order of creation inside an entry is as well.
    """
    dump = _pg_dump(database, *options)
    return sorted(_entries(dump), key=lambda entry: (entry.header, entry.lines))


def _pg_dump(database: Database, *options: str, version: int = 18) -> str:
    words = [tool("pg_dump", version), "--schema-only", *options]
    words += [f"--exclude-schema={pattern}" for pattern in NOT_MOVED]
    done = subprocess.run(words, env=database.variables, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()  # not as text=True would: a carriage return in a name is to stay


def _entries(dump: str) -> list[Entry]:
    """Cut at pg_dump's own three-line comments: ``--``, ``-- Name: ...``, ``--``."""
    lines = dump.split("\n")
    starts = [
        at
        for at in range(1, len(lines) - 1)
        if lines[at - 1] == lines[at + 1] == "--" and HEADER.match(lines[at])
    ]
    entries = []
    ends = [start - 1 for start in starts[1:]] + [len(lines)]
    for at, end in zip(starts, ends, strict=False):
        found = HEADER.match(lines[at])
        assert found is not None
        kind = found[1]
        body = [line for line in lines[at + 2 : end] if line and not _is_noise(line)]
        entries.append(Entry(kind, lines[at], tuple(sorted(body) if "ACL" in kind else body)))
    return entries


def _is_noise(line: str) -> bool:
    """Session settings between entries, the last lines of a dump, and its random key."""
    starts = ("SET default_table", "\\restrict", "\\unrestrict")
    return line.startswith(starts) or line in ("-- PostgreSQL database dump complete", "--")


def schema_difference(source: Database, target: Database, *options: str) -> list[str]:
    """The lines in which two databases' definitions differ; empty when they are equal. Options are
    pg_dump's.

    A server older than 16 writes a view's columns as `base.id`, where a newer one leaves out
    what needs no saying; one older than 14 has no IN before the arguments of a procedure, nor
    multiranges: then the source's own words are first said again by the target's server.
    """
    versions = range(source.server.version, target.server.version)
    with ExitStack() as stack:
        if 13 in versions or 15 in versions:
            source = stack.enter_context(_echo(source, target.server))
        left, right = (
            [
                line
                for entry in schema_dump(side, *options)
                for line in (entry.header, *_leveled(entry, versions))
            ]
            for side in (source, target)
        )
    return list(difflib.unified_diff(left, right, "source", "target", lineterm="", n=2))


@contextmanager
def _echo(source: Database, server: Server) -> Iterator[Database]:
    """The source's definitions, in a database of another server that is dropped afterwards."""
    echo = server.create_database()
    # not a newer one's, which says what the server does not know; there is none of 14 nor 17 here
    version = max(one for one in (15, 16, 18) if one <= max(server.version, 15))
    dump = OWN_BOOKKEEPING.sub("", _pg_dump(source, version=version))
    psql = [tool("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1"]
    done = subprocess.run(
        psql, env=echo.variables, input=dump.encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    try:
        yield echo
    finally:
        server.drop_database(echo)


def _leveled(entry: Entry, versions: range) -> list[str]:
    """The entry's lines without what only one of the two versions has a word for."""
    lines = OWN_BOOKKEEPING.sub("", "\n".join(entry.lines) + "\n").splitlines()
    if entry.kind == "POLICY":
        lines = [ROLES_OF_POLICY.sub(_in_order, line) for line in lines]
    if 17 in versions and "TABLE" in entry.kind:
        lines = [NAMED_NOT_NULL.sub(" NOT NULL", line) for line in lines]
    if 16 in versions and "ACL" in entry.kind:
        lines = [re.sub(r"\bMAINTAIN,|,MAINTAIN\b", "", line) for line in lines]
        lines = [line.replace(ALL_BEFORE_17, "ALL") for line in lines if "MAINTAIN" not in line]
        lines.sort()
    return lines


def _in_order(roles: re.Match[str]) -> str:
    """pg_dump names the roles of a policy in the order in which the server happens to read them."""
    return ", ".join(sorted(roles[0].split(", ")))


@dataclass(frozen=True, slots=True)
class Content:
    rows: int
    sha256: str


def contents(database: Database) -> dict[str, Content]:
    """Every relation's rows, every sequence's state and every large object, as hashes.

    Keys read as ``table "shop"."orders"``, ``sequence "shop"."orders_id_seq"`` or
    ``large object 16385``.
    A row belongs to the relation whose storage it is in, so partitions are distinguished; except
    where a row's partition depends on the object ids of a server (see `_tables`).
    """
    with psycopg.connect(database.url) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for name, value in SETTINGS.items():
            connection.execute("select pg_catalog.set_config(%s, %s, false)", (name, value))
        return {
            **_tables(connection),
            **_sequences(connection),
            **_large_objects(connection),
        }


Connection = psycopg.Connection[tuple[Any, ...]]


def _tables(connection: Connection) -> dict[str, Content]:
    """Partitions by the hash of an enum are read as one relation: the hash is of object ids."""
    found = connection.execute(
        f"""
        select case relkind when 'm' then 'materialised view' else 'table' end,
               (select array[rn.nspname, r.relname]
                  from pg_partition_ancestors(c.oid) a
                  join pg_partitioned_table on partrelid = a.relid and partstrat = 'h'
                  join pg_attribute k on attrelid = a.relid and attnum = any (partattrs)
                  join pg_type t on t.oid = atttypid and typtype = 'e'
                  join pg_class r on r.oid = a.relid
                  join pg_namespace rn on rn.oid = r.relnamespace
                 limit 1),
               array[nspname, relname],
               array(select attname::text from pg_attribute
                      where attrelid = c.oid and attnum > 0 and not attisdropped
                      order by attname collate "C")
          from pg_class c join pg_namespace n on n.oid = relnamespace
         where (relkind = 'r' or relkind = 'm' and relispopulated) and {USER_SCHEMA}
        """.encode()
    ).fetchall()
    of: dict[str, list[bytes]] = defaultdict(list)
    for kind, root, name, columns in found:
        rows = _rows(connection, sql.Identifier(*name), columns)
        of[f"{kind} {sql.Identifier(*(root or name)).as_string()}"] += rows
    return {
        name: Content(len(rows), hashlib.sha256(b"".join(sorted(rows))).hexdigest())
        for name, rows in of.items()
    }


def _rows(connection: Connection, name: sql.Identifier, columns: list[str]) -> list[bytes]:
    """Columns by name, rows to be sorted: neither's order on disk matters."""
    query = sql.SQL("copy (select {} from only {}) to stdout").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), name
    )
    server = connection.pgconn  # as what psycopg does for each row takes longer than all the rest
    asked = server.exec_(query.as_bytes(connection))
    assert asked.status == pq.ExecStatus.COPY_OUT, asked.error_message
    rows = []
    while (row := server.get_copy_data(0)[1]) is not None and len(row):
        rows.append(bytes(row))
    ended = server.get_result()
    assert ended is not None and ended.status == pq.ExecStatus.COMMAND_OK, ended
    assert server.get_result() is None
    return rows


def _sequences(connection: Connection) -> dict[str, Content]:
    found = connection.execute(
        f"""
        select nspname, relname
          from pg_class c join pg_namespace n on n.oid = relnamespace
         where relkind = 'S' and {USER_SCHEMA}
        """.encode()
    ).fetchall()
    query = sql.SQL("select last_value, is_called from {}")
    states = {
        name: connection.execute(query.format(sql.Identifier(*name))).fetchone() for name in found
    }
    return {
        f"sequence {sql.Identifier(*name).as_string()}": Content(1, str(state))
        for name, state in states.items()
    }


def _large_objects(connection: Connection) -> dict[str, Content]:
    """Bytes, and what pg_dump --schema-only leaves out: owner, grants and comment."""
    found = connection.execute(
        """
        select m.oid::int8, md5(lo_get(m.oid)), lomowner::regrole::text,
               array(select a::text from unnest(lomacl) a order by 1)::text,
               obj_description(m.oid, 'pg_largeobject')
          from pg_largeobject_metadata m
        """
    ).fetchall()
    return {f"large object {oid}": Content(1, str(state)) for oid, *state in found}


def content_difference(source: Database, target: Database, besides: str = "") -> list[str]:
    """What is not equal, one line each; empty when every row, sequence and object is. Names that
    match the pattern `besides` are left out."""
    left, right = contents(source), contents(target)
    return [
        f"{name}: {left.get(name)} on the source, {right.get(name)} on the target"
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name) and not (besides and re.search(besides, name))
    ]


def half_made(database: Database) -> list[str]:
    """Invalid indexes, and relations with rows but without statistics."""
    return [
        line
        for (line,) in database.rows(
            f"""
            select format('index %s is not valid', indexrelid::regclass)
              from pg_index join pg_class c on c.oid = indexrelid
             where not indisvalid and c.relkind = 'i'
             union all
            select format('%s has rows but was never analysed', c.oid::regclass)
              from pg_class c join pg_namespace n on n.oid = relnamespace
             where relkind in ('r', 'm') and {USER_SCHEMA}
               and pg_relation_size(c.oid) > 0 and reltuples < 0
            """
        )
    ]
