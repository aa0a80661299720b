"""Checks, indexes and triggers for what the source's types, keys and columns do by themselves."""

from __future__ import annotations

from collections.abc import Collection

from psycopg import sql

from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass
from windlass.model.translation import Key, Sort
from windlass.planning.naming import MOST_BYTES
from windlass.planning.postgres.translated.archive import (
    Archive,
    Fitted,
    index_text,
    of,
    quoted,
)
from windlass.planning.postgres.translated.moments import generated
from windlass.planning.postgres.translated.naming import Free, folded


def add_limits(archive: Archive, one: Fitted, table: int, names: Free) -> None:
    """What the source's types forbid and the target's do not."""
    for column in one.table.columns:
        type_, name = one.field(column.name).type, quoted(folded(column.name))
        labels = ", ".join(sql.Literal(label).as_string(None) for label in type_.labels)
        allowed = ""
        if type_.least is not None:
            allowed = f"{name} >= {type_.least}"
        elif labels and type_.sort is Sort.TEXT:
            allowed = f"{name} IN ({labels})"
        elif labels and type_.sort is Sort.SET:
            allowed = f"{name} <@ ARRAY[{labels}]"
        if allowed and (one.table.name, column.name) not in archive.computed:
            check = names.take(f"{one.name.name}_{folded(column.name)}_check")
            archive.add_check(one, check, allowed, table)


def add_on_update(archive: Archive, one: Fitted, table: int) -> None:
    """A trigger that sets columns to the current time when a row changes and its UPDATE leaves them
    unchanged. MySQL does the same, except for an UPDATE that sets them to the value that they
    have."""
    columns = [each for each in one.table.columns if each.on_update]
    if not columns:
        return
    moves = []
    for column in columns:
        known = generated(column.on_update, archive.dialect)
        moment = known and known.of(one.field(column.name).type.sort)
        if moment is None:
            message = f"column {column.name}: ON UPDATE {column.on_update} is not carried over"
            archive.losses.append(Loss(str(one.table.name), message, LossClass.BEHAVIOUR))
            continue
        name = quoted(folded(column.name))
        moves.append(
            f"  IF NEW.{name} IS NOT DISTINCT FROM OLD.{name} THEN NEW.{name} := {moment}; END IF;"
        )
    if not moves:
        return
    name = f"{one.name.name}_on_update".encode()[:MOST_BYTES].decode(errors="ignore")
    function = f"{quoted(one.name.schema, name)}()"
    body = "\n".join(["BEGIN", *moves, "  RETURN NEW;", "END"])
    made = archive.add(
        "FUNCTION",
        Name(one.name.schema, f"{name}()"),
        f"CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql"
        f" AS $windlass$\n{body}\n$windlass$",
        f"DROP FUNCTION {function}",
    )
    kept = [
        quoted(folded(each.name))
        for each in one.table.columns
        if (one.table.name, each.name) not in archive.computed
    ]
    new, old = (", ".join(f"{row}.{name}" for name in kept) for row in ("NEW", "OLD"))
    archive.add(
        "TRIGGER",
        Name(one.name.schema, f"{one.name.name} {name}"),
        f"CREATE TRIGGER {quoted(name)} BEFORE UPDATE ON {of(one.name)} FOR EACH ROW"
        f" WHEN (ROW({new}) IS DISTINCT FROM ROW({old})) EXECUTE FUNCTION {function}",
        f"DROP TRIGGER {quoted(name)} ON {of(one.name)}",
        depends_on=[table, made],
    )


def add_ignoring_case(
    archive: Archive, one: Fitted, key: Key, ignoring: Collection[str], table: int, free: Free
) -> None:
    """The source treats texts that differ only by case as equal. A second index refuses them."""
    parts = [
        without_case(archive, quoted(folded(name))) if name in ignoring else quoted(folded(name))
        for name in key.columns
    ]
    name = free.take(f"{one.name.name}_{'_'.join(map(folded, key.columns))}_lower_key")
    archive.add(
        "INDEX",
        Name(one.name.schema, name),
        index_text(one.name, name, ", ".join(parts), is_unique=True),
        f"DROP INDEX {quoted(one.name.schema, name)}",
        depends_on=[table],
    )


def without_case(archive: Archive, text: str) -> str:
    """Equal for texts that differ only by case. To SQLite only letters of ASCII have one."""
    collation = ' COLLATE "C"' if archive.dialect == "sqlite" else ""
    return f"lower({text}{collation})"
