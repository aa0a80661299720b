"""The DAG `refresh_source_tables`: lists the tables that Airflow's own database has."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator

from windlass.airflow.presets.metadata_tables import sort_out
from windlass.airflow.presets.table_list import LIST_VARIABLE, read_list, write_list
from windlass.errors import WindlassError

if TYPE_CHECKING:
    from airflow.sdk import Context

DAG_ID = "refresh_source_tables"

log = logging.getLogger(__name__)


def refreshing_dag(source_conn_id: str, file: str, prefix: str, options: dict[str, Any]) -> DAG:
    """Runs weekly. The list goes into `file`, or else into the Variable; `options` are
    Airflow's."""
    with DAG(
        f"{prefix}{DAG_ID}",
        **{
            "description": "The tables that Airflow's own database has, for the exports.",
            "schedule": "@weekly",
            "start_date": datetime(2023, 2, 5, tzinfo=UTC),
            "catchup": False,
            "max_active_runs": 1,
            "is_paused_upon_creation": True,
            **options,
        },
    ) as dag:
        RefreshOperator(
            task_id="read_catalog",
            source_conn_id=source_conn_id,
            file=file,
            variable=f"{prefix}{LIST_VARIABLE}",
        )
    return dag


class RefreshOperator(BaseOperator):
    """Writes the tables in the database's catalog into a file, or else into a Variable.

    A table that no known version has is left out unless it is already listed: nobody has examined
    its columns.
    """

    ui_color = "#e4f0ee"

    def __init__(
        self, *, source_conn_id: str, file: str, variable: str = LIST_VARIABLE, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.source_conn_id, self.file, self.variable = source_conn_id, file, variable

    def execute(self, context: Context) -> list[str]:
        from airflow.sdk import Variable

        from windlass.airflow.connections import conninfo_of

        found = read_tables(conninfo_of(self.source_conn_id))
        tables, unknown = sort_out(found, self._listed())
        if unknown:
            notice = (
                f"not exported, as no known version of Airflow has them: {', '.join(unknown)};"
                f" add them to {self.variable}, and what is no secret to include_secrets"
            )
            log.warning("%s", notice)
            context["ti"].xcom_push(key="notices", value=[notice])
        if self.file:
            write_list(Path(self.file), tables)
        else:
            Variable.set(self.variable, tables, serialize_json=True)
        where = self.file or f"the Variable {self.variable}"
        log.info("%d tables are in %s; DAGs follow when the DAG file is read", len(tables), where)
        return tables

    def _listed(self) -> Sequence[str]:
        """The present list, including unknown tables."""
        prefix = self.variable.removesuffix(LIST_VARIABLE)
        return read_list(Path(self.file) if self.file else (), (), prefix)[0]


def read_tables(conninfo: str) -> list[str]:
    """The tables of the schema `public`, which is Airflow's.

    Raises:
        WindlassError: the database cannot be read, or there are none.
    """
    from windlass.engines.postgres.catalog import read_catalog
    from windlass.engines.postgres.session import Address, Role

    address = Address.parse("source", conninfo)
    with address.connect(Role.SOURCE, "windlass tables") as connection:
        found = read_catalog(connection)
    tables = [
        relation.name.name
        for relation in found.relations
        if relation.holds_rows
        and relation.name.schema == "public"
        and not relation.name.name.startswith("_")  # what Airflow's migrations have set aside
    ]
    if "dag_run" not in tables:
        raise WindlassError(
            f"{address} is not Airflow's own database: there is no table dag_run",
            hint="give the connection to it as source_conn_id",
        )
    return sorted(tables)
