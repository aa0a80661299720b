"""The CREATE TABLE of a mapped table: its columns under their new names, of their new types."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from windlass.engines.postgres.syntax import Node, expression_to_text, tree_of
from windlass.model.mapping import MappedColumn, Mapping
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.planning.postgres.mapped.expressions import type_node
from windlass.planning.postgres.mapped.trees import Names, Unmapped, columns_in, rename_columns

_LATE = "values of its columns are made once the rows are read"
Broken = Callable[[Mapping, str, str], str]
"""Given a table, the name of a check and its condition: what is wrong with it on the rows that
arrive; empty if all rows meet it."""


@dataclass(slots=True)
class Table:
    """One table, what its definition loses, and what people must decide."""

    one: Mapping
    own: Names
    broken: Broken
    losses: list[Loss]
    problems: list[Problem]
    left_out: list[str]  # checks that rows would break
    gone: set[tuple[Name, str]]  # constraints of a table that are not made

    def rewrite(self, tree: Node) -> None:
        """Rewrite the tree in place."""
        if tree.inhRelations or tree.ofTypename is not None or tree.partbound is not None:
            message = "has the columns of a parent table or of a type: it cannot be mapped"
            self.problems.append(
                Problem(str(self.one.relation), message, "leave it out of mapping")
            )
            return
        elements = list(tree.tableElts or ())
        columns = {one.colname: one for one in elements if one.tag == "ColumnDef"}
        others = [one for one in elements if one.tag != "ColumnDef"]
        made = [self._column(one, columns) for one in self.one.columns]
        tree.tableElts = (*made, *self._constraints(others))

    def _column(self, one: MappedColumn, columns: dict[str, Node]) -> Node:
        definition = columns.get(one.source)
        if definition is None or self.own.columns.get(one.source) != one.target:
            made: Node = tree_of("create table t (c int)").tableElts[0]
            made.colname, made.typeName = one.target, type_node(one.type)
            return made
        before = next(each for each in self.one.given if each.name == one.source)
        if before.type != one.type:
            definition.typeName, definition.collClause = type_node(one.type), None
        definition.colname = one.target
        definition.constraints = tuple(self._kept(one, definition)) or None
        return definition

    def _kept(self, one: MappedColumn, definition: Node) -> Iterator[Node]:
        """The column's own constraints that are valid for its new values."""
        for part in definition.constraints or ():
            if part.contype == "CONSTR_GENERATED":
                if not one.is_changed and self._is_computed(one, part):
                    yield part
            elif (
                part.contype == "CONSTR_DEFAULT"
                and one.source in self.own.retyped - self.own.recounted
            ):
                default = expression_to_text(part.raw_expr)
                self._lose(
                    f"column {one.target} has no default, as its type is another: {default}",
                    LossClass.BEHAVIOUR,
                )
            else:
                yield part

    def _is_computed(self, one: MappedColumn, part: Node) -> bool:
        used = columns_in(part.raw_expr)
        names = self.own.columns
        gone = sorted(used - names.keys())
        other = sorted(used & (self.one.changed | self.own.retyped))
        if gone or other:
            why = f"{gone[0]}, which is dropped" if gone else f"{other[0]}, whose values are others"
            message = f"column {one.source} is generated from {why}"
            hint = (
                f"drop it as well, or give it sql; {{sql: {one.source}}} keeps the source's values"
            )
            self.problems.append(Problem(str(self.one.relation), message, hint))
            return False
        rename_columns(part, self.own)
        return True

    def _constraints(self, others: list[Node]) -> Iterator[Node]:
        for part in others:
            if part.contype == "CONSTR_NOTNULL":
                kept = [one for one in part.keys or () if one.sval in self.own.columns]
                if kept:
                    rename_columns(part, self.own)
                    yield part
            elif self._holds(part):
                yield part

    def _holds(self, part: Node) -> bool:
        """Whether a check can be created; otherwise it is a loss."""
        used = columns_in(part.raw_expr) if part.raw_expr is not None else set()
        text = expression_to_text(part.raw_expr) if part.raw_expr is not None else ""
        try:
            rename_columns(part, self.own)
        except Unmapped as error:
            self.gone.add((self.one.relation, part.conname))
            self._lose(f"check {part.conname} {error}: {text}", LossClass.CONSTRAINTS)
            return False
        if used & self.one.changed:
            now = expression_to_text(part.raw_expr)
            late = used & self.one.late
            broken = _LATE if late else self.broken(self.one, part.conname, now)
            if broken:
                self.gone.add((self.one.relation, part.conname))
                self.left_out.append(check_of(self.one, part.conname))
                message = f"check {part.conname} is left out: {broken}: {text}"
                self._lose(message, LossClass.CONSTRAINTS)
                return False
        return True

    def _lose(self, message: str, kind: LossClass) -> None:
        self.losses.append(Loss(f"table {self.one.relation}", message, kind))


def check_of(mapping: Mapping, name: str) -> str:
    """A check, as `Objects.left_out` names it."""
    return f"check {mapping.relation} {name}"
