"""Templates in the values of a spec, such as ``{{ var.value.shop }}``, ``{{ ds }}`` and ``{{
params.region }}``: checked when a DAG file is parsed, and rendered by Airflow in the worker.

Braces that are no template would be changed silently, so they are refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from windlass.errors import WindlassError

if TYPE_CHECKING:
    from windlass.airflow.board import Board

_MARK = re.compile(r"\{\{|\{%|\{#")
_RAW = "write {% raw %}...{% endraw %} around braces that are no template"
_SECRET_VARIABLE = re.compile(
    r"var\.(?:value|json)\.(?:get\(\s*['\"])?([\w.]*(?:password|passwd|secret|token|api_?key)\w*)",
    re.I,
)
# the names that Airflow provides in a task's templates
_NAMES = {
    "dag", "dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash",
    "logical_date", "macros", "params", "prev_data_interval_end_success",
    "prev_data_interval_start_success", "prev_end_date_success", "prev_start_date_success",
    "run_id", "task", "task_instance", "task_instance_key_str", "ti", "triggering_asset_events",
    "ts", "ts_nodash", "ts_nodash_with_tz", "var",
}  # fmt: skip


def has_template(value: Any) -> bool:
    """Whether Airflow renders the value or something in it: a text with a template, or the result
    of another task."""
    match value:
        case str():
            return _MARK.search(value) is not None
        case Mapping():
            return any(map(has_template, value.values()))
        case list() | tuple():
            return any(map(has_template, value))
        case _:
            return hasattr(value, "iter_references")  # an XComArg


def texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in plain data, with its key: `spec.schema.0`."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from texts(one, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for place, one in enumerate(value):
            yield from texts(one, f"{key}.{place}" if key else str(place))


def template_faults(words: Mapping[str, Any], *, is_closed: bool = False) -> Iterator[str]:
    """What is wrong with the templates of a spec. `is_closed`: only Airflow's own names exist,
    because nobody could have given the DAG more."""
    for key, text in texts(words):
        if _MARK.search(text):
            faults = _faults_of(text, is_closed=is_closed)
            yield from (f"{key.replace('_', '-')}: {fault}" for fault in faults)


def _faults_of(text: str, *, is_closed: bool) -> Iterator[str]:
    from jinja2 import Environment, TemplateSyntaxError
    from jinja2.meta import find_undeclared_variables

    try:
        names = find_undeclared_variables(Environment(autoescape=True).parse(text))
    except TemplateSyntaxError as error:
        yield f"is not a template that Jinja can read: {error.message} ({_RAW})"
        return
    if not names and "raw" not in text:
        yield f"has braces, but is not a template ({_RAW})"
    if "conn" in names:
        yield "takes a secret from a connection; name the connection by its id instead"
    if found := _SECRET_VARIABLE.search(text):
        yield f"takes a secret from the Variable {found[1]}; use a connection"
    for name in sorted(names - _NAMES - {"conn"}) if is_closed else ():
        yield f"Airflow has no {name!r} in templates; it has params, var, ds, dag_run and so on"


def password_faults(words: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The keys whose texts hold a URL with a password."""
    for key, text in texts(words):
        if re.search(r"\w://[^\s/@:]*:[^\s/@]+@", text):
            yield key, "holds a password; use a connection of Airflow, by its id"


def check_same(board: Board, first: str, given: Mapping[str, Any], *, is_first: bool) -> None:
    """Check that all tasks of a run have the same spec: a template may give another value when it
    is rendered again, as a Variable can change. `first` is the task that all others come after.

    Raises:
        WindlassError: this task's is not that of the first.
    """
    mine = digest(given)
    if is_first:
        board.ti.xcom_push(key="spec", value=mine)
    elif board.pushed(first, "spec") not in (None, mine):
        raise WindlassError(
            "a template of the spec renders to something else than when this run began",
            hint="set the Variable back to what it was, or trigger a new run",
        )


def digest(words: Mapping[str, Any]) -> str:
    """A digest of rendered options, to compare those of two tasks."""
    return hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode()).hexdigest()[:16]
