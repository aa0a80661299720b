"""What no stream of changes carries, in a plan: what a cutover copies again while writers wait, how
long that takes, and what does not fit. Pure: decides from what was read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from windlass.model.plan import RelationPlan
from windlass.model.relation import Name, Wire
from windlass.model.report import Loss, LossClass
from windlass.model.units import bytes_text, plural, seconds_text, several
from windlass.model.wording import word
from windlass.planning.estimate import (
    COPY_BYTE,
    FINGERPRINT_BYTE,
    REFRESH_BYTE,
    RELATION,
    TEXT_COPY,
)
from windlass.spec.fields.cutover import CUTOVER
from windlass.spec.model import parse_seconds

OBJECT = 0.0001  # seconds to compare a large object, in addition to its bytes
FREEZE_SECONDS = parse_seconds(str(CUTOVER["max-freeze"].default))
SHARE = 2  # copies may take one part in so many of a freeze
MOST_NAMED = 5
_STAYS = "no stream carries what is written to {} after the copy"


@dataclass(frozen=True, slots=True)
class Unstreamed:
    """What the source has of it."""

    tables: Sequence[RelationPlan] = ()  # unlogged
    objects: int = 0
    object_bytes: int = 0
    views: Sequence[Name] = ()  # of the target
    refreshed_bytes: int = 0  # that the views read

    @property
    def copied(self) -> list[RelationPlan]:
        return [one for one in self.tables if not cannot_recopy(one)]

    @property
    def copy_seconds(self) -> float:
        """Seconds to copy unlogged tables and large objects; the latter are compared twice."""
        tables = sum(map(_table_seconds, self.copied))
        return tables + 2 * (self.object_bytes * FINGERPRINT_BYTE + self.objects * OBJECT)


def cannot_recopy(item: RelationPlan) -> str:
    """Why the rows of both sides cannot be exchanged as a whole; empty if they can."""
    if item.enters != item.target:
        return f"its rows are spread over the partitions of {item.enters}"
    if any(one.conversion is not None or one.dropped for one in item.columns):
        return "its columns have other types on the target"
    return ""


def unstreamed_losses(found: Unstreamed) -> Iterator[Loss]:
    """What is copied, does not follow the source after that, and is too much for a freeze."""
    for item in found.tables:
        if reason := cannot_recopy(item):
            message = f"is unlogged: {_STAYS.format('it')}, and a cutover cannot copy it: {reason}"
            yield Loss(str(item.relation.name), message, LossClass.VALUES)
    if found.copy_seconds <= FREEZE_SECONDS / SHARE:
        return
    why = (
        f"a cutover stops writers to copy it again, about {seconds_text(found.copy_seconds)}, which"
        f" takes its {word('max-freeze', f'{2 * SHARE * found.copy_seconds:.0f}s')};"
        f" {word('no-recopy')} leaves it as it was copied"
    )
    for item in found.copied:
        message = f"is unlogged: {_STAYS.format('it')}; {why}"
        yield Loss(str(item.relation.name), message, LossClass.VALUES)
    if found.objects:
        message = f"{plural(found.objects, 'large object')}: {_STAYS.format('them')}; {why}"
        yield Loss("large objects", message, LossClass.VALUES)


def unstreamed_notices(found: Unstreamed) -> Iterator[str]:
    """What a cutover copies again or refreshes while writers wait."""
    parts = []
    if found.copied:
        names = several([str(one.relation.name) for one in found.copied], MOST_NAMED)
        size = sum(one.relation.size_bytes for one in found.copied)
        tables = plural(len(found.copied), "unlogged table")
        parts.append(f"{tables} ({names}; {bytes_text(size)})")
    if found.objects:
        size_text = bytes_text(found.object_bytes)
        parts.append(f"{plural(found.objects, 'large object')} ({size_text})")
    if parts and found.copy_seconds <= FREEZE_SECONDS / SHARE:
        yield (
            f"not in a stream of changes: {' and '.join(parts)}; a cutover copies them again while"
            f" writers wait, about {seconds_text(found.copy_seconds)}"
        )
    if found.views:
        seconds = found.refreshed_bytes * REFRESH_BYTE + len(found.views) * RELATION
        names = several(list(map(str, found.views)), MOST_NAMED)
        views = f"{plural(len(found.views), 'materialized view')} ({names})"
        if found.copy_seconds + seconds <= FREEZE_SECONDS / SHARE:
            how = f"a cutover refreshes them while writers wait, about {seconds_text(seconds)}"
        else:
            how = (
                f"to refresh them takes about {seconds_text(seconds)}: a cutover does so with those"
                " that fit into its freeze, and names the others"
            )
        yield f"not in a stream of changes: {views}; {how}"


def _table_seconds(item: RelationPlan) -> float:
    times = TEXT_COPY if item.wire is Wire.TEXT else 1.0
    return RELATION + item.relation.size_bytes * COPY_BYTE * times
