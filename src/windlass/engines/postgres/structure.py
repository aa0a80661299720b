"""Reads the structure of a database for another engine: what it consists of, according to the
catalog. Decides nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg.rows import dict_row

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.conversion import (
    PgColumn,
    PgConstraint,
    PgIndex,
    PgOther,
    PgStructure,
    PgTable,
    PgType,
    PgView,
)
from windlass.model.relation import Name

Row = Mapping[str, Any]


def read_structure(connection: Connection) -> PgStructure:
    """Of everything that users have made."""
    columns = _grouped(_rows(connection, "structure_columns"))
    constraints = _grouped(_rows(connection, "structure_constraints"))
    indexes = _grouped(_rows(connection, "structure_indexes"))
    return PgStructure(
        tuple(
            _table(row, columns[row["oid"]], constraints[row["oid"]], indexes[row["oid"]])
            for row in _rows(connection, "structure_tables")
        ),
        tuple(
            PgView(
                Name(row["schema"], row["name"]),
                tuple(map(_column, columns[row["oid"]])),
                row["query"],
                row["is_materialized"],
            )
            for row in _rows(connection, "structure_views")
        ),
        tuple(PgOther(**row) for row in _rows(connection, "structure_others")),
    )


def _rows(connection: Connection, name: str) -> list[dict[str, Any]]:
    with explaining(f"reading the catalog ({name})", side="source"):
        cursor = connection.cursor(row_factory=dict_row)
        return cursor.execute(load(name)).fetchall()


def _grouped(rows: Iterable[Row]) -> Mapping[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["relation"]].append(row)
    return found


def _table(
    row: Row, columns: Sequence[Row], constraints: Sequence[Row], indexes: Sequence[Row]
) -> PgTable:
    keys = [one["columns"] for one in constraints if one["kind"] in ("p", "u", "f")]
    keys += [one["columns"] for one in indexes if one["is_unique"]]
    return PgTable(
        name=Name(row["schema"], row["name"]),
        columns=tuple(_column(one, _in_keys(one["name"], keys)) for one in columns),
        constraints=tuple(map(_constraint, constraints)),
        indexes=tuple(map(_index, indexes)),
        is_partitioned=row["partitioned"],
        readable=row["readable"],
        comment=row["comment"],
        rows=row["rows"],
        size_bytes=row["size_bytes"],
        divisible_blocks=row["blocks"],
    )


def _in_keys(name: str, keys: Iterable[Sequence[str]]) -> int:
    return max((len(one) for one in keys if name in one), default=0)


def _column(row: Row, in_keys: int = 0) -> PgColumn:
    is_generated = bool(row["generation"])
    sequence = Name(row["sequence_schema"], row["sequence_name"]) if row["sequence_name"] else None
    modifier = row["modifier"]
    type_ = PgType(
        text=row["type"],
        base=row["base"],
        kind=row["kind"],
        is_array=row["is_array"],
        modifier=-1 if modifier is None else modifier,
        labels=tuple(row["labels"]),
        checks=row["checks"],
    )
    return PgColumn(
        name=row["name"],
        type=type_,
        not_null=row["not_null"],
        default="" if is_generated else row["expression"],
        generated=row["expression"] if is_generated else "",
        is_stored=row["generation"] != "v",
        identity=row["identity"],
        collation=row["collation"],
        is_deterministic=row["is_deterministic"],
        comment=row["comment"],
        sequence=sequence,
        increment=row["increment"],
        in_keys=in_keys,
    )


def _constraint(row: Row) -> PgConstraint:
    return PgConstraint(
        name=row["name"],
        kind=row["kind"],
        columns=tuple(row["columns"]),
        definition=row["definition"],
        expression=row["expression"],
        refers_to=Name(row["referred_schema"], row["referred_name"])
        if row["referred_name"]
        else None,
        referred=tuple(row["referred"]),
        on_update=row["on_update"],
        on_delete=row["on_delete"],
        matches_full=row["matches_full"],
        is_deferrable=row["is_deferrable"],
        is_deferred=row["is_deferred"],
        is_validated=row["is_validated"],
    )


def _index(row: Row) -> PgIndex:
    return PgIndex(
        name=row["name"],
        method=row["method"],
        is_unique=row["is_unique"],
        is_valid=row["is_valid"],
        columns=tuple(row["columns"]),
        expressions=tuple(row["expressions"]),
        descends=tuple(row["descends"]),
        condition=row["condition"],
        definition=row["definition"],
    )
