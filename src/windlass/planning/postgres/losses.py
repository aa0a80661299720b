"""Every loss: what the target will lack, or will have in another form than the source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from windlass.engines.postgres.relation import CatalogRelation
from windlass.model.report import Loss, LossClass
from windlass.planning.postgres.access import large_object_losses
from windlass.planning.postgres.decided import Decided
from windlass.planning.postgres.locale import locale_losses
from windlass.planning.postgres.own import own_losses
from windlass.planning.postgres.undumped import undumped_losses
from windlass.spec.choices import Extent

_ANY_BYTES = "SQL_ASCII"


def plan_losses(decided: Decided) -> tuple[Loss, ...]:
    """First the losses of rows, then of definitions, then of the database as a whole."""
    definitions, scope, read = decided.definitions, decided.scope, decided.read
    wanted = scope.wanted
    return (
        *decided.tables.losses,
        *decided.sequences.losses,
        *definitions.written.losses,
        *decided.properties.losses,
        *decided.closed.losses,
        *scope.losses,
        *definitions.barred,
        *(() if wanted.schemas or wanted.include else own_losses(read.source.own_schemas)),
        *definitions.aside.losses,
        *_encoding(decided),
        *_invalid_indexes(decided),
        *_inherited(scope.relations),
        *_subscriptions(decided),
        *_locale(decided),
        *(large_object_losses(scope.sides) if decided.large_objects.count else ()),
        *(_undumped(decided) if decided.request.migrates else ()),
        *(_silenced(decided) if decided.request.migrates else ()),
    )


def _encoding(decided: Decided) -> Iterator[Loss]:
    source = decided.read.source.catalog.server.encoding
    target = decided.read.target.catalog.server.encoding
    if source != target:
        yield _encoding_loss(source, target)


def _encoding_loss(source: str, target: str) -> Loss:
    if source == _ANY_BYTES:
        why = (
            f"the source has {source}, which holds any bytes: the target takes valid {target} only"
        )
        return Loss("encoding", why, LossClass.VALUES)
    if target == _ANY_BYTES:
        why = f"text is stored in UTF8, and {target} counts and compares its bytes"
        return Loss("encoding", why, LossClass.BEHAVIOUR)
    why = f"text is converted from {source} to the target's {target}"
    return Loss("encoding", why, LossClass.ENCODING)


def _invalid_indexes(decided: Decided) -> Iterator[Loss]:
    schemas = {relation.name.schema for relation in decided.scope.relations}
    why = "is left out: it is not valid on the source, and no query uses it"
    for name in decided.read.source.invalid_indexes:
        if name.schema in schemas:
            yield Loss(f"index {name}", why, LossClass.OBJECTS)


def _inherited(relations: Iterable[CatalogRelation]) -> list[Loss]:
    """Tables that pg_dump's CREATE TABLE ... INHERITS makes different from the source's."""
    order = "gets its columns in another order: the inherited ones first"
    nulls = (
        "may be NULL although the parent's may not, and becomes NOT NULL: a NULL in it stops the"
        " run"
    )
    reordered = [
        Loss(str(one.name), order, LossClass.BEHAVIOUR) for one in relations if one.family.reordered
    ]
    loosened = [
        Loss(str(one.name), f"column {column} {nulls} the run", LossClass.BEHAVIOUR)
        for one in relations
        for column in one.family.loosened
    ]
    return [*reordered, *loosened]


def _subscriptions(decided: Decided) -> Iterator[Loss]:
    why = "is not carried over: what it connects to may hold a password; create it again"
    if decided.scope.wanted.is_everything:
        for name in decided.read.source.subscriptions:
            yield Loss(f"subscription {name}", why, LossClass.SECRETS)


def _locale(decided: Decided) -> Iterable[Loss]:
    """If only rows are loaded, the behaviour of the tables is the target's own."""
    if decided.request.spec.extent is Extent.DATA:
        return ()
    return locale_losses(decided.read.source.locale, decided.read.target.locale)


def _undumped(decided: Decided) -> Iterator[Loss]:
    user = decided.read.source.catalog.server.user
    return undumped_losses(decided.undumped, decided.definitions.entries, user)


def _silenced(decided: Decided) -> Iterator[Loss]:
    message = (
        "is filled with its triggers off: only those that are ENABLE ALWAYS or REPLICA fire, and"
        " its foreign keys are not checked"
    )
    for name in decided.filled_with_triggers():
        yield Loss(str(name), message, LossClass.TRIGGERS)
