"""The actions of the page within Airflow: which DAG does each, and with which configuration.

The DAGs have their usual names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from windlass.airflow.findings import REPAIR_DAG, ROLLBACK_DAG, VALIDATION_DAG
from windlass.airflow.page_links import CONNECTIONS, SECTION
from windlass.errors import BadSpec, Refused
from windlass.model.outcome import RunDetail, RunStatus
from windlass.model.report import Problem
from windlass.spec.choices import Verify
from windlass.web.actions import Action, action_named
from windlass.web.comparing import about_rows

_BY_SELECTION = ("schema", "map_schema", "exclude", "include", "verify", "follow")


@dataclass(frozen=True, slots=True)
class Sides:
    """The connections of a target of the page. `source` is empty if the setting names none."""

    target: str
    source: str = ""


def sides_in(text: str) -> list[Sides]:
    """The connections that the setting names.

    Raises:
        BadSpec: with every fault.
    """
    found, faults = [], []
    for one in filter(None, (part.strip() for part in text.split(","))):
        source, mark, target = (word.strip() for word in one.rpartition(">"))
        if not target or bool(mark) != bool(source) or ">" in source:
            faults.append(f"[{SECTION}] {CONNECTIONS}: {one}: neither TARGET nor SOURCE > TARGET")
        found.append(Sides(target, source))
    if faults:
        raise BadSpec(faults)
    return found


Conf = Callable[[Sides, RunDetail, bool], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class DagAct:
    """An action of the page, and the DAG that does it."""

    action: Action
    dag_id: str
    conf: Conf  # of its run; refuses what its form cannot hold
    flows: tuple[str, ...] = ()  # those to whose runs it applies; empty: all
    is_recorded: bool = True  # in the journal, by the DAG itself

    def applies(self, sides: Sides, status: RunStatus) -> bool:
        if self.action.needs_source and not sides.source:
            return False
        return self.action.applies(status) and (not self.flows or status.flow in self.flows)


def _rollback(sides: Sides, detail: RunDetail, force: bool) -> dict[str, Any]:
    run = {"target_conn_id": sides.target, "run": detail.status.run}
    return {**run, "force": force, "yes": True}


def _repair(sides: Sides, detail: RunDetail, force: bool) -> dict[str, Any]:
    return {**_selection(sides, detail, REPAIR_DAG), "run": detail.status.run, "yes": True}


def _verify(sides: Sides, detail: RunDetail, force: bool) -> dict[str, Any]:
    return {**_selection(sides, detail, VALIDATION_DAG), "level": "full"}


def _selection(sides: Sides, detail: RunDetail, dag_id: str) -> dict[str, Any]:
    """What a run has copied, in the fields of a form.

    Raises:
        Refused: the form has no field for it.
    """
    asked = {key.replace("-", "_"): one for key, one in about_rows(detail.options).items()}
    schemas = list(asked.get("schema") or ())
    renamed = dict(asked.get("map_schema") or {})
    beyond = [key for key, one in asked.items() if key not in _BY_SELECTION and one]
    if asked.get("verify") == Verify.NONE:
        beyond.append("verify")
    if renamed.keys() - set(schemas):
        beyond.append("map_schema")
    if any("," in name for name in (*schemas, *renamed.values())):
        beyond.append("schema")
    if beyond:
        message = f"was made with {', '.join(beyond)}, for which the form of {dag_id} has no field"
        hint = "make a DAG of the spec of this run: windlass.airflow.repair_dag takes one"
        raise Refused([Problem(f"run {detail.status.run}", message, hint)])
    return {
        "source_conn_id": sides.source,
        "target_conn_id": sides.target,
        "source_schema": ", ".join(schemas) or None,
        "target_schema": ", ".join(renamed.get(one, one) for one in schemas) if renamed else None,
        "exclude_tables": list(asked.get("exclude") or ()),
        "include_tables": list(asked.get("include") or ()),
    }


def _named(name: str) -> Action:
    found = action_named(name)
    assert found is not None
    return found


_COPIES = ("migrate", "follow")  # flows from PostgreSQL into PostgreSQL
ACTS = {
    one.action.name: one
    for one in (
        DagAct(_named("verify"), VALIDATION_DAG, _verify, _COPIES, is_recorded=False),
        DagAct(_named("repair"), REPAIR_DAG, _repair, _COPIES),
        DagAct(_named("rollback"), ROLLBACK_DAG, _rollback),
    )
}
