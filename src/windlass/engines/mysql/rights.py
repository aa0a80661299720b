"""Reads which rights a user has on a database, with those of the roles that are active. Leaves to
others what they are needed for.

MariaDB's SHOW GRANTS includes the grants of the current role and of the roles in it
(https://mariadb.com/kb/en/show-grants/). MySQL 8 lists roles, and resolves only those that are
named (https://dev.mysql.com/doc/refman/8.4/en/show-grants.html); `current_role()` has the active
ones, mandatory roles included. A role that is not active gives no right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from psycopg import sql

from windlass.engines.mysql.quoting import Quoted, listed, part

_NAME = r"`(?:[^`]|``)+`"
_RIGHTS = re.compile(rf"(GRANT|REVOKE) ([A-Z ,]+) ON (\*|{_NAME})\.\* (?:TO|FROM) ")
_ROLE = re.compile(rf"({_NAME})@({_NAME})")
_WILD = re.compile(r"\\(.)|([_%])|(.)", re.DOTALL)  # a name of a grant is a pattern of LIKE
ALL = "ALL PRIVILEGES"
# what ALL PRIVILEGES means on a database of MySQL 8, which alone can revoke a part of it
_OF_A_DATABASE = {
    "ALTER", "ALTER ROUTINE", "CREATE", "CREATE ROUTINE", "CREATE TEMPORARY TABLES", "CREATE VIEW",
    "DELETE", "DROP", "EVENT", "EXECUTE", "INDEX", "INSERT", "LOCK TABLES", "REFERENCES", "SELECT",
    "SHOW VIEW", "TRIGGER", "UPDATE",
}  # fmt: skip

Run = Callable[[sql.Composable | str], Sequence[Sequence[Any]]]


def read_rights(run: Run, database: str, *, is_mariadb: bool, version: tuple[int, ...]) -> set[str]:
    """The rights of the session's user on all of a database, in capitals. `run` runs a query."""
    query: sql.Composable | str = "show grants"
    if not is_mariadb and version >= (8,):
        query = resolved(_text(run("select current_role()")[0][0]))
    return rights_on([_text(row[0]) for row in run(query)], database)


def resolved(roles: str) -> sql.Composable | str:
    """The query of MySQL's grants. `roles` are as `current_role()` writes them."""
    found = [
        part("{}@{}", Quoted(_plain(name)), Quoted(_plain(host)))
        for name, host in _ROLE.findall(roles)
    ]
    return (
        part("show grants for current_user() using {}", listed(found)) if found else "show grants"
    )


def rights_on(grants: Iterable[str], database: str) -> set[str]:
    """The rights that grants give on all of a database. One on all databases may be revoked for
    this one (MySQL's `partial_revokes`), by its name, which is no pattern
    (https://dev.mysql.com/doc/refman/8.4/en/partial-revokes.html)."""
    given: set[str] = set()
    revoked: set[str] = set()
    for one in grants:
        found = _RIGHTS.match(one)
        if found is None:
            continue
        words = {word.strip() for word in found[2].split(",")}
        if found[1] == "REVOKE":
            revoked |= words if found[3] == "*" or _plain(found[3]) == database else set()
        elif found[3] == "*" or _fits(_plain(found[3]), database):
            given |= words
    if revoked:
        given, revoked = _each(given), _each(revoked)
    return given - revoked


def _each(rights: set[str]) -> set[str]:
    return (rights - {ALL}) | _OF_A_DATABASE if ALL in rights else rights


def _text(value: Any) -> str:
    return (value or b"").decode("utf-8", "surrogateescape")


def _fits(pattern: str, database: str) -> bool:
    made = _WILD.sub(
        lambda one: {"_": ".", "%": ".*"}.get(one[2]) or re.escape(one[1] or one[3]), pattern
    )
    return re.fullmatch(made, database, re.IGNORECASE | re.DOTALL) is not None


def _plain(name: str) -> str:
    return name[1:-1].replace("``", "`")
