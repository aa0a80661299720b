"""What `rewrite` calls: joins the flow and the runner."""

from __future__ import annotations

from contextlib import suppress

import psycopg

from windlass.cli.hints import RESUME, way_on
from windlass.cli.stops import not_begun, refused_late
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Address, Role
from windlass.errors import Interrupted, Refused, WindlassError
from windlass.flows.rewrite.context import Rewriting
from windlass.flows.rewrite.outline import REWRITE
from windlass.inplace.preview import Preview, preview
from windlass.model.event import Emit
from windlass.model.outcome import Outcome, State
from windlass.run.local import run_flow
from windlass.spec.rewrite import RewriteSpec


def plan_rewrite(spec: RewriteSpec) -> Preview:
    """What a rewrite would do. Writes nothing.

    Raises:
        Refused: with every problem.
        WindlassError: reading failed.
    """
    assert spec.connection is not None
    address = Address.parse("database", spec.connection.get_secret_value())
    with address.connect(Role.SOURCE, "windlass plan") as connection:
        try:
            return preview(connection, spec)
        except psycopg.Error as error:
            raise explain(error, "planning the rewrite", side="database") from error


def rewrite(spec: RewriteSpec, emit: Emit) -> Outcome:
    """Change rows where they stand, or go on where that stopped. How it ended is in the outcome's
    state.

    Raises:
        BadSpec: the spec names no database.
    """
    with Rewriting(spec, emit) as run:
        run.steps = tuple(step.name for step in REWRITE.steps)
        try:
            run_flow(REWRITE, run, jobs=spec.jobs, emit=run.emit)
        except Refused as error:
            if not run.has_begun:
                return Outcome("", State.REFUSED, problems=error.problems)
            return _stop(run, State.STOPPED, *refused_late(error, run.plan.run))
        except Interrupted:
            return _stop(run, State.INTERRUPTED, "interrupted", RESUME)
        except WindlassError as error:
            if not run.has_begun:
                return not_begun(error)
            return _stop(run, State.STOPPED, str(error), way_on(error, run.plan.run))
        return run.outcome(State.DONE)


def _stop(run: Rewriting, state: State, message: str, hint: str) -> Outcome:
    """As `_end`: if the database does not answer, the next process finds out."""
    outcome = run.outcome(state, message, hint)
    with suppress(WindlassError):
        run.end(state, outcome)
    return outcome
