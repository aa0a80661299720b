"""The peers' program: the only table of each of some databases into PostgreSQL, as the first page
of each tool's documentation shows it. Prints a line of JSON: what the tool complained of, by table.

    PIPELINES=FOLDER python move_rows.py TOOL TARGET TABLE=SOURCE...
"""

import json
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

Move = Callable[[str, str, str], None]  # the source's URL, the target's, a table


def by_pandas(source: str, target: str, table: str) -> None:
    import pandas as pd
    from sqlalchemy import create_engine

    rows = pd.read_sql_table(table, create_engine(_for_sqlalchemy(source)))
    rows.to_sql(table, create_engine(_for_sqlalchemy(target)), index=False)


def by_connectorx(source: str, target: str, table: str) -> None:
    import connectorx
    from adbc_driver_postgresql import dbapi

    rows = connectorx.read_sql(source, f"select * from {table}", return_type="arrow")  # noqa: S608
    with dbapi.connect(target) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(table, rows, mode="create")
        connection.commit()


def by_duckdb(source: str, target: str, table: str) -> None:
    import duckdb

    address = urlsplit(source)
    kind = "sqlite" if address.scheme == "sqlite" else "mysql"
    where = address.path
    if kind == "mysql":
        where = (
            f"host={address.hostname} port={address.port} user={address.username}"
            f" password={address.password} database={address.path.lstrip('/')}"
        )
    with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as session:
        for one in (kind, "postgres"):
            session.execute(f"load '{_extension(f'{one}_scanner')}'")
        session.execute(f"attach '{where}' as here (type {kind}, read_only)")
        session.execute(f"attach '{target}' as there (type postgres)")
        session.execute(f"create table there.public.{table} as select * from here.{table}")  # noqa: S608


def by_dlt(backend: str) -> Move:
    def move(source: str, target: str, table: str) -> None:
        import dlt
        from dlt.sources.sql_database import sql_database

        arrow = {"return_type": "arrow", "conn": source}
        rows = sql_database(
            _for_sqlalchemy(source),
            backend=backend,
            backend_kwargs=arrow if backend == "connectorx" else {},
            table_names=[table],
        )
        pipeline = dlt.pipeline(
            f"peer_{table}",
            pipelines_dir=os.environ["PIPELINES"],
            # it refuses a URL without a password; the server asks for none
            destination=dlt.destinations.postgres(target.replace("@", ":none@")),
            dataset_name="peer",
        )
        pipeline.run(rows).raise_on_failed_jobs()

    return move


TOOLS: dict[str, Move] = {
    "pandas": by_pandas,
    "connectorx": by_connectorx,
    "duckdb": by_duckdb,
    "dlt": by_dlt("sqlalchemy"),
    "dlt-connectorx": by_dlt("connectorx"),
}


def _for_sqlalchemy(url: str) -> str:
    drivers = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
    kind, _, rest = url.partition("://")
    return f"{drivers[kind]}://{'/' if kind == 'sqlite' else ''}{rest}"


def _extension(name: str) -> Path:
    found = find_spec(f"duckdb_extension_{name}")
    assert found is not None
    assert found.origin is not None
    (path,) = Path(found.origin).parent.rglob("*.duckdb_extension")
    return path


def main(tool: str, target: str, *tables: str) -> None:
    said: dict[str, str] = {}
    for one in tables:
        table, _, source = one.partition("=")
        try:
            TOOLS[tool](source, target, table)
            said[table] = ""
        except BaseException as error:  # ConnectorX panics
            said[table] = f"{type(error).__name__}: {str(error)[:200]}"
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
