"""Losses of what neither the dump of definitions nor the copy of tables contains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from windlass.engines.postgres.archive import Entry
from windlass.engines.postgres.undumped import Undumped
from windlass.model.report import Loss, LossClass
from windlass.model.units import plural
from windlass.planning.postgres.select import describe


def undumped_losses(found: Undumped, entries: Iterable[Entry], user: str) -> Iterator[Loss]:
    """Rows that users keep in tables of extensions, and options of user mappings that are hidden
    from the `user` who reads them."""
    for (extension, table), rows in found.extension_rows.items():
        if rows is None:
            message = f"rows of its table {table}, which {user} may not read, are not carried over"
        else:
            message = f"{plural(rows, 'row')} of its table {table} are not carried over: copy them"
        if rows != 0:
            yield Loss(f"extension {extension}", message, LossClass.VALUES)
    for mapping in _hidden(found, entries):
        message = f"its options, if it has any, are hidden from {user}: set them again"
        yield Loss(mapping, message, LossClass.SECRETS)


def undumped_notices(found: Undumped, entries: Iterable[Entry], user: str) -> Iterator[str]:
    """The parts of these that a comparison does not cover."""
    for (extension, table), rows in found.extension_rows.items():
        if rows != 0:
            yield f"rows of {table} are not compared, as it is a table of extension {extension}"
    for mapping in _hidden(found, entries):
        yield f"options of {mapping} are not compared, as they are hidden from {user}"


def _hidden(found: Undumped, entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        if entry.kind == "USER MAPPING" and entry.tag in found.hidden_mappings:
            yield describe(entry)
