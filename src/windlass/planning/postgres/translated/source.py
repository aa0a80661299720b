"""What a source of another engine would be in PostgreSQL: its catalog, and the definitions that
pg_dump would write of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from psycopg import sql

from windlass.engines.postgres.archive import Entry
from windlass.engines.postgres.catalog import Catalog, ForeignKey, KeyConstraint, Standing
from windlass.engines.postgres.foreign.types import enum_name, type_name
from windlass.engines.postgres.quoting import quote_identifier
from windlass.engines.postgres.relation import CatalogRelation, Storage
from windlass.engines.postgres.trial import TryOut
from windlass.model.plan import Server
from windlass.model.relation import Column, Kind, Name, Wire
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import (
    Check,
    Field,
    Fit,
    IndexPart,
    Key,
    Sort,
    SourceTable,
    Type,
)
from windlass.model.translation import ForeignKey as SourceForeignKey
from windlass.planning.postgres.translated.defaults import Defaults
from windlass.planning.postgres.translated.expressions import translated
from windlass.planning.postgres.translated.naming import Free, folded, folded_name

BYTES_PER_BLOCK = 8192


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table with what the scan of its rows has found."""

    table: SourceTable
    fit: Fit
    schema: str = ""  # that takes the place of the source's

    @property
    def name(self) -> Name:
        """Before schemas are mapped."""
        return folded_name(self.table.name, self.schema)

    def field(self, column: str) -> Field:
        return next(one for one in self.fit.fields if one.name == column)

    @property
    def columns(self) -> dict[str, str]:
        """Names on the target by the source's in lower case."""
        return {one.name.lower(): folded(one.name) for one in self.table.columns}


def unscanned(table: SourceTable, schema: str) -> Fitted:
    """A table that nobody has selected."""
    fields = tuple(Field(one.name, Type(Sort.TEXT)) for one in table.columns)
    return Fitted(table, Fit(fields, table.rows, table.size_bytes), schema)


@dataclass(slots=True)
class Archive:
    """The entries, and what could not be translated into them."""

    dialect: str
    owner: str
    try_out: TryOut
    entries: list[Entry] = field(default_factory=list)
    keys: list[KeyConstraint] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    computed: set[tuple[Name, str]] = field(default_factory=set)  # table and column

    def add(
        self,
        kind: str,
        name: Name,
        definition: str,
        drop: str = "",
        *,
        depends_on: Sequence[int] = (),
        oid: int = 0,
    ) -> int:
        id_ = len(self.entries) + 1
        self.entries.append(
            Entry(
                id=id_,
                kind=kind,
                schema=name.schema,
                tag=name.name,
                owner=self.owner,
                definition=f"{definition};\n",
                drop=f"{drop};\n" if drop else "",
                tablespace="",
                access_method="",
                catalog=0,
                oid=oid,
                depends_on=tuple(depends_on),
            )
        )
        return id_

    def compiles(self, one: Fitted, what: str) -> bool:
        """Whether the target takes an ALTER TABLE, or all of a CREATE INDEX, of such a table."""
        columns = ", ".join(
            f"{quoted(folded(each.name))} {type_name(one.field(each.name).type)}"
            for each in one.table.columns
        )
        trial = quoted("windlass_trial")
        script = f"CREATE TEMP TABLE {trial} ({columns}); {what.replace('{table}', trial)}"
        return not self.try_out([script])


def quoted(*parts: str) -> str:
    return ".".join(map(quote_identifier, parts))


def _of(name: Name) -> str:
    return quoted(name.schema, name.name)


def catalog_of(
    server: Server, tables: Sequence[Fitted], computed: Collection[tuple[Name, str]]
) -> Catalog:
    """Every table, with the types that all of its values have. `computed` are columns that the
    target computes as the source does."""
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


def archive_of(tables: Sequence[Fitted], dialect: str, owner: str, try_out: TryOut) -> Archive:
    """The definitions of all tables, in an order in which they can be made. What was translated is
    tried on the target, and rolled back."""
    archive = Archive(dialect, owner, try_out)
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
        _comments(archive, one, ids[one.table.name])
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
            types[column.name] = _of(name)
    defaults = Defaults(archive.dialect, one.table.name)
    lines = []
    for column in one.table.columns:
        words = [quoted(folded(column.name)), types[column.name]]
        type_ = one.field(column.name).type
        if column.generated:
            expression = translated(column.generated, archive.dialect, one.columns)
            computing = f"GENERATED ALWAYS AS ({expression}) STORED"
            adding = f"ALTER TABLE {{table}} ADD windlass_trial {type_name(type_)} {computing}"
            if expression is None or not archive.compiles(one, adding):
                archive.losses.append(_not_generated(one.table.name, column.name, column.generated))
            else:
                words.append(computing)
                archive.computed.add((one.table.name, column.name))
        elif column.counts_up and type_.sort is Sort.INTEGER:
            words.append("GENERATED BY DEFAULT AS IDENTITY")
        elif column.default:
            value = defaults.of(column, type_)
            adding = (
                f"ALTER TABLE {{table}} ADD windlass_trial {types[column.name]} DEFAULT {value}"
            )
            if value is not None and not archive.compiles(one, adding):
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
        f"CREATE TABLE {_of(one.name)} (\n{body}\n)",
        f"DROP TABLE {_of(one.name)}",
        depends_on=needs,
        oid=number + 1,
    )


def _not_generated(table: Name, column: str, text: str) -> Loss:
    message = (
        f"column {column} is an ordinary column on the target, as what computes it could not be"
        f" translated: {text}"
    )
    return Loss(str(table), message, LossClass.BEHAVIOUR)


def _enum(archive: Archive, name: Name, labels: Iterable[str]) -> int:
    values = ", ".join(sql.Literal(label).as_string(None) for label in labels)
    return archive.add(
        "TYPE", name, f"CREATE TYPE {_of(name)} AS ENUM ({values})", f"DROP TYPE {_of(name)}"
    )


def _keys(archive: Archive, one: Fitted, table: int, free: Free) -> Iterator[tuple[Key, int]]:
    primary = one.table.primary_key
    for key in [*([primary] if primary else []), *one.table.uniques]:
        is_primary = key is primary
        columns = ", ".join(quoted(folded(name)) for name in key.columns)
        usual = "pkey" if is_primary else f"{'_'.join(map(folded, key.columns))}_key"
        name = free.take(folded(key.name) if key.name else f"{one.name.name}_{usual}")
        oid = 10_000 + len(archive.entries)
        word = "PRIMARY KEY" if is_primary else "UNIQUE"
        id_ = archive.add(
            "CONSTRAINT",
            Name(one.name.schema, f"{one.name.name} {name}"),
            _adding(one.name, name, f"{word} ({columns})"),
            _dropping(one.name, name),
            depends_on=[table],
            oid=oid,
        )
        index = _index(one.name, name, columns, is_unique=True)
        of = archive.entries[table - 1].oid
        archive.keys.append(KeyConstraint(oid, of, one.name, name, is_primary, index, ""))
        yield key, id_


def _adding(table: Name, name: str, what: str) -> str:
    return f"ALTER TABLE ONLY {_of(table)}\n    ADD CONSTRAINT {quoted(name)} {what}"


def _dropping(table: Name, name: str) -> str:
    return f"ALTER TABLE ONLY {_of(table)} DROP CONSTRAINT {quoted(name)}"


def _index(table: Name, name: str, columns: str, *, is_unique: bool) -> str:
    unique = "UNIQUE " if is_unique else ""
    return f"CREATE {unique}INDEX {quoted(name)} ON {_of(table)} USING btree ({columns})"


def _indexes(archive: Archive, one: Fitted, table: int, free: Free) -> None:
    for index in one.table.indexes:
        if index.kind:
            message = f"index {index.name} ({index.kind}) is not made on the target"
            archive.losses.append(Loss(str(one.table.name), message, LossClass.BEHAVIOUR))
            continue
        parts = [_part(archive, one, part) for part in index.parts]
        where = translated(index.where, archive.dialect, one.columns) if index.where else ""
        columns = ", ".join(part for part in parts if part)
        condition = f" WHERE ({where})" if where else ""
        building = f"CREATE INDEX ON {{table}} ({columns}){condition}"
        if where is None or None in parts or not archive.compiles(one, building):
            what = "constraints" if index.is_unique else "storage"
            message = f"index {index.name} is not made on the target: it could not be translated"
            archive.losses.append(Loss(str(one.table.name), message, LossClass(what)))
            continue
        name = free.take(folded(index.name))
        archive.add(
            "INDEX",
            Name(one.name.schema, name),
            _index(one.name, name, columns, is_unique=index.is_unique) + condition,
            f"DROP INDEX {quoted(one.name.schema, name)}",
            depends_on=[table],
        )


def _part(archive: Archive, one: Fitted, part: IndexPart) -> str | None:
    order = " DESC" if part.descends else ""
    if not part.column:
        expression = translated(part.expression, archive.dialect, one.columns)
        return expression and f"({expression}){order}"
    name = quoted(folded(part.column))
    sort = one.field(part.column).type.sort
    if sort is Sort.JSON:
        return None
    if part.prefix and sort is Sort.TEXT:
        return f'("left"({name}, {part.prefix})){order}'
    return f"{name}{order}"


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
    what = f"FOREIGN KEY ({lists[0]}) REFERENCES {_of(to.name)}({lists[1]}){acts}{timing}"
    what += "" if is_kept else " NOT VALID"
    archive.add(
        "FK CONSTRAINT",
        Name(one.name.schema, f"{one.name.name} {name}"),
        _adding(one.name, name, what),
        _dropping(one.name, name),
        depends_on=[ids[one.table.name], ids[to.table.name], *needs],
        oid=oid,
    )
    archive.foreign_keys.append(
        ForeignKey(oid, one.name, name, validated=is_kept, is_partitioned=False)
    )


def _check(archive: Archive, one: Fitted, check: Check, table: int, names: Free) -> None:
    text = translated(check.expression, archive.dialect, one.columns)
    if text is None or not archive.compiles(one, f"ALTER TABLE {{table}} ADD CHECK ({text})"):
        message = f"check {check.name} could not be translated: {check.expression}"
        archive.losses.append(Loss(str(one.table.name), message, LossClass.CONSTRAINTS))
        return
    name = names.take(folded(check.name) or f"{one.name.name}_check")
    archive.add(
        "CHECK CONSTRAINT",
        Name(one.name.schema, f"{one.name.name} {name}"),
        _adding(one.name, name, f"CHECK ({text})"),
        _dropping(one.name, name),
        depends_on=[table],
    )


def _comments(archive: Archive, one: Fitted, table: int) -> None:
    here, schema = one.name, one.name.schema
    found = [(f"TABLE {quoted(here.name)}", f"TABLE {_of(here)}", one.table.comment)]
    for column in one.table.columns:
        name = folded(column.name)
        place = f"COLUMN {quoted(schema, here.name, name)}"
        found.append((f"COLUMN {here.name}.{name}", place, column.comment))
    for tag, place, text in found:
        if text:
            literal = sql.Literal(text).as_string(None)
            definition = f"COMMENT ON {place} IS {literal}"
            archive.add("COMMENT", Name(schema, tag), definition, depends_on=[table])
