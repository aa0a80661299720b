"""The definitions of a source with mapped tables, as its plan decided them; for a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from windlass.engines.postgres.archive import Entry
from windlass.model.mapping import Mapping as Mapped
from windlass.model.plan import Plan
from windlass.model.relation import Name
from windlass.planning.postgres.mapped.entries import Rewriting, UsersOf
from windlass.planning.postgres.mapped.source import moved_sequences
from windlass.planning.postgres.mapped.tables import check_of
from windlass.planning.postgres.select import describe


@dataclass(frozen=True, slots=True)
class Again:
    """Entries and names as they were planned. `called` has the real names."""

    entries: Sequence[Entry]
    fed: Mapping[Name, Name]  # sequences, and the tables that they belong to
    called: Mapping[Name, Name]

    def relations(self, plan: Plan) -> set[Name]:
        """The plan's relations of the source, by the names that they are planned under."""
        planned = {old: new for new, old in self.called.items()}
        names = {planned.get(item.relation.name, item.relation.name) for item in plan.relations}
        return names | {name for _, name, _ in plan.objects.others}


def as_planned(
    plan: Plan, entries: Sequence[Entry], fed: Mapping[Name, Name], users_of: UsersOf
) -> Again:
    """The entries and names as planned. Nothing is counted again: what the plan leaves out stays
    left out."""
    tables = {one.mapping.relation: one.mapping for one in plan.relations if one.mapping}
    if not tables:
        return Again(entries, fed, {})
    left_out = set(plan.objects.left_out)

    def broken(one: Mapped, name: str, _: str) -> str:
        return "left out" if check_of(one, name) in left_out else ""

    sequences = moved_sequences(fed, tables)
    kept = [one for one in entries if describe(one) not in left_out]
    done = Rewriting(tables, sequences, broken).rewrite(kept, users_of)
    renamed = {name: one.into for name, one in tables.items()} | sequences
    return Again(
        done.entries,
        {renamed.get(one, one): renamed.get(owner, owner) for one, owner in fed.items()},
        {new: old for old, new in renamed.items()},
    )
