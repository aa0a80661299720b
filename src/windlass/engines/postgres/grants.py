"""What a sequence of GRANT and REVOKE leaves, whatever version it was dumped from."""

from __future__ import annotations

from pglast import ast, parse_sql

Privileges = dict[tuple[str, str], frozenset[str]]
"""Privileges by grantee (with its grant option) and column ("" for the whole object)."""

# What ALL means depends on the kind of object and on the version. MAINTAIN (17) is left out: an
# owner has it there without ever having been granted it.
_ALL = frozenset(("INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"))
_SINCE_17 = {"MAINTAIN"}


def privileges(script: str) -> Privileges:
    """What the statements of one object's archive entry leave to each role.

    A role that is revoked from first had everything, as pg_dump only writes that of an owner.
    """
    held: dict[tuple[str, str], set[str]] = {}
    for parsed in parse_sql(script):
        if isinstance(parsed.stmt, ast.GrantStmt):
            _apply(parsed.stmt, held)
    return {key: frozenset(some) for key, some in held.items() if some}


def _apply(grant: ast.GrantStmt, held: dict[tuple[str, str], set[str]]) -> None:
    for role in grant.grantees or ():
        who = (
            f"{role.rolename or role.roletype}{' with grant option' if grant.grant_option else ''}"
        )
        for privilege in grant.privileges or (ast.AccessPriv(),):
            name = (privilege.priv_name or "").upper()
            some = {name} - _SINCE_17 if name else _ALL
            for column in privilege.cols or (None,):
                key = (who, column.sval if column else "")
                mine = held.setdefault(key, set() if grant.is_grant else set(_ALL))
                if grant.is_grant:
                    mine |= some
                else:
                    mine -= some
