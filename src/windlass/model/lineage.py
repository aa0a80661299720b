"""Where the rows of a run came from and went to, by relation and column, with the names that
OpenLineage has for datasets (https://openlineage.io/docs/spec/naming)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class Dataset:
    """A relation, or a folder of files."""

    namespace: str
    name: str


class Change(StrEnum):
    """What happened to a column's values."""

    KEPT = "kept"
    CONVERTED = "converted"
    HIDDEN = "hidden"  # nobody can read them any more


@dataclass(frozen=True, slots=True)
class ColumnLineage:
    """A column of what was written, and the columns of the source that its values come from."""

    name: str
    type: str = ""
    origins: tuple[str, ...] = ()
    change: Change = Change.KEPT
    how: str = ""  # how it was changed, for people


@dataclass(frozen=True, slots=True)
class Arrived:
    """Rows that a run has written. Columns have origins only if there is one source. A source whose
    address means nothing on another machine is left out."""

    sources: tuple[Dataset, ...]
    target: Dataset
    columns: tuple[ColumnLineage, ...]
    source_columns: tuple[tuple[str, str], ...] = ()  # names and types, of one source
    rows: int = 0
    size_bytes: int | None = None
    files: int | None = None


def relation_dataset(place: str, database: str, relation: Name) -> Dataset | None:
    """A relation of a PostgreSQL server at ``host:port``. None for a socket, which means nothing on
    another machine."""
    host, _, port = place.rpartition(":")
    if not host or host[0] in "/@":
        return None
    address = f"[{host}]" if ":" in host and host[0] != "[" else host
    return Dataset(f"postgres://{address}:{port}", f"{database}.{relation.schema}.{relation.name}")


def asset_dataset(asset: Mapping[str, str]) -> Dataset | None:
    """The dataset of what `windlass.engines.base.Target.assets` names."""
    uri = asset.get("uri")
    if not uri:
        relation = Name(asset["schema"], asset["table"])
        return relation_dataset(asset["place"], asset["database"], relation)
    parts = urlsplit(uri)
    if parts.scheme not in ("bigquery", "duckdb", "snowflake", "sqlite"):
        return folder_dataset(uri)  # a table that is a folder of files
    *folders, schema, table = unquote(parts.path).split("/")
    if parts.scheme == "bigquery":
        return Dataset("bigquery", f"{parts.netloc}.{schema}.{table}")
    if parts.scheme == "snowflake":
        return Dataset(f"snowflake://{parts.netloc}", f"{folders[-1]}.{schema}.{table}")
    file = "/".join(folders)
    return Dataset(f"{parts.scheme}://{file}", f"{PurePosixPath(file).stem}.{schema}.{table}")


def folder_dataset(url: str) -> Dataset:
    """A folder of a store: file://, s3://, gs:// or az://."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Dataset("file", unquote(parts.path))
    return Dataset(f"{parts.scheme}://{parts.netloc}", parts.path.strip("/"))
