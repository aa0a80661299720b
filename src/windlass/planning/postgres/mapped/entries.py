"""The archive's entries as the mapped tables would have them. What cannot be carried over with
certainty is left out, and is a loss with its text; nothing is changed by text replacement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from windlass.engines.postgres.archive import ATTRIBUTES, Entry
from windlass.engines.postgres.quoting import quote_identifier
from windlass.engines.postgres.syntax import Node, SyntaxProblem, nodes, parse, to_text
from windlass.model.mapping import Mapping as Mapped
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.text import one_line
from windlass.planning.postgres.mapped.resolve import recounted, retyped
from windlass.planning.postgres.mapped.tables import Broken, Table
from windlass.planning.postgres.mapped.trees import (
    Dropped,
    Names,
    Unmapped,
    alias_tables,
    rename_columns,
    rename_referred,
    rename_relations,
    subject,
)
from windlass.planning.postgres.select import describe, left_out

UsersOf = Callable[[Name], Mapping[Name, frozenset[str]]]
"""For a table, the columns that each view or function uses; an empty name stands for a whole
row."""

_QUERIES = {"VIEW", "MATERIALIZED VIEW"}
_CALLED_AFTER = {"CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT", "TRIGGER", "RULE", "POLICY"}
# dropped along with a column; the plan shows that the column is dropped
_GOES_WITH_COLUMN = {*ATTRIBUTES, "DEFAULT", "SEQUENCE", "TABLE"}
_KINDS = {
    "CONSTRAINT": LossClass.CONSTRAINTS,
    "FK CONSTRAINT": LossClass.CONSTRAINTS,
    "CHECK CONSTRAINT": LossClass.CONSTRAINTS,
    "DEFAULT": LossClass.BEHAVIOUR,
    "SEQUENCE": LossClass.BEHAVIOUR,  # of an identity
}


@dataclass(slots=True)
class Rewritten:
    """The entries, and what they lost."""

    entries: list[Entry] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # as `Objects.left_out` names them


def names_of(one: Mapped) -> Names:
    """The names of a mapped table and its columns."""
    names = one.names
    before = {new: old for old, new in names.items()}
    taken = set(before.values())
    aliases = []
    for column in one.columns:
        alias = before.get(column.target, column.target)
        while column.target not in before and alias in taken:
            alias += "_"  # a query of the source never uses a computed column
        taken.add(alias)
        aliases.append(alias)
    return Names(one.relation, one.into, names, retyped(one), recounted(one), tuple(aliases))


class Rewriting:
    """All entries of one archive."""

    def __init__(
        self, tables: Mapping[Name, Mapped], sequences: Mapping[Name, Name], broken: Broken
    ) -> None:
        """`sequences` maps the names of sequences that follow their table into another schema."""
        self._tables, self._broken = tables, broken
        self.names = {name: names_of(one) for name, one in tables.items()}
        self._relations = {name: one.new for name, one in self.names.items()} | dict(sequences)
        self._done = Rewritten()
        self._lost: dict[int, Entry] = {}
        self._gone: set[tuple[Name, str]] = set()  # constraints of a table
        self._bodies: Mapping[Name, str] = {}

    def rewrite(self, entries: Sequence[Entry], users_of: UsersOf) -> Rewritten:
        """Rewrite the entries, in their order. An entry that needs one that is left out is left out
        too."""
        self._add_indexes(entries)
        used = {name: users_of(name) for name in self._tables}
        owned = set(self._owned_by_dropped(entries))
        self._bodies = _bodies(entries)
        for entry in entries:
            if entry.kind == "SEQUENCE" and Name(entry.schema, entry.tag) in owned:
                self._lost[entry.id] = entry  # the server drops it together with its column
                continue
            missing = [self._lost[id_] for id_ in entry.depends_on if id_ in self._lost]
            if missing:
                self._lost[entry.id] = entry
                if entry.kind not in ATTRIBUTES:
                    loss = left_out(entry, missing)
                    message = f"{loss.message.replace('not selected', 'left out')}: {_text(entry)}"
                    self._done.losses.append(replace(loss, message=message))
                continue
            try:
                self._check_users(entry, used)
                self._done.entries.append(self._entry(entry))
            except Unmapped as error:
                self._lose(entry, error)
        return self._done

    def _add_indexes(self, entries: Iterable[Entry]) -> None:
        """Add indexes to the relations that get another name: they follow their table into its
        schema."""
        for entry in entries:
            if entry.kind != "INDEX" or not self._may_name(entry):
                continue
            table = subject(parse(entry.definition)[0].tree)
            if table in self.names and self.names[table].new.schema != entry.schema:
                new = Name(self.names[table].new.schema, entry.tag)
                self._relations[Name(entry.schema, entry.tag)] = new

    def _owned_by_dropped(self, entries: Iterable[Entry]) -> Iterator[Name]:
        """Sequences that belong to dropped columns."""
        for entry in entries:
            if entry.kind != "SEQUENCE OWNED BY":
                continue
            try:
                rename_referred(parse(entry.definition)[0].tree, self.names)
            except Dropped:
                yield Name(entry.schema, entry.tag)

    def _lose(self, entry: Entry, error: Unmapped) -> None:
        self._lost[entry.id] = entry
        if entry.kind in _GOES_WITH_COLUMN and isinstance(error, Dropped):
            return
        kind = _KINDS.get(entry.kind, LossClass.OBJECTS)
        if entry.kind == "INDEX" and entry.definition.startswith("CREATE UNIQUE"):
            kind = LossClass.CONSTRAINTS
        message = f"is left out: it {error}: {_text(entry)}"
        self._done.losses.append(Loss(describe(entry), message, kind))

    def _check_users(
        self, entry: Entry, used: Mapping[Name, Mapping[Name, frozenset[str]]]
    ) -> None:
        """Check that the entry uses no column that it could not use any more.

        Raises:
            Unmapped: the entry is a view or the like that uses a column that it could not use.
        """
        name = Name(entry.schema, entry.tag.partition("(")[0])
        for table, users in used.items():
            own = self.names[table]
            if entry.kind not in {*_QUERIES, "FUNCTION", "PROCEDURE"} or name not in users:
                continue
            for column in sorted(users[name] - {""}):
                if column not in own.columns:
                    raise Unmapped(f"uses column {column} of {table}, which is dropped")
                if column in own.retyped:
                    raise Unmapped(f"uses column {column} of {table}, which has another type")

    def _may_name(self, entry: Entry) -> bool:
        text = f"{entry.definition}\n{entry.tag}"
        return any(name.name.replace('"', '""') in text for name in self._relations)

    def _entry(self, entry: Entry) -> Entry:
        if not self._may_name(entry):
            return entry
        own: list[Names] = []
        text = self._rewritten(entry, entry.definition, own)
        drop = self._rewritten(entry, entry.drop, []) if entry.drop else ""
        return _retagged(replace(entry, definition=text, drop=drop), own, self._relations)

    def _rewritten(self, entry: Entry, text: str, own: list[Names]) -> str:
        """The entry's text, rewritten statement by statement. `own` collects the table that it
        belongs to."""
        pieces: list[str] = []
        done = 0
        try:
            found = parse(text)
        except SyntaxProblem as error:
            raise Unmapped(f"cannot be read: {error}") from error
        for statement in found:
            before = text[statement.start : statement.end]
            pieces += text[done : statement.start], self._statement(entry, before, own)
            done = statement.end
        return "".join([*pieces, text[done:]])

    def _statement(self, entry: Entry, text: str, own: list[Names]) -> str:
        (one,), (again,) = parse(text), parse(text)
        tree, before = one.tree, again.tree
        table = subject(tree)
        names = self.names.get(table) if table else None
        if names is not None:
            own.append(names)
        try:
            self._change(tree, names)
        except Dropped:
            if entry.kind == "TABLE" and tree.tag == "AlterTableStmt":  # storage and the like
                return ""
            raise
        rename_referred(tree, self.names)
        rename_relations(tree, self._relations)
        return text if tree == before else _printed(tree)

    def _change(self, tree: Node, names: Names | None) -> None:
        match tree.tag:
            case "CreateStmt" if names is not None:
                one = self._tables[names.old]
                done = self._done
                losing = done.losses, done.problems, done.left_out, self._gone
                Table(one, names, self._broken, *losing).rewrite(tree)
            case "CommentStmt" if tree.objtype == "OBJECT_TABCONSTRAINT" and names is not None:
                if (names.old, tree.object[-1].sval) in self._gone:
                    raise Dropped("is of a constraint that is left out")
            case "RuleStmt":
                if any(not own.is_plain for own in self._named_in(tree)):
                    raise Unmapped("is a rule of a table with other names")
            case "ViewStmt" | "CreateTableAsStmt":
                alias_tables(tree, {one.old: one for one in self._named_in(tree)})
            case "CreateFunctionStmt":
                self._check_function(tree)
            case "CreateTrigStmt" if names is not None:
                rename_columns(tree, names)
                self._check_trigger(tree, names)
            case _ if names is not None:
                rename_columns(tree, names)

    def _named_in(self, tree: Node) -> list[Names]:
        found = (
            self.names.get(Name(one.schemaname, one.relname))
            for one in nodes(tree)
            if one.tag == "RangeVar"
        )
        return [one for one in found if one is not None]

    def _check_function(self, tree: Node) -> None:
        """A body in quotes is kept as it is; a loss names what it may mean."""
        if any(not own.is_plain for own in self._named_in(tree)):
            raise Unmapped("has a body that names a table with other names")
        for option in tree.options or ():
            if option.defname != "as" or not isinstance(option.arg, tuple):
                continue
            body = option.arg[0].sval
            for own in self.names.values():
                mapping = self._tables[own.old]
                is_other = not own.is_plain or mapping.dropped or own.retyped
                if is_other and re.search(rf"(?<!\w){re.escape(own.old.name)}(?!\w)", body):
                    name = ".".join(one.sval for one in tree.funcname)
                    message = f"has a body that may name {own.old}, whose names or columns change;"
                    loss = Loss(
                        f"function {name}", f"{message} the body is kept", LossClass.BEHAVIOUR
                    )
                    self._done.losses.append(loss)

    def _check_trigger(self, tree: Node, own: Names) -> None:
        """Check a trigger's function: it may name columns of the row in its body, which is not
        rewritten."""
        function = Name(*(one.sval for one in tree.funcname[-2:])) if tree.funcname[1:] else None
        body = self._bodies.get(function, "") if function else ""
        given = {one.name for one in self._tables[own.old].given}
        others = sorted(one for one in given if own.columns.get(one) != one)
        named = [one for one in others if re.search(rf"(?<!\w){re.escape(one)}(?!\w)", body)]
        if named:
            message = f"runs {function}, whose body may name column {named[0]}, which has another"
            loss = Loss(
                f"trigger {tree.trigname} of {own.old}",
                f"{message} name or is dropped; the body is kept",
                LossClass.BEHAVIOUR,
            )
            self._done.losses.append(loss)


def _bodies(entries: Iterable[Entry]) -> dict[Name, str]:
    """The texts of functions, by name."""
    found: dict[Name, str] = {}
    for entry in entries:
        if entry.kind == "FUNCTION":
            name = Name(entry.schema, entry.tag.partition("(")[0])
            found[name] = found.get(name, "") + entry.definition
    return found


def _printed(tree: Node) -> str:
    """Raises:
    Unmapped: the text does not mean what the tree means.
    """
    try:
        text = to_text(tree)
        if parse(text)[0].tree == tree:
            return text
    except SyntaxProblem:
        pass
    raise Unmapped("cannot be written with the new names")


def _retagged(entry: Entry, own: Sequence[Names], relations: Mapping[Name, Name]) -> Entry:
    """The entry with the schema and the tag that pg_dump would give it."""
    moved = relations.get(Name(entry.schema, entry.tag))
    if moved is not None:  # a table, an index or a sequence
        return replace(entry, schema=moved.schema, tag=moved.name)
    if not own or entry.kind in ("STATISTICS",):
        return _of_index(entry, relations)
    one = own[0]
    old, new = one.old.name, one.new.name
    tag = entry.tag
    if entry.kind in _CALLED_AFTER:
        tag = f"{new} {tag.removeprefix(f'{old} ')}"
    elif entry.kind == "DEFAULT":
        tag = f"{new} {one.column(tag.removeprefix(f'{old} '))}"
    elif entry.kind == "PUBLICATION TABLE":
        tag = f"{tag.removesuffix(f' {old}')} {new}"
    elif entry.kind in ATTRIBUTES:
        tag = _attribute_tag(tag, one)
    return replace(entry, schema=one.new.schema if entry.schema else "", tag=tag)


def _attribute_tag(tag: str, one: Names) -> str:
    old, new = quote_identifier(one.old.name), quote_identifier(one.new.name)
    if tag == f"TABLE {old}":
        return f"TABLE {new}"
    for before, after in one.columns.items():
        if tag == f"COLUMN {old}.{quote_identifier(before)}":
            return f"COLUMN {new}.{quote_identifier(after)}"
    head = tag.removesuffix(f" ON {old}")
    return f"{head} ON {new}" if head != tag else tag


def _of_index(entry: Entry, relations: Mapping[Name, Name]) -> Entry:
    """The entry, if it is a comment on an index or a sequence that has moved."""
    if entry.kind not in ATTRIBUTES:
        return entry
    for old, new in relations.items():
        if entry.schema == old.schema and entry.tag.endswith(f" {quote_identifier(old.name)}"):
            return replace(entry, schema=new.schema)
    return entry


def _text(entry: Entry) -> str:
    return one_line(entry.definition.strip())


def rewritten_text(names: Mapping[Name, Names], text: str) -> str:
    """The definition of an index of a mapped table.

    Raises:
        Unmapped: it uses a column that is dropped.
    """
    tree = parse(text)[0].tree
    table = subject(tree)
    if table is not None and table in names:
        rename_columns(tree, names[table])
    rename_relations(tree, {one.old: one.new for one in names.values()})
    return _printed(tree)
