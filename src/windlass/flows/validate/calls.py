"""Compares what dumps do not show: which of several overloaded routines a definition calls.

PostgreSQL prints a call by name, and resolves overloads when it parses that again. So the same
definition may call another routine on the target, if more overloads exist there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from windlass.engines.postgres.calls import Call, read_calls
from windlass.flows.sides import Sides
from windlass.flows.validate.pairing import filled
from windlass.model.plan import Purpose
from windlass.model.relation import Name
from windlass.model.report import Difference, DifferenceKind
from windlass.planning.naming import target_name
from windlass.planning.postgres.inputs import wanted
from windlass.planning.postgres.target_names import renamed_text
from windlass.trust.overloads import read_overloads


def call_differences(run: Sides, reported: Collection[str]) -> Iterator[Difference]:
    """The differences in calls, except for objects that are already `reported`."""
    source = read_calls(run.sessions().source(run.snapshot.id), side="source")
    target = read_calls(run.sessions().target(), side="target")
    renamed = run.plan.renamed
    expected = _signatures(_renamed(one, renamed) for one in source)
    is_compared = _is_compared(run)
    found = _signatures(one for one in target if is_compared(one.owner))
    owners = {(one.kind, one.caller): str(one.owner) for one in target if one.owner.name}
    for key in sorted(expected.keys() & found.keys()):
        kind, caller, _ = key
        object_ = f"{kind} {caller}"
        if expected[key] != found[key] and object_ not in reported:
            sides = f"{_listed(expected[key])} on the source and {_listed(found[key])} on the"
            message, relation = f"calls {sides} target", owners.get((kind, caller), "")
            yield Difference(DifferenceKind.SCHEMA, object_, message, relation=relation)


def overload_differences(run: Sides) -> Iterator[Difference]:
    """Overloads owned by untrusted roles. A plan refuses them, so these are newer. They could be
    called by code that is only text until it runs, such as a PL/pgSQL body."""
    source, target = run.sessions().source(run.snapshot.id), run.sessions().target()
    for problem in read_overloads(source, target, run.plan.objects.owners, run.plan.schemas):
        yield Difference(DifferenceKind.SCHEMA, problem.object, problem.message)


_Signatures = dict[tuple[str, str, Name], set[str]]


def _signatures(calls: Iterable[Call]) -> _Signatures:
    """Signatures by kind and name of the calling object, and by the name of the called routine."""
    found: _Signatures = defaultdict(set)
    for one in calls:
        found[one.kind, one.caller, one.routine].add(one.signature)
    return found


def _renamed(call: Call, schemas: Mapping[str, str]) -> Call:
    return replace(
        call,
        caller=renamed_text(call.caller, schemas),
        routine=target_name(call.routine, schemas),
        signature=renamed_text(call.signature, schemas),
    )


def _is_compared(run: Sides) -> Callable[[Name], bool]:
    """Whether objects of this owner are compared, by the target's names."""
    plan, chosen = run.plan, wanted(run.spec)
    relations = set(plan.targets)
    relations -= set() if run.purpose is Purpose.COMPARE else filled(plan)
    schemas = set() if chosen.include else set(plan.schemas.values())

    def is_compared(owner: Name) -> bool:
        if owner.name:
            return owner in relations
        return chosen.is_everything or owner.schema in schemas

    return is_compared


def _listed(signatures: Collection[str]) -> str:
    return " and ".join(sorted(signatures))
