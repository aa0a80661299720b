"""What is known of the columns that an expression or a query of another engine uses."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from windlass.model.translation import Sort, Type

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True, slots=True)
class Known:
    """By names on the target. `in_other_bytes` are texts whose bytes are others on the target;
    `others` are names that a query gives to what is no text. A column that is in neither can have
    any type, and ignore case if `some_ignore_case`."""

    types: Mapping[str, Type]
    in_other_bytes: Collection[str] = ()
    others: Collection[str] = ()
    some_ignore_case: bool = False

    def sorts(self, tree: exp.Expr) -> set[Sort]:
        """Those that the columns within can have."""
        from sqlglot import exp

        found: set[Sort] = set()
        for one in tree.find_all(exp.Column):
            type_ = self.types.get(one.name)
            found |= set(Sort) if type_ is None else {type_.sort}
        return found

    def types_in(self, tree: exp.Expr) -> list[Type]:
        from sqlglot import exp

        names = [one.name for one in tree.find_all(exp.Column)]
        return [self.types[one] for one in names if one in self.types]

    def is_text(self, tree: exp.Expr) -> bool | None:
        """Whether its value is a text; None if it could be one, as a constant in quotes."""
        from sqlglot import exp

        inner = tree.unnest()
        if isinstance(inner, exp.Column):
            type_ = self.types.get(inner.name)
            if type_ is None:
                return False if inner.name in self.others else None
            return type_.sort is Sort.TEXT
        if isinstance(inner, exp.Cast):
            return inner.args["to"].this in exp.DataType.TEXT_TYPES
        if isinstance(inner, exp.Literal) and not inner.is_string:
            return False
        if isinstance(inner, exp.DPipe | exp.Concat | exp.ConcatWs):
            return True
        if isinstance(inner, exp.Case | exp.If | exp.Coalesce | exp.Greatest | exp.Least):
            parts = [one for one in _results(inner) if not is_constant(one)]
            found = {self.is_text(one) for one in parts}
            return True if True in found else None if None in found or not found else False
        if isinstance(inner, _made_of_text()):
            return self.is_text(inner.this)
        return False if isinstance(inner, _never_text()) else None

    def is_made_of_text(self, tree: exp.Expr) -> bool:
        """Whether a column within could be a text."""
        from sqlglot import exp

        return any(self.is_text(one) is not False for one in tree.find_all(exp.Column))

    def ignores_case(self, tree: exp.Expr) -> bool | None:
        """Whether the texts in it do; None if some do, or it is not known."""
        from sqlglot import exp

        found: set[bool | None] = set()
        for one in tree.find_all(exp.Column):
            type_ = self.types.get(one.name)
            if type_ is not None and type_.sort is Sort.TEXT:
                found.add(type_.ignores_case)
            elif type_ is None and one.name not in self.others and self.some_ignore_case:
                found.add(None)
        return None if None in found or len(found) > 1 else True in found


def is_constant(tree: exp.Expr) -> bool:
    """Whether it is a text, or NULL, whose type depends on what is beside it."""
    from sqlglot import exp

    inner = tree.unnest()
    return isinstance(inner, exp.Null) or (isinstance(inner, exp.Literal) and inner.is_string)


def _results(node: exp.Expr) -> list[exp.Expr]:
    """What could be the value of the node."""
    from sqlglot import exp

    if isinstance(node, exp.Case | exp.If):
        branches = [one.args["true"] for one in node.args.get("ifs") or [node]]
        last = node.args.get("default") or node.args.get("false")
        return branches if last is None else [*branches, last]
    return [node.this, *node.expressions]


def _made_of_text() -> tuple[type[exp.Expr], ...]:
    """Whose value is of the type of their first part."""
    from sqlglot import exp

    return (
        *(exp.Lower, exp.Upper, exp.Substring, exp.Left, exp.Right, exp.Trim, exp.Pad),
        *(exp.Replace, exp.Reverse, exp.Repeat, exp.Nullif, exp.Collate, exp.Max, exp.Min),
        *(exp.Window, exp.Paren, exp.Ordered, exp.Alias),
    )


def _never_text() -> tuple[type[exp.Expr], ...]:
    from sqlglot import exp

    return (
        *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg, exp.Predicate),
        *(exp.And, exp.Or, exp.Not, exp.Count, exp.Sum, exp.Avg, exp.Length, exp.StrPosition),
        *(exp.Round, exp.Abs, exp.Ceil, exp.Floor, exp.Trunc, exp.Sign, exp.Sqrt, exp.Boolean),
        *(exp.Date, exp.TsOrDsToDate, exp.Year, exp.Month, exp.Day, exp.Extract, exp.DateDiff),
        *(exp.CurrentDate, exp.CurrentTimestamp, exp.RowNumber, exp.Rank, exp.DenseRank),
    )
