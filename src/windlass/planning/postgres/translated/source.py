"""What a source of another engine would be in PostgreSQL: its catalog, and the definitions that
pg_dump would write of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from psycopg import sql

from windlass.engines.postgres.catalog import Catalog, ForeignKey, KeyConstraint, Standing
from windlass.engines.postgres.foreign.types import enum_name, type_name
from windlass.engines.postgres.relation import CatalogRelation, Storage
from windlass.model.plan import Server
from windlass.model.relation import Column, Kind, Name, Wire
from windlass.model.report import Loss, LossClass
from windlass.model.translation import (
    Check,
    Index,
    IndexPart,
    Key,
    Sort,
    SourceColumn,
    SourceView,
)
from windlass.model.translation import ForeignKey as SourceForeignKey
from windlass.model.wording import word
from windlass.planning.postgres.translated.archive import (
    Archive,
    Fitted,
    Trials,
    adding,
    dropping,
    index_text,
    of,
    quoted,
)
from windlass.planning.postgres.translated.beside import (
    add_ignoring_case,
    add_limits,
    add_on_update,
    without_case,
)
from windlass.planning.postgres.translated.defaults import Defaults
from windlass.planning.postgres.translated.naming import Free, folded
from windlass.planning.postgres.translated.views import add_views

BYTES_PER_BLOCK = 8192


def catalog_of(
    server: Server, tables: Sequence[Fitted], computed: Collection[tuple[Name, str]]
) -> Catalog:
    """All tables, with types that hold all of their values. `computed` are columns that the target
    computes just as the source does."""
    return Catalog(
        server=server,
        standing=Standing(instance=server.identity, may_create=False, standby=False),
        relations=tuple(
            sorted(
                (_relation(at, one, computed) for at, one in enumerate(tables)),
                key=lambda one: one.name,
            )
        ),
        sequences=(),
    )


def _relation(number: int, one: Fitted, computed: Collection[tuple[Name, str]]) -> CatalogRelation:
    table, fit = one.table, one.fit
    keys = [*([table.primary_key] if table.primary_key else []), *table.uniques]
    return CatalogRelation(
        name=one.name,
        kind=Kind.TABLE,
        columns=tuple(
            _column(one, at, is_computed=(table.name, each.name) in computed)
            for at, each in enumerate(table.columns)
        ),
        identity=str(number + 1),
        size_bytes=fit.size_bytes,
        scan_bytes=fit.size_bytes,
        rows=fit.rows,
        keyset=tuple(map(folded, table.primary_key.columns)) if table.primary_key else (),
        storage=Storage(
            blocks=-(-max(fit.size_bytes, fit.rows) // BYTES_PER_BLOCK), tid_range_scan=False
        ),
        unique=tuple(tuple(map(folded, key.columns)) for key in keys),
    )


def _column(one: Fitted, at: int, *, is_computed: bool) -> Column:
    column, found = one.table.columns[at], one.fit.fields[at]
    return Column(
        name=folded(column.name),
        type=type_name(found.type),
        not_null=_is_not_null(one, column.name),
        generated=is_computed,
        identity="d" if column.counts_up else "",
        has_default=bool(column.default),
        default=column.default,
        wire=Wire.TEXT,
    )


def _is_not_null(one: Fitted, name: str) -> bool:
    key = one.table.primary_key
    column = next(each for each in one.table.columns if each.name == name)
    return column.not_null or bool(key and name in key.columns)


def archive_of(
    tables: Sequence[Fitted],
    dialect: str,
    owner: str,
    trials: Trials,
    views: Sequence[SourceView] = (),
    default: str = "",
) -> Archive:
    """The definitions of all tables and views, in an order in which they can be created. Translated
    expressions are tried on the target with some rows of the source, and rolled back. `default` is
    the schema that replaces the source's."""
    archive = Archive(dialect, owner, trials)
    free: dict[str, Free] = {}
    for schema in sorted({one.name.schema for one in tables} - {"public"}):
        make, drop = (f"{verb} SCHEMA {quoted(schema)}" for verb in ("CREATE", "DROP"))
        archive.add("SCHEMA", Name("", schema), make, drop)
    for one in tables:
        names = [each.name.name for each in tables if each.name.schema == one.name.schema]
        free.setdefault(one.name.schema, Free(names))
    ids = {one.table.name: _table(archive, one, number) for number, one in enumerate(tables)}
    keys = {
        one.table.name: list(_keys(archive, one, ids[one.table.name], free[one.name.schema]))
        for one in tables
    }
    by_name = {one.table.name: one for one in tables}
    for one in tables:
        _indexes(archive, one, ids[one.table.name], free[one.name.schema])
    for one in tables:
        constraints = Free(())
        for key in one.table.foreign_keys:
            _foreign_key(archive, one, key, constraints, by_name, ids, keys)
        for check in one.table.checks:
            _check(archive, one, check, ids[one.table.name], constraints)
        add_limits(archive, one, ids[one.table.name], constraints)
        _comments(archive, one, ids[one.table.name])
    for one in tables:
        add_on_update(archive, one, ids[one.table.name])
    add_views(archive, views, tables, ids, default)
    return archive


def _table(archive: Archive, one: Fitted, number: int) -> int:
    types: dict[str, str] = {}
    needs = []
    for column in one.table.columns:
        found = one.field(column.name).type
        types[column.name] = type_name(found)
        if found.sort is Sort.ENUM and found.labels:
            name = enum_name(one.name, folded(column.name))
            needs.append(_enum(archive, name, found.labels))
            types[column.name] = of(name)
    defaults = Defaults(archive.dialect, one.table.name)
    lines = []
    for column in one.table.columns:
        words = [quoted(folded(column.name)), types[column.name]]
        type_ = one.field(column.name).type
        if column.generated:
            expression = _computing(archive, one, column)
            if expression:
                words.append(f"GENERATED ALWAYS AS ({expression}) STORED")
                archive.computed.add((one.table.name, column.name))
        elif column.counts_up and type_.sort is Sort.INTEGER:
            words.append("GENERATED BY DEFAULT AS IDENTITY")
        elif column.counts_up:
            message = (
                f"column {column.name} does not count up by itself, as it is {types[column.name]}"
            )
            archive.losses.append(Loss(str(one.table.name), message, LossClass.BEHAVIOUR))
        elif column.default:
            value = defaults.of(column, type_)
            # on a type that exists already
            trial = f"ALTER TABLE {{table}} ADD windlass_added {type_name(type_)} DEFAULT {value}"
            if value is not None and not archive.compiles(one, trial):
                defaults.lose(column)
            elif value is not None:
                words.append(f"DEFAULT {value}")
        if _is_not_null(one, column.name):
            words.append("NOT NULL")
        lines.append("    " + " ".join(words))
    archive.losses += defaults.losses
    body = ",\n".join(lines)
    return archive.add(
        "TABLE",
        one.name,
        f"CREATE TABLE {of(one.name)} (\n{body}\n)",
        f"DROP TABLE {of(one.name)}",
        depends_on=needs,
        oid=number + 1,
    )


def _computing(archive: Archive, one: Fitted, column: SourceColumn) -> str:
    """The clause that computes a column on the target as on the source. Empty, and a loss, if there
    is none."""
    type_ = type_name(one.field(column.name).type)
    expression = one.translated(column.generated, archive.dialect)
    adding = f"ALTER TABLE {{table}} ADD windlass_added {type_} GENERATED ALWAYS AS"
    why = "what computes it could not be translated"
    if expression is not None and archive.compiles(one, f"{adding} ({expression}) STORED"):
        name = quoted(folded(column.name))
        unlike = archive.unlike(one, f"{name} IS DISTINCT FROM ({expression})::{type_}")
        if not unlike:
            return expression
        why = f"the target computes something else ({unlike})"
    message = (
        f"column {column.name} is an ordinary column on the target, as {why}: {column.generated}"
    )
    archive.losses.append(Loss(str(one.table.name), message, LossClass.BEHAVIOUR))
    return ""


def _enum(archive: Archive, name: Name, labels: Iterable[str]) -> int:
    values = ", ".join(sql.Literal(label).as_string(None) for label in labels)
    return archive.add(
        "TYPE", name, f"CREATE TYPE {of(name)} AS ENUM ({values})", f"DROP TYPE {of(name)}"
    )


def _keys(archive: Archive, one: Fitted, table: int, free: Free) -> Iterator[tuple[Key, int]]:
    primary = one.table.primary_key
    for key in [*([primary] if primary else []), *one.table.uniques]:
        is_primary = key is primary
        columns = ", ".join(quoted(folded(name)) for name in key.columns)
        usual = "pkey" if is_primary else f"{'_'.join(map(folded, key.columns))}_key"
        own = "" if is_primary else folded(key.name)  # MySQL calls every primary key PRIMARY
        name = free.take(own or f"{one.name.name}_{usual}")
        oid = 10_000 + len(archive.entries)
        nulls = _nulls(archive, one, key, columns) if key.nulls_are_equal else ""
        word = "PRIMARY KEY" if is_primary else f"UNIQUE{nulls}"
        id_ = archive.add(
            "CONSTRAINT",
            Name(one.name.schema, f"{one.name.name} {name}"),
            adding(one.name, name, f"{word} ({columns})"),
            dropping(one.name, name),
            depends_on=[table],
            oid=oid,
        )
        index = index_text(one.name, name, columns, is_unique=True, nulls=nulls)
        of = archive.entries[table - 1].oid
        archive.keys.append(KeyConstraint(oid, of, one.name, name, is_primary, index, ""))
        yield key, id_
        if ignoring := one.ignoring_case(key):
            add_ignoring_case(archive, one, key, ignoring, table, free)


def _nulls(archive: Archive, one: Fitted, key: Key, columns: str) -> str:
    """What makes NULLs equal in a key, as they are to the source. Empty, and a loss, if the target
    does not have it yet; empty as well if no column can be NULL."""
    nullable = [each for each in key.columns if not _is_not_null(one, each)]
    if not nullable:
        return ""
    nulls = " NULLS NOT DISTINCT"
    if archive.compiles(one, f"ALTER TABLE {{table}} ADD UNIQUE{nulls} ({columns})"):
        return nulls
    message = (
        f"key {key.name} ({', '.join(key.columns)}): NULLs are equal to the source, and the target"
        f" accepts several rows with NULL in {nullable[0]}: it would need PostgreSQL 15"
    )
    archive.losses.append(Loss(str(one.table.name), message, LossClass.CONSTRAINTS))
    return ""


def _indexes(archive: Archive, one: Fitted, table: int, free: Free) -> None:
    for index in one.table.indexes:
        if index.name in one.fit.left_out:
            continue
        if index.kind:
            message = f"index {index.name} ({index.kind}) is not made on the target"
            archive.losses.append(Loss(str(one.table.name), message, LossClass.BEHAVIOUR))
            continue
        parts = [_part(archive, one, part, index.is_unique) for part in index.parts]
        where = one.translated(index.where, archive.dialect) if index.where else ""
        columns = ", ".join(part for part in parts if part)
        condition = f" WHERE ({where})" if where else ""
        building = f"CREATE INDEX ON {{table}} ({columns}){condition}"
        if where is None or None in parts or not archive.compiles(one, building):
            what = "constraints" if index.is_unique else "storage"
            message = (
                f"index {index.name} is not made on the target: it could not be translated:"
                f" {_described(index)}"
            )
            archive.losses.append(Loss(str(one.table.name), message, LossClass(what)))
            continue
        name = free.take(folded(index.name))
        archive.add(
            "INDEX",
            Name(one.name.schema, name),
            index_text(one.name, name, columns, is_unique=index.is_unique) + condition,
            f"DROP INDEX {quoted(one.name.schema, name)}",
            depends_on=[table],
        )


def _part(archive: Archive, one: Fitted, part: IndexPart, is_unique: bool) -> str | None:
    order = " DESC" if part.descends else ""
    if not part.column:
        expression = one.translated(part.expression, archive.dialect)
        return expression and f"({expression}){order}"
    name = quoted(folded(part.column))
    type_ = one.field(part.column).type
    if type_.sort is Sort.JSON:
        return None
    if part.prefix and type_.sort is Sort.TEXT:
        name = f'"left"({name}, {part.prefix})'
    if is_unique and type_.ignores_case and not part.is_exact:
        return f"({without_case(archive, name)}){order}"
    return f"({name}){order}" if part.prefix and type_.sort is Sort.TEXT else f"{name}{order}"


def _described(index: Index) -> str:
    """In the source's SQL, for people."""
    parts = [
        (one.column or f"({one.expression})")
        + (f"({one.prefix})" if one.prefix else "")
        + (" DESC" if one.descends else "")
        for one in index.parts
    ]
    where = f" WHERE {index.where}" if index.where else ""
    return f"{'UNIQUE ' if index.is_unique else ''}({', '.join(parts)}){where}"


def _foreign_key(
    archive: Archive,
    one: Fitted,
    key: SourceForeignKey,
    names: Free,
    tables: Mapping[Name, Fitted],
    ids: Mapping[Name, int],
    keys: Mapping[Name, list[tuple[Key, int]]],
) -> None:
    to = tables.get(key.refers_to)
    if to is None:
        message = f"foreign key {key.name} refers to {key.refers_to}, which is not migrated"
        archive.losses.append(Loss(str(one.table.name), message, LossClass.CONSTRAINTS))
        return
    referred = {tuple(map(folded, each.columns)): id_ for each, id_ in keys[to.table.name]}
    columns, others = (tuple(map(folded, some)) for some in (key.columns, key.referred))
    needs = [id_ for some, id_ in referred.items() if set(some) == set(others)]
    if not needs:
        message = f"foreign key {key.name} refers to columns of {to.name} that no key makes unique"
        archive.losses.append(Loss(str(one.table.name), message, LossClass.CONSTRAINTS))
        return
    if unlike := _unlike_types(archive, one, to, key):
        message = f"foreign key {key.name} is not made: {unlike}; {word('types')} can change that"
        archive.losses.append(Loss(str(one.table.name), message, LossClass.CONSTRAINTS))
        return
    name = names.take(folded(key.name) or f"{one.name.name}_{'_'.join(columns)}_fkey")
    acts = "".join(
        f" ON {event} {action}"
        for event, action in (("UPDATE", key.on_update), ("DELETE", key.on_delete))
        if action not in ("NO ACTION", "")
    )
    timing = " DEFERRABLE" if key.is_deferrable else ""
    timing += " INITIALLY DEFERRED" if key.is_deferred else ""
    lists = [", ".join(map(quoted, names)) for names in (columns, others)]
    oid = 10_000 + len(archive.entries)
    is_kept = key.name not in one.fit.orphaned
    what = f"FOREIGN KEY ({lists[0]}) REFERENCES {of(to.name)}({lists[1]}){acts}{timing}"
    what += "" if is_kept else " NOT VALID"
    archive.add(
        "FK CONSTRAINT",
        Name(one.name.schema, f"{one.name.name} {name}"),
        adding(one.name, name, what),
        dropping(one.name, name),
        depends_on=[ids[one.table.name], ids[to.table.name], *needs],
        oid=oid,
    )
    archive.foreign_keys.append(
        ForeignKey(oid, one.name, name, validated=is_kept, is_partitioned=False)
    )


def _unlike_types(archive: Archive, one: Fitted, to: Fitted, key: SourceForeignKey) -> str:
    """Which columns have types that PostgreSQL does not compare. Each enum is a type by itself."""
    for column, referred in zip(key.columns, key.referred, strict=True):
        mine, other = one.field(column).type, to.field(referred).type
        types = type_name(mine), type_name(other)
        is_own = Sort.ENUM in (mine.sort, other.sort) and (one.name, column) != (to.name, referred)
        if not is_own and (types[0] == types[1] or archive.compares(*types)):
            continue
        sorts = [type_.described for type_ in (mine, other)]
        return f"{column} is {sorts[0]}, {to.name.name}.{referred} {sorts[1]}"
    return ""


def _check(archive: Archive, one: Fitted, check: Check, table: int, names: Free) -> None:
    text = one.translated(check.expression, archive.dialect)
    why = "could not be translated"
    if text is not None and archive.compiles(one, f"ALTER TABLE {{table}} ADD CHECK ({text})"):
        why = archive.unlike(one, f"NOT ({text})")
        why = why and f"is not made on the target, which it would refuse: {why}"
    if text is None or why:
        message = f"check {check.name} {why}: {check.expression}"
        archive.losses.append(Loss(str(one.table.name), message, LossClass.CONSTRAINTS))
        return
    name = names.take(folded(check.name) or f"{one.name.name}_check")
    archive.add_check(one, name, text, table)


def _comments(archive: Archive, one: Fitted, table: int) -> None:
    here, schema = one.name, one.name.schema
    found = [(f"TABLE {quoted(here.name)}", f"TABLE {of(here)}", one.table.comment)]
    for column in one.table.columns:
        name = folded(column.name)
        place = f"COLUMN {quoted(schema, here.name, name)}"
        found.append((f"COLUMN {here.name}.{name}", place, column.comment))
    for tag, place, text in found:
        if text:
            literal = sql.Literal(text).as_string(None)
            definition = f"COMMENT ON {place} IS {literal}"
            archive.add("COMMENT", Name(schema, tag), definition, depends_on=[table])
