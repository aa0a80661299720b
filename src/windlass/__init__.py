"""Windlass migrates databases: plan, run, prove, undo. See `windlass.api` for what is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.version import __version__

if TYPE_CHECKING:
    from windlass.api import (
        clean,
        export,
        fetch,
        foresee_rollback,
        load,
        migrate,
        plan,
        read_left,
        read_run,
        read_spec,
        restore,
        rewrite,
        rollback,
        run_spec,
        status,
        verify,
    )
    from windlass.errors import (
        AlreadyFinished,
        BadSpec,
        CannotResume,
        ConnectionLost,
        ConstraintViolated,
        Different,
        Interrupted,
        Refused,
        TargetFull,
        Unreachable,
        WindlassError,
    )
    from windlass.model.outcome import Outcome, RunDetail, RunStatus, State
    from windlass.model.past import Foreseen, Left
    from windlass.model.planned import Planned, Style
    from windlass.model.repair import Change, Forecast, Repairing
    from windlass.model.report import Difference, Loss, Problem
    from windlass.model.wording import spelled
    from windlass.planning.reviewed import Reviewed
    from windlass.spec.export import ExportSpec
    from windlass.spec.load import LoadSpec
    from windlass.spec.migrate import Spec
    from windlass.spec.rewrite import RewriteSpec

# Loaded on first use: a user of only one of them need not load the drivers.
_FOUND_IN = {
    "windlass.api": (
        "clean",
        "export",
        "fetch",
        "foresee_rollback",
        "load",
        "migrate",
        "plan",
        "read_left",
        "read_run",
        "read_spec",
        "restore",
        "rewrite",
        "rollback",
        "run_spec",
        "status",
        "verify",
    ),
    "windlass.errors": (
        "AlreadyFinished",
        "BadSpec",
        "CannotResume",
        "ConnectionLost",
        "ConstraintViolated",
        "Different",
        "Interrupted",
        "Refused",
        "TargetFull",
        "Unreachable",
        "WindlassError",
    ),
    "windlass.model.outcome": ("Outcome", "RunDetail", "RunStatus", "State"),
    "windlass.model.past": ("Foreseen", "Left"),
    "windlass.model.planned": ("Planned", "Style"),
    "windlass.model.repair": ("Change", "Forecast", "Repairing"),
    "windlass.model.report": ("Difference", "Loss", "Problem"),
    "windlass.model.wording": ("spelled",),
    "windlass.planning.reviewed": ("Reviewed",),
    "windlass.spec.export": ("ExportSpec",),
    "windlass.spec.load": ("LoadSpec",),
    "windlass.spec.rewrite": ("RewriteSpec",),
    "windlass.spec.migrate": ("Spec",),
}

__all__ = [  # noqa: RUF022 (grouped)
    # what to do
    "plan",
    "migrate",
    "verify",
    "rewrite",
    "export",
    "fetch",
    "load",
    "run_spec",
    # with runs of the past
    "status",
    "read_run",
    "foresee_rollback",
    "rollback",
    "restore",
    "read_left",
    "clean",
    # specs
    "read_spec",
    "Spec",
    "RewriteSpec",
    "ExportSpec",
    "LoadSpec",
    "Repairing",
    "Reviewed",
    # results
    "Planned",
    "Style",
    "Outcome",
    "State",
    "RunStatus",
    "RunDetail",
    "Foreseen",
    "Left",
    "Forecast",
    "Change",
    "Difference",
    "Loss",
    "Problem",
    "spelled",
    # errors
    "WindlassError",
    "BadSpec",
    "Refused",
    "Unreachable",
    "ConnectionLost",
    "TargetFull",
    "CannotResume",
    "AlreadyFinished",
    "Different",
    "ConstraintViolated",
    "Interrupted",
    "__version__",
]


def __getattr__(name: str) -> object:
    for module, names in _FOUND_IN.items():
        if name in names:
            import importlib

            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'windlass' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
