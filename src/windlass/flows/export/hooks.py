"""The user's statements around a whole run: the warehouse runs them once, and remembers it."""

from __future__ import annotations

from windlass.flows.export.context import Exporting
from windlass.model.event import Noticed
from windlass.model.units import plural

BEFORE_RUN, AFTER_RUN = "before-run", "after-run"


def run_hooks(run: Exporting, when: str) -> None:
    """Raises:
    WindlassError: a statement failed; none of them has had an effect.
    """
    hooks = run.spec.hooks
    texts = hooks.before if when == BEFORE_RUN else hooks.after
    if run.target is None or not texts:
        return
    if run.unfit and when == AFTER_RUN:
        left = plural(len({one.object for one in run.unfit}), "relation")
        run.emit(Noticed(f"{when} was not run: {left} of the export could not be loaded"))
        return
    with run.threads.first(when) as is_first:
        if not is_first:
            return
        is_new = run.target.run_once(run.run, run.exports[0].source, when, texts)
        if run.recording.resumed and not is_new:
            run.emit(Noticed(f"{when} was run before, and is not repeated"))
