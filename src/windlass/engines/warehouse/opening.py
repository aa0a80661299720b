"""Which warehouse a URL means. A warehouse's own library is imported only when it is used."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, unquote, urlsplit

from windlass.engines.warehouse.base import Warehouse
from windlass.errors import BadSpec, WindlassError


def open_warehouse(url: str, into: str = "") -> Warehouse:
    """Connects to nothing yet. `into` is a schema of DuckDB or PostgreSQL.

    Raises:
        BadSpec: the URL cannot be understood; it is not repeated, as it may hold a password.
        WindlassError: the library for this warehouse is not installed.
    """
    scheme = urlsplit(url).scheme.partition("+")[0] or "postgres"  # a conninfo string
    openers: dict[str, Callable[[str, str], Warehouse]] = {
        "duckdb": _duckdb,
        "bigquery": _bigquery,
        "postgresql": _postgres,
        "postgres": _postgres,
    }
    try:
        return openers[scheme](url, into)
    except ImportError as error:
        extra = "bigquery" if scheme == "bigquery" else "export"
        raise WindlassError(
            f"{scheme}: {error.name} is not installed", hint=f"pip install 'windlass-db[{extra}]'"
        ) from error


def _duckdb(url: str, into: str) -> Warehouse:
    from windlass.engines.warehouse.duckdb import DuckDb

    path = "/" + unquote(urlsplit(url).path).lstrip("/")
    if not path.strip("/") or urlsplit(url).netloc:
        raise BadSpec(["warehouse: duckdb needs the path of a file: duckdb:///folder/file.duckdb"])
    return DuckDb(path, into)


def _postgres(url: str, into: str) -> Warehouse:
    from windlass.engines.warehouse.postgres import Postgres

    return Postgres(url, into)


def _bigquery(url: str, _: str) -> Warehouse:
    from windlass.engines.warehouse.bigquery import BigQuery

    parts = urlsplit(url)
    dataset, options = parts.path.strip("/"), dict(parse_qsl(parts.query))
    wrong = sorted(set(options) - {"location", "endpoint"})
    if not parts.netloc or not dataset or "/" in dataset or wrong:
        hint = f"; unknown: {', '.join(wrong)}" if wrong else ""
        raise BadSpec([f"warehouse: bigquery://project/dataset?location=EU is what it takes{hint}"])
    return BigQuery(parts.netloc, dataset, **options)
