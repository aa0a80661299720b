"""Every engine, by its URL schemes. A driver is imported only when it is used."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from windlass.engines.base import Source, Target
from windlass.engines.destination import Destination
from windlass.engines.landing import Landing
from windlass.engines.origin import Origin
from windlass.errors import BadSpec, WindlassError
from windlass.model.flow import resolve


@dataclass(frozen=True, slots=True)
class Engine:
    """Where its parts are. `source` takes a URL, `target` a URL and a schema ("" for its own)."""

    schemes: tuple[str, ...]
    source: str = ""
    target: str = ""
    landing: str = ""  # takes a URL, and `runs`: tables in use, to load into
    runs: str = ""  # what keeps the runs of loads, if the engine itself does not
    origin: str = ""  # takes a URL: what is migrated into another engine
    destination: str = ""  # takes a URL: what a PostgreSQL database is migrated into
    needs: tuple[str, ...] = ()  # libraries of the last two, which the extra of that name installs
    extra: str = "export"  # our extra that installs the needed libraries


ENGINES = (
    Engine(
        ("postgresql", "postgres"),
        source="windlass.engines.postgres.source:PostgresSource",
        target="windlass.engines.postgres.target:PostgresTarget",
        landing="windlass.engines.postgres.landing.landing:PostgresLanding",
        runs="windlass.journal.loads:LoadBooks",  # which no engine imports
    ),
    Engine(
        ("sqlite",),
        source="windlass.engines.sqlite.source:SqliteSource",
        landing="windlass.engines.sqlite.landing.file:open_landing",
        origin="windlass.engines.sqlite.origin.origin:SqliteOrigin",
        destination="windlass.engines.sqlite.destination.destination:SqliteDestination",
        needs=("sqlglot",),
    ),
    Engine(
        ("duckdb",),
        source="windlass.engines.duckdb.source:DuckDbSource",
        target="windlass.engines.duckdb.target:DuckDbTarget",
        landing="windlass.engines.duckdb.landing.file:open_landing",
        origin="windlass.engines.duckdb.origin.origin:DuckDbOrigin",
        destination="windlass.engines.duckdb.destination.destination:DuckDbDestination",
        needs=("duckdb", "pyarrow", "sqlglot"),
    ),
    Engine(
        ("mysql", "mariadb"),
        origin="windlass.engines.mysql.origin:MysqlOrigin",
        destination="windlass.engines.mysql.destination.destination:MysqlDestination",
        needs=("asyncmy", "sqlglot"),
        extra="mysql",
    ),
    Engine(
        ("mongodb",),
        origin="windlass.engines.mongodb.origin:MongoOrigin",
        needs=("pymongo",),
        extra="mongodb",
    ),
    Engine(
        ("odbc",),
        origin="windlass.engines.odbc.origin:OdbcOrigin",
        needs=("pyodbc", "sqlglot"),
        extra="odbc",
    ),
    Engine(("bigquery",), target="windlass.engines.bigquery.target:open_target", extra="bigquery"),
    Engine(
        ("snowflake",),
        target="windlass.engines.snowflake.target:SnowflakeTarget",
        landing="windlass.engines.snowflake.landing.landing:SnowflakeLanding",
        extra="snowflake",
    ),
    Engine(("iceberg",), target="windlass.engines.iceberg.target:IcebergTarget", extra="iceberg"),
)


# what people sometimes give instead of a URL; no libpq service is called that
_FILE = re.compile(r"(sqlite|duckdb):.*|\.{0,2}/.*|.*\.(db3?|sqlite3?|duckdb)", re.IGNORECASE)


_PARTS = {
    "source": "source",
    "warehouse": "target",
    "target": "landing",
    "origin": "origin",
    "destination": "destination",
}


def engine_of(url: str, role: str) -> Engine:
    """The engine for a URL in a `role` ("source", "warehouse" or "target", whose tables are in
    use). Anything that is not a URL is PostgreSQL: a conninfo string or the name of a service.

    Raises:
        BadSpec: no engine has this scheme, or it is the path of a file. The message does not repeat
        the URL, which may contain a password.
    """
    if role == "origin" and url.lower().startswith("odbc:"):  # a connection string has no `//`
        return next(one for one in ENGINES if "odbc" in one.schemes)
    scheme, colon, _ = url.partition("://")
    if not colon or "=" in scheme:
        if role != "warehouse" and "=" not in url and _FILE.fullmatch(url):
            message = (
                "give the URL of a file: sqlite:///folder/file.db, duckdb:///folder/file.duckdb"
            )
            raise BadSpec([f"{role}: {message}"])
        return ENGINES[0]
    wanted = scheme.partition("+")[0].lower()  # postgresql+psycopg:// is SQLAlchemy's
    able = [one for one in ENGINES if getattr(one, _PARTS[role])]
    for one in able:
        if wanted in one.schemes:
            return one
    known = ", ".join(f"{one.schemes[0]}://" for one in able)
    side = {"origin": "source", "destination": "target"}.get(role, role)
    more = "postgresql://, " if role in ("origin", "destination") else ""
    raise BadSpec([f"{side}: {wanted}:// is not supported; use one of {more}{known}"])


def open_source(url: str) -> Source:
    """Connects to nothing yet.

    Raises:
        BadSpec: the URL cannot be understood.
        WindlassError: the library for this engine is not installed.
    """
    engine = engine_of(url, "source")
    source: Source = _opened(engine, engine.source, url)
    return source


def open_target(url: str, into: str = "") -> Target:
    """Connects to nothing yet. `into` is a schema of the warehouse.

    Raises:
        BadSpec: the URL cannot be understood.
        WindlassError: the library for this engine is not installed.
    """
    engine = engine_of(url, "warehouse")
    target: Target = _opened(engine, engine.target, url, into)
    return target


def open_landing(url: str) -> Landing:
    """A target whose tables are in use. Connects to nothing yet.

    Raises:
        BadSpec: the URL cannot be understood.
        WindlassError: the library for this engine is not installed.
    """
    engine = engine_of(url, "target")
    extra = "load,snowflake" if engine.extra == "snowflake" else "load"
    engine = replace(engine, extra=extra)
    runs = [_opened(engine, engine.runs)] if engine.runs else []
    landing: Landing = _opened(engine, engine.landing, url, *runs)
    return landing


def open_origin(url: str) -> Origin:
    """A database that is migrated into another engine. Connects to nothing yet.

    Raises:
        BadSpec: the URL cannot be understood.
        WindlassError: the library for this engine is not installed.
    """
    engine = engine_of(url, "origin")
    _check_needs(engine)
    origin: Origin = _opened(engine, engine.origin, url)
    return origin


def open_destination(url: str, *, for_past: bool = False) -> Destination:
    """A database that a PostgreSQL database is migrated into. Connects to nothing yet. Its runs
    (`for_past`) are read and undone without the libraries that a migration needs.

    Raises:
        BadSpec: the URL cannot be understood.
        WindlassError: the library for this engine is not installed.
    """
    engine = engine_of(url, "destination")
    if not for_past:
        _check_needs(engine)
    destination: Destination = _opened(engine, engine.destination, url)
    return destination


def _check_needs(engine: Engine) -> None:
    for library in engine.needs:
        if find_spec(library) is None:
            raise _missing(engine, library, engine.schemes[0])


def _opened(engine: Engine, place: str, *given: object) -> Any:
    try:
        return resolve(place)(*given)
    except ImportError as error:
        raise _missing(engine, str(error.name), engine.extra) from error


def _missing(engine: Engine, library: str, extra: str) -> WindlassError:
    return WindlassError(
        f"{engine.schemes[0]}: {library} is not installed",
        hint=f"pip install 'windlass-db[{extra}]'",
    )
