"""Which tables `airflow_metadata_export` exports: a list, a version of Airflow, a file, a Variable.

Whether a table is known is decided by `windlass.airflow.presets.metadata_tables`.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from windlass.airflow.presets.metadata_tables import tables_of
from windlass.errors import BadSpec

LIST_VARIABLE = "SOURCE_TABLES"

Tables = Sequence[str] | Path | str

_VERSION = re.compile(r"\d+\.\d+[\d.]*$")


def read_list(
    given: Tables, before_refresh: Sequence[str] | None, prefix: str = ""
) -> tuple[Sequence[str], str]:
    """The tables, and the path of the file that lists them, if one does. `prefix` is that of the
    Variable's name.

    Without a list, or with an empty one, the Variable is read. A file that does not exist yet is
    not a fault: the refreshing DAG will write it.

    Raises:
        BadSpec: it is not a list, or of a version that is not known.
    """
    if isinstance(given, str) and _VERSION.match(given):
        return known_tables(given), ""
    if isinstance(given, Path) or (isinstance(given, str) and given):
        return _from_file(Path(given), before_refresh), str(given)
    if given:
        return _checked(list(given)), ""
    return _from_variable(before_refresh, prefix), ""


def write_list(path: Path, tables: Sequence[str]) -> None:
    """Write it completely or not at all: a DAG file may read it at any moment."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as new:
        json.dump(list(tables), new, indent=1)
    Path(new.name).chmod(0o644)
    Path(new.name).replace(path)


def known_tables(version: str = "") -> Sequence[str]:
    """The tables of a version of Airflow, by default of the installed one.

    Raises:
        BadSpec: that version is not known.
    """
    import airflow

    try:
        return tables_of(version or airflow.__version__)
    except ValueError as error:
        raise BadSpec([f"{LIST_VARIABLE}: {error}"]) from None


def _from_file(path: Path, before_refresh: Sequence[str] | None) -> Sequence[str]:
    if not path.exists():
        return _before(before_refresh)
    try:
        return _checked(json.loads(path.read_text()))
    except (json.JSONDecodeError, OSError) as error:
        raise BadSpec([f"{LIST_VARIABLE}: {path} cannot be read: {error}"]) from None


def _from_variable(before_refresh: Sequence[str] | None, prefix: str) -> Sequence[str]:
    from airflow.sdk import Variable

    names = dict.fromkeys((f"{prefix}{LIST_VARIABLE}", LIST_VARIABLE))
    texts = (str(Variable.get(name, default="")).strip() for name in names)
    found = next(filter(None, texts), "")
    if not found:
        return _before(before_refresh)
    if _VERSION.match(found):
        return known_tables(found)
    return _checked(_parse(found))


def _before(tables: Sequence[str] | None) -> Sequence[str]:
    return known_tables() if tables is None else _checked(list(tables))


def _parse(text: str) -> Any:
    """A list as JSON, which the refreshing DAG writes, or as names separated by commas."""
    if not text.startswith(("[", "{", '"')):
        return [name for name in re.split(r"[,\s]+", text) if name]
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadSpec([f"{LIST_VARIABLE}: the Variable is not a list: {error}"]) from None


def _checked(names: Any) -> Sequence[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadSpec([f"{LIST_VARIABLE}: must be a list of table names"])
    return list(dict.fromkeys(names))
