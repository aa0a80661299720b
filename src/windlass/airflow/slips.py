"""Mistyped parameters of a run, where no form has checked them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from windlass.errors import BadSpec
from windlass.spec.fields.migrate import MIGRATE

if TYPE_CHECKING:
    from airflow.sdk import Context


_FORMS = {f"windlass.airflow.params:{one}_words" for one in ("migration", "validation")}
_OPTIONS = {entry.key for entry in MIGRATE.values()}


def check_conf(context: Context, words: str = "") -> None:
    """Check the parameters of a run. Airflow accepts any key. One that resembles a parameter is a
    slip, and would be ignored; so would an option that the form has no field for, if the DAG has no
    spec. Others may be for the user's own tasks or templates. `words` is the import path of what
    makes the options of the parameters.

    Raises:
        BadSpec: there are such keys.
    """
    dag, dag_run = context.get("dag"), context.get("dag_run")
    if dag is None or dag_run is None:  # executed by hand
        return
    known, faults = set(dag.params), []
    for key in (key for key in dag_run.conf or {} if key not in known):
        if near := get_close_matches(key, known, 1):
            faults.append(f"conf: there is no parameter {key!r}; did you mean {near[0]!r}?")
        elif words in _FORMS and key.replace("-", "_") in _OPTIONS:
            faults.append(f"conf: {key!r} is not a parameter of this DAG; give it in a DAG's spec")
    if faults:
        raise BadSpec(faults)
