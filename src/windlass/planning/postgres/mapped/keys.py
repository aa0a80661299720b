"""Keys of mapped tables: whether they still tell rows apart, and refer to rows that arrive."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from windlass.engines.postgres.archive import Entry
from windlass.engines.postgres.conversions import is_widening
from windlass.engines.postgres.mapped_reading import Key, Refused
from windlass.engines.postgres.syntax import Node, nodes, parse
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.units import plural
from windlass.planning.postgres.mapped.resolve import Resolved
from windlass.planning.postgres.mapped.trees import columns_in, subject
from windlass.planning.postgres.select import describe

LATE = "whose values are made once the rows are read"
Doubles = Callable[[Resolved, Sequence[str]], int | Refused]
Orphans = Callable[[Key, Key], int | Refused]
Broken = Callable[[Resolved, str], int | Refused]


@dataclass(frozen=True, slots=True)
class Counts:
    """What may be asked about the source's rows."""

    where: Broken
    doubles: Doubles
    orphans: Orphans


def null_problems(one: Resolved, counts: Counts) -> Iterator[Problem]:
    """NULLs that would arrive in columns that are NOT NULL."""
    columns = {each.name: each for each in one.relation.columns}
    for column in one.mapping.columns:
        if not column.is_changed or not columns[column.target].not_null:
            continue
        hint = f"give column {column.target} a value, or sql that is never NULL"
        if column.how == "null":
            message = f"column {column.target} is NOT NULL: it cannot be masked with null"
            yield Problem(str(one.name), message, hint)
        elif column.how == "sql":
            quoted = '"' + column.target.replace('"', '""') + '"'
            found = counts.where(one, f"{quoted} is null")
            if found:
                message = f"column {column.target}: {_counted(found, 'NULL')}, and it is NOT NULL"
                yield Problem(str(one.name), message, hint)


def key_findings(
    entries: Sequence[Entry], tables: Mapping[Name, Resolved], counts: Counts
) -> Iterator[Problem | tuple[Entry, Loss]]:
    """Unique keys over columns whose values change: problems, or entries that are lost."""
    for entry in entries:
        for tree in _trees(entry, ("CONSTRAINT", "INDEX")):
            table = subject(tree)
            one = tables.get(table) if table else None
            if one is None:
                continue
            kept, other = _key(tree)
            changed = one.mapping.changed | one.retyped
            if late := sorted({*kept, *other} & one.mapping.late):
                message = f"is over column {late[0]}, {LATE}, so that it cannot be counted before"
                yield Problem(describe(entry), message, "drop the column, or give it sql or a hash")
            elif other & changed:
                message = "is left out: it may not hold for the values that arrive"
                yield entry, Loss(describe(entry), message, LossClass.CONSTRAINTS)
            elif set(kept) & changed and set(kept) <= one.mapping.names.keys():
                yield from _same_values(entry, one, kept, counts)


def _key(tree: Node) -> tuple[list[str], set[str]]:
    """The columns of a unique key. For an index with a condition or over expressions, and for an
    exclusion, none; then the second part has all columns that it depends on."""
    if tree.tag == "IndexStmt" and tree.unique:
        names = [one.name for one in tree.indexParams if one.name]
        whole = len(names) == len(tree.indexParams) and tree.whereClause is None
        return (names, set()) if whole else ([], columns_in(tree) | set(names))
    if tree.tag == "AlterTableStmt":
        for one in nodes(tree):
            if one.tag == "Constraint" and one.contype in ("CONSTR_PRIMARY", "CONSTR_UNIQUE"):
                return [each.sval for each in one.keys or ()], set()
            if one.tag == "Constraint" and one.contype == "CONSTR_EXCLUSION":
                names = [each.name for each in nodes(one) if each.tag == "IndexElem" and each.name]
                return [], columns_in(one) | set(names)
    return [], set()


def _same_values(
    entry: Entry, one: Resolved, columns: Sequence[str], counts: Counts
) -> Iterator[Problem]:
    names = one.mapping.names
    hint = "leave its columns as they are, hash them, or give sql that keeps them apart"
    narrowed = [each for each in columns if _is_narrowed(one, each)]
    if narrowed:
        message = f"column {narrowed[0]}: a cast may make two of its keys one"
        yield Problem(describe(entry), message, "give sql instead of types, which is counted")
        return
    hows = [one.mapping.column(names[each]).how for each in columns]
    if all(how in ("", "hash") for how in hows):
        return
    found = counts.doubles(one, [names[each] for each in columns])
    if found:
        message = f"{_counted(found, 'key')} of the rows that arrive would occur more than once"
        yield Problem(describe(entry), message, hint)


def _is_narrowed(one: Resolved, column: str) -> bool:
    name = one.mapping.names[column]
    held = next(each.type for each in one.relation.columns if each.name == name)
    takes = next(each.type for each in one.arriving.columns if each.name == name)
    return held != takes and not is_widening(held, takes)


def foreign_key_losses(
    entries: Sequence[Entry],
    tables: Mapping[Name, Resolved],
    chosen: Collection[Name],
    counts: Counts,
) -> Iterator[tuple[Entry, Loss]]:
    """Foreign keys that rows would break: where one side is filtered, or its values change."""
    for entry in entries:
        for tree in _trees(entry, ("FK CONSTRAINT",)):
            for part in (one for one in nodes(tree) if one.tag == "Constraint"):
                child, to = subject(tree), part.pktable
                if child is None or to is None:
                    continue
                parent = Name(to.schemaname, to.relname)
                if child not in chosen or parent not in chosen or not {child, parent} & {*tables}:
                    continue
                own = [one.sval for one in part.fk_attrs or ()]
                others = [one.sval for one in part.pk_attrs or ()]
                message = _broken(
                    tables.get(child), tables.get(parent), child, parent, own, others, counts
                )
                if message:
                    yield entry, Loss(describe(entry), message, LossClass.CONSTRAINTS)


def _broken(
    one: Resolved | None,
    other: Resolved | None,
    child: Name,
    parent: Name,
    own: Sequence[str],
    others: Sequence[str],
    counts: Counts,
) -> str:
    """Why a foreign key would not hold; nothing if it will."""
    here, there = _names(one, own), _names(other, others)
    if here is None or there is None:  # dropped: reported with the definition
        return ""
    types = [_types(one, here), _types(other, there)]
    for each, columns in ((one, own), (other, others)):
        if late := sorted(each.mapping.late & {*columns}) if each else []:
            return f"is left out: it is over column {late[0]}, {LATE}"
    if _kinds(one, own) == _kinds(other, others) and not (other and other.mapping.where):
        return ""
    if types[0] and types[1] and types[0] != types[1]:
        return f"is left out: columns of {child} and {parent} have other types"
    found = counts.orphans(
        Key(child, tuple(here), one.mapping if one else None),
        Key(parent, tuple(there), other.mapping if other else None),
    )
    if not found:
        return ""
    if isinstance(found, Refused):
        return f"is left out: its columns cannot be compared any more: {found.message}"
    rows = plural(found, "row")
    return (
        f"is left out: {rows} of {child} would refer to rows of {parent} that do not arrive;"
        f" give {child} a where that leaves them out, or both sides the same mask"
    )


def _names(one: Resolved | None, columns: Sequence[str]) -> list[str] | None:
    if one is None:
        return list(columns)
    names = one.mapping.names
    return [names[each] for each in columns] if {*columns} <= names.keys() else None


def _types(one: Resolved | None, columns: Sequence[str]) -> list[str]:
    if one is None:
        return []
    found = {each.name: each.type for each in one.arriving.columns}
    return [found[each] for each in columns]


def _kinds(one: Resolved | None, columns: Sequence[str]) -> list[str]:
    """How the values of columns change. Both sides of a key must change alike: values are kept or
    hashed."""
    if one is None:
        return [""] * len(columns)
    names = one.mapping.names
    hows = [one.mapping.column(names[each]).how for each in columns]
    return [
        f"{how} {at} {id(one)}" if how not in ("", "hash") else how for at, how in enumerate(hows)
    ]


def _trees(entry: Entry, kinds: Collection[str]) -> Iterator[Node]:
    if entry.kind in kinds:
        for statement in parse(entry.definition):
            yield statement.tree


def _counted(found: int | Refused, word: str) -> str:
    return found.message if isinstance(found, Refused) else plural(found, word)
