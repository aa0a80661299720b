"""Which properties of the source's database are set on the target's, and which are lost."""

from __future__ import annotations

from dataclasses import dataclass

from windlass.engines.postgres.database import (
    Key,
    Properties,
    describe_property,
    give_property,
)
from windlass.engines.postgres.trial import TryOut
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.statement import Phase, Statement
from windlass.model.wording import word
from windlass.spec.choices import Existing as OnExisting

KIND = "DATABASE PROPERTY"
# keeps the source's writers out while it is migrated; the copy is there to be written to
CLOSED: Key = ("setting", "", "default_transaction_read_only")


@dataclass(frozen=True, slots=True)
class Carried:
    statements: tuple[Statement, ...] = ()
    losses: tuple[Loss, ...] = ()
    problems: tuple[Problem, ...] = ()


def carry_properties(
    source: Properties,
    target: Properties,
    *,
    database: str,
    roles: frozenset[str],
    existing: OnExisting,
    try_out: TryOut,
    sessions: int,
) -> Carried:
    """The statements that give the target's database the source's properties, each with the
    statement that restores the old property.

    `sessions` is how many sessions a run needs if a connection limit would apply to them; otherwise
    0.
    """
    losses: list[Loss] = []
    problems: list[Problem] = []
    wanted: dict[Key, str | None] = {}
    for key, value in _differing(source, target).items():
        is_taken = key in target.values and key[0] not in ("grant", "option")
        if key == CLOSED and value is None:
            continue  # a separate problem, which says how to lift it
        if key[1] and key[1] not in roles:
            losses.append(_absent(key))
        elif key[0] == "limit" and value is not None and int(value) < sessions:
            message = f"is {value}, and this migration needs {sessions}: set it afterwards"
            losses.append(Loss(describe_property(key), message, _class_of(key)))
        elif not is_taken or existing is OnExisting.REPLACE:
            wanted[key] = value
        elif value is None or existing is OnExisting.FILL:
            only = "is on the target only, and stays" if value is None else "stays as it is there"
            losses.append(Loss(describe_property(key), only, _class_of(key)))
        else:
            problems.append(_conflict(database, key))
    statements = {key: _statement(database, key, value, target) for key, value in wanted.items()}
    refused = try_out(statement.sql for statement in statements.values())
    for key, statement in statements.items():
        if reason := refused.get(statement.sql):
            losses.append(Loss(describe_property(key), f"cannot be set: {reason}", _class_of(key)))
    able = (one for one in statements.values() if one.sql not in refused)
    return Carried(tuple(able), tuple(losses), tuple(problems))


def property_differences(source: Properties, target: Properties) -> dict[str, str]:
    """The properties that differ, in words for people, and how."""
    return {
        describe_property(key): (
            "is missing on the target"
            if key not in target.values
            else "is on the target only"
            if value is None
            else "is different on the target"
        )
        for key, value in _differing(source, target).items()
    }


def closed_notices(source: Properties, target: Properties) -> list[str]:
    """The only property that is not carried over: that a database is closed for writing."""
    if not _is_on(source.values.get(CLOSED)) or _is_on(target.values.get(CLOSED)):
        return []
    return [
        "the source's database is set default_transaction_read_only = on, which is not carried"
        " over: the target stays open for writing"
    ]


def _is_on(value: str | None) -> bool:
    """Whether a boolean setting is on, in any spelling."""
    return (value or "").lower().startswith(("on", "t", "y", "1"))


def _differing(source: Properties, target: Properties) -> dict[Key, str | None]:
    """The source's properties that differ on the target; None for those that only the target has.
    Grants to roles other than PUBLIC are the target's own business, and the target may be open for
    writing although the source is closed."""
    found: dict[Key, str | None] = {
        key: value
        for key, value in sorted(source.values.items())
        if target.values.get(key) != value
        and not _has_more(key, target)
        and not (key == CLOSED and _is_on(value))
    }
    is_granted = {key for key in target.values if key[0] in ("grant", "option") and key[1]}
    only_there = target.values.keys() - source.values.keys() - is_granted
    return found | dict.fromkeys(sorted(only_there))


def _has_more(key: Key, target: Properties) -> bool:
    """Whether the target has the right to grant, which includes this right to use."""
    return key[0] == "grant" and ("option", *key[1:]) in target.values


def _absent(key: Key) -> Loss:
    is_grant = key[0] in ("grant", "option")
    message = f"is lost: role {key[1]} does not exist on the target"
    return Loss(describe_property(key), message, LossClass.GRANTS if is_grant else LossClass.ROLES)


def _class_of(key: Key) -> LossClass:
    if key[0] in ("grant", "option"):
        return LossClass.GRANTS
    return LossClass.COMMENTS if key[0] == "comment" else LossClass.SETTINGS


def _conflict(database: str, key: Key) -> Problem:
    undo = give_property(database, key, None).strip().removesuffix(";")
    return Problem(
        describe_property(key),
        "is different on the target",
        f"{undo}, or {word('existing', 'replace')}, which rollback undoes",
    )


def _statement(database: str, key: Key, value: str | None, target: Properties) -> Statement:
    return Statement(
        id=0,
        kind=KIND,
        name=Name("", describe_property(key)),
        sql=give_property(database, key, value),
        drop=give_property(database, key, target.values.get(key)),
        phase=Phase.LAST,
    )
