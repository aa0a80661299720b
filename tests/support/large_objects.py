"""Large objects of a database, with all that belongs to them."""

from __future__ import annotations

from oracle import contents, schema_dump
from servers import Database

ALL = (
    "select oid::bigint, lo_get(oid), pg_get_userbyid(lomowner)::text, obj_description(oid,"
    " 'pg_largeobject'), lomacl::text from pg_largeobject_metadata order by oid"
)


def state(database: Database) -> object:
    return schema_dump(database), contents(database), database.rows(ALL)
