"""How text is affected if the target's database sorts it by another locale."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.engines.postgres.locale import Locale
from windlass.model.report import Loss, LossClass

_OBJECT = "locale of the database"
_CREATE = "create the target database with the source's locale"


def locale_losses(source: Locale, target: Locale) -> Iterator[Loss]:
    """Indexes are built in the target's order, but queries return other results."""
    found = []
    if not source.sorts_like(target):
        found.append(f"text sorts by {_sorting(source)} on the source and {_sorting(target)}")
    if not source.classifies_like(target):
        of = f"{source.classification} on the source and {target.classification}"
        found.append(f"upper() and lower() follow {of}")
    if found:
        message = (
            f"{' on the target, and '.join(found)} on the target: ORDER BY, comparisons, patterns"
            f" and checks of text may give other results; to avoid that, {_CREATE}"
        )
        yield Loss(_OBJECT, message, LossClass.BEHAVIOUR)


def locale_notices(source: Locale, target: Locale) -> Iterator[str]:
    """The same locale in another version of its library."""
    both = source.version and target.version
    if both and source.version != target.version and source.sorts_like(target):
        yield (
            f"text sorts by version {source.version} of {source.collation} on the source and"
            f" version {target.version} on the target: the order of some texts may differ"
        )


def _sorting(locale: Locale) -> str:
    return locale.collation + (f" with rules {locale.rules}" if locale.rules else "")
