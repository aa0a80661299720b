"""Messages of a change stream as bytes: the manual's page of message formats, for tests alone."""

from __future__ import annotations

import struct

from windlass.engines.postgres.replication.messages import (
    Begin,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    Origin,
    Relation,
    Row,
    Truncate,
    TypeName,
    Update,
)

HEADER = b"w" + struct.pack("!QQq", 0x1_6B37_4800, 0x1_6B37_4900, 7)


def string(text: str) -> bytes:
    return text.encode() + b"\0"


def row_bytes(row: Row) -> bytes:
    return struct.pack("!H", len(row)) + b"".join(map(value_bytes, row))


def value_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return b"t" + struct.pack("!I", len(value)) + value
    return b"n" if value is None else b"u"


def relation_bytes(one: Relation) -> bytes:
    columns = b"".join(
        bytes([column.is_key])
        + string(column.name)
        + struct.pack("!Ii", column.type_id, column.modifier)
        for column in one.columns
    )
    schema = "" if one.schema == "pg_catalog" else one.schema
    head = struct.pack("!I", one.id) + string(schema) + string(one.name) + one.identity.encode()
    return b"R" + head + struct.pack("!H", len(one.columns)) + columns


def old_bytes(row: Row | None, is_key_only: bool) -> bytes:
    return b"" if row is None else (b"K" if is_key_only else b"O") + row_bytes(row)


def encoded(message: Message) -> bytes:
    match message:
        case Begin(at, when, xid):
            return b"B" + struct.pack("!QqI", at, when, xid)
        case Commit(at, end, when):
            return b"C\0" + struct.pack("!QQq", at, end, when)
        case Origin(at, name):
            return b"O" + struct.pack("!Q", at) + string(name)
        case Relation():
            return relation_bytes(message)
        case TypeName(id, schema, name):
            return b"Y" + struct.pack("!I", id) + string(schema) + string(name)
        case Insert(relation, new):
            return b"I" + struct.pack("!I", relation.id) + b"N" + row_bytes(new)
        case Update(relation, old, key, new):
            head = b"U" + struct.pack("!I", relation.id)
            return head + old_bytes(old, key) + b"N" + row_bytes(new)
        case Delete(relation, old, key):
            return b"D" + struct.pack("!I", relation.id) + old_bytes(old, key)
        case Truncate(relations, cascade, restart):
            ids = b"".join(struct.pack("!I", one.id) for one in relations)
            return b"T" + struct.pack("!IB", len(relations), cascade + 2 * restart) + ids
        case LogicalMessage(transactional, at, prefix, content):
            head = b"M" + struct.pack("!BQ", transactional, at) + string(prefix)
            return head + struct.pack("!I", len(content)) + content
