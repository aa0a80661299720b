"""What a load means for statements: by which columns rows are matched and compared. Pure."""

from __future__ import annotations

from dataclasses import replace

from windlass.model.load import Load, TableColumn
from windlass.model.load_words import Duplicates, Missing


def assigned(load: Load) -> list[str]:
    """The columns that the load fills, in their order."""
    return [one.column for one in load.assigned]


def all_columns(load: Load) -> list[TableColumn]:
    """The columns that the table has after the load."""
    if load.creates and not load.table.columns:
        return [TableColumn(one.column, one.type) for one in load.assigned]
    there = {one.name for one in load.table.columns}
    return [*load.table.columns, *(one for one in load.adds if one.name not in there)]


def column_of(load: Load, name: str) -> TableColumn:
    """Raises:
    KeyError: the table has no such column.
    """
    return {one.name: one for one in all_columns(load)}[name]


def covers(load: Load) -> bool:
    """Whether a row of the input has every column of the table."""
    filled = set(assigned(load))
    return all(one.name in filled for one in all_columns(load) if not one.generated)


def matching_key(load: Load) -> tuple[str, ...]:
    """The columns by which a row of the input and a row of the table are the same. If a table is
    replaced and the input has its primary key, rows are changed by it, so that references stay
    valid."""
    words = load.words
    if words.key:
        return words.key
    if words.missing is Missing.KEEP or words.history or not covers(load):
        return ()
    return load.table.primary if set(load.table.primary) <= set(assigned(load)) else ()


def only_adds(load: Load) -> bool:
    """Whether every staged row is new, so that it need not be compared with rows of the table."""
    words = load.words
    return (
        not matching_key(load)
        and words.missing is Missing.KEEP
        and words.duplicates is Duplicates.REFUSE
        and not words.history
    )


def is_scoped(load: Load) -> bool:
    """Whether only rows of the slice are matched, because the user has given no key."""
    return bool(load.words.slice) and not load.words.key


def last_by_column(load: Load) -> str:
    """The column that gets the field by which the last row is chosen; empty if there is none, or if
    the input's order decides."""
    for one in load.assigned:
        if one.field and one.field == load.words.last_by and not one.sql and not one.mask:
            return one.column
    return ""


def lasting_key(load: Load) -> tuple[str, ...]:
    """The columns by which a row is found again later; empty if it can only be found by all of its
    values."""
    if load.words.history:
        return (*load.words.key, load.words.valid_from)
    return matching_key(load) or load.table.primary


def compared(load: Load) -> list[str]:
    """The columns in which a row of the input may differ from the row with its key."""
    outside = {one.column for one in load.assigned if not one.compared}
    return [one for one in changeable(load) if one not in outside]


def changeable(load: Load) -> list[str]:
    """The columns that may change in a row with the same key."""
    outside = {*matching_key(load)}
    if load.words.history:
        outside |= {load.words.valid_from, load.words.valid_to}
    return [one for one in assigned(load) if one not in outside]


def field_column(load: Load, name: str) -> TableColumn | None:
    """The column whose type a field has in expressions: the one that it goes into, or that has its
    name. None if it stays as the input has it."""
    columns = {one.name: one for one in all_columns(load)}
    direct = [one for one in load.assigned if one.field == name and not one.sql]
    if any(one.mask for one in direct) or len({columns[one.column].type for one in direct}) > 1:
        return None
    found = columns[direct[0].column] if direct else columns.get(name)
    is_typed = any(one.name == name and one.column for one in load.fields)
    if found is None or (is_typed and not direct):
        return None
    return found if direct else replace(found, not_null=False)
