"""Fits tables to what DuckDB supports, and lists what that loses. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from windlass.model.conversion import DraftColumn, TableDraft
from windlass.model.relation import Name
from windlass.model.report import LossClass
from windlass.model.translation import Check, ForeignKey, Key

COUNTING = ("SMALLINT", "INTEGER", "BIGINT", "UINTEGER")
_NO_KEYS = ("INTERVAL",)  # and lists: no index takes these types

Lost = list[tuple[str, LossClass]]


def fitted(draft: TableDraft, known: Mapping[Name, TableDraft]) -> tuple[TableDraft, Lost]:
    lost: Lost = []
    columns = tuple(_columns(draft, lost))
    draft = replace(draft, columns=columns)
    draft = replace(
        draft,
        primary_key=_key(draft, lost),
        uniques=tuple(one for one in draft.uniques if not _unkeyed(draft, one.columns)),
        checks=tuple(_checks(draft, lost)),
    )
    return replace(draft, foreign_keys=tuple(_foreign_keys(draft, known, lost))), lost


def _columns(draft: TableDraft, lost: Lost) -> Iterator[DraftColumn]:
    counts = False
    for one in draft.columns:
        if one.generated and (one.plan.not_null or one.plan.carried.check):
            message = (
                f"column {one.plan.target} is computed, and DuckDB has no constraints on such"
                " columns: NOT NULL and lengths are not enforced"
            )
            lost.append((message, LossClass.CONSTRAINTS))
        if one.counts_up and (counts or one.plan.type not in COUNTING):
            why = "another one does" if counts else f"it is {one.plan.type}"
            message = f"column {one.plan.target} does not count up, as {why}"
            lost.append((message, LossClass.BEHAVIOUR))
            yield replace(one, counts_up=False)
            continue
        counts = counts or one.counts_up
        yield one


def _unkeyed(draft: TableDraft, columns: tuple[str, ...]) -> str:
    """Why these cannot be a key."""
    for name in columns:
        one = draft.column(name)
        if one.generated:
            return f"column {name} is computed"
        if one.plan.type in _NO_KEYS or one.plan.type.endswith("[]"):
            return f"{one.plan.type} is no type of a key in DuckDB"
    return ""


def _key(draft: TableDraft, lost: Lost) -> Key | None:
    key = draft.primary_key
    if key is None or not (why := _unkeyed(draft, key.columns)):
        return key
    lost.append((f"primary key {key.name} is not enforced, as {why}", LossClass.CONSTRAINTS))
    return None


def _checks(draft: TableDraft, lost: Lost) -> Iterator[Check]:
    computed = [one.plan.target for one in draft.columns if one.generated]
    for check in draft.checks:
        read = [name for name in computed if _quoted(name) in check.expression]
        if not read:
            yield check
            continue
        message = f"check {check.name} is not enforced, as column {read[0]} is computed"
        lost.append((f"{message}: {check.expression}", LossClass.CONSTRAINTS))


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _foreign_keys(
    draft: TableDraft, known: Mapping[Name, TableDraft], lost: Lost
) -> Iterator[ForeignKey]:
    for key in draft.foreign_keys:
        found = _foreign_key(draft, key, known)
        if isinstance(found, str):
            message = f"foreign key {key.name} is not enforced, as {found}"
            lost.append((message, LossClass.CONSTRAINTS))
            continue
        if lacks := _behaviour(key):
            message = f"foreign key {key.name} has no {' and no '.join(lacks)} in DuckDB"
            lost.append((message, LossClass.BEHAVIOUR))
        yield found


def _behaviour(key: ForeignKey) -> list[str]:
    plain = ("NO ACTION", "RESTRICT")
    lacks = [f"ON DELETE {key.on_delete}"] if key.on_delete not in plain else []
    if key.on_update not in plain:
        lacks.append(f"ON UPDATE {key.on_update}")
    return [*lacks, *(["deferring"] if key.is_deferrable else [])]


def _foreign_key(
    draft: TableDraft, key: ForeignKey, known: Mapping[Name, TableDraft]
) -> ForeignKey | str:
    """The foreign key as DuckDB accepts it: columns in the order of the key that they refer to."""
    parent = draft if key.refers_to == draft.name else known.get(key.refers_to)
    if parent is None:
        return f"{key.refers_to} refers to this table as well, and is made after it"
    if parent.name.schema != draft.name.schema:
        return "DuckDB has none between schemas"
    there = [one.columns for one in (parent.primary_key, *parent.uniques) if one is not None]
    columns = next((one for one in there if sorted(one) == sorted(key.referred)), None)
    if columns is None:
        return f"{key.refers_to} has no constraint on {', '.join(key.referred)} in DuckDB"
    pairs = dict(zip(key.referred, key.columns, strict=True))
    for name in columns:
        here, other = draft.column(pairs[name]), parent.column(name)
        if here.generated:
            return f"column {here.plan.target} is computed"
        if here.plan.type != other.plan.type:
            return f"{here.plan.target} is {here.plan.type}, and {name} {other.plan.type}"
    ordered = tuple(pairs[name] for name in columns)
    return replace(
        key, columns=ordered, referred=columns, on_update="NO ACTION", on_delete="NO ACTION",
        is_deferrable=False, is_deferred=False,
    )  # fmt: skip
