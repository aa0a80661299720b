"""The catalog of Iceberg tables that a warehouse's URL means, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pyarrow as pa
from pyiceberg import exceptions as faults
from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy import inspect
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from windlass.engines.paths import cannot_make, path_of
from windlass.errors import BadSpec, ConnectionLost, WindlassError
from windlass.model.text import first_line

EXAMPLE = "iceberg+sqlite:///srv/catalog.db?warehouse=file:///srv/tables"
_STORES = ("s3.", "gcs.", "adls.")  # prefixes of pyiceberg's properties for object stores
_FAULTS = (faults.ValidationError, faults.NoSuchTableError, NotImplementedError)
_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where tables are listed, and where new ones are created."""

    url: str = field(repr=False)  # SQLAlchemy's, of the catalog's database
    label: str  # of the same, without secrets
    name: str  # of the catalog; one database can have several
    warehouse: str  # the folder of tables that are created
    properties: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def file(self) -> Path | None:
        """The catalog's file, if the catalog is one."""
        return Path(urlsplit(self.url).path[1:]) if self.url.startswith("sqlite:") else None

    def open(self) -> SqlCatalog:
        """Connect. The catalog's own tables may be missing: see `has_tables`."""
        where = {"uri": self.url, "warehouse": self.warehouse, **self.properties}
        return SqlCatalog(self.name, **where, init_catalog_tables="false")

    @property
    def faults(self) -> list[str]:
        """Why a catalog that is a file, or tables in files, cannot be on this machine."""
        found = []
        file = self.file
        if file is not None and not file.is_file():
            reason = "it is a folder" if file.is_dir() else cannot_make(file)
            found.append(f"catalog {file}: {reason}" if reason else "")
        if self.warehouse.startswith("file:"):
            folder = Path(path_of(self.warehouse))
            reason = cannot_make(folder / "table")
            found.append(f"tables in {folder}: {reason}" if reason else "")
        return [one for one in found if one]


def place_of(url: str) -> Place:
    """What ``iceberg+sqlite:///path?warehouse=...`` or ``iceberg+postgresql://...?warehouse=...``
    means. `catalog` is the catalog's name; the rest is for the database or the object store.

    Raises:
        BadSpec: it is something else. The message does not repeat the URL, which may contain a
            password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
    # its message quotes what it takes for the port, perhaps a part of a password
    except ValueError:
        raise _not_understood() from None
    database = parts.scheme.partition("+")[2]
    options = dict(parse_qsl(parts.query))
    warehouse, name = options.pop("warehouse", ""), options.pop("catalog", "default")
    if database not in _DRIVERS or "://" not in warehouse or not parts.path.strip("/"):
        raise _not_understood()
    stores = {key: options.pop(key) for key in list(options) if key.startswith(_STORES)}
    if database == "sqlite":
        if options or parts.netloc:
            raise BadSpec([f"warehouse: a file of SQLite has no host and no options: {EXAMPLE}"])
        path = "/" + parts.path.lstrip("/")
        return Place(f"sqlite:///{path}", path, name, warehouse.rstrip("/"), stores)
    query = urlencode(options)
    connection = urlunsplit((_DRIVERS[database], parts.netloc, parts.path, query, ""))
    label = f"{parts.hostname or 'localhost'}:{port}{parts.path}"
    return Place(connection, label, name, warehouse.rstrip("/"), stores)


def _not_understood() -> BadSpec:
    known = " or ".join(f"iceberg+{one}://" for one in _DRIVERS)
    return BadSpec([
        f"warehouse: {known}, with the tables' folder, and with %40, %2F and so on for"
        f" characters of a password: {EXAMPLE}"
    ])  # fmt: skip


def has_tables(catalog: SqlCatalog) -> bool:
    """Whether the catalog's own tables are there."""
    return bool(inspect(catalog.engine).has_table("iceberg_tables"))


@contextmanager
def explaining(place: str, doing: str) -> Iterator[None]:
    """Map the errors of pyiceberg, of the catalog's database and of the object store to ours.

    Raises:
        ConnectionLost: trying again can help, and doubles nothing.
    """
    try:
        yield
    except faults.CommitFailedException as error:
        message = f"{place}: {doing}: somebody else has changed the table"
        raise ConnectionLost(message, hint="nothing was loaded; trying again can help") from error
    except SQLAlchemyError as error:  # its text has the statement, and perhaps the URL
        said = first_line(getattr(error, "orig", None) or error)
        is_lost = isinstance(error, OperationalError) and "authentication failed" not in said
        kind = ConnectionLost if is_lost else WindlassError
        raise kind(f"{place}: {doing}: {said}", hint="see the catalog's database") from None
    except (*_FAULTS, OSError, pa.ArrowException, ValueError) as error:
        message = f"{place}: {doing}: {type(error).__name__}: {first_line(error)}"
        raise WindlassError(message, hint="see the tables' folder, and its credentials") from error
