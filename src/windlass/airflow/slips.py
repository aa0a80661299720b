"""Mistyped parameters of a run, where no form has checked them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from windlass.errors import BadSpec

if TYPE_CHECKING:
    from airflow.sdk import Context


def check_conf(context: Context) -> None:
    """Check the parameters of a run. Airflow accepts any key. One that resembles a parameter is a
    slip, and would be ignored; others may be for the user's own tasks or templates.

    Raises:
        BadSpec: there are such keys.
    """
    dag, dag_run = context.get("dag"), context.get("dag_run")
    if dag is None or dag_run is None:  # executed by hand
        return
    known, slips = set(dag.params), {}
    for key in dag_run.conf or {}:
        if key not in known and (near := get_close_matches(key, known, 1)):
            slips[key] = near[0]
    if slips:
        raise BadSpec([
            f"conf: there is no parameter {key!r}; did you mean {near!r}?"
            for key, near in slips.items()
        ])  # fmt: skip
