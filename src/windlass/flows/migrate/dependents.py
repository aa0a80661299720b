"""The step `repoint_dependents`: recreates objects that refer to set-aside ones, so that they refer
to the new ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from windlass.aside.dependents import repoint
from windlass.aside.objects import note_of
from windlass.engines.postgres.catalog import Existing
from windlass.engines.postgres.ddl import try_statement
from windlass.engines.postgres.references import Reference, read_references
from windlass.engines.postgres.session import Connection
from windlass.flows.migrate.portions import REPOINT, REPOINTED
from windlass.flows.migrate.work import Work
from windlass.model.flow import Item, Result
from windlass.model.plan import Dependent, Plan
from windlass.model.report import Difference, DifferenceKind
from windlass.model.statement import Phase, Statement
from windlass.planning.naming import is_backup


def repoint_dependents(run: Work, _: Item) -> Result:
    """Runs when the new relations are complete: all in one transaction, then foreign keys one by
    one."""
    dependents = run.plan.dependents
    if not dependents:
        return {}
    done = run.once(REPOINT, REPOINTED, partial(_repoint, run.plan))
    for dependent in dependents:
        if dependent.validate:
            is_made = dependent.object in done.get("objects", ())
            work = partial(_validate, dependent) if is_made else _nothing
            run.once(REPOINT, dependent.object, work)
    return {"objects": len(done.get("objects", ()))}


def remade_statements(plan: Plan) -> Iterator[Statement]:
    """The dependents' statements in an archive of the target made after they were recreated."""
    for dependent in plan.dependents:
        for statement in dependent.statements:
            if not statement.id:  # the archive includes it in a relation's text
                continue
            text = statement.sql
            if dependent.validate and statement.kind == "FK CONSTRAINT":
                text = text.replace(" NOT VALID;\n", ";\n")
            yield replace(statement, sql=text)


def astray(plan: Plan, target: Connection, existing: Existing) -> list[Difference]:
    """Problems for objects that refer to something set aside and are not set aside themselves."""
    places = {(one.name.schema and one.backup_schema) for one in plan.set_aside} - {""}
    renamed = {(one.kind, one.backup_schema) for one in plan.set_aside if not one.name.schema}
    aside = {
        address
        for (kind, schema, name, _), address in existing.addresses.items()
        if schema in places or (not schema and (kind, name) in renamed)
    }
    if not aside:
        return []
    found = [one for one in read_references(target) if one.to in aside and one.top not in aside]
    of_types = {one.part for one in found if _is_of_type(one)}
    return [
        Difference(
            DifferenceKind.SCHEMA, one.object, f"refers to {one.refers_to}, which is set aside"
        )
        for one in found
        if one.part not in of_types and not is_backup(one.schema)
    ]


def _is_of_type(one: Reference) -> bool:
    """Whether it is a cast or transform of a set-aside type, with which it stays."""
    return one.kind in ("CAST", "TRANSFORM") and not one.refers_to.startswith("function ")


def _repoint(plan: Plan, connection: Connection) -> Result:
    done = repoint(connection, plan.dependents, {one.address for one in plan.set_aside})
    losses = [one.to_json() for one in done.losses]
    return {"moves": note_of(done.moves), "objects": done.objects, "losses": losses}


def _nothing(_: Connection) -> Result:
    return {}


def _validate(dependent: Dependent, connection: Connection) -> Result:
    key = dependent.statements[0]
    statement = Statement(key.id, key.kind, key.name, dependent.validate, "", Phase.VALIDATE)
    loss = try_statement(connection, statement, "stays NOT VALID, as the rows violate it")
    return {"losses": [loss.to_json()]} if loss else {}
