"""Statements written from the entries of an archive."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from archives import Archive
from windlass.engines.postgres.catalog import Existing, ForeignKey, KeyConstraint
from windlass.model.relation import Name
from windlass.planning.postgres.statements import Written, write_statements
from windlass.planning.postgres.surroundings import Surroundings

ORDERS = Name("shop", "orders")
HERE = Existing(
    frozenset({("ACCESS METHOD", "", "columnar", "")}),
    roles=frozenset({"mover", "app", "other", "two words"}),
    memberships=frozenset({"app", "two words"}),
    schemas=frozenset({"public"}),
    extensions=frozenset({"plpgsql"}),
    tablespaces=frozenset({"fast"}),
)


def write(
    archive: Archive,
    existing: Existing = HERE,
    *,
    schemas: Mapping[str, str] | None = None,
    superuser: bool = False,
    skip: Collection[int] = (),
    apart: Mapping[int, KeyConstraint] | None = None,
    foreign_keys: Mapping[int, ForeignKey] | None = None,
) -> Written:
    return write_statements(
        archive.entries,
        Surroundings(existing, "mover", schemas or {}, superuser),
        skip=skip,
        apart=apart or {},
        foreign_keys=foreign_keys or {},
    )


def one(kind: str, tag: str, **facts: Any) -> Archive:
    archive = Archive()
    archive.add(kind, tag, **facts)
    return archive


def reported(written: Written) -> list[str]:
    return [str(loss) for loss in written.losses]


# where it lives

TABLE = "CREATE TABLE shop.orders ();\n"
