"""Nouns of what rows are read from: files, pages of an API, queries; and how they are written.

Nothing here is guessed from the beginning of a file: what is not given has the default below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Format(StrEnum):
    """How rows are written. `BY_NAME` is decided by the end of the file's name."""

    BY_NAME = ""
    CSV = "csv"
    TSV = "tsv"  # CSV whose delimiter is a tab
    JSON_LINES = "jsonl"
    JSON = "json"  # an array of objects, or objects one after another
    PARQUET = "parquet"
    EXCEL = "excel"


class Compression(StrEnum):
    """Of a whole file. `BY_NAME` is decided by the end of the file's name."""

    BY_NAME = ""
    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZ2 = "bz2"
    XZ = "xz"
    ZIP = "zip"


@dataclass(frozen=True, slots=True)
class Csv:
    """The dialect of a CSV file. Spaces are part of a value. A row ends with LF or CR LF."""

    delimiter: str = ""  # empty: a comma, or a tab in TSV
    quote: str = '"'  # one ASCII character; empty: values are not quoted
    escape: str = ""  # before a quote inside of quotes; empty: quotes inside of quotes are doubled
    header: bool = True  # whether the first row has the names
    names: tuple[str, ...] = ()  # of the fields: instead of the header's
    nulls: tuple[str, ...] = ()  # unquoted texts that stand for NULL
    encoding: str = "utf-8"  # a byte order mark is removed
    skip: int = 0  # lines before the header
    comment: str = ""  # rows that begin with it are left out
    decimal: str = "."
    numbers: tuple[str, ...] = ()  # fields whose decimal sign becomes a point


@dataclass(frozen=True, slots=True)
class Json:
    """`keys` are those that an object may have; empty: those that any object of the file has."""

    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Excel:
    """Which sheet, and where its rows are."""

    sheet: str | int = 1  # by name, or by its place from 1
    header: bool = True
    names: tuple[str, ...] = ()
    skip: int = 0  # rows before the header


@dataclass(frozen=True, slots=True)
class FilesFrom:
    """Files of one shape. A location is a path, a `file://`, `http(s)://`, `s3://`, `gs://` or
    `az://` URL, and may be a pattern with `*`, `?`, `[...]` and `**`, except on the web."""

    locations: tuple[str, ...]
    format: Format = Format.BY_NAME
    compression: Compression = Compression.BY_NAME
    member: str = ""  # of a zip file with several
    csv: Csv = Csv()
    json: Json = Json()
    excel: Excel = Excel()
    unlimited: bool = False  # decompress without a limit
    most_bad: int = 0  # how many records of a file may be malformed
    store_options: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # may be secret


@dataclass(frozen=True, slots=True)
class ApiFrom:
    """Pages of JSON over HTTP. At most one of `next`, `cursor` and `page` is used."""

    url: str = field(repr=False)  # which may have a password
    records: str = ""  # path to the list of rows in a page, as `data.items`; empty: the page itself
    next: str = ""  # path to the next page's URL; or "link": the header of that name
    cursor: str = ""  # path to the next page's cursor; a page without one is the last
    cursor_parameter: str = "cursor"
    page: str = ""  # the parameter with the page's number; a page without rows is the last
    first_page: int = 1
    token_env: str = ""  # the environment variable with the token
    token_header: str = "Authorization"
    token_prefix: str = "Bearer "
    json: Json = Json()


@dataclass(frozen=True, slots=True)
class QueryFrom:
    """A relation or a query of a database that an export can read."""

    source: str = field(repr=False)  # its URL, which may have a password
    relation: str = ""  # schema.table
    query: str = ""
    where: str = ""  # of a relation


From = FilesFrom | ApiFrom | QueryFrom
