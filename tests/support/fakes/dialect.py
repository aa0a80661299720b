"""What BigQuery refuses, whatever its tables hold: other dialects, other layouts of a table."""

from __future__ import annotations

from typing import Any

import sqlglot
from sqlglot import ErrorLevel, ParseError, exp
from sqlglot.optimizer.scope import traverse_scope

Json = dict[str, Any]


class Fault(Exception):
    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


def check_dialect(query: str) -> None:
    """Refuse what is not BigQuery's SQL, or what it cannot run: a subquery that refers to the row
    of the outer query by anything but `=` cannot be de-correlated.

    Raises:
        Fault: as BigQuery's.
    """
    try:
        (parsed,) = sqlglot.parse(query, read="bigquery", error_level=ErrorLevel.RAISE)
    except ParseError as error:
        raise Fault(400, "invalidQuery", f"Syntax error: {error}") from None
    found = parsed.expression if isinstance(parsed, exp.Insert) else parsed
    for scope in traverse_scope(found) if isinstance(found, exp.Query) else ():
        for column in scope.external_columns:
            if column.table and not isinstance(column.parent, exp.EQ):
                message = (
                    "Correlated subqueries that reference other tables are not supported unless"
                    " they can be de-correlated, such as by transforming them into an efficient"
                    f" JOIN: {column.sql()}"
                )
                raise Fault(400, "invalidQuery", message)


def check_layout(there: Json, config: Json) -> None:
    for key in ("timePartitioning", "rangePartitioning", "clustering"):
        if there.get(key) != config.get(key):
            message = (
                f"Incompatible table partitioning specification. Expects {key}"
                f" {there.get(key)}, but input is {config.get(key)}"
            )
            raise Fault(400, "invalid", message)
    secret = config.get("destinationEncryptionConfiguration")
    if there.get("encryptionConfiguration") != secret:
        raise Fault(400, "invalid", "The table's encryption key would change")
